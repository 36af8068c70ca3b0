//! Facts about the journal: order, durability, recovery.

use super::*;
use crate::{Error, Turn};

pub async fn turns_come_back_in_the_order_of_their_commits(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let (a, b) = (id("a"), id("b"));
    let mut both = batch(&a, &[numbered(1), numbered(2)]);
    both.push(&b, &[numbered(1)]);
    store.append(both).await.unwrap();
    store.append(batch(&a, &[numbered(3)])).await.unwrap();
    let turns = |twin: &TwinId, groups: &[&[u64]]| -> Vec<Turn> {
        groups.iter().map(|seqs| Turn { twin: twin.clone(), events: seqs.iter().map(|s| numbered(*s)).collect() }).collect()
    };
    assert_eq!(store.tail(&a).await.unwrap(), turns(&a, &[&[1, 2], &[3]]));
    assert_eq!(store.tail(&b).await.unwrap(), turns(&b, &[&[1]]));
    assert_eq!(store.tail(&id("c")).await.unwrap(), []);
    let (all, mark) = store.unprojected(usize::MAX).await.unwrap();
    assert_eq!(all, [turns(&a, &[&[1, 2]]), turns(&b, &[&[1]]), turns(&a, &[&[3]])].concat());
    assert_eq!(mark, store.mark());
}

pub async fn a_projected_turn_is_in_no_tail(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &[numbered(1), numbered(2)]).await;
    let mark = store.mark();
    append(&*store, &a, &[numbered(3)]).await;
    project_through(&*store, mark).await;
    let seqs = |turns: Vec<Turn>| turns.iter().flat_map(|t| &t.events).map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!(seqs(store.tail(&a).await.unwrap()), [3]);
    assert_eq!(seqs(store.unprojected(usize::MAX).await.unwrap().0), [3]);
}

pub async fn recovery_sees_every_turn_once_and_ends(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &(1..=50).map(numbered).collect::<Vec<_>>()).await;
    drop(store);
    let Opened { store, .. } = place.open().await;
    let (mut seen, mut rounds) = (Vec::new(), 0);
    loop {
        let (turns, mark) = store.unprojected(300).await.unwrap();
        if turns.is_empty() {
            assert_eq!(mark, store.mark());
            break;
        }
        seen.extend(turns.iter().flat_map(|t| &t.events).map(|e| e.seq));
        project_through(&*store, mark).await;
        rounds += 1;
    }
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
    assert!(rounds > 5, "{rounds} rounds: the limit in bytes is kept");
    assert_eq!(numbers(&*store, &a).await, (1..=50).collect::<Vec<_>>());
}

pub async fn what_was_committed_outlives_a_reopen(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &[numbered(1)]).await;
    flush(&*store).await;
    append(&*store, &a, &[numbered(2)]).await;
    let mark = store.mark();
    store.close().await.unwrap();
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.mark(), mark);
    assert_eq!(store.tail(&a).await.unwrap(), [Turn { twin: a.clone(), events: vec![numbered(2)] }]);
    append(&*store, &a, &[numbered(3)]).await;
    assert!(store.mark() > mark, "marks go on rising after a reopen");
    assert_eq!(numbers(&*store, &a).await, [1, 2, 3]);
}

pub async fn appends_at_once_are_all_kept(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let twins: Vec<_> = (0..40).map(|n| id(&format!("twin-{n}"))).collect();
    let one = |twin: &TwinId| {
        let (store, twin) = (store.clone(), twin.clone());
        tokio::spawn(async move { append(&*store, &twin, &(1..=5).map(numbered).collect::<Vec<_>>()).await })
    };
    for device in twins.iter().map(one).collect::<Vec<_>>() {
        device.await.unwrap();
    }
    for twin in &twins {
        assert_eq!(numbers(&*store, twin).await, [1, 2, 3, 4, 5]);
    }
}

pub async fn a_mark_beyond_the_end_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let beyond = Mark(store.mark().0.iter().map(|n| n + 1).collect());
    let refused = store.project(Projection { through: Some(beyond), ..Projection::default() }).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

pub async fn an_older_mark_moves_nothing_back(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &[numbered(1)]).await;
    let old = store.mark();
    append(&*store, &a, &[numbered(2)]).await;
    flush(&*store).await;
    project_through(&*store, old).await;
    assert_eq!(store.tail(&a).await.unwrap(), []);
    assert_eq!(numbers(&*store, &a).await, [1, 2]);
}

pub async fn the_backlog_shrinks_by_what_was_projected(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    assert_eq!(store.backlog_bytes(), 0);
    append(&*store, &a, &[numbered(1)]).await;
    let (mark, one) = (store.mark(), store.backlog_bytes());
    append(&*store, &a, &[numbered(2)]).await;
    assert!(one > 0 && store.backlog_bytes() > one);
    project_through(&*store, mark).await;
    assert_eq!(store.backlog_bytes(), one);
    assert_eq!(store.stats().backlog_bytes, one);
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.backlog_bytes(), one, "a start counts what is on disk");
    flush(&*store).await;
    assert_eq!(store.backlog_bytes(), 0);
}

pub async fn a_closed_store_takes_nothing(place: &dyn Place) {
    let Opened { store, identities } = place.open().await;
    if store.kind() == "memory" {
        return; // it has nothing to let go of
    }
    store.close().await.unwrap();
    assert!(store.ready().await.is_err());
    assert!(store.append(batch(&id("a"), &[numbered(1)])).await.is_err());
    assert!(store.put_document("kind", "a", Bytes::new()).await.is_err());
    assert!(store.snapshot(&id("a")).await.is_err());
    assert!(identities.identity(&id("a")).await.is_err());
    // While the former handles are still there.
    let Opened { store, .. } = place.open().await;
    append(&*store, &id("a"), &[numbered(1)]).await;
}
