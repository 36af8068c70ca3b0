//! A program of a solution developer's own, as they run it: a behaviour bound to its model, MQTT in, HTTP out.

#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use support::{Api, Client, Connect, eventually};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use twinfold::{app::App, config::Config, prelude::*};

/// As in the documentation of the crate.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Thermostat {
    alarmed: bool,
}

impl Behaviour for Thermostat {
    const MODEL: &'static str = "dtmi:example:Thermostat;1";
    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        if t.f64("temperature")? > 30.0 && !self.alarmed {
            self.alarmed = true;
            cx.raise(Alert::warning("too-hot").with("limit", 30.0));
            cx.command(cx.parent()?, "ventilate", json!({"level": 2})).ttl(Duration::from_secs(60));
        }
        Ok(())
    }
}

/// Answers by itself.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Room;

impl Behaviour for Room {
    const MODEL: &'static str = "Room";
    fn on_command(&mut self, c: &Command, _: &mut Context) -> Result<Reply> {
        match c.name() {
            "stop" => Ok(Reply::completed(json!({"stopped": true}))),
            _ => Ok(Reply::PassOn),
        }
    }
}

struct Server {
    app: App,
    runtime: Runtime,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(folder: TempDir) -> Self {
        let runtime = Runtime::new().unwrap();
        let config = Config::on_free_ports(folder.path().join("data"));
        let program = Twinfold::builder().behaviour::<Thermostat>().behaviour::<Room>();
        let app = runtime.block_on(program.start(config)).unwrap();
        Self { app, runtime, folder }
    }

    fn restart(self) -> Self {
        let Self { app, runtime, folder } = self;
        runtime.block_on(app.stop());
        drop(runtime);
        Self::start_in(folder)
    }

    fn api(&self) -> Api {
        Api::new(self.app.http, self.app.admin_token())
    }

    /// Registers a twin; its first key.
    fn twin(&self, id: &str, model: &str, parent: Option<&str>) -> String {
        let registered = self.api().post("/twins", json!({"id": id, "model": model, "parent": parent})).expect(201);
        registered["keys"]["primary"].as_str().unwrap().to_owned()
    }

    fn device(&self, id: &str, key: &str) -> Client {
        Connect::v5(id, key).open(self.app.mqtt)
    }
}

#[test]
fn a_reading_over_mqtt_raises_the_alert_and_the_command_reaches_the_room() {
    let server = Server::start();
    server.twin("room", "Room", None);
    let key = server.twin("t1", Thermostat::MODEL, Some("room"));
    let mut device = server.device("t1", &key);
    device.say("devices/t1/telemetry", r#"{"temperature": 31.5}"#);
    device.say("devices/t1/telemetry", r#"{"temperature": 32}"#);
    let api = server.api();
    let alert = &api.twin("t1")["alerts"][0];
    assert_eq!((&alert["name"], &alert["details"]["limit"], &alert["count"]), (&json!("too-hot"), &json!(30.0), &json!(1)));
    let command = eventually("the room has the command", || api.all("/twins/room/commands").first().cloned());
    assert_eq!((&command["name"], &command["payload"]), (&json!("ventilate"), &json!({"level": 2})));
    let left = command["ttl"].as_f64().unwrap();
    assert!((50.0..=60.0).contains(&left), "its time runs from the reading on: {left} s were left");
    let kinds = || -> Vec<String> {
        let log = api.get("/twins/t1/events?stream=behaviour&limit=1000").expect(200);
        log["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    };
    let kinds = eventually("it is known to be taken", || Some(kinds()).filter(|kinds| kinds.iter().any(|kind| kind == "outbound_sent")));
    assert_eq!(kinds, ["outbound_queued", "behaviour_state", "outbound_sent"]);
    server.runtime.block_on(server.app.stop());
}

#[test]
fn a_room_answers_over_http_and_remembers_over_a_restart_what_it_was_sent() {
    let server = Server::start();
    server.twin("room", "Room", None);
    let key = server.twin("t1", Thermostat::MODEL, Some("room"));
    let mut device = server.device("t1", &key);
    device.say("devices/t1/telemetry", r#"{"temperature": 31.5}"#);
    device.goodbye();
    let server = server.restart();
    let answer = server.api().post("/twins/room/commands", json!({"name": "stop", "ttl": 60, "wait": 10})).expect(200);
    assert_eq!((&answer["state"], &answer["result"]["payload"]), (&json!("completed"), &json!({"stopped": true})));
    let api = server.api();
    eventually("the room has the command", || api.all("/twins/room/commands").into_iter().find(|c| c["name"] == "ventilate"));
    let mut device = server.device("t1", &key);
    device.say("devices/t1/telemetry", r#"{"temperature": 33}"#);
    assert_eq!(api.twin("t1")["alerts"][0]["count"], 1, "its state is back: it has raised the alarm already");
    server.runtime.block_on(server.app.stop());
}

#[test]
fn a_recorded_log_replays_into_a_kit() {
    let server = Server::start();
    server.twin("room", "Room", None);
    let key = server.twin("t1", Thermostat::MODEL, Some("room"));
    let mut device = server.device("t1", &key);
    for temperature in [21.0, 31.0, 35.0] {
        device.say("devices/t1/telemetry", json!({"temperature": temperature}).to_string());
    }
    device.goodbye();
    let log = server.api().get("/twins/t1/events?limit=1000").text;
    let mut kit = TwinTestKit::of::<Thermostat>("t1").under("room");
    assert!(kit.replay(&log).unwrap() >= 4, "three readings and a connection");
    assert_eq!(kit.expect_alert("too-hot").count, 1);
    kit.expect_command("room", "ventilate");
    server.runtime.block_on(server.app.stop());
}
