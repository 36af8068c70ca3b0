//! One device's flood and one reader's sloth cost others nothing they would notice.
//!
//! Ratios, and generous ones: the test shares two cores with the server and with whatever else runs.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::support::{Client, Connect, Server, json, mqtt::Publish};

const SAMPLES: usize = 200;

/// The median time from a record to its acknowledgement.
fn median_latency(device: &mut Client, id: &str) -> Duration {
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|n| {
            let asked = Instant::now();
            device.say(&format!("devices/{id}/telemetry"), json!({"n": n}).to_string());
            asked.elapsed()
        })
        .collect();
    times.sort();
    times[SAMPLES / 2]
}

#[track_caller]
fn unharmed(alone: Duration, beside: Duration) {
    let most = alone * 20 + Duration::from_millis(40);
    assert!(beside < most, "median {beside:?} beside the trouble, {alone:?} alone; at most {most:?}");
    eprintln!("median latency {alone:?} alone, {beside:?} beside the trouble");
}

#[test]
fn a_flooding_device_leaves_others_latency_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = median_latency(&mut quiet, "quiet");
    let flooding = AtomicBool::new(true);
    let key = server.device("flood");
    thread::scope(|scope| {
        scope.spawn(|| {
            let batch: Vec<u8> = (0..200)
                .flat_map(|n| {
                    Publish::new("devices/flood/telemetry", 0, json!({"n": n}).to_string()).encode(super::support::mqtt::Version::V5)
                })
                .collect();
            while flooding.load(Ordering::SeqCst) {
                let Some(mut client) = Connect::v5("flood", &key).attempt(server.mqtt) else { continue };
                for _ in 0..50 {
                    client.send_raw(&batch);
                }
            }
        });
        let beside = median_latency(&mut quiet, "quiet");
        flooding.store(false, Ordering::SeqCst);
        unharmed(alone, beside);
    });
    assert!(server.api().twin("flood")["telemetry"]["n"].is_object(), "the flood was heard too");
}

#[test]
fn a_device_that_does_not_read_leaves_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = median_latency(&mut quiet, "quiet");
    let mut slow = server.connected("slow");
    slow.subscribe(&[("devices/slow/commands/#", 1), ("devices/slow/desired", 0), ("devices/slow/twin", 0)]);
    for n in 0..60 {
        server.api().post("/twins/slow/commands", json!({"name": format!("c{n}"), "payload": "x".repeat(30_000), "ttl": 60})).expect(202);
        server.api().patch("/twins/slow", json!({"desired": {"text": format!("{n:>30000}")}})).expect(200);
    }
    let beside = median_latency(&mut quiet, "quiet");
    unharmed(alone, beside);
    server.api().twin("slow");
}

#[test]
fn a_live_reader_that_does_not_read_leaves_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = median_latency(&mut quiet, "quiet");
    let sloths: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(server.http).unwrap();
            write!(stream, "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", server.admin_key()).unwrap();
            stream
        })
        .collect();
    for n in 0..300 {
        quiet.say("devices/quiet/telemetry", json!({"text": format!("{n:>20000}")}).to_string());
    }
    let beside = median_latency(&mut quiet, "quiet");
    unharmed(alone, beside);
    drop(sloths);
}

#[test]
fn bad_payloads_of_one_device_leave_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = median_latency(&mut quiet, "quiet");
    let mut faulty = server.connected("faulty");
    let packets: Vec<u16> = (0..16).map(|_| faulty.send(Publish::new("devices/faulty/telemetry", 1, "{".repeat(20_000)))).collect();
    let beside = median_latency(&mut quiet, "quiet");
    packets.into_iter().for_each(|packet| assert_eq!(faulty.puback(packet).0, 0x99));
    unharmed(alone, beside);
}
