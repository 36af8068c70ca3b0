//! Facts about the audit log.

use super::*;
use crate::{AuditQuery, AuditRecord};

/// Times that stand still and go back, as those of a machine do.
fn record(number: u64) -> AuditRecord {
    let at = at([5, 5, 3, 90_000_000, 90_000_001, 80_000_000, 200_000_000][(number as usize - 1) % 7]);
    AuditRecord { number, at, hash: [number as u8; 32], body: Bytes::from(format!("body {number}")) }
}

fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<AuditRecord> {
    numbers.into_iter().map(record).collect()
}

pub async fn the_audit_log_is_read_from_both_ends_after_a_reopen(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.audit_head().await.unwrap(), None);
    assert_eq!(store.audit(AuditQuery { limit: 5, ..Default::default() }).await.unwrap(), []);
    for part in [1..=1, 2..=4, 5..=7] {
        store.append_audit(records(part)).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.audit_head().await.unwrap(), Some(record(7)));
    assert_eq!(store.audit_after(0, 100).await.unwrap(), records(1..=7));
    assert_eq!(store.audit_after(3, 2).await.unwrap(), records([4, 5]));
    assert_eq!(store.audit_after(7, 2).await.unwrap(), []);
    let newest = |before, limit| store.audit(AuditQuery { before, limit, ..Default::default() });
    assert_eq!(newest(None, 3).await.unwrap(), records([7, 6, 5]));
    assert_eq!(newest(Some(5), 100).await.unwrap(), records([4, 3, 2, 1]));
    assert_eq!(newest(Some(1), 100).await.unwrap(), []);
    store.append_audit(records([8])).await.unwrap();
    assert_eq!(store.audit_head().await.unwrap(), Some(record(8)));
}

pub async fn the_audit_log_is_read_by_time(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    store.append_audit(records(1..=14)).await.unwrap();
    let span = |from: Option<i64>, to: Option<i64>| {
        let query = AuditQuery { from: from.map(at), to: to.map(at), limit: 100, before: None };
        let store = &store;
        async move { store.audit(query).await.unwrap().iter().map(|r| r.number).collect::<Vec<_>>() }
    };
    assert_eq!(span(Some(5), Some(90_000_000)).await, [13, 9, 8, 6, 2, 1]);
    assert_eq!(span(Some(90_000_000), Some(90_000_001)).await, [11, 4]);
    assert_eq!(span(None, Some(5)).await, [10, 3]);
    assert_eq!(span(Some(90_000_001), None).await, [14, 12, 7, 5]);
    assert_eq!(span(Some(6), Some(6)).await, []);
}

pub async fn an_audit_record_out_of_line_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    for wrong in [records([2]), records([1, 3])] {
        assert!(matches!(store.append_audit(wrong).await, Err(crate::Error::Refused(_))));
    }
    store.append_audit(records([1, 2])).await.unwrap();
    for wrong in [records([2]), records([4]), records([3, 5]), records([1])] {
        assert!(matches!(store.append_audit(wrong).await, Err(crate::Error::Refused(_))));
    }
    assert_eq!(store.audit_after(0, 10).await.unwrap(), records([1, 2]), "all or none");
}
