//! What one simulated device is and says: its settings, its readings, its answers to commands. No network here.

use serde_json::{Value, json};

use super::{
    campus::{Device, Kind},
    rhythm::{self, Moment},
};

/// Above this a thermostat raises its alarm; it ends a degree below.
const OVERHEATED: f64 = 29.0;

/// A device's own memory.
#[derive(Debug)]
pub struct State {
    pub device: Device,
    target: f64,
    light_forced: Option<bool>,
    lock_forced: Option<bool>,
    is_alarmed: bool,
    energy_kwh: f64,
    reported: Value,
}

/// Something to publish, below `devices/{id}/`.
#[derive(Debug, PartialEq)]
pub struct Message {
    pub topic: String,
    pub payload: Value,
}

fn message(topic: impl Into<String>, payload: Value) -> Message {
    Message { topic: topic.into(), payload }
}

impl State {
    pub fn new(device: Device) -> Self {
        Self { device, target: 21.0, light_forced: None, lock_forced: None, is_alarmed: false, energy_kwh: 0.0, reported: Value::Null }
    }

    /// What it says now: a reading, reported properties when they changed, an alarm when one begins or ends.
    pub fn speak(&mut self, moment: Moment) -> Vec<Message> {
        let seen = match rhythm::stuck_since(self.device, moment.elapsed) {
            Some(since) => Moment { elapsed: since, ..moment },
            None => moment,
        };
        let reading = self.reading(seen);
        let mut messages = vec![message("telemetry", reading.clone())];
        messages.extend(self.alarm(&reading));
        messages.extend(self.report(moment));
        messages
    }

    fn reading(&mut self, moment: Moment) -> Value {
        let (room, hour) = (self.device.room, moment.hour());
        let people = rhythm::occupants(room, hour);
        match self.device.kind {
            Kind::Thermostat => {
                let temperature = rhythm::temperature(room, moment, self.target);
                let valve = ((self.target - temperature) * 40.0 + 30.0).clamp(0.0, 100.0);
                json!({"temperature": round(temperature, 2), "humidity": round(38.0 + 2.0 * f64::from(people).sqrt(), 1), "valve": round(valve, 0)})
            }
            Kind::AirQuality => json!({"co2": round(rhythm::co2(room, moment), 0), "battery": self.battery(moment)}),
            Kind::Light => {
                let power = if self.light_is_on(people) { 42.0 + 3.0 * rhythm::unit(room as u64, moment.elapsed.as_secs()) } else { 0.4 };
                self.energy_kwh += power / 1000.0 * (self.device.kind.period_ms() as f64 / 3.6e6) * (86_400.0 / moment.day.as_secs_f64());
                json!({"power": round(power, 1), "energy": round(self.energy_kwh, 4)})
            }
            Kind::Lock => json!({"battery": self.battery(moment)}),
            Kind::Occupancy => json!({"people": people, "motion": people > 0}),
        }
    }

    fn battery(&self, moment: Moment) -> f64 {
        let full = 70.0 + 30.0 * rhythm::unit(self.device.index() as u64, 5);
        round((full - moment.elapsed.as_secs_f64() / 3600.0).max(1.0), 1)
    }

    fn light_is_on(&self, people: u32) -> bool {
        self.light_forced.unwrap_or(people > 0)
    }

    fn is_locked(&self, moment: Moment) -> bool {
        self.lock_forced.unwrap_or(!(6.5..20.0).contains(&moment.hour()))
    }

    fn alarm(&mut self, reading: &Value) -> Option<Message> {
        let temperature = reading.get("temperature")?.as_f64()?;
        let was = self.is_alarmed;
        self.is_alarmed = if was { temperature > OVERHEATED - 1.0 } else { temperature > OVERHEATED };
        match (was, self.is_alarmed) {
            (false, true) => Some(message(
                "events/alarm",
                json!({
                    "name": "overheated", "severity": "critical", "text": format!("{temperature} °C, more than {OVERHEATED}"),
                }),
            )),
            (true, false) => Some(message("events/alarm-cleared", json!({"name": "overheated"}))),
            _ => None,
        }
    }

