//! Which registrations are on their way, so that a child waits for a parent that stands before it in the file.
//!
//! Lines are handed out in the file's order and each waits only for earlier ones, so nobody waits in a circle.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// At most one entry a worker.
#[derive(Default)]
pub struct InFlight {
    entries: Mutex<Vec<(u64, String)>>,
    one_landed: Condvar,
}

impl InFlight {
    /// To be called in the order of the lines.
    pub fn take_off(&self, number: u64, body: &Value) {
        let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
        self.entries().push((number, id.to_owned()));
    }

    /// Waits until no earlier line registers the parent or the gateway of this one.
    pub fn wait_for_those_above(&self, number: u64, body: &Value) {
        let above: Vec<&str> = ["parent", "gateway"].iter().filter_map(|name| body.get(name)?.as_str()).collect();
        let blocks = |(other, id): &(u64, String)| *other < number && above.contains(&id.as_str());
        let entries = self.entries();
        drop(self.one_landed.wait_while(entries, |entries| entries.iter().any(blocks)));
    }

    pub fn land(&self, number: u64) {
        self.entries().retain(|(other, _)| *other != number);
        self.one_landed.notify_all();
    }

    fn entries(&self) -> MutexGuard<'_, Vec<(u64, String)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_child_waits_for_its_parent_and_only_for_it() {
        let in_flight = InFlight::default();
        let (room, device) = (json!({"id": "room"}), json!({"id": "device", "parent": "room"}));
        in_flight.take_off(1, &room);
        in_flight.take_off(2, &device);
        in_flight.wait_for_those_above(1, &room);
        thread::scope(|scope| {
            let (waited, hears) = mpsc::channel();
            let in_flight = &in_flight;
            scope.spawn(move || {
                in_flight.wait_for_those_above(2, &device);
                waited.send(()).unwrap();
            });
            assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
            in_flight.land(1);
            assert!(hears.recv_timeout(Duration::from_secs(10)).is_ok());
        });
    }

    #[test]
    fn nobody_waits_in_a_circle() {
        let in_flight = InFlight::default();
        let (a, b) = (json!({"id": "a", "parent": "b"}), json!({"id": "b", "parent": "b"}));
        in_flight.take_off(1, &a);
        in_flight.take_off(2, &b);
        in_flight.wait_for_those_above(1, &a);
        in_flight.wait_for_those_above(2, &b);
    }
}
