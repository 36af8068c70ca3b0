//! Facts about values by time: order, pages, buckets, retention.

use std::time::Duration;

use super::*;
use crate::{Bucket, BucketQuery, Error};

async fn buckets(store: &dyn Store, query: BucketQuery) -> Vec<Bucket> {
    let limit = query.limit;
    all_pages(limit, |cursor| {
        let query = BucketQuery { cursor, ..query.clone() };
        async move { store.buckets(query).await.unwrap() }
    })
    .await
}

fn buckets_of(twin: &TwinId, every: Duration, limit: usize) -> BucketQuery {
    BucketQuery { after_seq: 0, twin: twin.clone(), name: "t".into(), from: None, to: None, every, limit, cursor: None }
}

pub async fn a_flush_neither_loses_nor_doubles_history(place: &dyn Place) {
    let a = id("a");
    let mut want = Vec::new();
    for round in 0..4u64 {
        let Opened { store, .. } = place.open().await;
        for n in 1..=30 {
            let seq = round * 30 + n;
            append(&*store, &a, &[numbered(seq)]).await;
            want.push(seq as i64);
            if n % 7 == 0 {
                flush(&*store).await;
            }
            if n % 10 == 0 {
                assert_eq!(numbers(&*store, &a).await, want);
            }
        }
    }
    let Opened { store, .. } = place.open().await;
    assert_eq!(numbers(&*store, &a).await, want);
    flush(&*store).await;
    assert_eq!(numbers(&*store, &a).await, want);
}

pub async fn a_former_life_is_not_seen(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &[numbered(1), numbered(2)]).await;
    flush(&*store).await;
    append(&*store, &a, &[numbered(3), numbered(100), numbered(101)]).await;
    for _ in 0..2 {
        let seen = history(&*store, HistoryQuery { after_seq: 99, ..history_of(&a, 1) }).await;
        assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), [100, 101]);
        let seen = buckets(&*store, BucketQuery { after_seq: 99, ..buckets_of(&a, Duration::from_secs(1), 10) }).await;
        assert_eq!(seen.iter().map(|b| b.count).sum::<u64>(), 2);
        let log = crate::EventQuery { after_seq: 99, twin: a.clone(), stream: None, from: None, to: None, limit: 10, cursor: None };
        assert_eq!(store.events(log).await.unwrap().items.len(), 2);
        flush(&*store).await;
    }
}

pub async fn values_come_in_the_order_of_their_own_time(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    // Measured long before, just now, and in between; two flushes and a tail.
    let times = [500, 10, 900, 20, 700, 30, 10, 950, 5];
    for (n, measured_at) in times.into_iter().enumerate() {
        append(&*store, &a, &[measured(n as u64 + 1, 1_000 + n as i64, measured_at, measured_at)]).await;
        if n == 2 || n == 5 {
            flush(&*store).await;
        }
    }
    let mut sorted = times.to_vec();
    sorted.sort();
    for limit in [1, 2, 3, 100] {
        let items = history(&*store, history_of(&a, limit)).await;
        assert_eq!(items.iter().map(number).collect::<Vec<_>>(), sorted, "limit {limit}");
        assert!(items.iter().all(|item| item.at == at(number(item)) && item.received_at >= at(1_000)));
    }
}

pub async fn equal_times_page_without_loss(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    // One message with several records of the same instant, then many messages of that instant, on both sides of a flush.
    let same = |n: i64| Record {
        at: at(7),
        id: None,
        values: vec![("t".into(), Value::Int(n)), ("u".into(), Value::Int(-n)), ("t".into(), Value::Int(n + 1))],
    };
    let many = EventBody::Telemetry { stream: None, records: vec![same(0), same(2), same(4)], raw: raw("[]") };
    append(&*store, &a, &[event(1, 8, many)]).await;
    for n in 6..30 {
        append(&*store, &a, &[measured(n, 8, 7, n as i64)]).await;
        if n == 15 {
            flush(&*store).await;
        }
    }
    for limit in [1, 2, 5, 7, 29, 30, 31] {
        let items = history(&*store, history_of(&a, limit)).await;
        assert_eq!(items.iter().map(number).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>(), "limit {limit}");
    }
}

