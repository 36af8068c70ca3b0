//! What a thermostat does about heat.

use thermostat::Thermostat;
use twinfold::prelude::*;

#[test]
fn heat_raises_one_alert_and_asks_the_room_for_air() {
    let mut kit = TwinTestKit::of::<Thermostat>("t1").under("room");
    kit.telemetry(json!({"temperature": 31.0}));
    assert_eq!(kit.expect_alert("too-hot").details["limit"].as_f64(), Some(30.0));
    assert_eq!(kit.expect_command("room", "ventilate"), json!({"level": 2}));

    kit.telemetry(json!({"temperature": 32.0}));
    kit.expect_no_effects();
}

#[test]
fn the_alert_stands_until_it_is_a_degree_cooler() {
    let mut kit = TwinTestKit::of::<Thermostat>("t1").under("room");
    kit.telemetry(json!({"temperature": 31.0})).telemetry(json!({"temperature": 29.5}));
    kit.expect_alert("too-hot");
    kit.telemetry(json!({"temperature": 28.9}));
    kit.expect_no_alert("too-hot");
}

#[test]
fn a_reading_of_the_wrong_kind_is_an_error_that_names_it() {
    let mut kit = TwinTestKit::of::<Thermostat>("t1").under("room");
    let error = kit.try_telemetry(json!({"temperature": "warm"})).unwrap_err();
    assert_eq!(error.to_string(), r#"telemetry "temperature" is the text "warm", not a number"#);
    kit.expect_no_effects();
}

#[test]
fn a_restart_does_not_forget_the_alarm() {
    let mut kit = TwinTestKit::of::<Thermostat>("t1").under("room");
    kit.telemetry(json!({"temperature": 31.0})).down_for(Duration::from_secs(3600));
    kit.telemetry(json!({"temperature": 31.0}));
    kit.expect_no_effects();
}
