//! The interface as a client sees it: a real server on a real socket, a real runtime on a memory store.

#![allow(clippy::unwrap_used)]

mod access;
mod commands;
mod devices;
mod edge;
mod history;
mod jobs;
mod live;
mod registry;
mod rollups;
mod search;
mod world;
