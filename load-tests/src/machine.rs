//! What a figure was measured on: without it a figure says nothing.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

pub fn describe(server: &Path) -> Value {
    json!({
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "load_average": fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default(),
        "kernel": said("uname", &["-sr"]),
        "rustc": said("rustc", &["--version"]),
        "twinfold": said(&server.to_string_lossy(), &["--version"]),
        "commit": said("git", &["rev-parse", "--short", "HEAD"]),
        "mosquitto": said("/usr/sbin/mosquitto", &["-h"]),
        "date": said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        "command": std::env::args().collect::<Vec<_>>().join(" "),
    })
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// The first line a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
