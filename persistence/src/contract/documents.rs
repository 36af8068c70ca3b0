//! Facts about documents.

use super::*;
use crate::Document;

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

pub async fn documents_are_listed_by_id_page_by_page(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let mut ids: Vec<String> = (0..150).map(|n| format!("d-{}", (n * 7) % 150)).collect();
    for id in &ids {
        store.put_document("rule", id, Bytes::copy_from_slice(id.as_bytes())).await.unwrap();
    }
    ids.sort();
    for limit in [1, 7, 149, 150, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.documents("rule", after, limit).await.unwrap();
            assert!(page.iter().all(|document| document.body == document.id) && page.len() <= limit);
            let is_last = page.len() < limit;
            after = page.last().map(|document| document.id.clone());
            listed.extend(page.into_iter().map(|document| document.id));
            if is_last {
                break;
            }
        }
        assert_eq!(listed, ids, "pages of {limit}");
    }
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
