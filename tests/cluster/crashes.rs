//! The server killed, and the server stopped for a while, at random instants under load.
//!
//! `TWINFOLD_FAULT_ROUNDS=50 cargo test --test cluster crashes` runs the long one; `TWINFOLD_FAULT_SEED` repeats a run.

use std::{thread, time::Duration};

use super::{
    support::{
        Server,
        cql::{self, Keyspace},
        server::signal,
    },
    trial::{Dice, Trial, setting},
};

const ROUNDS_DEFAULT: u64 = 4;
/// Flushes often, so that many crashes fall into one.
const SETTINGS: [(&str, &str); 2] = [("JOURNAL__FLUSH_INTERVAL", "200ms"), ("TWINS__IDLE_AFTER", "300ms")];

#[test]
fn a_server_that_is_killed_or_stopped_again_and_again_loses_nothing_and_doubles_nothing() {
    if !cql::there("cluster crashes") {
        return;
    }
    let rounds = setting("TWINFOLD_FAULT_ROUNDS", ROUNDS_DEFAULT);
    let mut dice = Dice::new();
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::new());
    let mut server = Server::on_cql(folder.path(), &keyspace, &SETTINGS);
    let mut trial = Trial::begin(folder.path(), &server);
    let load = trial.load();
    for round in 0..rounds {
        thread::park_timeout(Duration::from_millis(100 + dice.below(1_500)));
        if round % 2 == 0 {
            server = server.restart_after_kill_9();
            trial.at.moved(server.http, server.mqtt);
        } else {
            signal(server.pid(), "STOP");
            thread::park_timeout(Duration::from_millis(100 + dice.below(4_000)));
            signal(server.pid(), "CONT");
        }
    }
    let records = trial.judge(load, &server, &format!("{rounds} rounds of kill -9 and SIGSTOP of the server, in turn"));
    assert!(records as u64 > rounds, "the load was too small to mean anything");
}
