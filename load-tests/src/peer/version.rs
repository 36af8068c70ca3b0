//! Which version of each peer would be measured, or that it is not there.

use std::{collections::BTreeMap, path::Path};

use clap::ValueEnum;

use super::{Kind, launch};

/// What this program and its floors were built with.
const LOCK: &str = include_str!("../../../Cargo.lock");

pub fn versions(server: &Path) -> BTreeMap<Kind, String> {
    Kind::value_variants().iter().map(|kind| (*kind, version(*kind, server))).collect()
}

fn version(kind: Kind, server: &Path) -> String {
    match kind {
        Kind::Twinfold | Kind::TwinfoldTmpfs | Kind::TwinfoldCql => said(server, "--version"),
        Kind::Mosquitto | Kind::MosquittoNodelay => said(Path::new("mosquitto"), "-h"),
        Kind::Rumqttd => said(Path::new("rumqttd"), "--version"),
        Kind::Nats => said(Path::new("nats-server"), "--version"),
        Kind::NtexMqtt => locked("ntex-mqtt"),
        Kind::ActixWeb => locked("actix-web"),
        Kind::Rustls => locked("rustls"),
    }
}

/// The first line a program prints.
fn said(program: &Path, argument: &str) -> String {
    let output = launch::found(program).and_then(|mut command| Ok(command.arg(argument).output()?));
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("not installed").to_owned()
}

fn locked(package: &str) -> String {
    let entry = LOCK.split_once(&format!("name = \"{package}\"\nversion = \"")).map(|(_, rest)| rest);
    let version = entry.and_then(|rest| rest.split('"').next()).unwrap_or("unknown");
    format!("{package} {version}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_a_floor_is_the_locked_one() {
        assert!(super::locked("ntex-mqtt").starts_with("ntex-mqtt 8."), "{}", super::locked("ntex-mqtt"));
        assert_eq!(super::locked("no-such-package"), "no-such-package unknown");
    }
}
