//! Client certificates: of an authority's, of a device's own, revoked ones, and what a resumed TLS session is worth.

#![allow(clippy::unwrap_used)]

mod harness;

use actors::{
    Registration,
    identity::{CredentialsPatch, EnrolmentKind, NewCredentials, NewEnrolment},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use harness::{
    pki::{Own, Pki, valid},
    *,
};

fn plain(device: &str) -> Vec<u8> {
    Connect { user_name: None, ..Connect::v5(device) }.bytes()
}

async fn register_with(door: &Door, device: &str, own: &Own) {
    let registration = Registration {
        id: Some(id(device)),
        model: model("Device"),
        parent: None,
        gateway: None,
        metadata: Default::default(),
        tags: vec![],
        keys: None,
    };
    let credentials = NewCredentials { certificates: [("primary".into(), own.sha256())].into(), ..NewCredentials::default() };
    door.twins.register_with(registration, credentials).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_credential_for_the_device_it_names() {
    let pki = Pki::new();
    let door = Door::open_with(|s| s.tls = Some(pki.settings())).await;
    let key = door.device("d").await;
    door.device("other").await;
    let addr = door.gateway.tls.unwrap();
    assert_eq!(pki.device(Some(&pki.issue("d", 2))).knock(addr, &plain("d")), 0);
    assert_eq!(pki.device(Some(&pki.issue("other", 3))).knock(addr, &plain("d")), 0x86, "a certificate of another device");
    assert_eq!(pki.device(Some(&Pki::self_signed("d", |_| {}))).knock(addr, &plain("d")), 0x86, "signed by nobody we know");
    assert_eq!(pki.device(None).knock(addr, &plain("d")), 0x86, "no certificate");
    let keyed = Connect { password: Some(key.as_bytes()), ..Connect::v5("d") }.bytes();
    assert_eq!(pki.device(None).knock(addr, &keyed), 0, "a key over TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_opens_one_device_for_as_long_as_it_is_registered() {
    let pki = Pki::new();
    // Without an authority: thumbprints alone.
    let door = Door::open_with(|s| s.tls = Some(gateway::TlsSettings { client_ca: None, ..pki.settings() })).await;
    let addr = door.gateway.tls.unwrap();
    let (own, next) = (Pki::self_signed("anything", |_| {}), Pki::self_signed("d", |_| {}));
    register_with(&door, "d", &own).await;
    door.device("other").await;
    let (device, with_next) = (pki.device(Some(&own)), pki.device(Some(&next)));
    let (code, mut live) = device.connect(addr, &plain("d"));
    assert_eq!((code, device.knock(addr, &plain("other")), with_next.knock(addr, &plain("d"))), (0, 0x86, 0x86));
    let add = CredentialsPatch { certificates: [("secondary".into(), Some(next.sha256()))].into(), ..CredentialsPatch::default() };
    door.twins.change_credentials(&id("d"), add).await.unwrap();
    assert_eq!(pki.device(Some(&own)).knock(addr, &plain("d")), 0, "both go while one replaces the other");
    live.ends_with(0x8E);
    let (code, mut live) = with_next.connect(addr, &plain("d"));
    assert_eq!(code, 0);
    let remove = CredentialsPatch { certificates: [("primary".into(), None)].into(), ..CredentialsPatch::default() };
    door.twins.change_credentials(&id("d"), remove).await.unwrap();
    live.ends_with(0x98);
    assert_eq!(device.knock(addr, &plain("d")), 0x86);
    assert_eq!(with_next.knock(addr, &plain("d")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_tls_session_is_worth_no_more_than_its_certificate_is_now() {
    let pki = Pki::new();
    let door = Door::open_with(|s| s.tls = Some(pki.settings())).await;
    let addr = door.gateway.tls.unwrap();
    let own = Pki::self_signed("d", |_| {});
    register_with(&door, "d", &own).await;
    let device = pki.device(Some(&own));
    assert_eq!(device.knock(addr, &plain("d")), 0);
    let (code, client) = device.connect(addr, &plain("d"));
    assert!(code == 0 && client.is_resumed(), "{code:x}");
    door.twins.reset_credentials(&id("d")).await.unwrap();
    let (code, client) = device.connect(addr, &plain("d"));
    assert!(code == 0x86 && client.is_resumed(), "{code:x}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_opens_nothing_before_and_after_its_time() {
    let pki = Pki::new();
    let door = Door::open_with(|s| s.tls = Some(pki.settings())).await;
    let addr = door.gateway.tls.unwrap();
    for (n, (from, until)) in [(2001, 2002), (2090, 2091)].into_iter().enumerate() {
        let own = Pki::self_signed("d", valid(from, until));
        register_with(&door, &format!("own-{n}"), &own).await;
        assert_eq!(pki.device(Some(&own)).knock(addr, &plain(&format!("own-{n}"))), 0x86, "{from} to {until}");
        door.device(&format!("signed-{n}")).await;
        let signed = pki.issue_with(&format!("signed-{n}"), 9, valid(from, until));
        assert_eq!(pki.device(Some(&signed)).knock(addr, &plain(&format!("signed-{n}"))), 0x86, "{from} to {until}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_opens_nothing_and_ends_its_session() {
    let pki = Pki::new();
    let (early, late, good) = (pki.issue("early", 10), pki.issue("late", 11), pki.issue("good", 12));
    pki.revoke(1, &[&early]);
    let door = Door::open_with(|s| s.tls = Some(gateway::TlsSettings { client_crl: Some(pki.crl()), ..pki.settings() })).await;
    let addr = door.gateway.tls.unwrap();
    for device in ["early", "late", "good"] {
        door.device(device).await;
    }
    assert_eq!(pki.device(Some(&early)).knock(addr, &plain("early")), 0x86);
    let device = pki.device(Some(&late));
    let (code, mut live) = device.connect(addr, &plain("late"));
    let (good_code, mut goes_on) = pki.device(Some(&good)).connect(addr, &plain("good"));
    assert_eq!((code, good_code), (0, 0));
    pki.revoke(2, &[&early, &late]);
    live.ends_with(0x98);
    eventually("the end is recorded", async || door.audited("REVOKE").await == ["late"]).await;
    let (code, client) = device.connect(addr, &plain("late"));
    assert!(code == 0x86 && client.is_resumed(), "a resumed TLS session too: {code:x}");
    std::fs::write(pki.crl(), "no list").unwrap();
    assert_eq!(device.knock(addr, &plain("late")), 0x86, "a list that cannot be read leaves the last one in force");
    let add = CredentialsPatch { certificates: [("own".into(), Some(late.sha256()))].into(), ..CredentialsPatch::default() };
    door.twins.change_credentials(&id("late"), add).await.unwrap();
    assert_eq!(device.knock(addr, &plain("late")), 0x86, "revoked, even if it is registered as its own");
    door.twins.set_status(&id("good"), hierarchy_models::event::Status::Inactive).await.unwrap();
    goes_on.ends_with(0x98);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_an_authority_is_a_setting_that_cannot_be() {
    let pki = Pki::new();
    pki.revoke(1, &[]);
    let tls = gateway::TlsSettings { client_ca: None, client_crl: Some(pki.crl()), ..pki.settings() };
    let door = Door::open().await;
    let error = gateway::start(door.twins.clone(), gateway::Settings { bind: None, tls: Some(tls), ..Default::default() }).err().unwrap();
    assert!(error.to_string().contains("mqtt.tls.client_crl"), "{error}");
    std::fs::write(pki.crl(), "no list").unwrap();
    let tls = gateway::TlsSettings { client_crl: Some(pki.crl()), ..pki.settings() };
    let error = gateway::start(door.twins.clone(), gateway::Settings { bind: None, tls: Some(tls), ..Default::default() }).err().unwrap();
    assert!(error.to_string().contains("mqtt.tls.client_crl"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_itself_with_a_certificate_of_an_enrolments_authority() {
    let (pki, maker) = (Pki::new(), Pki::new());
    let door = Door::open_with(|s| s.tls = Some(pki.settings())).await;
    let addr = door.gateway.tls.unwrap();
    let enrolment = |authority: &Pki| NewEnrolment {
        kind: EnrolmentKind::Certificate { authorities: vec![BASE64.encode(authority.authority.der())] },
        enabled: true,
        model: model("Device"),
        parent: None,
        tags: vec![],
        id_prefix: "n-".into(),
        devices_max: 10,
        per_minute_max: 100,
    };
    let own = maker.issue("n-1", 1);
    let device = pki.device(Some(&own));
    assert_eq!(device.knock(addr, &plain("n-1")), 0x86, "there is no enrolment");
    // Of the same authority, and before it by its name.
    let others = NewEnrolment { id_prefix: "m-".into(), tags: vec!["other".into()], ..enrolment(&maker) };
    door.twins.put_enrolment("another", others, false).await.unwrap();
    door.twins.put_enrolment("maker", enrolment(&maker), false).await.unwrap();
    assert_eq!(device.knock(addr, &plain("n-2")), 0x86, "another name");
    assert_eq!(pki.device(Some(&Pki::self_signed("n-3", |_| {}))).knock(addr, &plain("n-3")), 0x86, "another authority");
    assert_eq!(pki.device(Some(&maker.issue("x-1", 2))).knock(addr, &plain("x-1")), 0x86, "another prefix");
    assert_eq!(device.knock(addr, &plain("n-1")), 0);
    assert_eq!(device.knock(addr, &plain("n-1")), 0, "and is known from then on");
    assert_eq!(pki.device(Some(&maker.issue("n-1", 3))).knock(addr, &plain("n-1")), 0x86, "by this certificate");
    assert_eq!(pki.device(Some(&maker.issue("m-1", 5))).knock(addr, &plain("m-1")), 0, "each has its prefix");
    let tags = door.twins.get(&id("m-1")).await.unwrap().tags;
    assert_eq!((tags.len(), door.twins.get(&id("n-1")).await.unwrap().tags.len()), (1, 0));
    door.twins.identities().delete_enrolment("maker").await.unwrap();
    assert_eq!(pki.device(Some(&maker.issue("n-4", 4))).knock(addr, &plain("n-4")), 0x86, "the enrolment is gone");
    assert_eq!(device.knock(addr, &plain("n-1")), 0);
}
