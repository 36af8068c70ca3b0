//! The CQL store is held to the contract of every store: as it is shipped, and, where the journal has a part in it, with so little memory
//! for its backlog that everything unprojected is read from the cluster again.

#![allow(clippy::unwrap_used)]

mod common;

mod as_shipped {
    use super::common::{KeyspacePlace, there};

    persistence::store_contract!(KeyspacePlace::default(), if there());
}

mod without_memory {
    use super::common::{KeyspacePlace, options, there};
    use persistence_scylla::Options;

    persistence::journal_contract!(KeyspacePlace::new(Options { backlog_memory_bytes_max: 0, segment_frames_max: 3, ..options() }), if there());
}