    /// The properties as a merge patch, when they are not as last reported.
    fn report(&mut self, moment: Moment) -> Option<Message> {
        let now = match self.device.kind {
            Kind::Thermostat => json!({"target": self.target, "alarm": self.is_alarmed}),
            Kind::Light => json!({"on": self.light_is_on(rhythm::occupants(self.device.room, moment.hour()))}),
            Kind::Lock => json!({"locked": self.is_locked(moment)}),
            Kind::AirQuality | Kind::Occupancy => json!({"firmware": "1.4.2"}),
        };
        if now == self.reported {
            return None;
        }
        self.reported = now.clone();
        Some(message("reported", now))
    }

    /// Carries out a command; the answer.
    pub fn obey(&mut self, name: &str, payload: &Value) -> Value {
        match (self.device.kind, name) {
            (_, "identify") => answer(200, json!({"kind": self.device.kind.name(), "room": self.device.room + 1})),
            (Kind::Thermostat, "set_target") => self.set_target(payload.get("celsius")),
            (Kind::Light, "switch") => match payload.get("on").and_then(Value::as_bool) {
                Some(on) => {
                    self.light_forced = Some(on);
                    answer(200, json!({"on": on}))
                }
                None => answer(400, json!({"error": "needs {\"on\": true or false}"})),
            },
            (Kind::Lock, "lock" | "unlock") => {
                self.lock_forced = Some(name == "lock");
                answer(200, json!({"locked": name == "lock"}))
            }
            _ => answer(404, json!({"error": format!("a {} has no command {name}", self.device.kind.name())})),
        }
    }

    /// Takes what people want it to be.
    pub fn desire(&mut self, desired: &Value) {
        if self.device.kind == Kind::Thermostat && desired.get("target").is_some() {
            self.set_target(desired.get("target"));
        }
    }

    fn set_target(&mut self, celsius: Option<&Value>) -> Value {
        match celsius.and_then(Value::as_f64).filter(|c| (5.0..=30.0).contains(c)) {
            Some(celsius) => {
                self.target = celsius;
                answer(200, json!({"target": celsius}))
            }
            None => answer(400, json!({"error": "needs a temperature from 5 to 30 degrees Celsius"})),
        }
    }
}

fn answer(status: u16, payload: Value) -> Value {
    json!({"status": status, "payload": payload})
}

fn round(number: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (number * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment { elapsed: Duration::from_secs(seconds), day: Duration::from_secs(600) }
    }

    #[test]
    fn a_thermostat_obeys_and_reports_what_it_was_told() {
        let mut state = State::new(Device { room: 0, kind: Kind::Thermostat });
        assert_eq!(state.speak(at(0)).len(), 2);
        assert_eq!(state.speak(at(1)).len(), 1);
        assert_eq!(state.obey("set_target", &json!({"celsius": 19})), json!({"status": 200, "payload": {"target": 19.0}}));
        assert!(state.speak(at(2)).contains(&message("reported", json!({"target": 19.0, "alarm": false}))));
        assert_eq!(state.obey("set_target", &json!({"celsius": 90}))["status"], 400);
        assert_eq!(state.obey("dance", &Value::Null)["status"], 404);
        state.desire(&json!({"target": 23.5, "$version": 2}));
        assert!(state.speak(at(4)).contains(&message("reported", json!({"target": 23.5, "alarm": false}))));
    }

    #[test]
    fn an_overheating_room_raises_one_alarm_and_ends_it() {
        let room = (0..super::super::campus::ROOMS).find(|room| rhythm::excess_heat(*room, Duration::from_secs(45)) > 10.0).unwrap();
        let mut state = State::new(Device { room, kind: Kind::Thermostat });
        let said: Vec<String> =
            (0..90).step_by(2).flat_map(|s| state.speak(at(s))).map(|m| m.topic).filter(|t| t.starts_with("events/")).collect();
        assert_eq!(said, ["events/alarm", "events/alarm-cleared"]);
    }

    #[test]
    fn a_stuck_sensor_repeats_itself() {
        let elapsed = Duration::from_secs(60);
        let device = Device::all().find(|d| rhythm::stuck_since(*d, elapsed).is_some()).unwrap();
        let mut state = State::new(device);
        let co2 = |messages: Vec<Message>| messages[0].payload["co2"].clone();
        assert_eq!(co2(state.speak(at(30))), co2(state.speak(at(110))));
    }
}
