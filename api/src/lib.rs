//! The HTTP API: people and systems on one side, [`actors::Twins`] on the other.
//!
//! A request passes `edge` (span, time-out, headers), `access` (key, role, scope), then its file in `routes`, which reads it
//! with `params`, `members` and `precondition` and answers with a document of `wire`. What goes wrong becomes a
//! [`problem::Problem`]; how failures of the runtime do stands in `refusals` alone. Nothing here knows a store or a device's
//! connection, nor where a twin lives.

mod access;
mod app;
mod body;
mod documents;
mod edge;
mod fallback;
mod json;
mod live;
mod members;
pub mod openapi;
mod params;
mod precondition;
pub mod problem;
mod query;
mod quotas;
mod refusals;
mod replay;
mod routes;
mod server;
mod settings;
mod sse;
mod stopping;
mod tls;
mod uncut;
mod wire;

pub use server::{Api, Aside, StartError, start};
pub use settings::{Settings, Tls};
