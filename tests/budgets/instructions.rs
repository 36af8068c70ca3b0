//! Instructions of the whole server for a message, counted by valgrind: `cargo bench --bench instructions`.
//!
//! Counted and not timed, so that a change of one per cent shows on a busy machine. Not part of `./test`: an optimised build of
//! everything takes minutes. The program runs itself under callgrind with one number of messages and with another; the difference is theirs,
//! whatever start and stop cost, and with their share of the flush that a stop makes: a message's whole way into history. The device runs in the same process and is counted too: it is a few instructions a message
//! beside its system calls, and the kernel is not counted. `perf stat` would need rights and a counter that few virtual machines
//! have; gungraun wants a runner of just its version installed beside it.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // what only a twin's size needs
#[path = "device.rs"]
mod device;
#[allow(dead_code)]
#[path = "server.rs"]
mod server;
#[path = "table.rs"]
mod table;

use std::{
    env,
    process::{Command, Stdio},
};

use server::Server;
use table::{INSTRUCTIONS, WINDOW_1, WINDOW_16};

/// The product's own allocator: its instructions are part of a message.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Says to the program that it is the one under callgrind: `WINDOW MESSAGES`.
const UNDER_CALLGRIND: &str = "BUDGETS_UNDER_CALLGRIND";
/// The difference of these two is counted.
const MESSAGES: [usize; 2] = [2_000, 6_000];

fn main() {
    match env::var(UNDER_CALLGRIND) {
        Ok(load) => run(&load),
        Err(_) => table::hold(&[(WINDOW_1, INSTRUCTIONS, a_message(1)), (WINDOW_16, INSTRUCTIONS, a_message(16))]),
    }
}

fn run(load: &str) {
    let (window, messages) = load.split_once(' ').unwrap();
    let (window, messages) = (window.parse::<usize>().unwrap(), messages.parse::<usize>().unwrap());
    let server = Server::start();
    server.room("room");
    let mut device = server.device("device", Some("room"));
    let mut burst = device.burst(1, window);
    for _ in 0..messages / window {
        device.send(&mut burst);
    }
    device.disconnect();
    server.stop();
}

fn a_message(window: usize) -> f64 {
    let [few, many] = MESSAGES.map(|messages| counted(window, messages));
    (many - few) / (MESSAGES[1] - MESSAGES[0]) as f64
}

/// Instructions of a whole run.
fn counted(window: usize, messages: usize) -> f64 {
    let mut command = Command::new("valgrind");
    // One file for all runs, in the build folder: `callgrind_annotate` shows from it where the instructions went.
    command.args(["--tool=callgrind", concat!("--callgrind-out-file=", env!("CARGO_TARGET_TMPDIR"), "/callgrind.out")]);
    command.arg(env::current_exe().unwrap()).env(UNDER_CALLGRIND, format!("{window} {messages}")).stdout(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("valgrind cannot be run ({error}): install Debian's package valgrind"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the run under callgrind failed:\n{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim().parse());
    collected.unwrap_or_else(|| panic!("callgrind says no count:\n{said}")).unwrap()
}
