//! The CQL store is held to the contract of every store: as it is shipped, and, where the journal has a part in it, with so little memory
//! for its backlog that everything unprojected is read from the cluster again.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{KeyspacePlace, options};
use persistence_scylla::Options;

/// A node for these tests alone, when it was started: what their keyspaces leave behind makes it slow for others.
const NODE: &str = "61";

fn place(options: Options) -> KeyspacePlace {
    let pid = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/cql/node{NODE}/pid"));
    let is_there = std::env::var_os("TWINFOLD_TEST_CQL").is_none() && pid.exists();
    let nodes = if is_there { vec![format!("127.0.0.{NODE}:9042")] } else { options.nodes };
    KeyspacePlace::new(Options { nodes, ..options })
}

mod as_shipped {
    use super::{common::there, options, place};

    persistence::store_contract!(place(options()), if there());
}

mod without_memory {
    use super::{Options, common::there, options, place};

    persistence::journal_contract!(place(Options { backlog_memory_bytes_max: 0, segment_frames_max: 3, ..options() }), if there());
}
