//! How long a server takes to be there, and how large its program is.

use std::fs;

use super::meter::mib;
use crate::{
    Options, Result,
    peer::{Kind, Running},
    report::Row,
};

/// Starts, each in an empty folder.
const STARTS: usize = 5;

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    let mut took = (0..STARTS).map(|_| Ok(Running::start(peer, options)?.ready_in.as_secs_f64() * 1e3)).collect::<Result<Vec<f64>>>()?;
    took.sort_by(f64::total_cmp);
    let row = Row::new("start", peer, "empty store".into()).with("ready_ms", took[STARTS / 2]).with("ready_max_ms", took[STARTS - 1]);
    let binary = if peer.has_twins() { Some(fs::metadata(&options.server)?.len()) } else { None };
    Ok(vec![match binary {
        Some(bytes) => row.with("binary_mib", mib(bytes)),
        None => row,
    }])
}
