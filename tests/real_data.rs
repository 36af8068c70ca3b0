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
