//! An MQTT client for exact assertions, 3.1.1 and 5.0: it sends what it is told, right or wrong, and shows what comes back.

mod client;
mod connect;
mod packet;
mod properties;

pub use client::Client;
pub use connect::Connect;
pub use packet::{Packet, Publish, frame};
pub use properties::{Properties, Property, id};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V311,
    V5,
}

pub const BOTH: [Version; 2] = [Version::V311, Version::V5];
