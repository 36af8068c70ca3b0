//! Devices that nobody has registered, and those that an enrolment speaks for.

#![allow(clippy::unwrap_used)]

mod harness;

use actors::{
    TwinPatch,
    identity::{EnrolmentKind, NewEnrolment},
};
use harness::*;
use persistence::Identities;

fn enrolment() -> NewEnrolment {
    NewEnrolment {
        kind: EnrolmentKind::Key,
        enabled: true,
        model: model("Device"),
        parent: None,
        tags: vec!["enrolled".into()],
        id_prefix: "n-".into(),
        devices_max: 3,
        per_minute_max: 100,
    }
}

/// `openssl dgst -sha256 -mac HMAC` of the id, under the enrolment's key.
fn password(key: &str, device: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64.decode(key).unwrap());
    format!("twe_plant.{}", BASE64.encode(ring::hmac::sign(&key, device.as_bytes())))
}

async fn knocks(door: &Door, device: &str, password: &str) -> u8 {
    door.knock(Connect { password: Some(password.as_bytes()), ..Connect::v5(device) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_itself_where_its_enrolment_says() {
    let door = Door::open().await;
    door.device("site").await;
    let asked = NewEnrolment { parent: Some(id("site")), ..enrolment() };
    let key = door.twins.put_enrolment("plant", asked.clone(), false).await.unwrap().1.unwrap();
    assert_eq!(knocks(&door, "n-1", &password(&key, "n-2")).await, 0x86, "another's password");
    assert_eq!(knocks(&door, "x-1", &password(&key, "x-1")).await, 0x86, "another prefix");
    assert_eq!(knocks(&door, "n-1", &password(&key, "n-1")).await, 0);
    let twin = door.twins.get(&id("n-1")).await.unwrap();
    assert_eq!((twin.model, twin.parent, twin.tags.len()), (model("Device"), Some(id("site")), 1));
    assert_eq!(knocks(&door, "n-1", &password(&key, "n-1")).await, 0, "and is known from then on");
    assert_eq!(door.audited("ENROL").await, ["n-1"], "recorded before it was answered");
    assert_eq!(door.twins.identities().enrolment("plant").await.unwrap().unwrap().registered, 1);
    door.twins.put_enrolment("plant", NewEnrolment { enabled: false, ..asked }, false).await.unwrap();
    assert_eq!(knocks(&door, "n-2", &password(&key, "n-2")).await, 0x86, "disabled");
    assert!(door.twins.identities().delete_enrolment("plant").await.unwrap());
    assert_eq!(knocks(&door, "n-1", &password(&key, "n-1")).await, 0, "who is in stays in");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_put_out_does_not_enrol_again() {
    let door = Door::open().await;
    let key = door.twins.put_enrolment("plant", enrolment(), false).await.unwrap().1.unwrap();
    for device in ["n-reset", "n-gone"] {
        assert_eq!(knocks(&door, device, &password(&key, device)).await, 0);
    }
    door.twins.reset_credentials(&id("n-reset")).await.unwrap();
    door.twins.delete(&id("n-gone"), false, None).await.unwrap();
    for device in ["n-reset", "n-gone"] {
        assert_eq!(knocks(&door, device, &password(&key, device)).await, 0x86, "{device}");
    }
}

/// Knocks as a device does that is told to come back later, once the store is well.
async fn again(door: &Door, password: &str) -> u8 {
    loop {
        match knocks(door, "n-1", password).await {
            0x88 => door.twins.tick().await.unwrap(),
            code => return code,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_by_itself_that_was_cut_off_is_finished_by_the_next_connection() {
    let door = Door::open().await;
    let key = door.twins.put_enrolment("plant", enrolment(), false).await.unwrap().1.unwrap();
    let password = password(&key, "n-1");
    let gone = persistence::Error::Unavailable { doing: "appending", detail: "no answer".into() };
    door.store.fail_appends(Some(gone));
    assert_eq!(knocks(&door, "n-1", &password).await, 0x88, "it has an identity now, and no twin");
    door.store.fail_appends(None);
    assert!(door.store.identity(&id("n-1")).await.unwrap().is_some() && door.twins.get(&id("n-1")).await.is_err());
    assert_eq!(again(&door, &password).await, 0);
    assert_eq!(door.twins.get(&id("n-1")).await.unwrap().tags.len(), 1);
    assert_eq!(door.twins.identities().enrolment("plant").await.unwrap().unwrap().registered, 1, "counted once");
    assert_eq!(door.audited("ENROL").await, ["n-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_cut_off_lets_nobody_in_again() {
    let door = Door::open().await;
    let key = door.twins.put_enrolment("plant", enrolment(), false).await.unwrap().1.unwrap();
    let password = password(&key, "n-1");
    assert_eq!(knocks(&door, "n-1", &password).await, 0);
    let gone = persistence::Error::Unavailable { doing: "appending", detail: "no answer".into() };
    door.store.fail_appends(Some(gone));
    door.twins.delete(&id("n-1"), false, None).await.unwrap_err();
    assert_eq!(knocks(&door, "n-1", &password).await, 0x86, "the door closed first");
    door.store.fail_appends(None);
    while door.twins.delete(&id("n-1"), false, None).await.is_err() {
        door.twins.tick().await.unwrap();
    }
    assert_eq!(knocks(&door, "n-1", &password).await, 0x86, "and an enrolment does not take it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_of_a_newcomer_make_one_device() {
    let door = Door::open().await;
    let key = door.twins.put_enrolment("plant", enrolment(), false).await.unwrap().1.unwrap();
    let password = password(&key, "n-1");
    // One of them may find the twin on its way to the other's thread, and is told to try again.
    assert_eq!(tokio::join!(again(&door, &password), again(&door, &password)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_speaks_for_its_own_children_until_it_is_withdrawn() {
    let door = Door::open().await;
    for gateway in ["g", "h"] {
        door.device(gateway).await;
    }
    door.child("mine", "g").await;
    door.child("other", "h").await;
    let mut g = door.connected(Connect::v5("g")).await;
    let mut says = async |device: &str, id| g.ask(&publish5(&format!("devices/{device}/telemetry"), r#"{"n": 1}"#, 1, id)).await.code();
    assert_eq!(says("mine", 1).await, 0);
    assert_eq!(says("other", 2).await, 0x87, "a child that is not its own");
    let withdraw = TwinPatch { gateway: Some(None), ..TwinPatch::default() };
    door.twins.patch(&id("mine"), withdraw, None).await.unwrap();
    assert_eq!(says("mine", 3).await, 0x87, "withdrawn");
    assert_eq!(door.numbers("mine").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_the_children_of_a_gateway_that_is_gone() {
    let door = Door::open().await;
    door.device("g").await;
    for child in ["a", "b"] {
        door.child(child, "g").await;
    }
    let moved = TwinPatch { gateway: Some(Some(id("a"))), ..TwinPatch::default() };
    door.twins.patch(&id("b"), moved, None).await.unwrap();
    door.twins.delete(&id("g"), false, None).await.unwrap();
    assert_eq!(door.twins.get(&id("a")).await.unwrap().gateway, None);
    assert_eq!(door.twins.get(&id("b")).await.unwrap().gateway, Some(id("a")), "another's child is left alone");
    assert_eq!(door.twins.entry(&id("a")).await.unwrap().row.gateway, None, "the registry says the same");
    door.device("g").await;
    let mut g = door.connected(Connect::v5("g")).await;
    assert_eq!(g.ask(&publish5("devices/a/telemetry", "{}", 1, 1)).await.code(), 0x87, "who comes by its name");
}
