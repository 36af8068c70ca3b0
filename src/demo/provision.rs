//! Registers the campus through the HTTP API, as a person's script would. On data of an earlier demonstration the twins
//! are there already: then each device is given new keys, as nobody has kept the old ones.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use serde_json::{Value, json};

use super::campus::{Device, FLOORS, Kind, ROOMS, ROOMS_PER_FLOOR, SITE, floor_id, room_id};
use crate::client::http::{Api, ClientError};

const PARALLEL: usize = 8;
const ALREADY_REGISTERED: Option<u16> = Some(409);

/// A device and what it logs in with.
#[derive(Clone)]
pub struct Credentials {
    pub device: Device,
    pub key: String,
}

/// Makes sure that the whole campus is registered; how many twins are new, and all devices' keys.
pub fn campus(api: &Api) -> Result<(usize, Vec<Credentials>), ClientError> {
    let mut made = usize::from(place(api, SITE, "Site", None, json!({"name": "Example campus"}))?);
    for floor in 0..FLOORS {
        made += usize::from(place(api, &floor_id(floor), "Floor", Some(SITE), json!({"level": floor}))?);
    }
    let made_rooms = in_parallel((0..ROOMS).collect(), |room| {
        let metadata = json!({"seats": 8, "use": if room % 5 == 0 { "meeting" } else { "office" }});
        place(api, &room_id(room), "Room", Some(&floor_id(room / ROOMS_PER_FLOOR)), metadata)
    })?;
    let devices = in_parallel(Device::all().collect(), |device| credentials(api, device))?;
    made += made_rooms.iter().filter(|new| **new).count() + devices.iter().filter(|(new, _)| *new).count();
    Ok((made, devices.into_iter().map(|(_, credentials)| credentials).collect()))
}

/// Whether it is new.
fn place(api: &Api, id: &str, model: &str, parent: Option<&str>, metadata: Value) -> Result<bool, ClientError> {
    register(api, &json!({"id": id, "model": model, "parent": parent, "metadata": metadata})).map(|answer| answer.is_some())
}

fn credentials(api: &Api, device: Device) -> Result<(bool, Credentials), ClientError> {
    let id = device.id();
    let body = json!({
        "id": id,
        "model": "Device",
        "parent": room_id(device.room),
        "metadata": {"kind": device.kind.name(), "maker": maker(device.kind), "demo": true},
    });
    let registered = register(api, &body)?;
    let is_new = registered.is_some();
    let answer = match registered {
        Some(answer) => answer,
        None => api.post(&format!("/twins/{id}/credentials/reset"), &json!({}))?,
    };
    let key = answer.pointer("/keys/primary").and_then(Value::as_str).map(str::to_owned);
    let key = key.ok_or_else(|| ClientError::Usage(format!("the server gave no key for {id}")))?;
    Ok((is_new, Credentials { device, key }))
}

/// `None` when it was registered before.
fn register(api: &Api, body: &Value) -> Result<Option<Value>, ClientError> {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    match api.post("/twins", &body) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.status() == ALREADY_REGISTERED => Ok(None),
        Err(error) => Err(error),
    }
}

fn maker(kind: Kind) -> &'static str {
    match kind {
        Kind::Thermostat => "Warmwell",
        Kind::AirQuality => "Clearair",
        Kind::Light => "Lumo",
        Kind::Lock => "Keyhold",
        Kind::Occupancy => "Whoson",
    }
}

/// Calls `work` for each item on a few threads; the answers in the items' order, or the first error.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> Result<R, ClientError> + Sync) -> Result<Vec<R>, ClientError> {
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || -> Result<Vec<(usize, R)>, ClientError> {
        let mut done = Vec::new();
        while let Some((n, item)) = next() {
            done.push((n, work(item)?));
        }
        Ok(done)
    };
    let mut done = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(run)).collect();
        for worker in workers {
            let part = worker.join().unwrap_or_else(|_| Err(ClientError::Usage("a worker died".into())));
            done.extend(part?);
        }
        Ok(())
    })?;
    done.sort_by_key(|(n, _)| *n);
    Ok(done.into_iter().map(|(_, answer)| answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_done_side_by_side_keeps_its_order_and_tells_an_error() {
        assert_eq!(in_parallel((0..100).collect(), |n| Ok(n * 2)).unwrap(), (0..100).map(|n| n * 2).collect::<Vec<_>>());
        let failed = in_parallel(vec![1, 2, 3], |n| if n == 2 { Err(ClientError::Usage("two".into())) } else { Ok(n) });
        assert_eq!(failed.unwrap_err().to_string(), "two");
    }
}
