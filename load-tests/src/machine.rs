//! What a figure was measured on: without it a figure says nothing.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::peer;

pub fn describe(server: &Path) -> Value {
    json!({
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "load_average": fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default(),
        "kernel": said("uname", &["-sr"]),
        "data_on": said("df", &["--output=fstype,source", "."]),
        "open_files": field("/proc/self/limits", "Max open files").split_whitespace().next().unwrap_or("unknown"),
        "rustc": said("rustc", &["--version"]),
        "commit": said("git", &["describe", "--always", "--dirty"]),
        "date": said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        "command": std::env::args().collect::<Vec<_>>().join(" "),
        "peers": peer::versions(server),
    })
}

/// What stands behind a name in a file of /proc, a colon left out.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
    value.trim_start_matches(|c: char| c == ':' || c.is_whitespace()).trim_end().to_owned()
}

/// The last line a program prints: of a table, the first row below its head.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().last().unwrap_or("unknown").to_owned()
}