pub async fn pages_survive_appends_and_flushes_between_them(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &(1..=10).map(numbered).collect::<Vec<_>>()).await;
    let (mut seen, mut cursor, mut next) = (Vec::new(), None, 11);
    loop {
        let page = store.history(HistoryQuery { cursor, ..history_of(&a, 3) }).await.unwrap();
        seen.extend(page.items.iter().map(number));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        // What comes late in time is behind the reader and not seen; what comes next is.
        if next <= 20 {
            append(&*store, &a, &[numbered(next), measured(next + 100, 100, 0, -1)]).await;
            next += 1;
        }
        flush(&*store).await;
    }
    assert_eq!(seen, (1..next as i64).collect::<Vec<_>>());
}

pub async fn from_is_included_and_to_is_not(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &(1..=5).map(numbered).collect::<Vec<_>>()).await;
    flush(&*store).await;
    append(&*store, &a, &(6..=9).map(numbered).collect::<Vec<_>>()).await;
    for (from, to, want) in
        [(Some(3), Some(7), 3..7), (None, Some(2), 1..2), (Some(9), None, 9..10), (Some(10), None, 0..0), (Some(5), Some(5), 0..0)]
    {
        let query = HistoryQuery { from: from.map(at), to: to.map(at), ..history_of(&a, 2) };
        let found: Vec<_> = history(&*store, query).await.iter().map(number).collect();
        assert_eq!(found, want.collect::<Vec<_>>(), "{from:?} to {to:?}");
    }
    let other = HistoryQuery { name: "humidity".into(), ..history_of(&a, 2) };
    assert_eq!(history(&*store, other).await, []);
    assert_eq!(history(&*store, history_of(&id("b"), 2)).await, []);
}

pub async fn reported_values_are_history_too(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    let properties = |v: Value| [(Name::from("t"), v), (Name::from("other"), Value::Bool(true))].into();
    let record = Record { at: at(2), id: Some("r".into()), values: vec![("t".into(), Value::Float(1.5))] };
    append(
        &*store,
        &a,
        &[
            event(1, 1, EventBody::ReportedPatched { patch: properties(Value::from("warm")), raw: raw("{}") }),
            event(2, 3, EventBody::Telemetry { stream: Some("air".into()), records: vec![record], raw: raw("{}") }),
            event(3, 4, EventBody::ReportedReplaced { properties: properties(Value::Null), raw: raw("{}") }),
            event(4, 5, EventBody::DesiredPatched { patch: properties(Value::Int(1)) }),
        ],
    )
    .await;
    let item =
        |at_ms, received, value, stream: &str| HistoryItem { at: at(at_ms), received_at: at(received), value, stream: stream.into() };
    let want =
        [item(1, 1, Value::from("warm"), "reported"), item(2, 3, Value::Float(1.5), "telemetry/air"), item(4, 4, Value::Null, "reported")];
    assert_eq!(history(&*store, history_of(&a, 10)).await, want);
    flush(&*store).await;
    assert_eq!(history(&*store, history_of(&a, 10)).await, want);
}

pub async fn buckets_are_aligned_and_paged(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    for (n, (time, value)) in [(-500, 1.0), (0, 2.0), (999, 4.0), (5_000, 8.0), (5_500, -1.0), (9_999, 3.0)].into_iter().enumerate() {
        append(&*store, &a, &[measured(n as u64 + 1, 10_000, time, value)]).await;
        if n == 3 {
            flush(&*store).await;
        }
    }
    append(&*store, &a, &[measured(7, 10_000, 100, "not a number")]).await;
    let bucket = |start, count, sum, min, max| Bucket { at: at(start), count, sum, min, max };
    let want =
        [bucket(-1_000, 1, 1.0, 1.0, 1.0), bucket(0, 2, 6.0, 2.0, 4.0), bucket(5_000, 2, 7.0, -1.0, 8.0), bucket(9_000, 1, 3.0, 3.0, 3.0)];
    for limit in 1..6 {
        assert_eq!(buckets(&*store, buckets_of(&a, Duration::from_secs(1), limit)).await, want, "limit {limit}");
    }
    let part = BucketQuery { from: Some(at(500)), to: Some(at(5_500)), ..buckets_of(&a, Duration::from_secs(1), 1) };
    assert_eq!(buckets(&*store, part).await, [bucket(0, 1, 4.0, 4.0, 4.0), bucket(5_000, 1, 8.0, 8.0, 8.0)]);
}

