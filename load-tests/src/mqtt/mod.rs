//! Devices: MQTT 3.1.1 by hand, in a closed loop (a window kept full) and in an open one (a schedule kept).

pub mod answering;
pub mod closed;
pub mod connection;
pub mod frame;
pub mod open;
pub mod tls;
