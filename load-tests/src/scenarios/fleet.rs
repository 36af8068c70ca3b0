//! Does a message cost the same in a large fleet as in a small one, what does a twin weigh, and what does it cost to register?
//!
//! The devices are behind gateways. A broker keeps no twins, so it has no turn.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    herd::{Herd, Says, Turn},
    meter::{Meter, mib},
    recover, settle,
};
use crate::{
    Options, Result,
    options::Scenario,
    peer::{Kind, Running},
    report::Row,
};

/// A fleet of a million must fit; twins that leave memory would be another measurement.
pub const SETTINGS: [(&str, &str); 1] = [("TWINFOLD_TWINS__MEMORY_MAX_BYTES", "16GiB")];
/// The smallest fleet.
const SMALLEST: usize = 1_000;
/// For every twin to say its ten values once.
const SAY_WITHIN: Duration = Duration::from_secs(600);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let mut server = Running::start_with(peer, options, &SETTINGS)?;
    let mut herd = Herd::start(&server).await?;
    let mut rows = Vec::new();
    for size in sizes(options.fleet_twins) {
        let (added, reading) = (size - herd.devices, herd.grow(&server, size, |_| json!({})).await?);
        let row = Row::new("fleet", peer, format!("{size} twins, registering")).with("twins", size as f64);
        let row = row.with("registrations_per_second", reading.per_second(added as u64));
        rows.push(reading.into_row(row, "registration", added as u64));
        let weighed;
        (server, weighed) = weigh(server, &herd).await?;
        rows.push(weighed);
        for (turn, name) in [(Turn::Uniform, "uniform"), (Turn::Zipf, "Zipf")] {
            settle(&server).await?;
            let name = format!("{size} twins, {name}");
            let (sent, reading, settled) = herd.measured(&server, turn, &name, options).await?;
            let row = Row::new("fleet", peer, name).with("twins", size as f64).with_latency(&sent.latency);
            let row = row.with("messages_per_second", reading.per_second(sent.messages)).with("cpu_us_per_message_settled", settled);
            rows.push(reading.into_row(row, "message", sent.messages));
        }
    }
    if options.chosen().contains(&Scenario::Recover) {
        rows.push(recover::after(server, &herd, options).await?);
    }
    Ok(rows)
}

/// From the smallest fleet tenfold to the largest.
fn sizes(largest: usize) -> Vec<usize> {
    let smaller = std::iter::successors(Some(SMALLEST), |size| size.checked_mul(10)).take_while(|size| *size < largest);
    smaller.chain([largest]).collect()
}

/// Memory of the twins alone: after a restart nothing is in memory, then each says ten values.
async fn weigh(server: Running, herd: &Herd) -> Result<(Running, Row)> {
    let server = server.restart()?;
    // Gateways and their connections are there before, so that they are not counted.
    drop(herd.connect(&server).await?);
    settle(&server).await?;
    let before = server.usage()?.rss_bytes;
    let meter = Meter::start(&server)?;
    let sent = herd.speak(&server, Turn::EachOnce, Says::TenValues, Instant::now() + SAY_WITHIN).await?;
    let reading = meter.read(&server)?;
    settle(&server).await?;
    let after = server.usage()?.rss_bytes;
    if sent.messages != herd.devices as u64 {
        return Err(format!("{} of {} twins have said their values within {SAY_WITHIN:?}", sent.messages, herd.devices).into());
    }
    let row = Row::new("fleet", server.kind, format!("{} twins, ten values each", herd.devices))
        .with("twins", herd.devices as f64)
        .with("bytes_per_twin", (after as f64 - before as f64) / herd.devices as f64)
        .with("rss_mib_without_twins", mib(before))
        .with("messages_per_second", reading.per_second(sent.messages));
    let row = reading.into_row(row, "message", sent.messages).with("rss_mib", mib(after));
    Ok((server, row))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fleet_grows_tenfold_to_its_largest() {
        assert_eq!(super::sizes(100_000), [1_000, 10_000, 100_000]);
        assert_eq!(super::sizes(20_000), [1_000, 10_000, 20_000]);
        assert_eq!(super::sizes(500), [500]);
    }
}
