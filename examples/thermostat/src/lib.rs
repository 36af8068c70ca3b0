//! A thermostat that says when it is too hot, and a room that keeps its people comfortable.

mod room;
mod thermostat;

pub use room::Room;
pub use thermostat::Thermostat;
