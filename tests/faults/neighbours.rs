//! One device's flood and one reader's sloth cost others nothing they would notice.
//!
//! Bounds are generous: the test shares two cores with the server and with whatever else runs. A stall of a second breaks them.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::support::{Client, Connect, Server, json, mqtt::Publish};

const SAMPLES: usize = 200;

/// However a machine is loaded, an acknowledgement of a quiet device does not wait this long beside a busy neighbour.
const P99_MAX: Duration = Duration::from_millis(500);
/// Samples come one after another, so a server that stands still shows in one of them alone, and p99 would not see it.
const WORST_MAX: Duration = Duration::from_secs(1);

/// Times from a record to its acknowledgement.
#[derive(Debug, Clone, Copy)]
struct Latency {
    median: Duration,
    p99: Duration,
    worst: Duration,
}

impl Latency {
    fn of(device: &mut Client, id: &str) -> Self {
        Self::from_samples((0..SAMPLES).map(|n| {
            let asked = Instant::now();
            device.say(&format!("devices/{id}/telemetry"), json!({"n": n}).to_string());
            asked.elapsed()
        }))
    }

    fn from_samples(samples: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = samples.collect();
        times.sort();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
        Self { median: at(50), p99: at(99), worst: at(100) }
    }
}

/// Why the neighbours were harmed, if they were.
fn harm(alone: Latency, beside: Latency) -> Option<String> {
    let bounds = [
        ("median", beside.median, alone.median * 20 + Duration::from_millis(40)),
        ("p99", beside.p99, P99_MAX),
        ("worst", beside.worst, WORST_MAX),
    ];
    let broken = bounds.into_iter().find(|(_, is, most)| is >= most)?;
    Some(format!("{} {:?} beside the trouble, at most {:?}: {beside:?}, alone {alone:?}", broken.0, broken.1, broken.2))
}

#[track_caller]
fn unharmed(alone: Latency, beside: Latency) {
    assert_eq!(harm(alone, beside), None);
    eprintln!("alone {alone:?}\nbeside the trouble {beside:?}");
}

#[test]
fn the_bounds_see_one_stall_of_a_second_and_many_short_ones() {
    let quick = |_| Duration::from_millis(2);
    let with =
        |stalls: usize, each: Duration| Latency::from_samples((0..SAMPLES - stalls).map(quick).chain(std::iter::repeat_n(each, stalls)));
    let alone = with(0, Duration::ZERO);
    assert_eq!(harm(alone, alone), None);
    assert!(harm(alone, with(1, Duration::from_secs(1))).is_some_and(|why| why.starts_with("worst")));
    assert!(harm(alone, with(3, Duration::from_millis(600))).is_some_and(|why| why.starts_with("p99")));
    assert!(harm(alone, with(SAMPLES, Duration::from_millis(100))).is_some_and(|why| why.starts_with("median")));
}

#[test]
fn a_flooding_device_leaves_others_latency_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = Latency::of(&mut quiet, "quiet");
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
        let beside = Latency::of(&mut quiet, "quiet");
        flooding.store(false, Ordering::SeqCst);
        unharmed(alone, beside);
    });
    assert!(server.api().twin("flood")["telemetry"]["n"].is_object(), "the flood was heard too");
}

#[test]
fn a_device_that_does_not_read_leaves_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = Latency::of(&mut quiet, "quiet");
    let mut slow = server.connected("slow");
    slow.subscribe(&[("devices/slow/commands/#", 1), ("devices/slow/desired", 0), ("devices/slow/twin", 0)]);
    for n in 0..60 {
        server.api().post("/twins/slow/commands", json!({"name": format!("c{n}"), "payload": "x".repeat(30_000), "ttl": 60})).expect(202);
        server.api().patch("/twins/slow", json!({"desired": {"text": format!("{n:>30000}")}})).expect(200);
    }
    let beside = Latency::of(&mut quiet, "quiet");
    unharmed(alone, beside);
    server.api().twin("slow");
}

#[test]
fn a_live_reader_that_does_not_read_leaves_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = Latency::of(&mut quiet, "quiet");
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
    let beside = Latency::of(&mut quiet, "quiet");
    unharmed(alone, beside);
    drop(sloths);
}

#[test]
fn bad_payloads_of_one_device_leave_others_alone() {
    let server = Server::start();
    let mut quiet = server.connected("quiet");
    let alone = Latency::of(&mut quiet, "quiet");
    let mut faulty = server.connected("faulty");
    let packets: Vec<u16> = (0..16).map(|_| faulty.send(Publish::new("devices/faulty/telemetry", 1, "{".repeat(20_000)))).collect();
    let beside = Latency::of(&mut quiet, "quiet");
    packets.into_iter().for_each(|packet| assert_eq!(faulty.puback(packet).0, 0x99));
    unharmed(alone, beside);
}
