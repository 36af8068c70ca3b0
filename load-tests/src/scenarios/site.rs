//! One site with devices of its own connection each: what several scenarios stand on.

use serde_json::json;

use super::connect_all;
use crate::{
    Result,
    http::registry::{self, Device},
    mqtt::{connection::Connection, frame::Template},
    payload::{Payload, STAMP_BASE},
    peer::Running,
};

pub const ID: &str = "site";

pub struct Site {
    pub devices: Vec<Device>,
}

impl Site {
    pub async fn build(server: &Running, prefix: &'static str, devices: usize) -> Result<Self> {
        registry::register(server, 1, |_| json!({"id": ID, "model": "Site"})).await?;
        Ok(Self { devices: registry::devices_as(server, prefix, devices, |_| json!({"model": "Device", "parent": ID})).await? })
    }

    pub async fn connect(&self, server: &Running) -> Result<Vec<Connection>> {
        connect_all(server, &self.devices).await
    }

    /// Each device connects, says ten values, and stays connected no longer.
    pub async fn say_ten_values(&self, server: &Running) -> Result<()> {
        for mut connection in self.connect(server).await? {
            let (payload, topic) = (Payload::ten_values(), connection.topic("telemetry"));
            let mut message = Vec::new();
            Template::new(&topic, 1, payload).append(&mut message, 1, STAMP_BASE);
            connection.say(&message).await?;
        }
        Ok(())
    }
}
