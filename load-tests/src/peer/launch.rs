//! What all peers need to start: a folder, a free port, a program, and the moment at which it takes traffic.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::Result;

/// Below the build output, so on the disk the project is on: /tmp may be memory, where a sync costs nothing.
const FOLDERS: &str = "target/load-tests";
/// Memory for certain.
const TMPFS: &str = "/dev/shm";
/// Where programs are looked for beside `PATH`: what `compare` built, and where Debian keeps servers.
const PROGRAMS: [&str; 2] = ["target/peers/bin", "/usr/sbin"];
const READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_AGAIN_AFTER: Duration = Duration::from_micros(500);

/// A process that takes traffic.
pub struct Started {
    pub child: Child,
    /// From its start to that moment.
    pub ready_in: Duration,
}

/// Where it listens, and what one needs there.
#[derive(Default)]
pub struct Doors {
    pub mqtt: Option<SocketAddr>,
    pub mqtts: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub ca: Option<PathBuf>,
    pub admin: Option<String>,
}

/// An empty folder that goes when it is dropped.
pub fn folder(in_memory: bool) -> Result<TempDir> {
    let above = if in_memory { PathBuf::from(TMPFS) } else { std::path::absolute(FOLDERS)? };
    fs::create_dir_all(&above)?;
    Ok(tempfile::Builder::new().prefix("peer-").tempdir_in(above)?)
}

/// A port nobody listens on at the moment.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A program that will run in `folder` and log there.
pub fn program(name: impl AsRef<Path>, folder: &Path) -> Result<Command> {
    let mut command = found(name)?;
    let log = fs::File::create(log(folder))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(command)
}

/// A program wherever it may be.
pub fn found(name: impl AsRef<Path>) -> Result<Command> {
    let mut command = Command::new(name.as_ref());
    let mut path = std::env::var("PATH").unwrap_or_default();
    for place in PROGRAMS {
        path = format!("{path}:{}", std::path::absolute(place)?.display());
    }
    command.env("PATH", path);
    Ok(command)
}

fn spawn(command: &mut Command, hint: &str) -> Result<Child> {
    command.spawn().map_err(|e| format!("cannot start {}: {e}; {hint}", command.get_program().to_string_lossy()).into())
}

/// Starts a server that says `ready name=address …` when it takes traffic, and returns that line.
pub fn spawn_until_it_says_ready(command: &mut Command, folder: &Path, hint: &str) -> Result<(Started, String)> {
    let begun = Instant::now();
    let mut child = spawn(command.stdout(Stdio::piped()), hint)?;
    let mut out = BufReader::new(child.stdout.take().ok_or("no standard output")?);
    let mut line = String::new();
    while !line.starts_with("ready ") {
        line.clear();
        if out.read_line(&mut line)? == 0 {
            child.wait()?;
            return Err(ended(folder).into());
        }
    }
    let ready_in = begun.elapsed();
    // Whatever else it prints must not fill the pipe.
    thread::spawn(move || out.lines().for_each(drop));
    Ok((Started { child, ready_in }, line))
}

/// Starts a server that says nothing, and waits until it listens.
pub fn spawn_until_it_listens(command: &mut Command, folder: &Path, at: SocketAddr, hint: &str) -> Result<Started> {
    let begun = Instant::now();
    let mut child = spawn(command, hint)?;
    let until = Instant::now() + READY_WITHIN;
    while TcpStream::connect(at).is_err() {
        if child.try_wait()?.is_some() {
            return Err(ended(folder).into());
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(format!("nothing listens on {at} after {READY_WITHIN:?}").into());
        }
        thread::park_timeout(LOOK_AGAIN_AFTER);
    }
    Ok(Started { child, ready_in: begun.elapsed() })
}

/// Waits for a process to end by itself.
pub fn ends_within(child: &mut Child, bound: Duration) -> Result<bool> {
    let until = Instant::now() + bound;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            return Ok(false);
        }
        thread::park_timeout(LOOK_AGAIN_AFTER);
    }
    Ok(true)
}

/// The address behind `name=` in a ready line.
pub fn address(line: &str, name: &str) -> Option<SocketAddr> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

fn log(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn ended(folder: &Path) -> String {
    format!("the server ended before it was ready:\n{}", fs::read_to_string(log(folder)).unwrap_or_default())
}
