//! Twinfold: an actor-model device-twin back end, and what a solution developer builds on it.
//!
//! A behaviour is what a kind of twin makes of what happens to it. Bound to its model it makes a program of one's own, with the
//! same command line as `twinfold`:
//!
//! ```no_run
//! use twinfold::prelude::*;
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Thermostat { alarmed: bool }
//!
//! impl Behaviour for Thermostat {
//!     const MODEL: &'static str = "dtmi:example:Thermostat;1";
//!     fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
//!         if t.f64("temperature")? > 30.0 && !self.alarmed {
//!             self.alarmed = true;
//!             cx.raise(Alert::warning("too-hot").with("limit", 30.0));
//!             cx.command(cx.parent()?, "ventilate", json!({"level": 2})).ttl(Duration::from_secs(60));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> twinfold::Result<()> {
//!     Twinfold::builder().behaviour::<Thermostat>().run()
//! }
//! ```
//!
//! The crate that holds it depends on `twinfold` and on `serde` with its feature `derive`. `examples/` has small complete ones,
//! `docs/tutorials/first-behaviour.md` makes one from nothing.
//!
//! This is also the composition root of the server: [`app::App`] wires the concrete parts together and is what the end-to-end
//! tests run, too; `main.rs` only calls [`cli::run`].

pub mod app;
mod builder;
pub mod cli;
pub mod client;
pub mod config;
mod demo;
pub mod prelude;
pub mod store_copy;

/// What a behaviour is written against; [`prelude`] has all of it.
pub use actors::behaviour::{self, Error, Result};
/// Behaviours under test.
pub use actors::kit;
pub use builder::{Builder, Twinfold};
