//! rumqttd from crates.io, with limits that a window of 16 on a thousand connections does not meet.

use std::{fs, path::Path};

use super::launch::{self, Doors, Started};
use crate::Result;

const CONNECTIONS_MAX: usize = 20_000;
const PAYLOAD_MAX_BYTES: usize = 262_144;

pub fn start(folder: &Path) -> Result<(Started, Doors)> {
    let mqtt = launch::free_port()?;
    let config = folder.join("rumqttd.toml");
    let text = format!(
        "id = 0\n\
         [router]\nid = 0\nmax_connections = {CONNECTIONS_MAX}\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 2\n\
         [v4.1]\nname = \"plain\"\nlisten = \"{mqtt}\"\nnext_connection_delay_ms = 0\n\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = {PAYLOAD_MAX_BYTES}\nmax_inflight_count = 200\n\
         dynamic_filters = true\n"
    );
    fs::write(&config, text)?;
    let mut command = launch::program("rumqttd", folder)?;
    let hint = "`cargo install rumqttd --version 0.20.0 --locked --root target/peers`";
    let started = launch::spawn_until_it_listens(command.arg("-q").arg("-c").arg(&config), folder, mqtt, hint)?;
    Ok((started, Doors { mqtt: Some(mqtt), ..Doors::default() }))
}
