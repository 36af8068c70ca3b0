//! A campus under load while something is done to it, and the verdict afterwards: what every test of crashes and outages shares.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
};

use super::{
    checker,
    load::{Address, Load},
    record::Record,
    support::Server,
};

/// More records than any device sends in a load: a number is never used twice.
const NUMBERS_A_LOAD: u64 = 1_000_000;

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// xorshift64*: enough to choose an instant, and the same for the same seed.
pub struct Dice(u64);

impl Dice {
    /// As `TWINFOLD_FAULT_SEED` says.
    pub fn new() -> Self {
        Self(setting("TWINFOLD_FAULT_SEED", 0x7157_F01D))
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// A place, and the devices below it.
type Place = (&'static str, Vec<String>);

/// Six devices in two rooms of a site, and what was sent and answered so far.
pub struct Trial {
    record: Record,
    keys: BTreeMap<String, String>,
    places: Vec<Place>,
    admin: String,
    pub at: Address,
    loads: u64,
}

impl Trial {
    /// Registers the campus.
    pub fn begin(folder: &Path, server: &Server) -> Self {
        let (keys, places) = campus(server);
        let at = Address::new(server.http, server.mqtt);
        Self { record: Record::create(folder), keys, places, admin: server.admin_key(), at, loads: 0 }
    }

    pub fn load(&mut self) -> Load {
        let first = self.loads * NUMBERS_A_LOAD;
        self.loads += 1;
        Load::start(first, &self.keys, &self.admin, &self.at, &self.record)
    }

    /// Records that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.record.read().acknowledged.values().map(BTreeSet::len).sum()
    }

    /// Lets the load come to its end on `server` and holds the checker's list against it; `what` is for the one line that is printed.
    pub fn judge(&self, load: Load, server: &Server, what: &str) -> usize {
        let api = server.api();
        load.finish(|| {
            let open =
                |id: &String| ["queued", "delivered"].iter().any(|s| !api.all(&format!("/twins/{id}/commands?state={s}")).is_empty());
            !self.keys.keys().any(open)
        });
        let recorded = self.record.read();
        let wrong = checker::violations(&api, &recorded);
        assert!(wrong.is_empty(), "{what}: {} violations:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
        checker::roll_ups_agree(&api, &self.places);
        let count = |lists: &BTreeMap<String, BTreeSet<u64>>| lists.values().map(BTreeSet::len).sum::<usize>();
        let (records, commands) = (count(&recorded.acknowledged), count(&recorded.accepted));
        eprintln!("{what}: {records} records acknowledged, {commands} commands accepted, none lost or doubled");
        records
    }
}

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
