//! `kill -9` at random instants under load, again and again: nothing acknowledged is lost, nothing counts twice.
//!
//! `TWINFOLD_FAULT_ROUNDS=200 cargo test --test faults crashes` runs the long one; `TWINFOLD_FAULT_SEED` repeats a run.

use std::{thread, time::Duration};

use super::{
    support::Server,
    trial::{Dice, Trial, setting},
};

const ROUNDS_DEFAULT: u64 = 6;
/// Rounds between two examinations.
const ROUNDS_A_CHECK: u64 = 25;

#[test]
fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let rounds = setting("TWINFOLD_FAULT_ROUNDS", ROUNDS_DEFAULT);
    let mut dice = Dice::new();
    let folder = tempfile::tempdir().unwrap();
    // Flushes often, so that many crashes fall into one.
    let settings = [("JOURNAL__FLUSH_INTERVAL", "100ms"), ("TWINS__IDLE_AFTER", "150ms")];
    let mut server = Server::in_folder(folder.path(), &settings);
    let mut trial = Trial::begin(folder.path(), &server);
    let mut done = 0;
    while done < rounds {
        let load = trial.load();
        for _ in 0..ROUNDS_A_CHECK.min(rounds - done) {
            thread::park_timeout(Duration::from_millis(20 + dice.below(400)));
            server = server.restart_after_kill_9();
            trial.at.moved(server.http, server.mqtt);
            done += 1;
        }
        let records = trial.judge(load, &server, &format!("{done} of {rounds} rounds"));
        assert!(records as u64 > done, "the load was too small to mean anything");
    }
}
