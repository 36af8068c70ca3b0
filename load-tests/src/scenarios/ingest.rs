//! CPU time a message: every device keeps its window full for a while. One base line, and one thing changed at a time.

use std::time::Instant;

use super::{BASE_BYTES, BASE_WINDOW, clock, connect_all, meter::Meter, settle};
use crate::{
    Options, Result,
    http::registry,
    mqtt::{
        closed::{self, Endless},
        frame::Template,
    },
    payload::{Encoding, Payload},
    peer::{Kind, Running},
    report::Row,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    qos: u8,
    window: usize,
    connections: usize,
    encoding: Encoding,
    bytes: usize,
    records: usize,
}

impl Load {
    fn name(&self) -> String {
        let Self { qos, window, connections, encoding, bytes, records } = self;
        let what = match (encoding, records) {
            (Encoding::Json, 1) => format!("JSON {bytes} B"),
            (Encoding::Json, _) => format!("{records} records of JSON {bytes} B"),
            _ => format!("{} of {bytes} B JSON", encoding.name()),
        };
        format!("QoS {qos}, window {window}, {what}, {connections} connections")
    }

    /// Whether only Twinfold reads it: to a broker a payload is bytes, and one more encoding nothing new.
    fn wants_twins(&self) -> bool {
        self.encoding != Encoding::Json || self.records > 1
    }
}

/// Our own rate without durability is asked for at the load of many devices only.
fn loads(peer: Kind, options: &Options) -> Vec<Load> {
    let base =
        Load { qos: 1, window: BASE_WINDOW, connections: options.connections, encoding: Encoding::Json, bytes: BASE_BYTES, records: 1 };
    let many = Load { connections: options.many_connections, ..base };
    let loads = vec![
        base,
        Load { window: 1, ..base },
        Load { window: 64, ..base },
        Load { qos: 0, ..base },
        Load { qos: 2, ..base },
        Load { bytes: 1_024, ..base },
        Load { bytes: 8_192, ..base },
        Load { encoding: Encoding::Cbor, ..base },
        Load { encoding: Encoding::Protobuf, ..base },
        Load { records: 10, ..base },
        Load { records: 100, ..base },
        many,
    ];
    let fits = |load: &Load| match peer {
        Kind::TwinfoldTmpfs => *load == base || *load == many,
        _ => peer.has_twins() || !load.wants_twins(),
    };
    loads.into_iter().filter(fits).take(options.ingest_loads_max).collect()
}

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.speaks_mqtt() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    let mut server = None;
    for load in loads(peer, options) {
        // A peer that refuses a load may have stopped serving: the next one gets a new server.
        let running = match server.take() {
            Some(running) => running,
            None => Prepared::start(peer, options).await?,
        };
        match measure(&running, load, options).await {
            Ok(row) => {
                rows.push(row);
                server = Some(running);
            }
            Err(why) => rows.push(Row { load: load.name(), ..Row::failed("ingest".into(), peer, &*why) }),
        }
    }
    Ok(rows)
}

struct Prepared {
    server: Running,
    devices: Vec<registry::Device>,
}

impl Prepared {
    async fn start(peer: Kind, options: &Options) -> Result<Self> {
        let server = Running::start(peer, options)?;
        let devices = registry::devices(&server, "load", options.connections.max(options.many_connections)).await?;
        Ok(Self { server, devices })
    }
}

async fn measure(on: &Prepared, load: Load, options: &Options) -> Result<Row> {
    let Prepared { server, devices } = on;
    let connections = connect_all(server, &devices[..load.connections]).await?;
    settle(server).await?;
    let payload = Payload::telemetry(load.encoding, load.bytes, load.records);
    let stored = server.data_bytes()?;
    let (meter, bar) = (Meter::start(server)?, clock(&load.name(), options.length()));
    let (sent, connections) = closed::saturate_all(connections, load.qos, load.window, Instant::now() + options.length(), |connection| {
        let topic = connection.topic("telemetry") + load.encoding.suffix();
        Endless { template: Template::new(&topic, load.qos, payload.clone()), number: 0 }
    })
    .await?;
    let reading = meter.read(server)?;
    bar.await?;
    settle(server).await?;
    let settled = meter.read(server)?.server.cpu.as_secs_f64() * 1e6 / sent.messages as f64;
    drop(connections);
    let row = Row::new("ingest", server.kind, load.name())
        .with("messages_per_second", reading.per_second(sent.messages))
        .with("cpu_us_per_message_settled", settled)
        .with("payload_bytes", payload.bytes.len() as f64)
        .with("records_per_message", load.records as f64)
        .with("data_bytes_per_message", server.data_bytes()?.saturating_sub(stored) as f64 / sent.messages as f64)
        .with_latency(&sent.latency);
    Ok(reading.into_row(row, "message", sent.messages))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_broker_is_not_asked_for_what_only_a_twin_understands() {
        let options = Options::parse_from(["load-tests"]);
        assert_eq!(loads(Kind::Twinfold, &options).len(), 12);
        assert_eq!(loads(Kind::Mosquitto, &options).len(), 8);
        assert_eq!(loads(Kind::Twinfold, &options)[0].name(), "QoS 1, window 16, JSON 108 B, 100 connections");
        assert_eq!(loads(Kind::TwinfoldTmpfs, &options).len(), 2);
    }
}
