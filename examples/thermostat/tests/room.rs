//! A room, its thermostats and its fan.

use thermostat::{Room, Thermostat};
use twinfold::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A floor with a room of two thermostats and a fan.
fn floor() -> TreeTestKit {
    let mut floor = TreeTestKit::new().with::<Thermostat>().with::<Room>();
    floor.add("floor", "Floor", None).add("room", "Room", Some("floor"));
    for thermostat in ["t1", "t2"] {
        floor.add(thermostat, Thermostat::MODEL, Some("room"));
    }
    floor.add("fan", "Device", Some("room")).metadata("room", json!({"fan": "fan"}));
    floor
}

/// What the fan was told, oldest first.
fn told(floor: &TreeTestKit) -> Vec<Value> {
    floor.inbox("fan").into_iter().map(|command| command.payload).collect()
}

#[test]
fn the_fan_follows_what_the_thermostats_come_to() {
    let mut floor = floor();
    floor.telemetry("t1", json!({"temperature": 22.0})).telemetry("t2", json!({"temperature": 23.0}));
    assert_eq!(told(&floor), Vec::<Value>::new(), "22.5 °C in the mean is fine");

    floor.telemetry("t1", json!({"temperature": 25.0}));
    assert_eq!(told(&floor), [json!({"level": 1})]);

    floor.telemetry("t1", json!({"temperature": 21.0})).telemetry("t2", json!({"temperature": 21.0}));
    assert_eq!(told(&floor), [json!({"level": 1}), json!({"level": 0})]);
}

#[test]
fn a_thermostat_that_is_too_hot_gets_air_for_ten_minutes() {
    let mut floor = floor();
    floor.telemetry("t1", json!({"temperature": 31.0}));
    assert_eq!(told(&floor).last(), Some(&json!({"level": 2})));
    floor.expect_alert("t1", "too-hot");

    floor.telemetry("t1", json!({"temperature": 20.0})).advance(9 * MINUTE);
    assert!(floor.effects_of("room").is_empty(), "it was asked for air, so it goes on");
    floor.advance(MINUTE);
    let stop = floor.effects_of("room").into_iter().find(|effect| matches!(effect, Effect::Command { .. }));
    assert!(matches!(stop, Some(Effect::Command { to, payload, .. }) if to == "fan" && payload == json!({"level": 0})));
}

#[test]
fn a_room_says_no_to_what_it_cannot_do() {
    let mut floor = floor();
    let refused = floor.command("room", "ventilate", json!({"level": 9}));
    assert_eq!((refused.state, refused.status), (CommandState::Failed, Some(422)));
    assert_eq!(floor.command("room", "dance", json!({})).status, Some(404));
    assert_eq!(floor.command("room", "ventilate", json!({"level": 1})).state, CommandState::Completed);
}

#[test]
fn silent_thermostats_move_nobody() {
    let mut floor = floor();
    floor.telemetry("t1", json!({"temperature": 19.0})).advance(20 * MINUTE);
    assert_eq!((floor.below("room").stale(), floor.below("room").avg("temperature")), (1, None));
    assert_eq!(told(&floor), Vec::<Value>::new());
}
