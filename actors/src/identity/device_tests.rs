//! Devices at the door: what opens it, for whom, and until when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{Timestamp, TwinId};
use persistence::MemoryStore;

use super::*;

fn identities() -> Identities {
    on(&Arc::new(MemoryStore::default()), Masters::new([7; 32]))
}

fn on(store: &Arc<MemoryStore>, masters: Masters) -> Identities {
    Identities::with_masters(store.clone(), store.clone(), masters, "admin".into())
}

fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

const NOW: Timestamp = Timestamp::EPOCH;

async fn enrol_with(ids: &Identities, device: &str, credentials: NewCredentials) -> BTreeMap<String, String> {
    ids.enrol(&id(device), credentials, None).await.unwrap().1
}

async fn enrol(ids: &Identities, device: &str) -> BTreeMap<String, String> {
    enrol_with(ids, device, NewCredentials::default()).await
}

async fn reset(ids: &Identities, device: &str) -> BTreeMap<String, String> {
    ids.reset(&id(device), NewCredentials::default()).await.unwrap()
}

async fn opens(ids: &Identities, device: &str, password: &str) -> Result<(), Denied> {
    ids.verify_device(&id(device), password.as_bytes(), NOW).await.map(drop)
}

fn certificate(byte: u8) -> Certificate {
    Certificate { sha256: [byte; 32], not_after: NOW.plus(Duration::from_secs(60)), vouched_for: None }
}

fn keys<const N: usize>(keys: [(&str, Option<&str>); N]) -> NewCredentials {
    let keys = keys.into_iter().map(|(slot, key)| (slot.into(), key.map(Into::into))).collect();
    NewCredentials { keys: Some(keys), ..NewCredentials::default() }
}

#[tokio::test]
async fn a_key_opens_its_own_device_only_and_only_until_it_is_reset() {
    let ids = identities();
    let mine = enrol(&ids, "a").await;
    enrol(&ids, "b").await;
    for slot in ["primary", "secondary"] {
        assert_eq!(opens(&ids, "a", &mine[slot]).await, Ok(()));
        assert_eq!(opens(&ids, "b", &mine[slot]).await, Err(Denied::WrongKey));
    }
    let fresh = reset(&ids, "a").await;
    assert_eq!(opens(&ids, "a", &mine["primary"]).await, Err(Denied::WrongKey));
    assert_eq!(opens(&ids, "a", &fresh["primary"]).await, Ok(()));
    assert_eq!(opens(&ids, "c", "x").await, Err(Denied::Unknown));
}

#[tokio::test]
async fn a_key_of_a_former_device_of_the_same_id_never_works_again() {
    let ids = identities();
    let mine = enrol(&ids, "a").await;
    ids.forget(&id("a")).await.unwrap();
    enrol(&ids, "a").await;
    assert_eq!(opens(&ids, "a", &mine["primary"]).await, Err(Denied::WrongKey));
}

#[tokio::test]
async fn what_is_brought_from_outside_works_and_is_not_stored_in_clear() {
    let store = Arc::new(MemoryStore::default());
    let ids = on(&store, Masters::new([7; 32]));
    let (key, password) = ("a-key-that-a-factory-burnt-in", "what somebody chose");
    let shown = enrol_with(&ids, "a", NewCredentials { password: Some(password.into()), ..keys([("factory", Some(key))]) }).await;
    assert_eq!(shown, BTreeMap::from([("factory".to_owned(), key.to_owned())]), "the password is not shown again");
    assert_eq!(opens(&ids, "a", key).await, Ok(()));
    assert_eq!(opens(&ids, "a", password).await, Ok(()));
    assert_eq!(opens(&ids, "a", "what nobody chose").await, Err(Denied::WrongKey));
    let stored = persistence::Identities::identity(&*store, &id("a")).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(key) && !format!("{stored:?}").contains(password));
    reset(&ids, "a").await;
    assert_eq!(opens(&ids, "a", password).await, Err(Denied::WrongKey), "a reset ends a password too");
}

