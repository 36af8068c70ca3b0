//! Twinfold itself, as `serve` runs it, with a TLS port beside the plain one.

use std::{env, fs, path::Path};

use super::{
    certificates::certificates,
    launch::{self, Doors, Started},
};
use crate::Result;

/// Where the cluster is, `host:port`.
const CLUSTER: &str = "TWINFOLD_TEST_CQL";

/// In a keyspace that belongs to the folder. It stays behind: whoever started the cluster knows when to forget its data.
pub fn start_on_cql(folder: &Path, server: &Path, settings: &[(String, String)]) -> Result<(Started, Doors)> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let nodes = env::var(CLUSTER).unwrap_or_else(|_| "127.0.0.1:9042".to_owned());
    let store = [
        ("TWINFOLD_STORE", "scylla".to_owned()),
        ("TWINFOLD_SCYLLA__NODES", nodes),
        ("TWINFOLD_SCYLLA__KEYSPACE", format!("load_{}_{name}", std::process::id())),
    ];
    let settings: Vec<_> = store.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(settings.iter().cloned()).collect();
    start(folder, server, &settings)
}

pub fn start(folder: &Path, server: &Path, settings: &[(String, String)]) -> Result<(Started, Doors)> {
    let (data, files) = (folder.join("data"), certificates(folder)?);
    // The ready line names one MQTT port only, so the second is chosen here.
    let mqtts = launch::free_port()?;
    let mut command = launch::program(server, folder)?;
    command
        .arg("serve")
        // Ours, and no setting of the server: it refuses what it does not know.
        .env_remove(CLUSTER)
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
