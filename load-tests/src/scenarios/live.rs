//! From a device's message to a person's screen: pushed on the live stream, and readable over HTTP.
//!
//! Messages carry their intended time of sending. One reader follows the site's live stream; a few probe devices say a
//! value now and then, each on a schedule of its own, and a caller asks for its twin, one GET at a time with a pause between, until it
//! shows: a few hundred GETs a second, not as many as the server can answer.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use super::{LEAD, clock, meter::Meter, saturate, settle, site::Site};
use crate::{
    Options, Result,
    clock::{Schedule, Timer, histogram, micros},
    http::{
        client::Client,
        sse::{self, Live},
    },
    mqtt::{
        connection::Connection,
        frame::Template,
        open::{self, Offer},
    },
    payload::{Payload, STAMP_BASE, stamp_in},
    peer::{Kind, Running},
    report::Row,
};

const RATE: f64 = 1_000.0;
const PROBES: usize = 8;
/// Of each probe: with all of them enough for a p99.9, and rare enough that one is over before the next.
const PROBES_PER_SECOND: f64 = 50.0;
/// Between an answer that did not show the value and the next GET: what the figure may be too high by.
const ASK_AGAIN: Duration = Duration::from_micros(200);
/// A value that does not show by then never will.
const SHOWS_WITHIN: Duration = Duration::from_secs(5);
/// For what is pushed and answered after the last message.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(peer: Kind, options: &Options) -> Result<Vec<Row>> {
    if !peer.has_twins() {
        return Ok(Vec::new());
    }
    let server = Running::start(peer, options)?;
    let mut site = Site::build(&server, "lamp", options.connections + PROBES).await?;
    let probes = site.devices.split_off(options.connections);
    let heard = Rc::new(RefCell::new(Heard::new()));
    let reader = follow(&server, heard.clone()).await?;
    // With the reader there, whose pushes are part of the cost.
    let bar = clock("looking for saturation", options.length());
    let (sent, _) = saturate(site.connect(&server).await?, options.length()).await?;
    bar.await?;
    let saturation = sent.messages as f64 / options.length().as_secs_f64();
    let mut rows = Vec::new();
    for (name, rate) in [(format!("{RATE}/s"), RATE), ("half of saturation".to_owned(), saturation / 2.0)] {
        settle(&server).await?;
        let connections = site.connect(&server).await?;
        let offer = Offer { rate, begin: Instant::now() + LEAD, length: options.length(), patience: PATIENCE };
        heard.replace(Heard { begin: Some(offer.begin), ..Heard::new() });
        let mut asking = JoinSet::new();
        for (seed, probe) in (1..).zip(&probes) {
            let (client, probe) = (Client::open(&server).await?, Connection::open(server.mqtt, probe).await?);
            asking.spawn_local(async move { ask(client, probe, offer, seed).await.map_err(|e| e.to_string()) });
        }
        let (meter, bar) = (Meter::start(&server)?, clock(&format!("{rate:.0}/s"), options.length()));
        let template = |connection: &Connection| Template::new(&connection.topic("telemetry"), 1, Payload::stamped_telemetry());
        let outcome = open::offer(connections, offer, template).await?;
        let mut shown = Shown { latency: histogram(), gets: 0 };
        while let Some(one) = asking.join_next().await {
            let one = one??;
            shown.latency.add(&one.latency)?;
            shown.gets += one.gets;
        }
        let reading = meter.read(&server)?;
        bar.await?;
        let messages = outcome.answered + shown.latency.len();
        wait_for(&heard, messages).await;
        let heard = heard.borrow();
        let row = Row::new("live", peer, name).with("saturation_per_second", saturation).with("offered_per_second", rate);
        let row = row.with("messages_per_second", outcome.in_time as f64 / offer.length.as_secs_f64());
        let row = percentiles(percentiles(row, "sse", &heard.latency), "http", &shown.latency)
            .with("pushed_share", heard.latency.len() as f64 / messages as f64)
            .with("resets", heard.resets as f64)
            .with("gets_per_probe", shown.gets as f64 / shown.latency.len().max(1) as f64)
            .with("lag_p99_ms", outcome.lag.value_at_quantile(0.99) as f64 / 1e3);
        rows.push(reading.into_row(row, "message", messages));
    }
    reader.abort();
    Ok(rows)
}

fn percentiles(row: Row, way: &str, latency: &Histogram<u64>) -> Row {
    let figures = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];
    figures.iter().fold(row, |row, (name, q)| row.with(format!("{way}_{name}_ms"), latency.value_at_quantile(*q) as f64 / 1e3))
}

/// What the live reader has heard since the load began.
struct Heard {
    begin: Option<Instant>,
    latency: Histogram<u64>,
    resets: u64,
}

impl Heard {
    fn new() -> Self {
        Self { begin: None, latency: histogram(), resets: 0 }
    }

    fn event(&mut self, event: &[u8]) {
        let Some(begin) = self.begin else { return };
        match sse::name(event) {
            b"reset" => self.resets += 1,
            b"state" => {
                if let Some(stamp) = stamp_in(event) {
                    self.latency.saturating_record(micros(begin.elapsed()).saturating_sub(stamp));
                }
            }
            _ => {}
        }
    }
}

async fn follow(server: &Running, heard: Rc<RefCell<Heard>>) -> Result<JoinHandle<()>> {
    let mut live = Live::open(server, &format!("under={}&kinds=state", super::site::ID)).await?;
    live.snapshot().await?;
    Ok(spawn_local(async move {
        // It ends with the server, or when it is aborted.
        while live.next(|event| heard.borrow_mut().event(event)).await.is_ok() {}
    }))
}

/// Until everything has been pushed, or patience ends.
async fn wait_for(heard: &RefCell<Heard>, messages: u64) {
    let until = Instant::now() + PATIENCE;
    while heard.borrow().latency.len() < messages && Instant::now() < until {
        tokio::time::sleep(LEAD).await;
    }
}

/// How long values took to show.
struct Shown {
    latency: Histogram<u64>,
    gets: u64,
}

/// Publishes on the probe's own schedule and asks for its twin until the value shows. A probe that is still being asked for
/// delays the next, whose wait counts.
async fn ask(mut client: Client, mut probe: Connection, offer: Offer, seed: u64) -> Result<Shown> {
    let template = Template::new(&probe.topic("telemetry"), 1, Payload::stamped_telemetry());
    let path = format!("/twins/{}", probe.device);
    let mut schedule = Schedule::new(PROBES_PER_SECOND, offer.begin, offer.length, seed);
    let (mut timer, mut shown, mut message) = (Timer::new()?, Shown { latency: histogram(), gets: 0 }, Vec::new());
    while !schedule.is_over() {
        timer.until(schedule.next()).await?;
        let Some(due) = schedule.due(Instant::now()) else { continue };
        let stamp = micros(due - offer.begin);
        message.clear();
        template.append(&mut message, 1, STAMP_BASE + stamp);
        let until = due + SHOWS_WITHIN;
        let acknowledged = probe.say(&message);
        let seen = async {
            while Instant::now() < until {
                shown.gets += 1;
                if stamp_in(client.read(&path).await?) == Some(stamp) {
                    shown.latency.saturating_record(micros(due.elapsed()));
                    return Ok(());
                }
                timer.until(Instant::now() + ASK_AGAIN).await?;
            }
            Err(Box::<dyn std::error::Error>::from(format!("a value did not show within {SHOWS_WITHIN:?}")))
        };
        let (acknowledged, seen) = tokio::join!(acknowledged, seen);
        acknowledged?;
        seen?;
    }
    Ok(shown)
}
