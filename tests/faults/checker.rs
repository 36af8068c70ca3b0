//! Holds what was recorded against what HTTP returns. It knows nothing of the server's inside and shares nothing with the load.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    record::Recorded,
    support::{Api, Value, until},
};

/// Everything that is wrong, in words.
pub fn violations(api: &Api, recorded: &Recorded) -> Vec<String> {
    let nothing = BTreeSet::new();
    let mut wrong = Vec::new();
    for (device, sent) in &recorded.sent {
        let acknowledged = recorded.acknowledged.get(device).unwrap_or(&nothing);
        history(api, device, sent, acknowledged, &mut wrong);
        state(api, device, sent, acknowledged, &mut wrong);
        order(api, device, &mut wrong);
    }
    for (device, accepted) in &recorded.accepted {
        commands(api, device, accepted, &mut wrong);
    }
    wrong
}

/// Every acknowledged record exactly once, every other one at most once, and nothing that was never sent.
fn history(api: &Api, device: &str, sent: &BTreeSet<u64>, acknowledged: &BTreeSet<u64>, wrong: &mut Vec<String>) {
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for item in api.all(&format!("/twins/{device}/history?name=n&limit=1000")) {
        *times.entry(item["value"].as_u64().unwrap()).or_default() += 1;
    }
    wrong.extend(
        acknowledged.iter().filter(|n| !times.contains_key(n)).map(|n| format!("{device}: record {n} was acknowledged and is lost")),
    );
    wrong.extend(times.iter().filter(|(_, times)| **times > 1).map(|(n, times)| format!("{device}: record {n} is there {times} times")));
    wrong.extend(times.keys().filter(|n| !sent.contains(n)).map(|n| format!("{device}: record {n} was never sent")));
}

/// The last known value is that of the newest record: the last acknowledged, or one sent after it.
fn state(api: &Api, device: &str, sent: &BTreeSet<u64>, acknowledged: &BTreeSet<u64>, wrong: &mut Vec<String>) {
    let Some(newest) = acknowledged.last() else { return };
    let value = api.twin(device)["telemetry"]["n"]["value"].as_u64();
    if !value.is_some_and(|v| v >= *newest && sent.contains(&v)) {
        wrong.push(format!("{device}: the last known value is {value:?}, the newest acknowledged record {newest}"));
    }
}

/// The event log has no gap, and records lie in it in the order they were sent in, each id once.
fn order(api: &Api, device: &str, wrong: &mut Vec<String>) {
    let (mut last_seq, mut last_number) = (0, None);
    for event in api.all(&format!("/twins/{device}/events?limit=1000")) {
        let seq = event["seq"].as_u64().unwrap();
        if seq != last_seq + 1 {
            wrong.push(format!("{device}: event {seq} follows event {last_seq}"));
        }
        last_seq = seq;
        for record in event["data"]["records"].as_array().into_iter().flatten() {
            let number = record["values"]["n"].as_u64();
            if number <= last_number {
                wrong.push(format!("{device}: record {number:?} follows record {last_number:?} in the log"));
            }
            last_number = number;
        }
    }
}

/// Every accepted command is there once and has ended once.
fn commands(api: &Api, device: &str, accepted: &BTreeSet<u64>, wrong: &mut Vec<String>) {
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for event in api.all(&format!("/twins/{device}/events?stream=commands&limit=1000")) {
        if event["kind"] == "command_ended" {
            *ends.entry(event["data"]["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    let listed = api.all(&format!("/twins/{device}/commands?limit=1000"));
    for number in accepted {
        let name = format!("c{number}");
        let same: Vec<&Value> = listed.iter().filter(|c| c["name"] == name.as_str()).collect();
        match same[..] {
            [command] => {
                let (state, ends) = (&command["state"], ends.get(command["id"].as_str().unwrap()).copied().unwrap_or(0));
                if !["completed", "failed", "expired", "cancelled"].iter().any(|end| state == end) || ends != 1 {
                    wrong.push(format!("{device}: command {name} is {state} and has {ends} ends"));
                }
            }
            _ => wrong.push(format!("{device}: command {name} was accepted and is there {} times", same.len())),
        }
    }
}

/// Waits until each place's roll-up equals the fold of the devices below it, computed here from their own documents.
pub fn roll_ups_agree(api: &Api, places: &[(&str, Vec<String>)]) {
    for (place, devices) in places {
        until(&format!("the roll-up of {place} equals a recomputation"), || {
            let values = devices.iter().filter_map(|d| api.twin(d)["telemetry"]["n"]["value"].as_f64()).collect::<Vec<_>>();
            let rollups = api.twin(place)["rollups"].clone();
            if rollups["count"] != devices.len() {
                return false;
            }
            let fold = &rollups["values"]["n"];
            let expected = [
                ("count", values.len() as f64),
                ("sum", values.iter().sum()),
                ("min", values.iter().copied().fold(f64::INFINITY, f64::min)),
                ("max", values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            ];
            values.is_empty() || expected.iter().all(|(figure, value)| fold[figure].as_f64() == Some(*value))
        });
    }
}
