//! Shows the checker a server that has gone wrong: a checker that finds nothing there proves nothing elsewhere.

use super::{
    checker,
    record::{Record, Recorded},
    support::{Server, json},
};

/// A device whose records 0 to 2 are there, the last of them twice, and a record 9 that no load has sent.
fn gone_wrong() -> Server {
    let server = Server::start();
    let mut device = server.connected("d");
    for (id, n) in [("r0", 0), ("r1", 1), ("r2", 2), ("again", 2), ("stray", 9)] {
        device.say("devices/d/telemetry", json!({"at": 1_767_225_600_000u64 + n, "id": id, "values": {"n": n}}).to_string());
    }
    server.api().post("/twins/d/commands", json!({"name": "c1", "ttl": 3600})).expect(202);
    server
}

fn recorded(acknowledged: &[u64], accepted: &[u64]) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let record = Record::create(folder.path());
    (0..=4).for_each(|n| record.sent("d", n));
    acknowledged.iter().for_each(|n| record.acknowledged("d", *n));
    accepted.iter().for_each(|n| record.accepted("d", *n));
    record.read()
}

#[test]
fn every_kind_of_damage_is_found() {
    let server = gone_wrong();
    let wrong = checker::violations(&server.api(), &recorded(&[0, 1, 2, 4], &[1, 2]));
    for damage in [
        "record 4 was acknowledged and is lost",
        "record 2 is there 2 times",
        "record 9 was never sent",
        "the last known value is Some(9)",
        "record Some(2) follows record Some(2)",
        "command c1 is \"queued\" and has 0 ends",
        "command c2 was accepted and is there 0 times",
    ] {
        assert!(wrong.iter().any(|w| w.contains(damage)), "{damage} was not found in {wrong:#?}");
    }
    assert_eq!(wrong.len(), 7, "{wrong:#?}");
}
