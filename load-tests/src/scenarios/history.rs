//! What a chart pays: pages of recorded values, and buckets of them.

use std::time::{Duration, Instant};

use super::{
    queries::{self, Query},
    settle,
};
use crate::{
    Options, Result,
    clock::Random,
    http::registry,
    mqtt::{
        closed::{self, Source},
        frame,
    },
    peer::{Kind, Running},
    report::Row,
};

const TWINS: usize = 10;
const CALLERS: usize = 8;
/// Records of one message while the history is written.
const BATCH: usize = 100;
/// 2026-01-01T00:00:00Z: the history is in the past, one record a second.
const BEGIN_MS: u64 = 1_767_225_600_000;
const WRITE_WITHIN: Duration = Duration::from_secs(300);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let devices = registry::devices(&server, "chart", TWINS).await?;
    let connections = super::connect_all(&server, &devices).await?;
    let (messages, until) = (options.history_records / TWINS / BATCH, Instant::now() + WRITE_WITHIN);
    closed::saturate_all(connections, 1, 4, until, |connection| Past { topic: connection.topic("telemetry"), written: 0, messages })
        .await?;
    settle(&server).await?;
    let path = |rest: &'static str| {
        let mut random = Random::new(2);
        move || format!("/twins/{}/history?name=temperature{rest}", registry::id("chart", random.below(TWINS as u64) as usize))
    };
    let queries = [("pages of 1000", "&limit=1000"), ("buckets of 5 minutes", "&every=5m&limit=1000")];
    let mut rows = Vec::new();
    for (what, rest) in queries {
        let row = queries::measure(&server, "history", Query::new(what, CALLERS, path(rest)), options).await?;
        rows.push(row.with("records_per_twin", (messages * BATCH) as f64));
    }
    Ok(rows)
}

/// A device that tells its past, a batch a message.
struct Past {
    topic: String,
    written: usize,
    messages: usize,
}

impl Source for Past {
    fn append(&mut self, out: &mut Vec<u8>, packet_id: u16) -> bool {
        if self.written == self.messages {
            return false;
        }
        let record = |n: usize| {
            let n = self.written * BATCH + n;
            format!(r#"{{"at":{},"values":{{"temperature":{}.{}}}}}"#, BEGIN_MS + n as u64 * 1_000, 20 + n % 7, n % 10)
        };
        let batch: Vec<String> = (0..BATCH).map(record).collect();
        out.extend(frame::publish(&self.topic, 1, packet_id, format!("[{}]", batch.join(",")).as_bytes()));
        self.written += 1;
        true
    }
}
