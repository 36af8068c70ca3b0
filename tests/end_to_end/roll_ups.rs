//! What a room, a floor and a site know of everything below them.

use crate::{
    campus,
    support::{Client, Connect, Server, Value, json, until},
};

fn rollup(server: &Server, id: &str) -> Value {
    server.api().twin(id)["rollups"].clone()
}

/// A campus with a device in each room, both connected.
fn two_rooms(settings: &[(&str, &str)]) -> (Server, Client, Client) {
    let server = Server::with(settings);
    campus::build(&server);
    let keys = [server.device_in("d1", "room-1"), server.device_in("d2", "room-2")];
    let one = Connect::v5("d1", &keys[0]).open(server.mqtt);
    let two = Connect::v5("d2", &keys[1]).open(server.mqtt);
    (server, one, two)
}

#[test]
fn every_level_folds_the_values_below_it() {
    let (server, mut one, mut two) = two_rooms(&[]);
    one.say("devices/d1/telemetry", r#"{"temperature": 20}"#);
    two.say("devices/d2/telemetry", r#"{"temperature": 23, "humidity": 40}"#);
    until("the site has both", || rollup(&server, "site")["values"]["temperature"]["count"] == 2);
    for place in ["site", "floor"] {
        let values = rollup(&server, place)["values"].clone();
        let temperature = &values["temperature"];
        let figures = ["avg", "min", "max", "sum"].map(|f| temperature[f].as_f64().unwrap());
        assert_eq!(figures, [21.5, 20.0, 23.0, 43.0], "{place}");
        assert_eq!(values["humidity"]["count"], 1);
    }
    assert_eq!(rollup(&server, "room-1")["values"]["temperature"]["avg"], 20.0);
    assert_eq!(rollup(&server, "room-2")["values"]["temperature"]["avg"], 23.0);
}

#[test]
fn a_new_reading_takes_the_place_of_the_old_one() {
    let (server, mut one, mut two) = two_rooms(&[]);
    two.say("devices/d2/telemetry", r#"{"temperature": 10}"#);
    for n in 0..50 {
        one.say("devices/d1/telemetry", format!(r#"{{"temperature": {n}}}"#));
    }
    let figures = || {
        let temperature = rollup(&server, "site")["values"]["temperature"].clone();
        (temperature["count"].as_u64(), temperature["sum"].as_f64(), temperature["max"].as_f64(), temperature["last"].as_f64())
    };
    // The rooms pass their figures on each at its own tick.
    until("the last value of both arrives", || figures() == (Some(2), Some(59.0), Some(49.0), Some(49.0)));
}

#[test]
fn a_wild_reading_leaves_no_trace_once_it_is_replaced() {
    let (server, mut one, mut two) = two_rooms(&[]);
    two.say("devices/d2/telemetry", r#"{"temperature": 20}"#);
    one.say("devices/d1/telemetry", r#"{"temperature": 1e300}"#);
    until("the wild one arrives", || rollup(&server, "site")["values"]["temperature"]["max"] == 1e300);
    one.say("devices/d1/telemetry", r#"{"temperature": 22}"#);
    until("the average is sane again", || rollup(&server, "site")["values"]["temperature"]["avg"] == 21.0);
}

#[test]
fn devices_and_connections_are_counted() {
    let (server, one, _two) = two_rooms(&[]);
    until("both connected", || rollup(&server, "site")["connected"] == 2);
    assert_eq!(rollup(&server, "site")["count"], 2, "places are no devices");
    assert_eq!(rollup(&server, "room-1")["count"], 1);
    one.goodbye();
    until("one left", || rollup(&server, "site")["connected"] == 1);
    until("its room is empty", || rollup(&server, "room-1")["connected"] == 0);
    assert_eq!(rollup(&server, "site")["count"], 2);
}

#[test]
fn a_silent_device_goes_stale_and_its_values_are_left_out() {
    let (server, mut one, mut two) = two_rooms(&[("ROLLUP__STALE_AFTER", "2s"), ("ROLLUP__TICK", "50ms")]);
    one.say("devices/d1/telemetry", r#"{"temperature": 20}"#);
    until("one goes stale while the other speaks", || {
        two.say("devices/d2/telemetry", r#"{"temperature": 30}"#);
        let site = rollup(&server, "site");
        site["stale"] == 1 && site["values"]["temperature"]["count"] == 1
    });
    assert_eq!(rollup(&server, "site")["values"]["temperature"]["avg"], 30.0);
    assert_eq!(rollup(&server, "site")["count"], 2);
    until("it speaks again", || {
        one.say("devices/d1/telemetry", r#"{"temperature": 20}"#);
        two.say("devices/d2/telemetry", r#"{"temperature": 30}"#);
        let site = rollup(&server, "site");
        site["stale"] == 0 && site["values"]["temperature"]["avg"] == 25.0
    });
}

#[test]
fn a_room_that_moves_takes_its_figures_along() {
    let (server, mut one, mut two) = two_rooms(&[]);
    server.place("annex", "Site", None);
    one.say("devices/d1/telemetry", r#"{"temperature": 20}"#);
    two.say("devices/d2/telemetry", r#"{"temperature": 30}"#);
    until("the site has both", || rollup(&server, "site")["values"]["temperature"]["count"] == 2);
    server.api().patch("/twins/room-1", json!({"parent": "annex"})).expect(200);
    until("the annex has one", || rollup(&server, "annex")["values"]["temperature"]["avg"] == 20.0);
    until("the site has the other", || rollup(&server, "site")["values"]["temperature"]["avg"] == 30.0);
    assert_eq!((&rollup(&server, "site")["count"], &rollup(&server, "annex")["count"]), (&json!(1), &json!(1)));
}

#[test]
fn a_removed_device_leaves_the_figures() {
    let (server, mut one, mut two) = two_rooms(&[]);
    one.say("devices/d1/telemetry", r#"{"temperature": 20}"#);
    two.say("devices/d2/telemetry", r#"{"temperature": 30}"#);
    until("the site has both", || rollup(&server, "site")["values"]["temperature"]["count"] == 2);
    server.api().delete("/twins/d1");
    until("one is left", || rollup(&server, "site")["values"]["temperature"]["avg"] == 30.0);
    until("and one is counted", || rollup(&server, "site")["count"] == 1);
}

#[test]
fn texts_and_switches_are_not_folded() {
    let (server, mut one, _two) = two_rooms(&[]);
    one.say("devices/d1/telemetry", r#"{"mode": "eco", "open": true, "temperature": 1}"#);
    until("the number arrives", || rollup(&server, "site")["values"]["temperature"]["count"] == 1);
    assert_eq!(rollup(&server, "site")["values"].as_object().unwrap().len(), 1);
}

#[test]
fn a_storm_below_leaves_the_root_calm_and_right() {
    let (server, mut one, _two) = two_rooms(&[]);
    let mut ids = Vec::new();
    for n in 0..2000 {
        ids.push(one.send(crate::support::mqtt::Publish::new("devices/d1/telemetry", 1, format!(r#"{{"n": {n}}}"#))));
        if ids.len() == 16 {
            ids.drain(..).for_each(|id| assert_eq!(one.puback(id).0, 0));
        }
    }
    until("the site has the last", || rollup(&server, "site")["values"]["n"]["last"] == 1999.0);
    assert_eq!(rollup(&server, "site")["values"]["n"]["count"], 1);
}

/// Puts definitions on a twin.
fn define(server: &Server, twin: &str, definitions: Value) {
    server.api().call("PUT", &format!("/twins/{twin}/rollups"), &[], Some(definitions.to_string())).expect(200);
}

#[test]
fn what_a_site_defines_follows_its_devices_and_outlives_a_crash() {
    let server = Server::start();
    campus::build(&server);
    let keys = [server.device_in("d1", "room-1"), server.device_in("d2", "room-2")];
    let mut one = Connect::v5("d1", &keys[0]).open(server.mqtt);
    let mut two = Connect::v5("d2", &keys[1]).open(server.mqtt);
    one.say("devices/d1/telemetry", r#"{"power": 20, "mode": "eco"}"#);
    define(&server, "room-1", json!({"power": "sum(children.power)"}));
    define(&server, "floor", json!({"rooms": "sum(children.power)"}));
    define(
        &server,
        "site",
        json!({
            "load": "sum(devices.power)",
            "p95": "percentile(devices.power, 95)",
            "economical": "count(devices where mode == \"eco\")",
            "offline": "count(where status == \"offline\")",
        }),
    );
    two.say("devices/d2/telemetry", r#"{"power": 30, "mode": "full"}"#);
    let defined = |server: &Server, twin: &str, name: &str| rollup(server, twin)["defined"][name].clone();
    until("the site has both", || defined(&server, "site", "load") == json!({"value": 50.0, "count": 2, "stale": 0}));
    until("the floor has the room that defines its power", || {
        defined(&server, "floor", "rooms") == json!({"value": 20.0, "count": 1, "stale": 0})
    });
    assert_eq!(defined(&server, "site", "economical")["value"], 1);
    assert_eq!(defined(&server, "site", "offline")["value"], 0);
    assert!((defined(&server, "site", "p95")["value"].as_f64().unwrap() - 30.0).abs() < 0.3);
    server.api().patch("/twins/room-2", json!({"parent": null})).expect(200);
    until("what moved away is gone", || defined(&server, "site", "load")["value"] == 20.0);
    server.api().patch("/twins/room-2", json!({"parent": "floor"})).expect(200);
    until("and comes back", || defined(&server, "site", "load")["value"] == 50.0);
    let server = server.kill_9().start();
    until("it is all there again", || {
        defined(&server, "site", "load")["value"] == 50.0 && defined(&server, "site", "offline")["value"] == 2
    });
    assert_eq!(server.api().get("/twins/floor/rollups").expect(200)["own"], json!({"rooms": "sum(children.power)"}));
}