#[tokio::test]
async fn credentials_that_cannot_be_are_refused_with_their_place() {
    let ids = identities();
    let pointer = async |credentials| match ids.enrol(&id("b"), credentials, None).await {
        Err(TwinError::Invalid { pointer, .. }) => pointer,
        other => panic!("{other:?}"),
    };
    assert_eq!(pointer(keys([("k", Some("short"))])).await, "/keys/k");
    assert_eq!(pointer(keys([("k", Some("twt_that-looks-like-a-token"))])).await, "/keys/k");
    assert_eq!(pointer(keys([("a b", None)])).await, "/keys");
    assert_eq!(pointer(keys([])).await, "/keys");
    assert_eq!(pointer(NewCredentials { password: Some("short".into()), ..NewCredentials::default() }).await, "/password");
    let many = (0..=CERTIFICATES_MAX).map(|n| (n.to_string(), [0; 32])).collect();
    assert_eq!(pointer(NewCredentials { certificates: many, ..NewCredentials::default() }).await, "/certificates");
    let none_but_a_certificate = NewCredentials { certificates: [("own".into(), [1; 32])].into(), ..keys([]) };
    assert!(ids.enrol(&id("b"), none_but_a_certificate, None).await.unwrap().1.is_empty());
}

#[tokio::test]
async fn a_token_ends_when_it_says_and_when_credentials_are_reset() {
    let ids = identities();
    enrol(&ids, "a").await;
    enrol(&ids, "b").await;
    let token = ids.issue_token(&id("a"), Duration::from_secs(600), NOW).await.unwrap();
    let verified = ids.verify_device(&id("a"), token.as_bytes(), NOW).await.unwrap();
    assert_eq!((verified.scope, verified.until), (Scope::ALL, Some(NOW.plus(Duration::from_secs(600)))));
    assert_eq!(opens(&ids, "b", &token).await, Err(Denied::WrongKey));
    let late = NOW.plus(Duration::from_secs(600));
    assert_eq!(ids.verify_device(&id("a"), token.as_bytes(), late).await, Err(Denied::Expired));
    reset(&ids, "a").await;
    assert_eq!(opens(&ids, "a", &token).await, Err(Denied::WrongKey), "replayed after a reset");
    assert_eq!(ids.renew(&id("a"), token.as_bytes(), NOW).await, Err(Denied::WrongKey));
}

#[tokio::test]
async fn a_token_is_for_what_its_scope_says() {
    let ids = identities();
    let mine = enrol(&ids, "a").await;
    let token = async |scope: &str| {
        let scope = scope.parse().unwrap();
        ids.issue_scoped_token(&id("a"), Duration::from_secs(60), scope, NOW).await.unwrap()
    };
    let scope = ids.verify_device(&id("a"), token("connect publish").await.as_bytes(), NOW).await.unwrap().scope;
    assert!(scope.publish && !scope.subscribe);
    let not_for_connecting = token("publish subscribe").await;
    assert_eq!(opens(&ids, "a", &not_for_connecting).await, Err(Denied::WrongScope));
    assert!(ids.renew(&id("a"), not_for_connecting.as_bytes(), NOW).await.is_ok());
    assert_eq!(ids.renew(&id("a"), mine["primary"].as_bytes(), NOW).await, Err(Denied::WrongKey), "a key is no token");
}

#[tokio::test]
async fn a_certificate_opens_the_device_whose_own_it_is_or_whose_name_authorities_vouch_for() {
    let ids = identities();
    let own = NewCredentials { certificates: [("now".into(), [1; 32]), ("next".into(), [2; 32])].into(), ..NewCredentials::default() };
    enrol_with(&ids, "a", own).await;
    enrol(&ids, "b").await;
    let check =
        async |device: &str, certificate: Certificate| ids.verify_certificate(&id(device), &certificate, NOW).await.map(|v| v.until);
    let until = Ok(Some(certificate(1).not_after));
    assert_eq!(check("a", certificate(1)).await, until);
    assert_eq!(check("a", certificate(2)).await, until);
    assert_eq!(check("a", certificate(3)).await, Err(Denied::WrongKey));
    assert_eq!(check("b", certificate(1)).await, Err(Denied::WrongKey));
    let vouched = |name: &str| Certificate { vouched_for: Some(name.into()), ..certificate(9) };
    assert_eq!(check("b", vouched("b")).await, until);
    assert_eq!(check("b", vouched("a")).await, Err(Denied::WrongKey));
    assert_eq!(check("a", Certificate { not_after: NOW, ..certificate(1) }).await, Err(Denied::Expired));
    reset(&ids, "a").await;
    assert_eq!(check("a", certificate(1)).await, Err(Denied::WrongKey), "a reset forgets certificates");
}

