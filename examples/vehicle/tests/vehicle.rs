//! A vehicle on the road.

use twinfold::prelude::*;
use vehicle::{SILENCE, STOP, Vehicle};

const MINUTE: Duration = Duration::from_secs(60);

/// It drives north from `lat` 59 for so many minutes at 60 km/h, one reading a minute; then it stands.
fn drive(kit: &mut TwinTestKit<Vehicle>, minutes: u32) {
    for minute in 0..minutes {
        kit.advance(MINUTE).telemetry(json!({"speed": 60.0, "lat": 59.0 + f64::from(minute) / 111.2, "lon": 18.0}));
    }
    kit.advance(MINUTE).telemetry(json!({"speed": 0.0, "lat": 59.0 + f64::from(minutes) / 111.2, "lon": 18.0}));
}

#[test]
fn a_trip_ends_when_it_has_stood_for_five_minutes() {
    let mut kit = TwinTestKit::of::<Vehicle>("v1");
    drive(&mut kit, 30);
    kit.advance(STOP);
    assert_eq!(kit.expect_event("trip-ended"), json!({"km": 30.0, "minutes": 30}));
}

#[test]
fn a_red_light_does_not_end_a_trip() {
    let mut kit = TwinTestKit::of::<Vehicle>("v1");
    drive(&mut kit, 3);
    kit.advance(STOP - MINUTE).telemetry(json!({"speed": 30.0, "lat": 59.03, "lon": 18.0}));
    kit.advance(2 * MINUTE);
    kit.expect_no_effects();
}

#[test]
fn a_vehicle_that_falls_silent_on_the_road_is_missed() {
    let mut kit = TwinTestKit::of::<Vehicle>("v1");
    kit.telemetry(json!({"speed": 60.0, "lat": 59.0, "lon": 18.0})).advance(MINUTE);
    kit.telemetry(json!({"speed": 60.0, "lat": 59.01, "lon": 18.0})).advance(SILENCE);
    kit.expect_alert("silent");
    kit.telemetry(json!({"speed": 60.0, "lat": 59.1, "lon": 18.0}));
    kit.expect_no_alert("silent");
}

#[test]
fn a_vehicle_outside_its_fence_raises_one_alert() {
    let fence = json!({"fence": {"lat": 59.0, "lon": 18.0, "km": 5}});
    let mut kit = TwinTestKit::of::<Vehicle>("v1").with_metadata(fence);
    drive(&mut kit, 4);
    kit.expect_no_alert("outside-fence");
    drive(&mut kit, 9);
    assert_eq!(kit.expect_alert("outside-fence").count, 1);
    kit.advance(MINUTE).telemetry(json!({"speed": 10.0, "lat": 59.0, "lon": 18.0}));
    kit.expect_no_alert("outside-fence");
}

#[test]
fn hard_braking_is_told() {
    let mut kit = TwinTestKit::of::<Vehicle>("v1");
    let start = kit.now();
    let record = |seconds: u64, speed: f64| {
        let at = start.plus(Duration::from_secs(seconds));
        json!({"at": at, "values": {"speed": speed, "lat": 59.0, "lon": 18.0}})
    };
    kit.telemetry(json!([record(1, 60.0), record(2, 58.0)]));
    assert!(!kit.effects().iter().any(|effect| matches!(effect, Effect::Emitted { name, .. } if name == "hard-braking")));
    kit.telemetry(json!([record(3, 30.0), record(2, 90.0)]));
    assert_eq!(kit.expect_event("hard-braking"), json!({"from": 58.0, "to": 30.0}));
}