pub async fn a_published_dataset_is_read_in_pages_and_hours(place: &dyn Place) {
    const RECORDS: u64 = 7_267;
    const HALF_HOUR: i64 = 1_800_000;
    const START: i64 = 1_372_636_800_000;
    let Opened { store, .. } = place.open().await;
    let a = id("thermostat-1");
    let received = 1_700_000_000_000;
    let mut batch = Batch::default();
    for n in 0..RECORDS {
        batch.push(&a, &[measured(n + 1, received + n as i64, START + n as i64 * HALF_HOUR, n as i64)]);
        if batch.is_full() {
            store.append(std::mem::take(&mut batch)).await.unwrap();
            if n % 3 == 0 {
                flush(&*store).await;
            }
        }
    }
    store.append(batch).await.unwrap();
    for _ in 0..2 {
        let items = history(&*store, history_of(&a, 1_000)).await;
        assert_eq!(items.iter().map(number).collect::<Vec<_>>(), (0..RECORDS as i64).collect::<Vec<_>>());
        let hours = buckets(&*store, buckets_of(&a, Duration::from_secs(3_600), 1_000)).await;
        assert_eq!(hours.len() as u64, RECORDS.div_ceil(2));
        let whole = hours.iter().zip(0i64..).take(hours.len() - 1);
        assert!(whole.clone().all(|(b, n)| b.count == 2 && b.sum == (4 * n + 1) as f64 && b.at == at(START + n * 2 * HALF_HOUR)));
        flush(&*store).await;
    }
}

pub async fn a_cursor_from_elsewhere_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &(1..=3).map(numbered).collect::<Vec<_>>()).await;
    for bad in ["", "x", "t.1", "../../etc", "t.1.2.3.4.5", "\u{0}"] {
        let cursor = Some(bad.to_owned());
        let bad = |result: Result<usize, Error>| assert!(matches!(result, Err(Error::BadCursor)), "{result:?}");
        bad(store.history(HistoryQuery { cursor: cursor.clone(), ..history_of(&a, 1) }).await.map(|p| p.items.len()));
        bad(store
            .buckets(BucketQuery { cursor: cursor.clone(), ..buckets_of(&a, Duration::from_secs(1), 1) })
            .await
            .map(|p| p.items.len()));
        let events =
            crate::EventQuery { after_seq: 0, twin: a.clone(), stream: None, from: None, to: None, limit: 1, cursor: cursor.clone() };
        bad(store.events(events).await.map(|p| p.items.len()));
        let commands = crate::CommandQuery { twin: a.clone(), state: None, limit: 1, cursor: cursor.clone() };
        bad(store.commands(commands).await.map(|p| p.items.len()));
        let list = crate::RegistryQuery { limit: 1, cursor, ..Default::default() };
        bad(store.list(list).await.map(|p| p.items.len()));
    }
}

pub async fn what_is_old_is_forgotten_exactly(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let (a, b) = (id("a"), id("b"));
    append(&*store, &a, &(1..=10).map(numbered).collect::<Vec<_>>()).await;
    append(&*store, &b, &(1..=3).map(numbered).collect::<Vec<_>>()).await;
    flush(&*store).await;
    assert_eq!(store.forget_history(at(1), 1_000).await.unwrap(), 0);
    assert_eq!(store.forget_history(at(5), 1_000).await.unwrap(), 7);
    assert_eq!(numbers(&*store, &a).await, (5..=10).collect::<Vec<_>>());
    assert_eq!(numbers(&*store, &b).await, [0i64; 0]);
    append(&*store, &a, &[numbered(11)]).await;
    flush(&*store).await;
    assert_eq!(numbers(&*store, &a).await, (5..=11).collect::<Vec<_>>());
    assert_eq!(store.forget_history(at(100), 1_000).await.unwrap(), 7);
    assert_eq!(store.forget_history(at(100), 1_000).await.unwrap(), 0);
    assert_eq!(numbers(&*store, &a).await, [0i64; 0]);
}

pub async fn retention_goes_in_steps(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    for n in 0..20 {
        append(&*store, &id(&format!("twin-{n}")), &(1..=5).map(numbered).collect::<Vec<_>>()).await;
    }
    flush(&*store).await;
    let (mut total, mut steps) = (0, 0);
    loop {
        match store.forget_history(at(1_000), 10).await.unwrap() {
            0 => break,
            gone => (total, steps) = (total + gone, steps + 1),
        }
    }
    assert_eq!(total, 100);
    assert!(steps >= 5, "{steps} steps");
}
