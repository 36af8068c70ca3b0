//! The store on disk is held to the contract of every store: as it is shipped, and with so little memory for its backlog that
//! everything unprojected is read from the journal's files again.

#![allow(clippy::unwrap_used)]

mod common;

mod as_shipped {
    use super::common::FolderPlace;

    persistence::store_contract!(FolderPlace::default());
}

mod without_memory {
    use super::common::FolderPlace;
    use persistence_embedded::Options;

    persistence::store_contract!(FolderPlace::new(Options { backlog_memory_bytes_max: 0, ..Options::default() }));
}
