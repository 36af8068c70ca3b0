//! Each definition a second time, as a loop over the twins it means. Shares with the product only the buckets of a percentile.

use hierarchy_models::{Timestamp, Value, rollup::Sketch, rollup::Subject};

use super::world::{STALE, Twin, World};

pub struct Defined {
    pub name: &'static str,
    pub text: &'static str,
    /// Whether nothing in it can depend on an order of additions.
    pub is_exact: bool,
    plain: fn(&World, usize) -> Plain,
}

/// What a definition comes to.
#[derive(Debug)]
pub struct Plain {
    pub value: Value,
    pub count: u64,
    pub stale: u64,
}

const fn defined(name: &'static str, text: &'static str, is_exact: bool, plain: fn(&World, usize) -> Plain) -> Defined {
    Defined { name, text, is_exact, plain }
}

#[rustfmt::skip]
pub const DEFINITIONS: [Defined; 16] = [
    defined("temperature", "avg(children.temperature)", false, |w, n| avg(&read_any(w, children(w, n)))),
    defined("load", "sum(devices.power)", true, |w, n| sum(&read(w, devices(w, n), power))),
    defined("offline", r#"count(where status == "offline")"#, true, |w, n| count(w, devices(w, n), |t| !t.connected)),
    defined("hottest", "max(twins.temperature)", false, |w, n| extreme(&read_any(w, twins(w, n)), f64::max)),
    defined("coldest", "min(devices.telemetry.temperature)", true, |w, n| extreme(&read(w, devices(w, n), measured), f64::min)),
    defined("least", "min(devices.power where power > 3 and not eco)", true, |w, n| {
        extreme(&read(w, devices(w, n), |w, t| power(w, t).filter(|(p, _)| *p > 3.0 && !is_eco(&w.twins[t]))), f64::min)
    }),
    defined("worst", "worst(alerts)", true, |w, n| worst(&twins(w, n).iter().map(|t| w.twins[*t].alerts).collect::<Vec<_>>())),
    defined("comfort", "avg(children.temperature, weight: children.area)", false, |w, n| weighted(w, &children(w, n))),
    defined("p90", "percentile(devices.power, 90)", true, |w, n| percentile(&read(w, devices(w, n), power), 90.0)),
    defined("rooms", r#"count(twins(of "Room"))"#, true, |w, n| count(w, twins(w, n), |t| t.model.as_str() == "dtmi:twinfold:Room;1")),
    defined("latest", "last(devices.power)", true, |w, n| last(&read(w, devices(w, n), power))),
    defined("full", r#"count(devices where mode != "eco")"#, true, |w, n| {
        let of = read(w, devices(w, n), |w, t| Some((0.0, Timestamp::MIN)).filter(|_| mode(&w.twins[t]).is_some_and(|m| m != "eco")));
        Plain { value: Value::Int(of.there.len() as i64), count: of.there.len() as u64, stale: of.stale }
    }),
    defined("alarmed", r#"count(children where alerts > 0 or status == "quarantined")"#, true, |w, n| {
        count(w, children(w, n), |t| t.alerts != [0; 3] || t.quarantined)
    }),
    defined("rated", "sum(devices.metadata.rated)", true, |w, n| {
        let of = devices(w, n).into_iter().filter_map(|t| w.twins[t].metadata.get("rated")?.as_f64()).map(|v| (v, Timestamp::MIN));
        sum(&Read { there: of.collect(), stale: 0 })
    }),
    defined("metered", r#"sum(devices(of "dtmi:test:Meter;1").power)"#, true, |w, n| {
        let meters = twins(w, n).into_iter().filter(|t| w.twins[*t].model.as_str().contains("Meter"));
        sum(&read(w, meters.collect(), power))
    }),
    defined("means", "count(children.rollups.temperature)", true, |w, n| {
        let has_mean = |w: &World, t: usize| mean(w, t).map(|(v, _)| v);
        let there = children(w, n).into_iter().filter(|t| has_mean(w, *t).is_some_and(|v| v.is_some())).count();
        let silent = children(w, n).into_iter().filter(|t| mean(w, *t).is_some_and(|(v, silent)| v.is_none() && silent)).count();
        Plain { value: Value::Int(there as i64), count: there as u64, stale: silent as u64 }
    }),
];

pub fn recompute(world: &World, n: usize, name: &str) -> Plain {
    let defined = DEFINITIONS.iter().find(|d| d.name == name).unwrap();
    (defined.plain)(world, n)
}

fn children(w: &World, n: usize) -> Vec<usize> {
    (0..w.twins.len()).filter(|t| w.twins[*t].parent == Some(n)).collect()
}

fn twins(w: &World, n: usize) -> Vec<usize> {
    children(w, n).into_iter().flat_map(|child| [vec![child], twins(w, child)].concat()).collect()
}

fn devices(w: &World, n: usize) -> Vec<usize> {
    twins(w, n).into_iter().filter(|t| !w.twins[*t].is_place()).collect()
}

fn is_silent(w: &World, t: usize) -> bool {
    let twin = &w.twins[t];
    let has_any_below = w.twins.iter().any(|other| other.parent == Some(t));
    !has_any_below && !twin.is_place() && twin.last_seen.is_some_and(|seen| w.now.since(seen) > STALE)
}

