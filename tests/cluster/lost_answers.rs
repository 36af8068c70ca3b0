//! A node that did what was asked and whose answer does not arrive: exactly the answers to appends of the journal are lost, or exactly those to
//! every other transaction.

use std::time::Duration;

use super::{
    support::{
        Server,
        cql::{self, Keyspace},
        until, until_within,
        wire::Wire,
    },
    trial::{Trial, setting},
};

/// Each costs the journal the seconds after which an answer is given up.
const LOST_DEFAULT: u64 = 8;
/// One in so many.
const EVERY: u64 = 5;
/// The same of other transactions.
const EVERY_OTHER: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn an_append_whose_answer_is_lost_is_there_once() {
    if !cql::there("cluster lost_answers") {
        return;
    }
    let lost = setting("TWINFOLD_FAULT_ROUNDS", LOST_DEFAULT);
    let wire = Wire::to(&cql::node());
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::on(&wire.address.to_string(), "1"));
    let server = Server::on_cql(folder.path(), &keyspace, &[("JOURNAL__FLUSH_INTERVAL", "200ms")]);
    let mut trial = Trial::begin(folder.path(), &server);
    wire.lose_every(EVERY);
    let load = trial.load();
    until_within(PATIENCE, "enough answers were lost", || wire.lost() >= lost);
    wire.lose_every(0);
    let what = format!("{} answers to appends lost", wire.lost());
    trial.judge(load, &server, &what);
    server.api().get("//readyz").expect(200);
    // And what was decided without the answer is what the next owner finds.
    let server = server.restart_after_kill_9();
    trial.at.moved(server.http, server.mqtt);
    let load = trial.load();
    trial.judge(load, &server, &format!("{what}, then kill -9"));
}

/// Claims, sealings and openings of segments, and records of the audit log.
#[test]
fn a_take_over_whose_answers_are_lost_loses_nothing() {
    if !cql::there("cluster lost_answers of a take-over") {
        return;
    }
    let wire = Wire::to(&cql::node());
    let (folder, keyspace) = (tempfile::tempdir().unwrap(), Keyspace::on(&wire.address.to_string(), "1"));
    // A segment ends after a few frames.
    let settings = [("JOURNAL__FLUSH_INTERVAL", "200ms"), ("SCYLLA__SEGMENT_FRAMES_MAX", "16")];
    let server = Server::on_cql(folder.path(), &keyspace, &settings);
    let mut trial = Trial::begin(folder.path(), &server);
    let load = trial.load();
    until("segments have come and gone", || trial.acknowledged() > 200);
    wire.lose_every_other_transaction(EVERY_OTHER);
    let server = server.restart_after_kill_9();
    trial.at.moved(server.http, server.mqtt);
    let (claims, before) = (wire.lost_others(), trial.acknowledged());
    assert!(claims > 0, "some of a take-over were lost");
    until_within(PATIENCE, "the load goes on", || trial.acknowledged() > before + 200 && wire.lost_others() > claims);
    wire.lose_every_other_transaction(0);
    let audited = server.api().get("/audit?limit=1");
    audited.expect(200);
    let what = format!("{} answers to other transactions than appends lost", wire.lost_others());
    trial.judge(load, &server, &what);
    server.api().get("//readyz").expect(200);
}
