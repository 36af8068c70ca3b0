//! What a twin and its device's connection hold on the heap while nothing happens.

use crate::{
    counting,
    device::Device,
    server::Server,
    table::{self, CONNECTION, HELD, TWIN, TWIN_IN_ROOM},
};

/// Devices that come and go together, in one room or in none.
const DEVICES: usize = 100;
/// The median of these is what counts: a table that doubles, or a metric that forgets, falls into few of them. One more comes
/// first and fills what is kept.
const ROUNDS: usize = 7;
/// The least of these counts: what is on its way is given back a moment later.
const LOOKS: usize = 3;

#[test]
fn a_twin_and_its_connection_hold_no_more_than_their_budgets() {
    let _turn = counting::alone();
    let server = Server::start();
    let [alone, connected] = rounds(&server, "alone", false);
    let [in_room, _] = rounds(&server, "together", true);
    server.stop();
    table::hold(&[(TWIN, HELD, alone), (TWIN_IN_ROOM, HELD, in_room), (CONNECTION, HELD, connected)]);
}

/// Bytes of a twin that stays, and of one with its connection.
fn rounds(server: &Server, name: &str, in_room: bool) -> [f64; 2] {
    let rounds: Vec<[f64; 2]> = (0..=ROUNDS).map(|n| round(server, &format!("{name}-{n}"), in_room)).collect();
    [0, 1].map(|figure| {
        let mut figures: Vec<f64> = rounds[1..].iter().map(|round| round[figure]).collect();
        figures.sort_unstable_by(f64::total_cmp);
        println!("    {figures:.0?}");
        figures[ROUNDS / 2]
    })
}

fn round(server: &Server, name: &str, in_room: bool) -> [f64; 2] {
    let room = in_room.then(|| format!("{name}-room"));
    room.iter().for_each(|room| server.room(room));
    let nothing = held(server);
    let devices = connected(server, name, room.as_deref());
    let with_connections = held(server);
    devices.into_iter().for_each(Device::disconnect);
    let twins = held(server);
    [twins, with_connections].map(|bytes| (bytes as f64 - nothing as f64) / DEVICES as f64)
}

/// Devices that have each sent ten values and are idle now.
fn connected(server: &Server, name: &str, parent: Option<&str>) -> Vec<Device> {
    let mut devices = Vec::with_capacity(DEVICES);
    for n in 0..DEVICES {
        let mut device = server.device(&format!("{name}-{n}"), parent);
        device.ten_values();
        devices.push(device);
    }
    devices
}

fn held(server: &Server) -> usize {
    let look = || {
        server.settle();
        counting::now().current
    };
    std::iter::repeat_with(look).take(LOOKS).min().unwrap_or_default()
}
