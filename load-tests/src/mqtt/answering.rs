//! Devices that are spoken to: one that answers commands at once, and one that notes when its desired state came.

use tokio::io::AsyncWriteExt;

use super::{
    connection::Connection,
    frame::{self, Frame},
};
use crate::Result;

const ANSWER: &[u8] = br#"{"status":200,"payload":{"done":true}}"#;

/// Answers every command, until the connection ends.
pub async fn answer_commands(mut connection: Connection) -> Result<()> {
    let (device, mut out, mut packet_id) = (connection.device.clone(), Vec::new(), 0u16);
    loop {
        connection
            .read(|frame| {
                let Some(command) = received(frame, &mut out).and_then(|(topic, _)| topic.rsplit('/').next()) else { return };
                packet_id = packet_id.checked_add(1).unwrap_or(1);
                out.extend(frame::publish(&format!("devices/{device}/results/{command}"), 1, packet_id, ANSWER));
            })
            .await?;
        connection.stream.write_all(&out).await?;
        out.clear();
    }
}

/// Calls `each` with the payload of every message that comes down, until the connection ends.
pub async fn listen(mut connection: Connection, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut out = Vec::new();
    loop {
        connection
            .read(|frame| {
                if let Some((_, payload)) = received(frame, &mut out) {
                    each(payload);
                }
            })
            .await?;
        connection.stream.write_all(&out).await?;
        out.clear();
    }
}

/// Topic and payload of a message that came down, which is acknowledged into `out`.
fn received<'a>(frame: Frame<'a>, out: &mut Vec<u8>) -> Option<(&'a str, &'a [u8])> {
    if frame.kind() != frame::PUBLISH {
        return None;
    }
    let (topic, packet_id, payload) = frame.publish()?;
    if packet_id != 0 {
        out.extend(frame::acknowledgement(frame::PUBACK, packet_id));
    }
    Some((std::str::from_utf8(topic).ok()?, payload))
}
