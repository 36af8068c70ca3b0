//! The devices' front door: MQTT 3.1.1 and 5.0 over TCP, TLS and WebSocket.
//!
//! Sockets come in through [`listener`], bytes through [`socket`], become packets in [`wire`], messages in [`dialects`] and [`codec`], and are
//! handed to twins by a `session`; what twins say goes the same way back. Nothing here decides what a message does to a
//! twin, and nothing here is kept: an acknowledgement goes out when the twin says that the message is durable.

mod certificates;
pub mod codec;
pub mod dialects;
mod error;
mod house;
mod listener;
mod meters;
mod session;
mod settings;
mod socket;
pub mod wire;

pub use error::Error;
pub use listener::{Gateway, Sessions, start};
pub use settings::{Settings, TlsSettings};
