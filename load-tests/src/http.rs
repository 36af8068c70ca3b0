//! Registers devices over HTTP, many at a time.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::{Result, peer::Device};

const CALLERS: usize = 16;

pub fn register(http: SocketAddr, admin: &str, prefix: &str, count: usize) -> Result<Vec<Device>> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let bar = ProgressBar::new(count as u64).with_message("registering");
    let failure = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| -> std::result::Result<(), String> {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            return Ok(());
                        }
                        let device = register_one(&agent, http, admin, format!("{prefix}-{n:06}")).map_err(|e| e.to_string())?;
                        done.lock().map_err(|e| e.to_string())?.push(device);
                        bar.inc(1);
                    }
                })
            })
            .collect();
        callers.into_iter().find_map(|caller| caller.join().unwrap_or_else(|_| Err("a caller panicked".into())).err())
    });
    bar.finish_and_clear();
    match failure {
        Some(why) => Err(why.into()),
        None => Ok(done.into_inner()?),
    }
}

fn register_one(agent: &ureq::Agent, http: SocketAddr, admin: &str, id: String) -> Result<Device> {
    let mut answer = agent
        .post(format!("http://{http}/api/v1/twins"))
        .header("authorization", format!("Bearer {admin}"))
        .header("content-type", "application/json")
        .send(json!({"id": id, "model": "Device"}).to_string())?;
    let text = answer.body_mut().read_to_string()?;
    let body: Value = serde_json::from_str(&text)?;
    let key = body["keys"]["primary"].as_str().ok_or_else(|| format!("{}: {text}", answer.status()))?;
    Ok(Device { id, key: Some(key.to_owned()) })
}
