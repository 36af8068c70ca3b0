//! Facts about identities.

use super::*;
use crate::{Identity, OwnCertificate, SealedKey};

fn identity(device: &str, generation: u64) -> Identity {
    let sealed = SealedKey { slot: "own".into(), nonce: vec![1, 2, 3], sealed: vec![0, 255] };
    let certificate = |slot: &str, byte| OwnCertificate { slot: slot.into(), sha256: [byte; 32] };
    Identity {
        slots: vec!["primary".into(), "secondary".into()],
        sealed: vec![sealed],
        certificates: vec![certificate("new", 7), certificate("old", 255)],
        password: Some("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".into()),
        gateway: Some(id("gateway")),
        ..Identity::new(id(device), generation, 2)
    }
}

pub async fn an_identity_comes_back_as_it_was(place: &dyn Place) {
    let Opened { store, identities } = place.open().await;
    assert_eq!(identities.identity(&id("a")).await.unwrap(), None);
    identities.put_identities(vec![identity("a", 1), identity("b", 1)]).await.unwrap();
    let less = Identity { certificates: vec![], password: None, gateway: None, ..identity("a", 2) };
    let changed = Identity { enabled: false, slots: vec!["secondary".into()], sealed: vec![], ..less };
    identities.put_identities(vec![changed.clone()]).await.unwrap();
    store.close().await.unwrap();
    drop((store, identities));
    let Opened { identities, .. } = place.open().await;
    assert_eq!(identities.identity(&id("a")).await.unwrap(), Some(changed));
    assert_eq!(identities.identity(&id("b")).await.unwrap(), Some(identity("b", 1)));
}

pub async fn a_generation_outlives_its_identity(place: &dyn Place) {
    let Opened { store, identities } = place.open().await;
    assert_eq!(identities.next_generation(&id("a")).await.unwrap(), 1);
    identities.put_identities(vec![identity("a", 5)]).await.unwrap();
    assert_eq!(identities.next_generation(&id("a")).await.unwrap(), 6);
    identities.delete_identity(&id("a")).await.unwrap();
    identities.delete_identity(&id("never-there")).await.unwrap();
    store.close().await.unwrap();
    drop((store, identities));
    let Opened { identities, .. } = place.open().await;
    assert_eq!(identities.identity(&id("a")).await.unwrap(), None);
    assert_eq!(identities.next_generation(&id("a")).await.unwrap(), 6);
    identities.put_identities(vec![identity("a", 6)]).await.unwrap();
    assert_eq!(identities.identity(&id("a")).await.unwrap(), Some(identity("a", 6)));
    assert_eq!(identities.next_generation(&id("a")).await.unwrap(), 7);
}

pub async fn every_id_that_had_an_identity_is_listed_with_its_generation(place: &dyn Place) {
    let Opened { identities, .. } = place.open().await;
    assert_eq!(identities.generations(None, 10).await.unwrap(), []);
    identities.put_identities((1..=5).map(|n| identity(&format!("device-{n}"), n)).collect()).await.unwrap();
    identities.delete_identity(&id("device-3")).await.unwrap();
    for limit in [1, 2, 5, 6] {
        let mut seen = Vec::new();
        loop {
            let some = identities.generations(seen.last().map(|(device, _): &(TwinId, u64)| device.clone()), limit).await.unwrap();
            assert!(some.len() <= limit);
            if some.is_empty() {
                break;
            }
            seen.extend(some);
        }
        seen.sort();
        assert_eq!(seen, (1..=5).map(|n| (id(&format!("device-{n}")), n)).collect::<Vec<_>>(), "limit {limit}");
    }
}

pub async fn who_stands_behind_a_gateway_is_found(place: &dyn Place) {
    let Opened { store, identities } = place.open().await;
    let behind = |device: &str, gateway: Option<&str>| Identity { gateway: gateway.map(id), ..identity(device, 1) };
    let found = |gateway: &str, after: Option<&str>, limit| {
        let (gateway, after, identities) = (id(gateway), after.map(id), identities.clone());
        async move { identities.behind_gateway(&gateway, after, limit).await.unwrap() }
    };
    assert_eq!(found("g", None, 10).await, []);
    let all = ["c", "a", "e", "b", "d"].map(|device| behind(device, Some("g")));
    identities.put_identities(all.into()).await.unwrap();
    identities.put_identities(vec![behind("other", Some("h")), behind("own", None)]).await.unwrap();
    identities.put_identities(vec![behind("b", Some("h")), behind("d", None)]).await.unwrap();
    identities.delete_identity(&id("e")).await.unwrap();
    store.close().await.unwrap();
    drop((store, identities));
    let Opened { identities, .. } = place.open().await;
    let found = |gateway: &str, after: Option<&str>, limit| {
        let (gateway, after, identities) = (id(gateway), after.map(id), identities.clone());
        async move { identities.behind_gateway(&gateway, after, limit).await.unwrap() }
    };
    assert_eq!(found("g", None, 10).await, [id("a"), id("c")]);
    assert_eq!(found("g", None, 1).await, [id("a")]);
    assert_eq!(found("g", Some("a"), 1).await, [id("c")]);
    assert_eq!(found("g", Some("c"), 1).await, []);
    assert_eq!(found("h", None, 10).await, [id("b"), id("other")]);
}
