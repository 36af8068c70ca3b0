//! Facts about documents and identities.

use super::*;
use crate::{Document, Identity, SealedKey};

pub async fn a_document_is_put_read_listed_and_deleted(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let body = |n: u8| Bytes::from(vec![n; 3]);
    for (n, name) in ["b", "a", "c"].into_iter().enumerate() {
        store.put_document("rule", name, body(n as u8)).await.unwrap();
    }
    store.put_document("key", "a", body(9)).await.unwrap();
    store.put_document("rule", "a", body(7)).await.unwrap();
    assert!(store.delete_document("rule", "c").await.unwrap());
    assert!(!store.delete_document("rule", "c").await.unwrap());
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = place.open().await;
    let document = |name: &str, n| Document { id: name.into(), body: body(n) };
    assert_eq!(store.document("rule", "a").await.unwrap(), Some(body(7)));
    assert_eq!(store.document("rule", "c").await.unwrap(), None);
    assert_eq!(store.documents("rule", None, 10).await.unwrap(), [document("a", 7), document("b", 0)]);
    assert_eq!(store.documents("rule", None, 1).await.unwrap(), [document("a", 7)]);
    assert_eq!(store.documents("rule", Some("a".into()), 10).await.unwrap(), [document("b", 0)]);
    assert_eq!(store.documents("key", None, 10).await.unwrap(), [document("a", 9)]);
    assert_eq!(store.documents("job", None, 10).await.unwrap(), []);
}

/// As large as a whole ontology may be that is put at once.
pub async fn a_document_of_megabytes_comes_back(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let body: Bytes = (0..8u32 << 20).map(|n| (n % 251) as u8).collect();
    store.put_document("model", "large", body.clone()).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert!(store.document("model", "large").await.unwrap() == Some(body));
}

fn identity(device: &str, generation: u64) -> Identity {
    let sealed = SealedKey { slot: "own".into(), nonce: vec![1, 2, 3], sealed: vec![0, 255] };
    Identity {
        device: id(device),
        enabled: true,
        generation,
        kid: 2,
        slots: vec!["primary".into(), "secondary".into()],
        sealed: vec![sealed],
    }
}

pub async fn an_identity_comes_back_as_it_was(place: &dyn Place) {
    let Opened { store, identities } = place.open().await;
    assert_eq!(identities.identity(&id("a")).await.unwrap(), None);
    identities.put_identities(vec![identity("a", 1), identity("b", 1)]).await.unwrap();
    let changed = Identity { enabled: false, slots: vec!["secondary".into()], sealed: vec![], ..identity("a", 2) };
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
