//! Facts about the event log.

use hierarchy_models::{CommandId, DeviceMessage, Severity, event::DisconnectReason};

use super::*;
use crate::{EventQuery, LoggedEvent, Turn};

fn all(twin: &TwinId, limit: usize) -> EventQuery {
    EventQuery { after_seq: 0, twin: twin.clone(), stream: None, from: None, to: None, limit, cursor: None }
}

async fn log(store: &dyn Store, query: EventQuery) -> Vec<Event> {
    let limit = query.limit;
    let logged: Vec<LoggedEvent> = all_pages(limit, |cursor| {
        let query = EventQuery { cursor, ..query.clone() };
        async move { store.events(query).await.unwrap() }
    })
    .await;
    assert!(logged.iter().all(|l| l.twin == query.twin));
    logged.into_iter().map(|l| l.event).collect()
}

/// An event of many kinds, all received in the order of their numbers.
fn life() -> Vec<Event> {
    let alert = hierarchy_models::Alert {
        name: "hot".into(),
        severity: Severity::Critical,
        text: "too hot".into(),
        details: [(Name::from("limit"), Value::Float(30.5))].into(),
        raised_at: at(6),
        last_at: at(6),
        count: 1,
        seq: 6,
        cause: 5,
        source: "behaviour".into(),
        acknowledged: None,
    };
    let unreadable = DeviceMessage::Unreadable { topic: "telemetry".into(), reason: "not JSON".into(), raw: raw("{") };
    let DeviceMessage::Unreadable { topic, reason, raw: bad } = unreadable else { unreachable!() };
    let model = ModelId::new("dtmi:twinfold:Room;1").unwrap();
    let bodies = vec![
        EventBody::Registered { model, parent: Some(id("floor")), gateway: None, metadata: Default::default(), tags: vec!["x".into()] },
        EventBody::Connected { session: 1, protocol: "mqtt5".into(), remote: "[::1]:1".into() },
        numbered(3).body,
        EventBody::ReportedPatched { patch: [(Name::from("t"), Value::Int(4))].into(), raw: raw("{\"t\":4}") },
        EventBody::Special { name: "alarm".into(), payload: Value::Bool(true), raw: raw("true") },
        EventBody::AlertRaised(Box::new(alert)),
        EventBody::Rejected { topic, reason, raw: bad },
        EventBody::DesiredPatched { patch: [(Name::from("on"), Value::Bool(false))].into() },
        EventBody::CommandDelivered { id: CommandId::new("c").unwrap() },
        EventBody::TagsSet { tags: vec![] },
        EventBody::TimerFired { name: "tick".into() },
        EventBody::Disconnected { session: 1, reason: DisconnectReason::Lost, will: None },
        EventBody::Unregistered,
    ];
    bodies.into_iter().zip(1..).map(|(body, seq)| event(seq, seq as i64, body)).collect()
}

pub async fn the_log_keeps_every_event_with_its_payload(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    store.append(batch(&a, &life())).await.unwrap();
    assert_eq!(log(&*store, all(&a, 100)).await, life());
    flush(&*store).await;
    assert_eq!(log(&*store, all(&a, 100)).await, life());
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(log(&*store, all(&a, 3)).await, life());
}

pub async fn the_log_is_read_by_stream(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    let life = life();
    append(&*store, &a, &life[..7]).await;
    flush(&*store).await;
    append(&*store, &a, &life[7..]).await;
    for stream in hierarchy_models::event::STREAMS {
        let query = EventQuery { stream: Some(stream.into()), ..all(&a, 1) };
        let want: Vec<_> = life.iter().filter(|e| e.body.stream() == stream).cloned().collect();
        assert!(!want.is_empty());
        assert_eq!(log(&*store, query).await, want, "{stream}");
    }
    let unknown = EventQuery { stream: Some("no-such".into()), ..all(&a, 1) };
    assert_eq!(log(&*store, unknown).await, []);
}

pub async fn the_log_pages_by_time_of_receipt(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    // Several events a millisecond, of several streams, over three flushes.
    let events: Vec<_> = (1..=60u64).map(|n| event(n, n as i64 / 5, life()[n as usize % 13].body.clone())).collect();
    for part in events.chunks(17) {
        append(&*store, &a, part).await;
        if part.len() == 17 {
            flush(&*store).await;
        }
    }
    for limit in [1, 4, 5, 59, 60, 61] {
        assert_eq!(log(&*store, all(&a, limit)).await, events, "limit {limit}");
    }
    let some = EventQuery { from: Some(at(3)), to: Some(at(6)), ..all(&a, 4) };
    assert_eq!(log(&*store, some).await, events[14..29]);
}

pub async fn history_outlives_the_twin(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    append(&*store, &a, &[numbered(1), numbered(2)]).await;
    let through = Some(store.mark());
    store.project(Projection { through, deleted: vec![a.clone()], ..Projection::default() }).await.unwrap();
    // Its next life counts from 1 again.
    append(&*store, &a, &[numbered(1), numbered(2)]).await;
    assert_eq!(log(&*store, all(&a, 1)).await, [numbered(1), numbered(1), numbered(2), numbered(2)]);
    assert_eq!(store.tail(&a).await.unwrap().iter().map(|t: &Turn| t.events[0].seq).collect::<Vec<_>>(), [1, 2]);
    flush(&*store).await;
    assert_eq!(numbers(&*store, &a).await, [1, 1, 2, 2]);
}
