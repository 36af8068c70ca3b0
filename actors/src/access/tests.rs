//! Facts about people and systems, their keys, grants and roles, on a memory store.

use std::time::Duration;

use bytes::Bytes;
use hierarchy_models::{
    Name, TwinId,
    access::{Extent, Right, Role},
};
use persistence::{Documents, MemoryStore};

use super::*;

const NOW: Timestamp = Timestamp::EPOCH;

fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

async fn access(store: &Arc<MemoryStore>) -> Access {
    let access = Access::new(store.clone(), "first-key");
    access.load().await.unwrap();
    access
}

fn ann(roles: &[&str], scope: Option<&str>) -> NewPrincipal {
    NewPrincipal { name: "ann".into(), roles: roles.iter().map(|r| (*r).into()).collect(), scope: scope.map(id), ..Default::default() }
}

#[tokio::test]
async fn a_key_outlives_a_restart_and_no_other_key_of_its_id_opens() {
    let store = Arc::new(MemoryStore::default());
    let (made, key) = access(&store).await.create_principal(ann(&["viewer"], Some("site")), NOW).await.unwrap();
    let key = key.unwrap();
    let restarted = access(&store).await;
    let subject = restarted.by_key(&key, NOW).unwrap();
    assert_eq!((subject.id.as_str(), subject.name.as_str()), (made.id.as_str(), "ann"));
    assert_eq!(subject.granted.extent(Right::Read), Extent::Under(vec![id("site")]));
    let other = key.to_uppercase().replace("TW_", "tw_");
    for wrong in [&format!("{key}x"), &format!("tw_{}_", made.id), &key[..key.len() - 1], &other, "tw__", "tw_", "", "first-kex"] {
        assert_eq!(restarted.by_key(wrong, NOW), Err(Refused::Unknown), "{wrong}");
    }
    restarted.delete_principal(&made.id).await.unwrap();
    assert_eq!(restarted.by_key(&key, NOW), Err(Refused::Unknown));
    assert_eq!(access(&store).await.by_key(&key, NOW), Err(Refused::Unknown));
    assert!(restarted.by_key("first-key", NOW).unwrap().granted.everywhere().has(Right::Audit));
}

#[tokio::test]
async fn a_key_with_an_end_ends_to_the_millisecond() {
    let access = access(&Arc::default()).await;
    let end = NOW.plus(Duration::from_secs(60));
    let (_, key) = access.create_principal(NewPrincipal { expires_at: Some(end), ..ann(&["viewer"], None) }, NOW).await.unwrap();
    let key = key.unwrap();
    assert!(access.by_key(&key, NOW.plus(Duration::from_millis(59_999))).is_ok());
    assert_eq!(access.by_key(&key, end), Err(Refused::Expired));
    let past = NewPrincipal { expires_at: Some(NOW), ..ann(&["viewer"], None) };
    assert!(matches!(access.create_principal(past, NOW).await, Err(TwinError::Invalid { pointer, .. }) if pointer == "/expires_in"));
}

#[tokio::test]
async fn grants_are_in_force_at_once_and_outlive_a_restart() {
    let store = Arc::new(MemoryStore::default());
    let access_now = access(&store).await;
    let (ann, key) = access_now.create_principal(ann(&[], None), NOW).await.unwrap();
    let key = key.unwrap();
    let may = |access: &Access, right| access.by_key(&key, NOW).unwrap().granted.extent(right);
    assert_eq!(may(&access_now, Right::Read), Extent::Under(vec![]));
    let mut changes = access_now.changes();
    changes.mark_unchanged();
    let grant = access_now.create_grant(&ann.id, Name::from("operator"), Some(id("room")), NOW).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(may(&access_now, Right::Command), Extent::Under(vec![id("room")]));
    // The same again is the same, not another one.
    assert_eq!(access_now.create_grant(&ann.id, Name::from("operator"), Some(id("room")), NOW).await.unwrap(), grant);
    assert_eq!(may(&access(&store).await, Right::Command), Extent::Under(vec![id("room")]));
    access_now.delete_grant(&grant.id).await.unwrap();
    assert_eq!(may(&access_now, Right::Command), Extent::Under(vec![]));
    assert_eq!(may(&access(&store).await, Right::Command), Extent::Under(vec![]));
    assert!(matches!(access_now.delete_grant(&grant.id).await, Err(TwinError::NoSuchGrant(_))));
    // Its number is not given a second time, over a restart either.
    let next = access(&store).await.create_grant(&ann.id, Name::from("viewer"), None, NOW).await.unwrap();
    assert_ne!(next.id, grant.id);
}

