//! The bare servers of `load-tests/floors`: what the libraries alone cost, without a product behind them.

use std::path::Path;

use super::{
    certificates::certificates,
    launch::{self, Doors, Started},
};
use crate::Result;

pub fn mqtt(folder: &Path) -> Result<(Started, Doors)> {
    let (started, line) = start("floor-mqtt", &[], folder)?;
    Ok((started, Doors { mqtt: launch::address(&line, "mqtt"), ..Doors::default() }))
}

pub fn http(folder: &Path) -> Result<(Started, Doors)> {
    let (started, line) = start("floor-http", &[], folder)?;
    Ok((started, Doors { http: launch::address(&line, "http"), ..Doors::default() }))
}

pub fn tls(folder: &Path) -> Result<(Started, Doors)> {
    let files = certificates(folder)?;
    let (started, line) = start("floor-tls", &[&files.certificate, &files.key], folder)?;
    Ok((started, Doors { mqtts: launch::address(&line, "mqtts"), ca: Some(files.ca), ..Doors::default() }))
}

/// Floors are built into the folder that this program is built into.
fn start(name: &str, arguments: &[&Path], folder: &Path) -> Result<(Started, String)> {
    let mut command = launch::program(std::env::current_exe()?.with_file_name(name), folder)?;
    launch::spawn_until_it_says_ready(command.args(arguments), folder, "`cargo build --release -p load-floors`")
}
