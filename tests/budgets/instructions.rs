//! Instructions of the whole server for a message and for a read, counted by valgrind: `cargo bench --bench instructions`.
//!
//! Counted and not timed, so that a change of one per cent shows on a busy machine. Not part of `./test`: an optimised build of
//! everything takes minutes. The program runs itself under callgrind with one number of rounds and with another; the difference is theirs,
//! whatever start and stop cost, and with their share of the flush that a stop makes: a message's whole way into history. The device runs in the same process and is counted too: it is a few instructions a message
//! beside its system calls, and the kernel is not counted. `perf stat` would need rights and a counter that few virtual machines
//! have; gungraun wants a runner of just its version installed beside it.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // what only a twin's size needs
#[path = "device.rs"]
mod device;
#[path = "reader.rs"]
mod reader;
#[allow(dead_code)]
#[path = "server.rs"]
mod server;
#[path = "table.rs"]
mod table;

use std::{
    env, io,
    process::{Command, Stdio},
};

use server::Server;
use table::{CHANGED_READ, INSTRUCTIONS, READ, WINDOW_1, WINDOW_16};

/// The product's own allocator: its instructions are part of a message.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Says to the program that it is the one under callgrind: `LOAD ROUNDS`.
const UNDER_CALLGRIND: &str = "BUDGETS_UNDER_CALLGRIND";
/// The difference of these two is counted.
const ROUNDS: [usize; 2] = [2_000, 6_000];
/// What the server logs, unless it is told otherwise: a span that nobody sees costs, too.
const LOG: &str = "info,actix_server=warn";

fn main() {
    match env::var(UNDER_CALLGRIND) {
        Ok(load) => run(&load),
        Err(_) => {
            let window_1 = a_round("window-1");
            table::hold(&[
                (WINDOW_1, INSTRUCTIONS, window_1),
                (WINDOW_16, INSTRUCTIONS, a_round("window-16")),
                (READ, INSTRUCTIONS, a_round("read")),
                (CHANGED_READ, INSTRUCTIONS, a_round("write-and-read") - window_1),
            ]);
        }
    }
}

fn run(load: &str) {
    tracing_subscriber::fmt().with_env_filter(LOG).with_writer(io::sink).init();
    let (load, rounds) = load.split_once(' ').unwrap();
    let rounds = rounds.parse::<usize>().unwrap();
    let server = Server::start();
    server.room("room");
    let mut device = server.device("device", Some("room"));
    device.ten_values();
    let mut reader = server.reader("/api/v1/twins/device");
    let window = if load == "window-16" { 16 } else { 1 };
    let mut burst = device.burst(1, window);
    for _ in 0..rounds / window {
        if load != "read" {
            device.send(&mut burst);
        }
        if load.ends_with("read") {
            reader.read();
        }
    }
    device.disconnect();
    server.stop();
}

fn a_round(load: &str) -> f64 {
    let [few, many] = ROUNDS.map(|rounds| counted(load, rounds));
    (many - few) / (ROUNDS[1] - ROUNDS[0]) as f64
}

/// Instructions of a whole run.
fn counted(load: &str, rounds: usize) -> f64 {
    let mut command = Command::new("valgrind");
    // One file for all runs, in the build folder: `callgrind_annotate` shows from it where the instructions went.
    command.args(["--tool=callgrind", concat!("--callgrind-out-file=", env!("CARGO_TARGET_TMPDIR"), "/callgrind.out")]);
    command.arg(env::current_exe().unwrap()).env(UNDER_CALLGRIND, format!("{load} {rounds}")).stdout(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("valgrind cannot be run ({error}): install Debian's package valgrind"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the run under callgrind failed:\n{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim().parse());
    collected.unwrap_or_else(|| panic!("callgrind says no count:\n{said}")).unwrap()
}
