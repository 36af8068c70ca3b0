//! Many devices behind few gateways: a fleet of any size speaks over a hundred connections.

use std::{collections::VecDeque, ops::Range, time::Instant};

use serde_json::{Value, json};

use super::{
    clock, connect_all,
    meter::{Meter, Reading},
    settle,
};
use crate::{
    Options, Result,
    clock::Random,
    http::registry::{self, Device, NUMBER_DIGITS},
    mqtt::{
        closed::{self, Sent, Source},
        connection::Connection,
        frame::Template,
    },
    payload::{Encoding, Payload, STAMP_BASE},
    peer::Running,
};

const GATEWAYS: usize = 100;
const PREFIX: &str = "herd";
const WINDOW: usize = 16;

/// Gateways, and how many devices are behind all of them. Device `n` is behind gateway `n % GATEWAYS`.
pub struct Herd {
    gateways: Vec<Device>,
    prefix: &'static str,
    pub devices: usize,
}

/// For whom a gateway speaks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Once for each of its devices, and no more.
    EachOnce,
    Uniform,
    /// Zipf's law with exponent 1 over its devices.
    Zipf,
    /// Uniform over the first so many of its devices.
    First(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    BaseLine,
    TenValues,
    /// The base line's values with the message's number among them.
    Numbered,
}

impl Herd {
    /// Registers the gateways, as yet without devices behind them.
    pub async fn start(server: &Running) -> Result<Self> {
        let gateways = registry::devices_as(server, "gate", GATEWAYS, |_| json!({"model": "Gateway"})).await?;
        Ok(Self { gateways, prefix: PREFIX, devices: 0 })
    }

    /// The same gateways, with other devices behind them.
    pub fn beside(&self, prefix: &'static str) -> Self {
        Self { gateways: self.gateways.clone(), prefix, devices: 0 }
    }

    /// Registers devices until there are so many, each with these members beside the usual ones.
    pub async fn grow(&mut self, server: &Running, to: usize, with: impl Fn(usize) -> Value + 'static) -> Result<Reading> {
        let (from, prefix) = (self.devices, self.prefix);
        let meter = Meter::start(server)?;
        registry::register(server, to - from, move |n| {
            let mut body = with(from + n);
            body["id"] = registry::id(prefix, from + n).into();
            body["model"] = "Device".into();
            body["gateway"] = registry::id("gate", (from + n) % GATEWAYS).into();
            body
        })
        .await?;
        self.devices = to;
        meter.read(server)
    }

    /// The id of device `number`.
    pub fn id(&self, number: u64) -> String {
        registry::id(self.prefix, number as usize)
    }

    pub async fn connect(&self, server: &Running) -> Result<Vec<Connection>> {
        connect_all(server, &self.gateways).await
    }

    /// One gateway's voice.
    pub fn speaker(&self, gateway: &Connection, turn: Turn, says: Says) -> Speaker {
        let number = gateway.device.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let payload = match says {
            Says::BaseLine => Payload::telemetry(Encoding::Json, super::BASE_BYTES, 1),
            Says::TenValues => Payload::ten_values(),
            Says::Numbered => Payload::stamped_telemetry(),
        };
        let front = format!("devices/{}-", self.prefix).len();
        Speaker {
            template: Template::new(&format!("devices/{}/telemetry", registry::id(self.prefix, 0)), 1, payload),
            place: front..front + NUMBER_DIGITS,
            gateway: number,
            devices: (self.devices as u64 + GATEWAYS as u64 - 1 - number) / GATEWAYS as u64,
            turn,
            random: Random::new(number + 1),
            said: 0,
            on_the_way: VecDeque::new(),
            acknowledged: Vec::new(),
        }
    }

    pub async fn speak(&self, server: &Running, turn: Turn, says: Says, deadline: Instant) -> Result<Sent> {
        let connections = self.connect(server).await?;
        let (sent, _) = closed::saturate_all(connections, 1, WINDOW, deadline, |gateway| self.speaker(gateway, turn, says)).await?;
        Ok(sent)
    }

    /// A load of the option's length, what it took, and the server's CPU µs a message once all is written behind. The gateways
    /// connect before it is measured.
    pub async fn measured(&self, server: &Running, turn: Turn, name: &str, options: &Options) -> Result<(Sent, Reading, f64)> {
        let connections = self.connect(server).await?;
        let (meter, bar) = (Meter::start(server)?, clock(name, options.length()));
        let until = Instant::now() + options.length();
        let (sent, connections) =
            closed::saturate_all(connections, 1, WINDOW, until, |gateway| self.speaker(gateway, turn, Says::BaseLine)).await?;
        let reading = meter.read(server)?;
        bar.await?;
        settle(server).await?;
        let settled = meter.read(server)?.server.cpu.as_secs_f64() * 1e6 / sent.messages as f64;
        drop(connections);
        Ok((sent, reading, settled))
    }
}

pub struct Speaker {
    template: Template,
    place: Range<usize>,
    gateway: u64,
    devices: u64,
    turn: Turn,
    random: Random,
    said: u64,
    on_the_way: VecDeque<(u64, u64)>,
    /// Device and number of what was acknowledged; kept of numbered messages to few devices only.
    pub acknowledged: Vec<(u64, u64)>,
}

impl Source for Speaker {
    fn append(&mut self, out: &mut Vec<u8>, packet_id: u16) -> bool {
        let own = match self.turn {
            _ if self.devices == 0 => return false,
            Turn::EachOnce if self.said == self.devices => return false,
            Turn::EachOnce => self.said,
            Turn::Uniform => self.random.below(self.devices),
            Turn::Zipf => self.random.zipf(self.devices),
            Turn::First(few) => self.random.below(few.min(self.devices)),
        };
        self.said += 1;
        let device = self.gateway + own * GATEWAYS as u64;
        self.template.append_for(out, packet_id, STAMP_BASE + self.said, self.place.clone(), device);
        if matches!(self.turn, Turn::First(_)) {
            self.on_the_way.push_back((device, self.said));
        }
        true
    }

    fn acknowledged(&mut self) {
        self.acknowledged.extend(self.on_the_way.pop_front());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_spoken_for_once() {
        let herd = Herd { gateways: Vec::new(), prefix: "herd", devices: 250 };
        let mut topics = Vec::new();
        for gateway in 0..GATEWAYS as u64 {
            let payload = Payload::ten_values();
            let mut speaker = Speaker {
                template: Template::new("devices/herd-0000000/telemetry", 1, payload),
                place: 13..20,
                gateway,
                devices: (herd.devices as u64 + GATEWAYS as u64 - 1 - gateway) / GATEWAYS as u64,
                turn: Turn::EachOnce,
                random: Random::new(1),
                said: 0,
                on_the_way: VecDeque::new(),
                acknowledged: Vec::new(),
            };
            let mut out = Vec::new();
            while speaker.append(&mut out, 1) {}
            crate::mqtt::frame::take(&out, |frame| topics.push(frame.publish().unwrap().0.to_vec()));
        }
        topics.sort();
        topics.dedup();
        assert_eq!(topics.len(), 250);
        assert_eq!(topics[249], b"devices/herd-0000249/telemetry");
    }
}
