//! Mosquitto, as lean as it comes: nobody subscribes, nothing is kept, nothing is logged.

use std::{fs, path::Path};

use super::{
    certificates::certificates,
    launch::{self, Doors, Started},
};
use crate::Result;

pub fn start(folder: &Path, nodelay: bool) -> Result<(Started, Doors)> {
    let (mqtt, mqtts, files) = (launch::free_port()?, launch::free_port()?, certificates(folder)?);
    let config = folder.join("mosquitto.conf");
    // `user root` keeps a start by root from giving up the right to read its own certificate; for others it means nothing.
    let text = format!(
        "user root\nallow_anonymous true\npersistence false\nlog_type error\nset_tcp_nodelay {nodelay}\n\
         listener {} 127.0.0.1\n\
         listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
        mqtt.port(),
        mqtts.port(),
        files.certificate.display(),
        files.key.display()
    );
    fs::write(&config, text)?;
    let mut command = launch::program("mosquitto", folder)?;
    let started = launch::spawn_until_it_listens(command.arg("-c").arg(&config), folder, mqtt, "`apt install mosquitto`")?;
    Ok((started, Doors { mqtt: Some(mqtt), mqtts: Some(mqtts), ca: Some(files.ca), ..Doors::default() }))
}
