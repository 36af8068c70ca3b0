//! The main job on data nobody here made: ten months of an office's air temperature, sent by a stock client, read back exactly.
//!
//! The file is public (Numenta Anomaly Benchmark) and lies beside the checkout; where it is missing the test says so.

#![allow(clippy::unwrap_used)]

mod support;

use std::{collections::BTreeMap, fs, path::PathBuf};

use support::{
    Server, Value, json, skip,
    stock::{mosquitto, publish_lines},
    until,
};

const ROWS: usize = 7_267;

fn data() -> Option<Vec<(String, f64)>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ambient_temperature.csv");
    let text = fs::read_to_string(path).ok()?;
    let row = |line: &str| {
        let (time, value) = line.split_once(',').unwrap();
        (format!("{}Z", time.replace(' ', "T")), value.parse().unwrap())
    };
    Some(text.lines().skip(1).map(row).collect())
}

/// Average, least, greatest and number of the values of each `prefix` of their time, computed here and nowhere else.
fn buckets(rows: &[(String, f64)], prefix: usize, rest: &str) -> BTreeMap<String, (f64, f64, f64, u64)> {
    let mut buckets: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (time, value) in rows {
        buckets.entry(format!("{}{rest}", &time[..prefix])).or_default().push(*value);
    }
    let figures = |values: Vec<f64>| {
        let (least, greatest) = values.iter().fold((f64::MAX, f64::MIN), |(l, g), v| (l.min(*v), g.max(*v)));
        (values.iter().sum::<f64>() / values.len() as f64, least, greatest, values.len() as u64)
    };
    buckets.into_iter().map(|(at, values)| (at, figures(values))).collect()
}

fn check(server: &Server, rows: &[(String, f64)]) {
    let api = server.api();
    let history = api.all("/twins/sensor/history?name=temperature&limit=1000");
    assert_eq!(history.len(), rows.len());
    for (item, (time, value)) in history.iter().zip(rows) {
        assert_eq!(item["at"].as_str().unwrap(), time.replace('Z', ".000Z"));
        assert_eq!(item["value"].as_f64(), Some(*value), "{time}");
    }
    for (every, expected) in [("1h", buckets(rows, 13, ":00:00.000Z")), ("1d", buckets(rows, 10, "T00:00:00.000Z"))] {
        let found = api.all(&format!("/twins/sensor/history?name=temperature&every={every}&agg=avg,min,max,count&limit=1000"));
        assert_eq!(found.len(), expected.len(), "{every}");
        for (bucket, (at, (avg, least, greatest, count))) in found.iter().zip(expected) {
            assert_eq!(bucket["at"], at);
            assert_eq!(
                (bucket["min"].as_f64(), bucket["max"].as_f64(), bucket["count"].as_u64()),
                (Some(least), Some(greatest), Some(count))
            );
            assert!((bucket["avg"].as_f64().unwrap() - avg).abs() < 1e-9, "{bucket}");
        }
    }
    let (last_at, last) = rows.last().unwrap();
    for place in ["room", "floor", "site"] {
        let fold = || api.twin(place)["rollups"]["values"]["temperature"].clone();
        until(&format!("{place} holds the last value"), || fold()["last"].as_f64() == Some(*last));
        assert_eq!(fold()["last_at"], Value::from(last_at.replace('Z', ".000Z")));
        assert_eq!(fold()["count"], 1);
    }
    assert_eq!(api.twin("sensor")["telemetry"]["temperature"]["value"].as_f64(), Some(*last));
}

#[test]
fn ten_months_of_an_office_come_back_exactly_and_outlive_a_crash() {
    let Some(rows) = data() else {
        return skip("real_data", "../shared/data/ambient_temperature.csv is missing");
    };
    assert_eq!(rows.len(), ROWS);
    let server = Server::start();
    server.place("site", "Site", None);
    server.place("floor", "Floor", Some("site"));
    server.place("room", "Room", Some("floor"));
    let key = server.device_in("sensor", "room");
    let more = ["-V", "mqttv5", "-q", "1", "-t", "devices/sensor/telemetry"];
    let Some(command) = mosquitto("mosquitto_pub", &server, "sensor", &key, &more) else {
        return skip("real_data", "mosquitto_pub is missing; ./test installs it");
    };
    let output = publish_lines(command, rows.iter().map(|(time, value)| json!({"at": time, "values": {"temperature": value}}).to_string()));
    assert!(output.status.success(), "{output:?}");
    check(&server, &rows);
    let server = server.restart_after_kill_9();
    check(&server, &rows);
    let server = server.restart();
    check(&server, &rows);
}

/// The labelled faults of the data set.
const FAULTS: [(&str, &str); 2] =
    [("2013-12-15T07:00:00.000Z", "2013-12-30T09:00:00.000Z"), ("2014-03-29T15:00:00.000Z", "2014-04-20T22:00:00.000Z")];

/// When it was raised and cleared, with what it said, oldest first.
fn told(alerts: &[Value]) -> Vec<(Value, Value, Value, Value)> {
    let mut told: Vec<_> =
        alerts.iter().map(|a| (a["raised_at"].clone(), a["cleared_at"].clone(), a["severity"].clone(), a["text"].clone())).collect();
    told.sort_by_key(|(raised_at, ..)| raised_at.to_string());
    told
}

#[test]
fn a_rule_finds_both_faults_of_an_office_and_its_trial_says_the_same() {
    let Some(rows) = data() else {
        return skip("real_data", "../shared/data/ambient_temperature.csv is missing");
    };
    let server = Server::start();
    let api = server.api();
    let mut device = server.connected("sensor");
    // As docs/rules.md writes it.
    let rule = json!({
        "id": "air-conditioning", "model": "Device",
        "when": "avg(temperature, 1d) > 80 || avg(temperature, 1d) < 60",
        "clear": "avg(temperature, 1d) < 78 && avg(temperature, 1d) > 62",
        "actions": [{"alert": {"severity": "warning", "text": "{avg(temperature, 1d)} °F on average over a day"}}],
    });
    api.post("/rules", rule.clone()).expect(201);
    for (time, value) in &rows {
        device.say("devices/sensor/telemetry", json!({"at": time, "values": {"temperature": value}}).to_string());
    }
    let alerts = api.all("/alerts");
    let raised: Vec<&str> = alerts.iter().map(|a| a["raised_at"].as_str().unwrap()).collect();
    for (from, to) in FAULTS {
        assert!(raised.iter().any(|at| (from..=to).contains(at)), "no alert between {from} and {to}: {raised:?}");
    }
    let outside = raised.iter().filter(|at| !FAULTS.iter().any(|(from, to)| (*from..=*to).contains(*at))).count();
    assert!(outside <= 3, "{outside} alerts outside the faults: {raised:?}");
    for known in [json!("air-conditioning"), rule] {
        let trial = api.post("/rules/test", json!({"rule": known, "twin": "sensor"})).expect(200);
        assert_eq!(trial["records"], ROWS);
        assert_eq!(told(trial["items"].as_array().unwrap()), told(&alerts));
    }
    // Within a span the windows are warm from before it.
    let (from, to) = FAULTS[1];
    let part = api.post("/rules/test", json!({"rule": "air-conditioning", "twin": "sensor", "from": from, "to": to})).expect(200);
    let within: Vec<Value> = alerts.iter().filter(|a| (from..to).contains(&a["raised_at"].as_str().unwrap())).cloned().collect();
    assert_eq!(told(part["items"].as_array().unwrap()), told(&within));
}