#[tokio::test]
async fn a_role_changes_for_everybody_who_has_it() {
    let store = Arc::new(MemoryStore::default());
    let access_now = access(&store).await;
    let role = |rights: &[Right]| Role { name: "night-desk".into(), rights: Rights::of(rights) };
    let unknown = access_now.create_principal(ann(&["viewer", "night-desk"], None), NOW).await;
    assert!(matches!(unknown, Err(TwinError::UnknownRole { pointer, .. }) if pointer == "/roles/1"));
    assert!(access_now.put_role(role(&[Right::Read])).await.unwrap());
    let (made, key) = access_now.create_principal(ann(&["night-desk"], None), NOW).await.unwrap();
    let rights = |access: &Access| access.by_key(key.as_deref().unwrap(), NOW).unwrap().granted.everywhere();
    assert_eq!(rights(&access_now), Rights::of(&[Right::Read]));
    assert!(!access_now.put_role(role(&[Right::Acknowledge])).await.unwrap());
    assert_eq!(rights(&access_now), Rights::of(&[Right::Acknowledge]));
    assert_eq!(rights(&access(&store).await), Rights::of(&[Right::Acknowledge]));
    assert!(matches!(access_now.delete_role("night-desk").await, Err(TwinError::RoleInUse { holders: 1, .. })));
    access_now.delete_principal(&made.id).await.unwrap();
    access_now.delete_role("night-desk").await.unwrap();
    assert!(access(&store).await.role("night-desk").is_err());
}

#[tokio::test]
async fn the_built_in_roles_stay_as_they_are() {
    let access = access(&Arc::default()).await;
    for name in [Role::VIEWER, Role::OPERATOR, Role::ADMIN] {
        let more = Role { name: name.into(), rights: Rights::ALL };
        assert!(matches!(access.put_role(more).await, Err(TwinError::RoleFixed(_))));
        assert!(matches!(access.delete_role(name).await, Err(TwinError::RoleFixed(_))));
    }
}

#[tokio::test]
async fn a_principal_of_the_first_form_keeps_its_key_and_what_it_may() {
    let store = Arc::new(MemoryStore::default());
    let key = "tw_0192_secret";
    let body = format!(
        r#"{{"principal":{{"id":"0192","name":"desk","roles":["viewer","operator"],"scope":"site","created_at":"2026-01-01T00:00:00Z"}},"sha256":"{}"}}"#,
        keys::written(&keys::sha256(key))
    );
    store.put_document(principals::KIND, "0192", body.into()).await.unwrap();
    let access_now = access(&store).await;
    assert_eq!(access_now.by_key(key, NOW).unwrap().granted.extent(Right::Command), Extent::Under(vec![id("site")]));
    // And stays so once it is written in the present form.
    access_now.create_grant("0192", "viewer".into(), Some(id("hall")), NOW).await.unwrap();
    let ids: Vec<String> = access(&store).await.grants().into_iter().map(|grant| grant.id).collect();
    assert_eq!(ids, ["0192-0", "0192-1", "0192-2"]);
}

#[tokio::test]
async fn a_damaged_principal_opens_nothing_and_the_others_go_on() {
    let store = Arc::new(MemoryStore::default());
    let first = access(&store).await;
    let (made, key) = first.create_principal(ann(&["viewer"], None), NOW).await.unwrap();
    let (_, other) = first.create_principal(ann(&["viewer"], None), NOW).await.unwrap();
    let body = store.document(principals::KIND, &made.id).await.unwrap().unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let (head, _) = text.split_once("\"sha256\":\"").unwrap();
    store.put_document(principals::KIND, &made.id, Bytes::from(format!("{head}\"sha256\":\"short\"}}"))).await.unwrap();
    store.put_document(roles::KIND, "broken", Bytes::from_static(b"{")).await.unwrap();
    let again = access(&store).await;
    assert_eq!(again.by_key(&key.unwrap(), NOW), Err(Refused::Unknown));
    assert!(again.by_key(&other.unwrap(), NOW).is_ok());
}

/// A token of no provider that is trusted is a key that is not known.
#[tokio::test]
async fn without_a_provider_no_token_opens_anything() {
    let access = access(&Arc::default()).await;
    assert_eq!(access.authenticate(Credential::Bearer("a.b.c"), NOW).await, Err(Refused::Unknown));
}

#[tokio::test]
async fn a_session_is_never_more_than_its_key() {
    let access = access(&Arc::default()).await;
    let (made, key) = access.create_principal(ann(&["viewer"], Some("site")), NOW).await.unwrap();
    let key = key.unwrap();
    let subject = access.authenticate(Credential::Bearer(&key), NOW).await.unwrap();
    let (token, until) = access.open_session(&key, &subject, NOW).unwrap();
    assert_eq!(until, NOW.plus(SESSION_LIFETIME_DEFAULT));
    assert_eq!(access.authenticate(Credential::Session(&token), NOW).await.unwrap(), subject);
    assert_eq!(access.authenticate(Credential::Bearer(&token), NOW).await, Err(Refused::Unknown), "it is no key");
    assert_eq!(access.authenticate(Credential::Session(&key), NOW).await, Err(Refused::Unknown));
    access.create_grant(&made.id, "operator".into(), None, NOW).await.unwrap();
    assert!(access.authenticate(Credential::Session(&token), NOW).await.unwrap().granted.everywhere().has(Right::Command));
    access.delete_principal(&made.id).await.unwrap();
    assert_eq!(access.authenticate(Credential::Session(&token), NOW).await, Err(Refused::Unknown));
}
