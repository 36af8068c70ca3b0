//! What the server allocates for a GET of a twin: one that has not changed since the last, and one that has.

use crate::{
    counting::{self, Allocated},
    device::Device,
    reader::Reader,
    server::Server,
    table::{self, ALLOCATED, ALLOCATIONS, CHANGED_READ, READ},
};

/// Reads of one run.
const READS: usize = 300;
/// The median of these is what counts.
const RUNS: usize = 5;

#[test]
fn a_read_allocates_no_more_than_its_budget() {
    let _turn = counting::alone();
    let server = Server::start();
    server.room("room");
    let mut device = server.device("device", Some("room"));
    device.ten_values();
    let mut reader = server.reader("/api/v1/twins/device");
    let mut figures = Vec::new();
    for (of, changed) in [(READ, false), (CHANGED_READ, true)] {
        let [calls, bytes] = a_read(&mut device, &mut reader, changed);
        figures.extend([(of, ALLOCATIONS, calls), (of, ALLOCATED, bytes)]);
    }
    server.stop();
    table::hold(&figures);
}

/// Allocations and bytes allocated, the first run left out; a change's own message is not counted.
fn a_read(device: &mut Device, reader: &mut Reader, changed: bool) -> [f64; 2] {
    let mut runs: [[usize; 2]; RUNS + 1] = std::array::from_fn(|_| run(device, reader, changed));
    let median = |runs: &mut [[usize; 2]], figure: usize| {
        runs.sort_unstable_by_key(|run| run[figure]);
        runs[RUNS / 2][figure] as f64 / READS as f64
    };
    [median(&mut runs[1..], 0), median(&mut runs[1..], 1)]
}

fn run(device: &mut Device, reader: &mut Reader, changed: bool) -> [usize; 2] {
    let (mut burst, mut counted) = (device.burst(1, 1), [0, 0]);
    for _ in 0..READS {
        if changed {
            device.send(&mut burst);
        }
        let before = counting::now();
        reader.read();
        let Allocated { calls, bytes, .. } = counting::now() - before;
        counted = [counted[0] + calls, counted[1] + bytes];
    }
    counted
}
