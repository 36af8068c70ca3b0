//! The tutorial, word by word: its listings are this crate, and its commands do what it says they do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest a condition may take to come true: generous, for a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(30);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Block {
    /// The line above it.
    above: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let text = fs::read_to_string(repository().join("docs/tutorials/first-behaviour.md")).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut above) = (false, "");
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push(Block { above: above.into(), language: language.into(), text: String::new() });
            }
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.text += line;
                block.text += "\n";
            }
            None => {}
        }
        above = line;
    }
    assert!(!open && blocks.len() > 5, "the tutorial has listings");
    blocks
}

#[test]
fn its_listings_are_this_crate_and_nothing_is_left_out() {
    let mut left: Vec<(String, String)> = Vec::new();
    for block in blocks().into_iter().filter(|block| block.language == "rust") {
        let name = block.above.strip_prefix("<!-- ").and_then(|name| name.strip_suffix(" -->"));
        let name = name.unwrap_or_else(|| panic!("which file is this?\n{}", block.text)).to_owned();
        let place = left.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            left.push((name.clone(), fs::read_to_string(repository().join(&name)).unwrap()));
            left.len() - 1
        });
        let file = &mut left[place].1;
        assert!(file.contains(&block.text), "{name} has no\n{}", block.text);
        *file = file.replacen(&block.text, "", 1);
    }
    assert_eq!(left.len(), 2, "both files of the crate are shown");
    for (name, rest) in left {
        assert_eq!(rest.trim(), "", "{name} has more than the tutorial shows");
    }
}

/// The commands of the last part, as they stand.
fn commands() -> Vec<String> {
    let consoles = blocks().into_iter().filter(|block| block.language == "console");
    let lines: Vec<String> = consoles.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let first = lines.iter().position(|line| line == "$ cargo run -q -- serve").expect("the server is started");
    lines[first..].iter().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect()
}

/// A folder in which `cargo run -q --` is this program, and Mosquitto's tools know the server's port.
struct Desk {
    folder: tempfile::TempDir,
    server: Child,
    http: String,
    key: String,
}

impl Desk {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self::clean(Command::new(env!("CARGO_BIN_EXE_freezer")))
            .current_dir(folder.path())
            .args(["serve"])
            .envs([("TWINFOLD_HTTP__BIND", "127.0.0.1:0"), ("TWINFOLD_MQTT__BIND", "127.0.0.1:0"), ("TWINFOLD_LOG", "warn")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let field = |name: &str| ready.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap().to_owned();
        let (http, mqtt) = (field("http="), field("mqtt="));
        let port = mqtt.rsplit(':').next().unwrap();
        let desk = Self { folder, server, http, key: String::new() };
        desk.tool("cargo", &format!("shift 3; exec {} \"$@\"", env!("CARGO_BIN_EXE_freezer")));
        desk.tool("mosquitto_pub", &format!("exec /usr/bin/mosquitto_pub -h 127.0.0.1 -p {port} \"$@\""));
        desk
    }

    /// Without settings of whoever runs the tests.
    fn clean(mut command: Command) -> Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TWINFOLD_")) {
            command.env_remove(name);
        }
        command
    }

    fn tool(&self, name: &str, does: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, command: &str) -> String {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let output = Self::clean(Command::new("sh"))
            .args(["-c", command])
            .current_dir(self.folder.path())
            .envs([("PATH", path), ("TWINFOLD_URL", format!("http://{}", self.http)), ("KEY", self.key.clone())])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn run_until(&self, command: &str, holds: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.run(command);
            if holds(&said) {
                return;
            }
            assert!(Instant::now() < end, "{command} goes on saying\n{said}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn its_commands_do_what_it_says() {
    if !Path::new("/usr/bin/mosquitto_pub").exists() {
        return skip("the tutorial's commands", "mosquitto_pub is missing");
    }
    let commands = commands();
    let [_serve, create, key, open_door, get, list, shut_door, get_again] = &commands[..] else {
        panic!("the tutorial has other commands than this test knows: {commands:#?}");
    };
    let mut desk = Desk::start();
    let created = desk.run(create);
    let primary = created.lines().find_map(|line| line.strip_prefix("primary")).expect("a key is shown");
    assert!(key.starts_with("KEY="), "{key}");
    desk.key = primary.trim().to_owned();

    desk.run(open_door);
    desk.run_until(get, |said| said.contains("thawing") && said.contains("-9 °C inside"));
    desk.run_until(list, |said| said.contains("beep") && said.contains("queued"));
    desk.run(shut_door);
    desk.run_until(get_again, |said| !said.contains("thawing"));
}

/// Says that this test cannot run here. `./test` counts and prints it.
fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("TWINFOLD_TEST_SKIPS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{test}: {why}"));
    }
}
