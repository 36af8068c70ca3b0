//! NATS with its MQTT port, which keeps sessions and QoS 1 messages in JetStream, on disk in its folder.

use std::{fs, path::Path};

use super::launch::{self, Doors, Started};
use crate::Result;

pub fn start(folder: &Path) -> Result<(Started, Doors)> {
    let (own, mqtt) = (launch::free_port()?, launch::free_port()?);
    let config = folder.join("nats.conf");
    // MQTT is refused without a server name and without JetStream.
    let text = format!(
        "server_name: load-tests\nlisten: \"{own}\"\n\
         jetstream {{ store_dir: \"{}\" }}\n\
         mqtt {{ listen: \"{mqtt}\" }}\n",
        folder.join("jetstream").display()
    );
    fs::write(&config, text)?;
    let mut command = launch::program("nats-server", folder)?;
    let started = launch::spawn_until_it_listens(command.arg("-c").arg(&config), folder, mqtt, "`apt install nats-server`")?;
    Ok((started, Doors { mqtt: Some(mqtt), ..Doors::default() }))
}
