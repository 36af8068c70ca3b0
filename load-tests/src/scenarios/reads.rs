//! What a reader pays: a twin, a list, a tree, from callers that ask as soon as they are answered.
//!
//! The twins stand still, as most do while a dashboard looks at them again, so Twinfold has written each once. The floor, bare actix-web, answers a constant with as
//! many bytes as one of these twins has.

use super::{
    queries::{self, Query},
    site::Site,
};
use crate::{
    Options, Result,
    clock::Random,
    http::registry,
    peer::{Kind, Running},
    report::Row,
};

/// Devices of the site that is read.
const DEVICES: usize = 100;

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_http() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let mut random = Random::new(1);
    let twin =
        Query::new("twin", options.callers, move || format!("/twins/{}", registry::id("sensor", random.below(DEVICES as u64) as usize)));
    if !peer.has_twins() {
        // The floor answers with the same twin always.
        return Ok(vec![queries::measure(&server, "reads", twin, options).await?]);
    }
    let site = Site::build(&server, "sensor", DEVICES).await?;
    site.say_ten_values(&server).await?;
    let list = Query::new("list of 100", options.callers, || "/twins?limit=100".into());
    let tree = Query::new("tree of 100 devices", options.callers, || format!("/twins/{}/tree", super::site::ID));
    let mut rows = Vec::new();
    for query in [twin, list, tree] {
        rows.push(queries::measure(&server, "reads", query, options).await?);
    }
    Ok(rows)
}
