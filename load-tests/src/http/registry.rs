//! Registers twins over HTTP, many at once: each registration is durable, and those that wait together share a sync.

use std::{cell::Cell, rc::Rc};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Client;
use crate::{Result, peer::Running};

/// Keep-alive connections that register.
pub const CALLERS: usize = 64;
/// Digits of the number in a twin's id, so that a message for another device is made by patching them.
pub const NUMBER_DIGITS: usize = 7;

/// Who may connect. A peer without twins lets everybody in.
#[derive(Debug, Clone)]
pub struct Device {
    pub id: String,
    pub key: Option<String>,
}

/// The id of a numbered twin.
pub fn id(prefix: &str, number: usize) -> String {
    format!("{prefix}-{number:0NUMBER_DIGITS$}")
}

/// Devices without parent that may connect.
pub async fn devices(server: &Running, prefix: &'static str, count: usize) -> Result<Vec<Device>> {
    devices_as(server, prefix, count, |_| json!({"model": "Device"})).await
}

/// Devices that are registered with these members.
pub async fn devices_as(
    server: &Running,
    prefix: &'static str,
    count: usize,
    with: impl Fn(usize) -> Value + 'static,
) -> Result<Vec<Device>> {
    if !server.kind.has_twins() {
        return Ok((0..count).map(|n| Device { id: id(prefix, n), key: None }).collect());
    }
    let with = move |n| {
        let mut body = with(n);
        body["id"] = id(prefix, n).into();
        body
    };
    let mut devices = register(server, count, with).await?;
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(devices)
}

/// Registers `count` twins as `body` says and gives back their ids and first keys, in no order.
pub async fn register(server: &Running, count: usize, body: impl Fn(usize) -> Value + 'static) -> Result<Vec<Device>> {
    let bar = ProgressBar::new(count as u64).with_message("registering");
    let (next, body) = (Rc::new(Cell::new(0)), Rc::new(body));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS.min(count) {
        let (mut client, next, body, bar) = (Client::open(server).await?, next.clone(), body.clone(), bar.clone());
        callers.spawn_local(async move {
            let mut done = Vec::with_capacity(count / CALLERS + 1);
            while next.get() < count {
                let body = body(next.replace(next.get() + 1));
                done.push(one(&mut client, &body).await.map_err(|e| e.to_string())?);
                bar.inc(1);
            }
            Ok::<_, String>(done)
        });
    }
    let mut devices = Vec::with_capacity(count);
    while let Some(done) = callers.join_next().await {
        devices.extend(done??);
    }
    bar.finish_and_clear();
    Ok(devices)
}

async fn one(client: &mut Client, body: &Value) -> Result<Device> {
    let status = client.post("/twins", &body.to_string()).await?;
    let answer: Value = serde_json::from_slice(client.body()).unwrap_or_default();
    match (answer["id"].as_str(), answer["keys"]["primary"].as_str()) {
        (Some(id), Some(key)) if status == 201 => Ok(Device { id: id.to_owned(), key: Some(key.to_owned()) }),
        _ => Err(format!("registering {body}: {status} {}", client.text()).into()),
    }
}
