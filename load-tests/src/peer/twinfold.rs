//! Twinfold itself, as `serve` runs it, with a TLS port beside the plain one.

use std::{fs, path::Path};

use super::{
    certificates::certificates,
    launch::{self, Doors, Started},
};
use crate::Result;

pub fn start(folder: &Path, server: &Path, settings: &[(String, String)]) -> Result<(Started, Doors)> {
    let (data, files) = (folder.join("data"), certificates(folder)?);
    // The ready line names one MQTT port only, so the second is chosen here.
    let mqtts = launch::free_port()?;
    let mut command = launch::program(server, folder)?;
    command
        .arg("serve")
        .env("TWINFOLD_DATA_DIR", &data)
        .env("TWINFOLD_HTTP__BIND", "127.0.0.1:0")
        .env("TWINFOLD_MQTT__BIND", "127.0.0.1:0")
        .env("TWINFOLD_MQTT__TLS__BIND", mqtts.to_string())
        .env("TWINFOLD_MQTT__TLS__CERT", &files.certificate)
        .env("TWINFOLD_MQTT__TLS__KEY", &files.key)
        .envs(settings.iter().map(|(name, value)| (name, value)));
    let (started, line) = launch::spawn_until_it_says_ready(&mut command, folder, "build it with `cargo build --release`")?;
    let doors = Doors {
        mqtt: launch::address(&line, "mqtt"),
        mqtts: Some(mqtts),
        http: launch::address(&line, "http"),
        ca: Some(files.ca),
        admin: Some(fs::read_to_string(data.join("admin-token"))?.trim().to_owned()),
    };
    Ok((started, doors))
}
