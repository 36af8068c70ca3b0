//! The MQTT front door.
pub mod codec;
pub mod dialects;
pub mod wire;
