//! The interface as a client sees it: a real server on a real socket, a real runtime on a memory store.

#![allow(clippy::unwrap_used)]

mod access;
mod audit;
mod commands;
mod devices;
mod edge;
mod grants;
mod history;
mod jobs;
mod live;
mod matrix;
mod registry;
mod rollups;
mod search;
mod sessions;
mod world;

#[path = "../../../tests/support/issuer.rs"]
mod issuer;