/// Values with their times, and how many silent twins were left out.
struct Read {
    there: Vec<(f64, Timestamp)>,
    stale: u64,
}

type Found = Option<(f64, Timestamp)>;

fn read(w: &World, of: Vec<usize>, value: fn(&World, usize) -> Found) -> Read {
    let mut read = Read { there: Vec::new(), stale: 0 };
    for t in of {
        match value(w, t) {
            Some(_) if is_silent(w, t) => read.stale += 1,
            Some(found) => read.there.push(found),
            None => {}
        }
    }
    read
}

/// Temperatures, those that twins define among them.
fn read_any(w: &World, of: Vec<usize>) -> Read {
    let silent = of.iter().filter(|t| mean(w, **t) == Some((None, true))).count();
    let read = read(w, of, temperature);
    Read { stale: read.stale + silent as u64, ..read }
}

fn of_telemetry(w: &World, t: usize, name: &str) -> Found {
    let (value, at) = w.twins[t].telemetry.get(name)?;
    value.as_f64().map(|value| (value, *at))
}

fn power(w: &World, t: usize) -> Found {
    of_telemetry(w, t, "power")
}

fn measured(w: &World, t: usize) -> Found {
    of_telemetry(w, t, "temperature")
}

/// The twin's own defined temperature, if it defines one: its value, and whether all there is to tell is that somebody is silent.
fn mean(w: &World, t: usize) -> Option<(Option<u64>, bool)> {
    w.twins[t].asking.defined()?.get("temperature")?;
    let plain = recompute(w, t, "temperature");
    Some((plain.value.as_f64().map(f64::to_bits), plain.count == 0 && plain.stale > 0))
}

/// What a twin calls its temperature: what it defines, or else measures.
fn temperature(w: &World, t: usize) -> Found {
    match mean(w, t) {
        Some((mean, _)) => mean.map(|bits| (f64::from_bits(bits), Timestamp::MIN)),
        None => measured(w, t),
    }
}

fn is_eco(twin: &Twin) -> bool {
    twin.telemetry.get("eco").is_some_and(|(eco, _)| *eco == Value::Bool(true))
}

fn mode(twin: &Twin) -> Option<&str> {
    twin.telemetry.get("mode").and_then(|(mode, _)| mode.as_str())
}

fn plain(read: &Read, value: Option<f64>) -> Plain {
    Plain { value: value.map_or(Value::Null, Value::Float), count: read.there.len() as u64, stale: read.stale }
}

fn total(read: &Read) -> f64 {
    read.there.iter().map(|(value, _)| value).sum()
}

fn sum(read: &Read) -> Plain {
    plain(read, (!read.there.is_empty()).then(|| total(read)))
}

fn avg(read: &Read) -> Plain {
    plain(read, (!read.there.is_empty()).then(|| total(read) / read.there.len() as f64))
}

fn extreme(read: &Read, more: fn(f64, f64) -> f64) -> Plain {
    plain(read, read.there.iter().map(|(value, _)| *value).reduce(more))
}

fn last(read: &Read) -> Plain {
    plain(read, read.there.iter().max_by(|a, b| a.1.cmp(&b.1).then(a.0.total_cmp(&b.0))).map(|(value, _)| *value))
}

fn percentile(read: &Read, percent: f64) -> Plain {
    let mut all = Sketch::default();
    read.there.iter().for_each(|(value, _)| all.add(&Sketch::of(*value)));
    plain(read, all.percentile(percent))
}

fn count(w: &World, of: Vec<usize>, meant: fn(&Twin) -> bool) -> Plain {
    let count = of.into_iter().filter(|t| meant(&w.twins[*t])).count();
    Plain { value: Value::Int(count as i64), count: count as u64, stale: 0 }
}

fn worst(alerts: &[[u64; 3]]) -> Plain {
    let sums = [0, 1, 2].map(|severity| alerts.iter().map(|counts| counts[severity]).sum::<u64>());
    let worst = [("critical", sums[2]), ("warning", sums[1]), ("info", sums[0])].into_iter().find(|(_, count)| *count > 0);
    Plain { value: worst.map_or(Value::Null, |(name, _)| Value::from(name)), count: sums.iter().sum(), stale: 0 }
}

fn weighted(w: &World, of: &[usize]) -> Plain {
    let area = |t: usize| w.twins[t].metadata.get("area").and_then(Value::as_f64).filter(|area| *area >= 0.0);
    let (mut products, mut weights, mut count, mut stale) = (0.0, 0.0, 0, 0);
    for t in of {
        match (temperature(w, *t), area(*t)) {
            (Some(_), Some(_)) if is_silent(w, *t) => stale += 1,
            (Some((value, _)), Some(area)) => {
                products += value * area;
                weights += area;
                count += 1;
            }
            (None, _) if mean(w, *t) == Some((None, true)) => stale += 1,
            _ => {}
        }
    }
    let value = products / weights;
    Plain { value: if value.is_finite() { Value::Float(value) } else { Value::Null }, count, stale }
}
