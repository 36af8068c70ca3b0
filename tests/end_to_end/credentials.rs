//! Devices' credentials from outside: given, rotated, withdrawn, over restarts of the server.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Connect, Server, Value, json, server::binary, until};

fn knocks(server: &Server, id: &str, key: &str) -> bool {
    Connect::v5(id, key).attempt(server.mqtt).is_some()
}

#[test]
fn whatever_withdraws_access_ends_the_session_at_once_and_nothing_lands_after_it() {
    let server = Server::start();
    let api = server.api();
    let cases: [(&str, &str, &str, Value); 4] = [
        ("deactivated", "POST", "/deactivate", json!({})),
        ("reset", "POST", "/credentials/reset", json!({})),
        ("changed", "PATCH", "/credentials", json!({"keys": {"secondary": null}})),
        ("removed", "DELETE", "", Value::Null),
    ];
    for (id, method, path, body) in cases {
        for v5 in [true, false] {
            let key = server.device(id);
            let connect = if v5 { Connect::v5(id, &key) } else { Connect::v311(id, &key) };
            let mut device = connect.will(&format!("devices/{id}/events/alarm"), 1, r#"{"said": "from the grave"}"#).open(server.mqtt);
            device.say(&format!("devices/{id}/telemetry"), r#"{"n": 1}"#);
            let body = (!body.is_null()).then(|| body.to_string());
            let status = api.call(method, &format!("/twins/{id}{path}"), &[], body).status;
            let answered = Instant::now();
            assert!(status == 200 || status == 204, "{id}: {status}");
            // It may not have heard of it yet, and speaks on.
            device.send_raw(&late(id));
            assert_eq!(device.closed(), v5.then_some(0x98), "{id}");
            assert!(answered.elapsed() < Duration::from_secs(1), "{id}: {:?}", answered.elapsed());
            if method != "DELETE" {
                assert_eq!(api.twin(id)["telemetry"]["n"]["value"], 1, "{id}: nothing lands after the answer");
                api.delete(&format!("/twins/{id}")).expect(204);
            }
            let late = api.get(&format!("/twins/{id}/events"));
            assert!(!late.text.contains("\"n\":2") && !late.text.contains("grave"), "{id}: {}", late.text);
        }
    }
}

/// A message at QoS 0 of 3.1.1 and of 5 with nothing in its properties reads as one of either; both are refused the same way.
fn late(id: &str) -> Vec<u8> {
    let topic = format!("devices/{id}/telemetry");
    crate::support::mqtt::Publish::new(&topic, 0, r#"{"n":2}"#).encode(crate::support::mqtt::Version::V5)
}

#[test]
fn a_rotation_of_the_master_key_cuts_nobody_off() {
    let server = Server::start();
    let old = server.device("old");
    let brought = json!({"id": "brought", "model": "Device", "keys": {"factory": "a-key-from-a-factory"}});
    server.api().post("/twins", brought).expect(201);
    let data_dir = server.data_dir();
    let rotated = Command::new(binary()).args(["key", "rotate"]).env_clear().env("TWINFOLD_DATA_DIR", &data_dir).output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    let server = server.restart();
    assert!(knocks(&server, "old", &old) && knocks(&server, "brought", "a-key-from-a-factory"));
    let new = server.device("new");
    let fresh = server.api().post("/twins/old/credentials/reset", json!({})).expect(200)["keys"]["primary"].clone();
    let server = server.restart_after_kill_9();
    assert!(knocks(&server, "new", &new) && knocks(&server, "old", fresh.as_str().unwrap()));
    assert!(!knocks(&server, "old", &old), "reset");
    let listed = Command::new(binary()).args(["key", "list"]).env_clear().env("TWINFOLD_DATA_DIR", &data_dir).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "1\n2  newest\n");
    // Without the newest file the devices that it serves are told to come again later, and the others go on.
    let (_, stopped) = server.stop();
    std::fs::rename(data_dir.join("master-key.2"), data_dir.join("elsewhere")).unwrap();
    let server = stopped.start();
    assert!(knocks(&server, "brought", "a-key-from-a-factory"));
    assert_eq!(Connect::v5("new", &new).refusal(server.mqtt), 0x88);
    assert!(server.log().contains("master key"));
}

#[test]
fn a_fleet_enrols_itself_and_outlives_its_enrolment_and_the_server() {
    let server = Server::start();
    server.place("plant", "Site", None);
    let enrolment = json!({"by": "key", "model": "Device", "parent": "plant", "id_prefix": "pump-"}).to_string();
    let made = server.api().call("PUT", "/enrolments/pumps", &[], Some(enrolment)).expect(201);
    let password = |device: &str| password(made["key"].as_str().unwrap(), device);
    for device in ["pump-1", "pump-2"] {
        Connect::v5(device, &password(device)).open(server.mqtt).say(&format!("devices/{device}/telemetry"), r#"{"n": 1}"#);
    }
    let server = server.restart_after_kill_9();
    assert_eq!(server.api().get("/enrolments/pumps").expect(200)["registered"], 2);
    assert_eq!(server.api().twin("pump-1")["parent"], "plant");
    server.api().delete("/enrolments/pumps").expect(204);
    assert!(knocks(&server, "pump-1", &password("pump-1")));
    assert!(!knocks(&server, "pump-3", &password("pump-3")));
}

/// As the page of SECURITY.md says, with the tools that it names.
fn password(key: &str, device: &str) -> String {
    let script = r#"
        mac=$(printf %s "$DEVICE" | openssl dgst -sha256 -mac HMAC -macopt hexkey:"$(printf %s= "$KEY" | basenc --base64url -d | od -An -v -tx1 | tr -d ' \n')" -binary | basenc --base64url | tr -d =)
        printf %s "$mac"
    "#;
    let made = Command::new("bash").arg("-c").arg(script).env("DEVICE", device).env("KEY", key).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    format!("twe_pumps.{}", String::from_utf8(made.stdout).unwrap())
}

#[test]
fn a_device_with_a_password_of_a_person_comes_back_quickly() {
    let server = Server::start();
    server.twin(json!({"id": "d", "model": "Device", "password": "chosen by a person"}));
    let connect = || Connect::v5("d", "chosen by a person");
    connect().open(server.mqtt).goodbye();
    // Once when it was chosen, and once when it was shown first.
    until("the hashes are counted", || server.api().get("//metrics").text.contains("twinfold_passwords_hashed_total 2"));
    for _ in 0..20 {
        connect().open(server.mqtt).goodbye();
    }
    assert!(server.api().get("//metrics").text.contains("twinfold_passwords_hashed_total 2"), "and never again");
    assert_eq!(Connect::v5("d", "chosen by nobody").refusal(server.mqtt), 0x86);
}
