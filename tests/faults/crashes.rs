//! `kill -9` at random instants under load, again and again: nothing acknowledged is lost, nothing counts twice.
//!
//! `TWINFOLD_FAULT_ROUNDS=200 cargo test --test faults crashes` runs the long one; `TWINFOLD_FAULT_SEED` repeats a run.

use std::{collections::BTreeMap, env, thread, time::Duration};

use super::{
    checker,
    load::{Address, Load},
    record::Record,
    support::Server,
};

const ROUNDS_DEFAULT: u64 = 6;
/// Rounds between two examinations.
const ROUNDS_A_CHECK: u64 = 25;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// More records than any device sends in a round: a number is never used twice.
const NUMBERS_A_ROUND: u64 = 1_000_000;

/// xorshift64*: enough to choose an instant, and the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let rounds = setting("TWINFOLD_FAULT_ROUNDS", ROUNDS_DEFAULT);
    let seed = setting("TWINFOLD_FAULT_SEED", 0x7157_F01D);
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let record = Record::create(folder.path());
    // Flushes often, so that many crashes fall into one.
    let settings = [("JOURNAL__FLUSH_INTERVAL", "100ms"), ("TWINS__IDLE_AFTER", "150ms")];
    let mut server = Server::in_folder(folder.path(), &settings);
    let (keys, places) = campus(&server);
    let at = Address::new(server.http, server.mqtt);
    let mut done = 0;
    while done < rounds {
        let load = Load::start(done * NUMBERS_A_ROUND, &keys, &server.admin_key(), &at, &record);
        for _ in 0..ROUNDS_A_CHECK.min(rounds - done) {
            thread::park_timeout(Duration::from_millis(20 + dice.below(400)));
            server = server.restart_after_kill_9();
            at.moved(server.http, server.mqtt);
            done += 1;
        }
        let api = server.api();
        load.finish(|| {
            keys.keys().all(|id| ["queued", "delivered"].iter().all(|s| api.all(&format!("/twins/{id}/commands?state={s}")).is_empty()))
        });
        let recorded = record.read();
        let wrong = checker::violations(&api, &recorded);
        assert!(wrong.is_empty(), "seed {seed}, round {done}: {} violations:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
        checker::roll_ups_agree(&api, &places);
        let count = |lists: &BTreeMap<String, std::collections::BTreeSet<u64>>| lists.values().map(|l| l.len()).sum::<usize>();
        let (records, commands) = (count(&recorded.acknowledged), count(&recorded.accepted));
        eprintln!("{done} of {rounds} rounds: {records} records acknowledged, {commands} commands accepted, none lost or doubled");
        assert!(records as u64 > done, "the load was too small to mean anything");
    }
}

/// A place, and the devices below it.
type Place = (&'static str, Vec<String>);

/// Six devices, with their keys, in two rooms of a site.
fn campus(server: &Server) -> (BTreeMap<String, String>, Vec<Place>) {
    server.place("site", "Site", None);
    let mut keys = BTreeMap::new();
    for (room, devices) in [("room-1", ["d1", "d2", "d3"]), ("room-2", ["d4", "d5", "d6"])] {
        server.place(room, "Room", Some("site"));
        keys.extend(devices.map(|id| (id.to_owned(), server.device_in(id, room))));
    }
    let below = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    let places =
        vec![("room-1", below(&["d1", "d2", "d3"])), ("room-2", below(&["d4", "d5", "d6"])), ("site", keys.keys().cloned().collect())];
    (keys, places)
}
