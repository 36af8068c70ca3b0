//! What the server allocates for a message, from its bytes on the socket to its PUBACK.

use crate::{
    counting::{self, Allocated},
    device::Device,
    server::Server,
    table::{self, ALLOCATED, ALLOCATIONS, QOS_0, WINDOW_1, WINDOW_16},
};

/// Messages of one run.
const MESSAGES: usize = 2_000;
/// The median of these is what counts: a buffer that doubles falls into one of them.
const RUNS: usize = 5;

#[test]
fn a_message_allocates_no_more_than_its_budget() {
    let _turn = counting::alone();
    let server = Server::start();
    server.room("room");
    let mut device = server.device("device", Some("room"));
    let mut figures = Vec::new();
    for (of, qos, window) in [(WINDOW_1, 1, 1), (WINDOW_16, 1, 16), (QOS_0, 0, 16)] {
        let [calls, bytes] = a_message(&mut device, qos, window);
        figures.extend([(of, ALLOCATIONS, calls), (of, ALLOCATED, bytes)]);
    }
    server.stop();
    table::hold(&figures);
}

/// Allocations and bytes allocated, the first run left out: it fills what is kept.
fn a_message(device: &mut Device, qos: u8, window: usize) -> [f64; 2] {
    let runs: [Allocated; RUNS + 1] = std::array::from_fn(|_| run(device, qos, window));
    let median = |figure: fn(&Allocated) -> usize| {
        let mut figures: [usize; RUNS] = std::array::from_fn(|n| figure(&runs[n + 1]));
        figures.sort_unstable();
        println!("    {figures:?}");
        figures[RUNS / 2] as f64 / MESSAGES as f64
    };
    [median(|a| a.calls), median(|a| a.bytes)]
}

fn run(device: &mut Device, qos: u8, window: usize) -> Allocated {
    let (mut burst, mut last) = (device.burst(qos, window), device.burst(1, 1));
    let before = counting::now();
    for _ in 0..MESSAGES / window {
        device.send(&mut burst);
    }
    // At QoS 0 nothing else says when the server is through.
    device.send(&mut last);
    counting::now() - before
}
