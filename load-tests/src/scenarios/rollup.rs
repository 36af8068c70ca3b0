//! What a roll-up adds to a message: the same devices without parent, in rooms of ten, and all in one room, at depth 4.

use serde_json::{Value, json};

use super::{
    herd::{Herd, Turn},
    settle,
};
use crate::{
    Options, Result,
    http::registry,
    peer::{Kind, Running},
    report::Row,
};

/// Numbers in one message of the base line: each is a reading that is rolled up.
const READINGS: f64 = 4.0;
/// How often each place has its turn: differences are small beside what a busy machine adds.
const TURNS: usize = 2;
const ROOM: usize = 10;

/// Where devices stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    SmallRooms,
    OneRoom,
}

impl Place {
    const ALL: [Self; 3] = [Self::Nowhere, Self::SmallRooms, Self::OneRoom];

    fn prefix(self) -> &'static str {
        match self {
            Self::Nowhere => "loose",
            Self::SmallRooms => "small",
            Self::OneRoom => "large",
        }
    }

    fn members(self, n: usize) -> Value {
        match self {
            Self::Nowhere => json!({}),
            Self::SmallRooms => json!({"parent": registry::id("room", n / ROOM)}),
            Self::OneRoom => json!({"parent": "hall"}),
        }
    }

    fn load(self, devices: usize) -> String {
        match self {
            Self::Nowhere => "no parent".into(),
            Self::SmallRooms => format!("depth 4, {ROOM} siblings"),
            Self::OneRoom => format!("depth 4, {devices} siblings"),
        }
    }
}

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    build(&server, options.rollup_devices.div_ceil(ROOM)).await?;
    let gateways = Herd::start(&server).await?;
    let mut herds = Vec::new();
    for place in Place::ALL {
        let mut herd = gateways.beside(place.prefix());
        herd.grow(&server, options.rollup_devices, move |n| place.members(n)).await?;
        herds.push((place, herd));
    }
    let mut rows = Vec::new();
    for _ in 0..TURNS {
        let mut flat = None;
        for (place, herd) in &herds {
            settle(&server).await?;
            let name = place.load(herd.devices);
            let (sent, reading, _) = herd.measured(&server, Turn::Uniform, &name, options).await?;
            let cost = reading.server.cpu.as_secs_f64() * 1e6 / sent.messages as f64;
            let above = cost - *flat.get_or_insert(cost);
            let row = Row::new("rollup", peer, name)
                .with("messages_per_second", reading.per_second(sent.messages))
                .with("us_per_message_above_flat", above)
                .with("us_per_reading_above_flat", above / READINGS);
            rows.push(reading.into_row(row, "message", sent.messages));
        }
    }
    Ok(rows)
}

/// Site, building, floor, and on it a hall and rooms.
async fn build(server: &Running, rooms: usize) -> Result<()> {
    let above = [
        ("site", "Site", None),
        ("building", "Building", Some("site")),
        ("floor", "Floor", Some("building")),
        ("hall", "Room", Some("floor")),
    ];
    for (id, model, parent) in above {
        registry::register(server, 1, move |_| json!({"id": id, "model": model, "parent": parent})).await?;
    }
    registry::register(server, rooms, |n| json!({"id": registry::id("room", n), "model": "Room", "parent": "floor"})).await?;
    Ok(())
}