#[tokio::test]
async fn single_credentials_change_while_the_others_go_on() {
    let ids = identities();
    let own = NewCredentials { certificates: [("now".into(), [1; 32])].into(), ..NewCredentials::default() };
    let mine = enrol_with(&ids, "a", own).await;
    let proof = ids.verify_device(&id("a"), mine["primary"].as_bytes(), NOW).await.unwrap().proof;
    let add = CredentialsPatch {
        keys: [("spare".into(), Some(None))].into(),
        certificates: [("next".into(), Some([2; 32]))].into(),
        ..CredentialsPatch::default()
    };
    let (shown, withdraws) = ids.change(&id("a"), add).await.unwrap();
    assert!(!withdraws && opens(&ids, "a", &shown["spare"]).await.is_ok() && opens(&ids, "a", &mine["primary"]).await.is_ok());
    assert!(!ids.is_current(&id("a"), proof).await, "whoever is between the door and the twin shows them again");
    let take = CredentialsPatch {
        keys: [("primary".into(), None), ("spare".into(), None)].into(),
        certificates: [("now".into(), None)].into(),
        ..CredentialsPatch::default()
    };
    let (_, withdraws) = ids.change(&id("a"), take).await.unwrap();
    assert!(withdraws);
    assert_eq!(opens(&ids, "a", &mine["primary"]).await, Err(Denied::WrongKey));
    assert_eq!(opens(&ids, "a", &shown["spare"]).await, Err(Denied::WrongKey));
    assert_eq!(opens(&ids, "a", &mine["secondary"]).await, Ok(()));
    let again = CredentialsPatch { keys: [("primary".into(), Some(None))].into(), ..CredentialsPatch::default() };
    let (shown, _) = ids.change(&id("a"), again).await.unwrap();
    assert_ne!(shown["primary"], mine["primary"], "a key that was taken away does not come back");
    let view = ids.credentials(&id("a")).await.unwrap();
    assert_eq!((view.generation, view.keys.len(), view.has_password), (1, 2, false));
    assert_eq!(view.certificates, BTreeMap::from([("next".to_owned(), [2; 32])]));
}

#[tokio::test]
async fn a_new_master_key_cuts_nobody_off() {
    let store = Arc::new(MemoryStore::default());
    let before = on(&store, Masters::new([7; 32]));
    let old = enrol_with(&before, "old", NewCredentials { keys: None, ..keys([]) }).await;
    let brought = enrol_with(&before, "brought", keys([("k", Some("a-key-from-a-factory"))])).await;
    let token = before.issue_token(&id("old"), Duration::from_secs(60), NOW).await.unwrap();
    let (enrolment, key) = before.put_enrolment("group", enrolment(), false).await.unwrap();
    let code = before.create_claim_code(&id("old"), None, Duration::from_secs(60), NOW).await.unwrap().code;

    let after = on(&store, Masters::new([7; 32]).with(2, [8; 32]));
    assert_eq!(opens(&after, "old", &old["primary"]).await, Ok(()));
    assert_eq!(opens(&after, "old", &token).await, Ok(()));
    assert_eq!(opens(&after, "brought", &brought["k"]).await, Ok(()));
    let (same, no_key) = after.put_enrolment("group", enrolment.asked, false).await.unwrap();
    assert_eq!((same.id, no_key), (enrolment.id, None));
    assert!(after.newcomer(&id("n"), newcomer_password("group", &key.unwrap(), "n").as_bytes()).await.is_ok());
    assert!(after.take_claim(&id("old"), None, &code, NOW).await.is_ok());

    let new = enrol(&after, "new").await;
    let fresh = reset(&after, "old").await;
    let only_new = on(&store, Masters::new([0; 32]).with(2, [8; 32]));
    for (device, keys) in [("new", &new), ("old", &fresh)] {
        assert_eq!(opens(&only_new, device, &keys["primary"]).await, Ok(()), "{device} is derived from the newest");
    }
    let lost = on(&store, Masters::new([7; 32]));
    assert_eq!(opens(&lost, "new", &new["primary"]).await, Err(Denied::Unavailable), "a master key that is missing is said");
}

