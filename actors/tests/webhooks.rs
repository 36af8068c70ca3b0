//! Calls of webhooks against a server of the test's own: signed, repeated under one key, over restarts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    time::Duration,
};

use actors::{Settings, kind::Kinds};
use hierarchy_models::{
    Timestamp, Value,
    rule::{Action, Rule},
};
use world::*;

const SECRET: &str = "0123456789abcdef";

/// What one call brought.
struct Heard {
    head: String,
    body: Value,
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    fn state(&self) -> &str {
        self.body.get("state").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Answers with these statuses, then with 204 for ever.
fn server(statuses: Vec<u16>) -> (SocketAddr, mpsc::Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = mpsc::channel();
    let mut statuses = statuses.into_iter();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
            let (head, body) = loop {
                let read = socket.read(&mut chunk).unwrap_or(0);
                if read == 0 {
                    break (String::new(), Vec::new());
                }
                bytes.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some(end) = text.find("\r\n\r\n") else { continue };
                let length =
                    text.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap_or(0);
                if bytes.len() >= end + 4 + length {
                    break (text[..end].to_owned(), bytes[end + 4..].to_vec());
                }
            };
            let status = statuses.next().unwrap_or(204);
            let _ = socket.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
            let body = serde_json::from_slice(&body).unwrap_or_default();
            if tell.send(Heard { head, body }).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

async fn next(heard: &mpsc::Receiver<Heard>) -> Heard {
    loop {
        match heard.try_recv() {
            Ok(heard) => return heard,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn open() -> Settings {
    Settings { webhooks_allow_private: true, ..settings() }
}

fn rule(url: String) -> Rule {
    Rule {
        id: "hot".into(),
        description: String::new(),
        enabled: true,
        model: None,
        under: None,
        when: "t > 30".into(),
        clear: None,
        actions: vec![Action::Webhook { url, secret: Some(SECRET.into()) }],
        version: 1,
        created_at: Timestamp::EPOCH,
        changed_at: Timestamp::EPOCH,
    }
}

#[test]
fn a_call_is_signed_and_made_again_under_its_key_until_it_is_taken() {
    run(|| async {
        let (address, heard) = server(vec![500, 302]);
        let world = World::with(open(), Kinds::built_in()).await;
        world.building(&["a"]).await;
        world.twins.create_rule(rule(format!("http://{address}/hook?x=1"))).await.unwrap();
        let a = world.connect("a").await;
        a.telemetry(r#"{"t": 31}"#).await.unwrap();
        let first = next(&heard).await;
        assert!(first.head.starts_with("POST /hook?x=1 HTTP/1.1"), "{}", first.head);
        assert_eq!(first.state(), "raised");
        assert_eq!(first.body.get("values").unwrap().get("t").unwrap().as_f64(), Some(31.0));
        assert!(first.header("twinfold-signature").unwrap().starts_with("t=1767225600,v1="), "{}", first.head);
        let key = first.header("idempotency-key").unwrap().to_owned();
        assert_eq!(first.body.get("id").and_then(Value::as_str), Some(key.as_str()));
        for pause in [1, 2] {
            let again = loop {
                world.clock.advance(Duration::from_secs(pause));
                match heard.recv_timeout(Duration::from_millis(150)) {
                    Ok(again) => break again,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            assert_eq!((again.header("idempotency-key"), again.body.clone()), (Some(key.as_str()), first.body.clone()));
        }
        a.telemetry(r#"{"t": 1}"#).await.unwrap();
        let cleared = next(&heard).await;
        assert_eq!(cleared.state(), "cleared");
        assert_ne!(cleared.header("idempotency-key"), Some(key.as_str()));
    });
}

#[test]
fn a_call_outlives_a_crash_written_behind_or_not() {
    for flushed in [false, true] {
        run(|| async move {
            // Nobody listens there yet.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let dead = listener.local_addr().unwrap();
            drop(listener);
            let world = World::with(open(), Kinds::built_in()).await;
            world.building(&["a"]).await;
            world.twins.create_rule(rule(format!("http://{dead}/"))).await.unwrap();
            world.connect("a").await.telemetry(r#"{"t": 31}"#).await.unwrap();
            if flushed {
                world.twins.tick().await.unwrap();
            }
            let world = world.crash_with(open()).await;
            let (address, heard) = server(Vec::new());
            world.twins.change_rule("hot", None, |r| Ok(Rule { actions: rule(format!("http://{address}/")).actions, ..r })).await.unwrap();
            let call = loop {
                world.clock.advance(Duration::from_secs(1));
                match heard.try_recv() {
                    Ok(call) => break call,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            assert_eq!(call.state(), "raised", "flushed: {flushed}");
        });
    }
}

#[test]
fn an_address_of_the_servers_own_network_is_not_called() {
    run(|| async {
        let (address, heard) = server(Vec::new());
        let world = World::new().await;
        world.building(&["a"]).await;
        let port = address.port();
        let url = format!("http://localhost:{port}/");
        world.twins.create_rule(rule(url)).await.unwrap();
        world.connect("a").await.telemetry(r#"{"t": 31}"#).await.unwrap();
        // It was tried and failed, which is seen by its waiting to be tried again.
        for _ in 0..20 {
            world.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert!(heard.try_recv().is_err(), "it was called");
    });
}
