//! What the end-to-end tests share: the real server in a folder of its own, and clients that share no code with it.

// Each test binary uses a part of this.
#![allow(dead_code, unused_imports)]

pub mod api;
pub mod cql;
pub mod issuer;
pub mod live;
pub mod mqtt;
pub mod server;
pub mod stock;
pub mod websocket;
pub mod wire;

use std::{
    env, fs,
    io::Write,
    time::{Duration, Instant},
};

pub use api::Api;
pub use mqtt::{Client, Connect};
pub use serde_json::{Value, json};
pub use server::Server;

/// Longest a condition may take to come true: generous, for a machine that builds beside it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer; panics with `what` when there is none in time.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited {patience:?} in vain: {what}");
        pause();
    }
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// As [`until`], for what the server does only now and then.
pub fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually_within(patience, what, || holds().then_some(()));
}

/// A breath between two questions.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(10));
}

/// Says that this test cannot run here. `./test` counts and prints it; the caller returns.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = env::var_os("TWINFOLD_TEST_SKIPS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut f| writeln!(f, "{test}: {why}"));
    }
}