fn enrolment() -> NewEnrolment {
    NewEnrolment {
        kind: EnrolmentKind::Key,
        enabled: true,
        model: hierarchy_models::model::resolve("Device").unwrap(),
        parent: None,
        tags: vec![],
        id_prefix: "n".into(),
        devices_max: 2,
        per_minute_max: 100,
    }
}

/// What the device's maker computes.
fn newcomer_password(enrolment: &str, key: &str, device: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64.decode(key).unwrap());
    format!("twe_{enrolment}.{}", BASE64.encode(ring::hmac::sign(&key, device.as_bytes())))
}

#[tokio::test]
async fn an_enrolment_takes_who_belongs_and_no_more_than_it_may() {
    let ids = identities();
    let key = ids.put_enrolment("group", enrolment(), false).await.unwrap().1.unwrap();
    let comes = async |device: &str, by: &str| ids.newcomer(&id(device), newcomer_password("group", &key, by).as_bytes()).await;
    assert!(comes("n-1", "n-1").await.is_ok());
    assert_eq!(comes("n-2", "n-1").await, Err(Denied::WrongKey), "the password of another");
    assert_eq!(ids.newcomer(&id("n-1"), b"twe_other.AAAA").await, Err(Denied::Unknown));
    let admit = async |device: &str| ids.admit(&id(device), "group", NOW).await.map(|e| e.registered);
    assert_eq!(admit("x-1").await, Err(Denied::NotEnrolled), "another prefix");
    assert_eq!(admit("n-1").await, Ok(1));
    enrol(&ids, "n-2").await;
    ids.forget(&id("n-2")).await.unwrap();
    assert_eq!(admit("n-2").await, Err(Denied::NotEnrolled), "it was registered before");
    ids.put_enrolment("group", NewEnrolment { enabled: false, ..enrolment() }, false).await.unwrap();
    assert_eq!(admit("n-3").await, Err(Denied::NotEnrolled), "disabled");
    ids.put_enrolment("group", enrolment(), false).await.unwrap();
    assert_eq!((admit("n-3").await, admit("n-4").await), (Ok(2), Err(Denied::NotEnrolled)), "as many as it may");
    let slow = NewEnrolment { devices_max: 100, per_minute_max: 1, ..enrolment() };
    ids.put_enrolment("slow", slow, false).await.unwrap();
    assert!(ids.admit(&id("n-5"), "slow", NOW).await.is_ok());
    assert_eq!(ids.admit(&id("n-6"), "slow", NOW).await, Err(Denied::Busy));
    let fresh = ids.put_enrolment("group", enrolment(), true).await.unwrap().1.unwrap();
    assert_ne!(fresh, key);
    assert_eq!(comes("n-1", "n-1").await, Err(Denied::WrongKey), "its key is another one now");
    assert!(ids.delete_enrolment("group").await.unwrap());
    let again = ids.put_enrolment("group", enrolment(), false).await.unwrap().1.unwrap();
    assert!(again != key && again != fresh, "the key of a former enrolment does not come back");
}

#[tokio::test]
async fn a_claim_code_opens_once_and_in_time() {
    let ids = identities();
    let code = async || ids.create_claim_code(&id("a"), None, Duration::from_secs(60), NOW).await.unwrap().code;
    let take =
        async |device: &str, code: &str, now| ids.take_claim(&id(device), None, code, now).await.map(drop).map_err(|e| e.to_string());
    let no = Err(TwinError::NoSuchClaim.to_string());
    let first = code().await;
    assert_eq!(take("a", "0000-0000-0000-0000", NOW).await, no);
    assert_eq!(take("b", &first, NOW).await, no, "another device");
    assert_eq!(take("a", &first, NOW.plus(Duration::from_secs(60))).await, no, "too late");
    assert_eq!(take("a", &first.to_lowercase().replace('-', ""), NOW).await, Ok(()));
    assert_eq!(take("a", &first, NOW).await, no, "a second time");
    let (second, third) = (code().await, code().await);
    assert_eq!(take("a", &second, NOW).await, no, "replaced by the third");
    for _ in 0..10 {
        let _ = take("a", "guess", NOW).await;
    }
    assert!(take("a", &third, NOW).await.unwrap_err().contains("CLAIM_TRIES_PER_MINUTE"));
    ids.forget(&id("a")).await.unwrap();
    assert_eq!(take("a", &third, NOW.plus(Duration::from_secs(59))).await, no, "it went with its device");
}
