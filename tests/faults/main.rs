//! What must not happen, made to happen: crashes at any instant, a full disk, a flood, a reader that does not read.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod checker_bites;
mod crashes;
mod full_disk;
mod load;
mod neighbours;
mod record;
mod trial;
