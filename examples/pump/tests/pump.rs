//! A pump that wears out, and its neighbours.

use pump::{LIMIT, Pump};
use twinfold::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A station of three pumps; the first names the others as its neighbours.
fn station() -> TreeTestKit {
    let mut station = TreeTestKit::new().with::<Pump>();
    station.add("station", "Building", None);
    for pump in ["p1", "p2", "p3"] {
        station.add(pump, Pump::MODEL, Some("station"));
    }
    station.metadata("p1", json!({"neighbours": ["p2", "p3"]})).metadata("p2", json!({"neighbours": ["p1"]}));
    station
}

/// `hours` of vibration that begin at `from` mm/s and grow by `rise` an hour.
fn wear(station: &mut TreeTestKit, pump: &str, from: f64, rise: f64, hours: u32) {
    for hour in 0..hours {
        station.telemetry(pump, json!({"vibration": from + rise * f64::from(hour)})).advance(HOUR);
    }
}

#[test]
fn a_pump_that_wears_asks_for_maintenance_before_it_fails() {
    let mut kit = TwinTestKit::of::<Pump>("p1");
    let mut vibration = 2.0;
    while kit.alerts().is_empty() {
        kit.advance(HOUR).telemetry(json!({"vibration": vibration}));
        vibration += 0.04;
    }
    assert!(vibration < LIMIT - 2.0, "it asks at {vibration} mm/s, days before it reaches {LIMIT}");
    let hours = kit.expect_event("maintenance-requested")["hours"].as_f64().unwrap();
    let truly = (LIMIT - vibration) / 0.04;
    assert!((hours - truly).abs() <= 2.0, "it says {hours} hours, and it is {truly}");
}

#[test]
fn a_pump_that_runs_evenly_asks_for_nothing() {
    let mut station = station();
    wear(&mut station, "p1", 4.0, 0.0, 48);
    wear(&mut station, "p2", 4.0, -0.02, 48);
    station.expect_no_alert("p1", "maintenance");
    station.expect_no_alert("p2", "maintenance");
}

#[test]
fn its_neighbours_take_over_but_for_one_that_wears_out_itself() {
    let mut station = station();
    wear(&mut station, "p2", 5.0, 0.1, 8);
    station.expect_alert("p2", "maintenance");
    assert_eq!(station.expect_waiting("p1", "take-over").payload, json!({"from": "p2"}));

    wear(&mut station, "p1", 5.0, 0.1, 8);
    station.expect_alert("p1", "maintenance");
    assert_eq!(station.expect_waiting("p3", "take-over").payload, json!({"from": "p1"}));
    assert!(station.inbox("p2").is_empty(), "p2 has said no");
}

#[test]
fn a_service_starts_all_over() {
    let mut station = station();
    wear(&mut station, "p1", 5.0, 0.1, 8);
    station.event("p1", "serviced", json!({}));
    station.expect_no_alert("p1", "maintenance");
    wear(&mut station, "p1", 2.0, 0.0, 8);
    station.expect_no_alert("p1", "maintenance");
}

#[test]
fn a_pump_at_its_limit_says_so_at_once() {
    let mut kit = TwinTestKit::of::<Pump>("p1");
    kit.telemetry(json!({"vibration": 7.5}));
    assert_eq!(kit.expect_alert("vibration").severity, Severity::Critical);
}
