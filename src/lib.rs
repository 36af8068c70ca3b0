//! Twinfold: an actor-model device-twin back end. This is the composition root; `main.rs` only calls it.
//!
//! [`app::App`] wires the concrete parts together and is what the end-to-end tests run, too.

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
mod demo;
pub mod store_copy;
