//! What is measured, one file each.

pub mod fleet;
pub mod idle;
pub mod ingest;
pub mod latency;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::{
    Result,
    connection::Connection,
    peer::{Device, Running},
};

/// Connects one after the other, so that nobody's handshake queue is what is measured.
async fn connect_all(server: &Running, devices: &[Device], keep_alive_seconds: u16) -> Result<Vec<Connection>> {
    let bar = ProgressBar::new(devices.len() as u64).with_message("connecting");
    let mut connections = Vec::with_capacity(devices.len());
    for device in devices {
        connections.push(Connection::open(server, device, keep_alive_seconds).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(connections)
}

/// A bar that fills in `seconds`.
fn clock(what: String, seconds: u64) -> JoinHandle<()> {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} s").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(seconds).with_style(style).with_message(what);
    tokio::task::spawn_local(async move {
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    })
}

/// Waits for what a server writes behind its acknowledgements.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(4)).await;
}

/// JSON of a given length, as a device would send: a few values and padding in a text.
fn payload(bytes: usize) -> Vec<u8> {
    let bare = r#"{"temperature":21.53,"humidity":44.1,"co2":612,"battery":3.71,"state":""}"#;
    let padding = "x".repeat(bytes.saturating_sub(bare.len()));
    bare.replace(r#""state":"""#, &format!(r#""state":"{padding}""#)).into_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_payload_is_as_long_as_asked_for_and_json() {
        let payload = super::payload(108);
        assert_eq!(payload.len(), 108);
        serde_json::from_slice::<serde_json::Value>(&payload).unwrap();
    }
}
