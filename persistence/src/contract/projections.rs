//! Facts about snapshots, wakes, commands and deletion.

use hierarchy_models::{Command, CommandId, CommandState};

use super::*;
use crate::{CommandQuery, Error, Snapshot};

fn snapshot(twin: &str, seq: u64, wake_at: Option<i64>) -> Snapshot {
    Snapshot {
        twin: id(twin),
        seq,
        state: Bytes::from(format!("state {seq}")),
        contribution: Bytes::from(format!("contribution {seq}")),
        wake_at: wake_at.map(at),
    }
}

fn command(name: &str, queued_at: i64, state: CommandState, key: Option<&str>) -> Command {
    Command {
        id: CommandId::new(name).unwrap(),
        name: "reboot".into(),
        payload: Value::from_iter([("delay", Value::Int(3))]),
        state,
        expires_at: at(queued_at + 60_000),
        queued_at: at(queued_at),
        delivered_at: None,
        ended_at: None,
        deliveries: 0,
        result: None,
        idempotency_key: key.map(Into::into),
        sender: "operator".into(),
    }
}

async fn project(store: &dyn Store, projection: Projection) {
    store.project(projection).await.unwrap();
}

pub async fn the_newest_snapshot_wins(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.snapshot(&id("a")).await.unwrap(), None);
    let put = |seq| Projection { snapshots: vec![snapshot("a", seq, Some(5))], ..Projection::default() };
    for seq in [3, 7, 5] {
        project(&*store, put(seq)).await;
    }
    assert_eq!(store.snapshot(&id("a")).await.unwrap(), Some(snapshot("a", 7, Some(5))));
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.snapshot(&id("a")).await.unwrap(), Some(snapshot("a", 7, Some(5))));
}

pub async fn numbers_of_a_later_life_are_large(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    // As the runtime has them: the life in the upper bits.
    let seqs = [3, (1 << 40) + 1, (900 << 40) + 7];
    for seq in seqs {
        project(
            &*store,
            Projection { snapshots: vec![snapshot("a", seq, None)], registry: vec![row("a", None, seq)], ..Projection::default() },
        )
        .await;
        append(&*store, &id("a"), &[measured(seq, 5, 5, 1)]).await;
        assert_eq!(store.snapshot(&id("a")).await.unwrap(), Some(snapshot("a", seq, None)));
        flush(&*store).await;
    }
    drop(store);
    let Opened { store, .. } = place.open().await;
    assert_eq!(store.snapshot(&id("a")).await.unwrap(), Some(snapshot("a", seqs[2], None)));
    assert_eq!(store.entry(&id("a")).await.unwrap().unwrap().row, row("a", None, seqs[2]));
    let log = crate::EventQuery { after_seq: seqs[1], twin: id("a"), stream: None, from: None, to: None, limit: 10, cursor: None };
    assert_eq!(store.events(log).await.unwrap().items.iter().map(|l| l.event.seq).collect::<Vec<_>>(), [seqs[2]]);
}

pub async fn wakes_come_soonest_first(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let snapshots = vec![
        snapshot("a", 1, Some(30)),
        snapshot("b", 1, None),
        snapshot("c", 1, Some(10)),
        snapshot("d", 1, Some(30)),
        snapshot("e", 1, Some(-5)),
    ];
    project(&*store, Projection { snapshots, ..Projection::default() }).await;
    let want = [(at(-5), id("e")), (at(10), id("c")), (at(30), id("a")), (at(30), id("d"))];
    assert_eq!(store.wakes(None, 10).await.unwrap(), want);
    let mut seen = Vec::new();
    while let Some(next) = store.wakes(seen.last().cloned(), 1).await.unwrap().pop() {
        seen.push(next);
    }
    assert_eq!(seen, want);
    project(&*store, Projection { snapshots: vec![snapshot("c", 2, None)], ..Projection::default() }).await;
    assert_eq!(store.wakes(None, 2).await.unwrap(), [want[0].clone(), want[2].clone()]);
}

pub async fn an_ended_command_stays_ended(place: &dyn Place) {
    use CommandState::*;
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    for (state, want) in [(Queued, Queued), (Delivered, Delivered), (Queued, Delivered), (Completed, Completed), (Delivered, Completed)] {
        let commands = vec![(a.clone(), command("c", 1, state, None))];
        store.project(Projection { commands, ..Projection::default() }).await.unwrap();
        let seen = store.command(&a, &CommandId::new("c").unwrap()).await.unwrap().unwrap();
        assert_eq!(seen.state, want, "after a row that says {state:?}");
    }
}

pub async fn old_ended_commands_are_forgotten(place: &dyn Place) {
    use CommandState::*;
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    let rows = [("old", 1, Completed), ("open", 1, Queued), ("new", 50, Failed)];
    let commands = rows.map(|(name, at, state)| (a.clone(), command(name, at, state, None))).to_vec();
    store.project(Projection { commands, ..Projection::default() }).await.unwrap();
    assert_eq!(store.forget_history(at(10), 1_000).await.unwrap(), 1);
    let left = CommandQuery { twin: a.clone(), state: None, limit: 10, cursor: None };
    let left: Vec<_> = store.commands(left).await.unwrap().items.into_iter().map(|c| c.id.to_string()).collect();
    assert_eq!(left, ["new", "open"], "what has not ended stays, whatever its age");
}

pub async fn commands_are_found_by_id_by_key_and_by_state(place: &dyn Place) {
    use CommandState::*;
    let Opened { store, .. } = place.open().await;
    let (a, b) = (id("a"), id("b"));
    let first: Vec<_> =
        (0..7).map(|n| command(&format!("c-{n}"), 100 + n / 2, if n % 2 == 0 { Queued } else { Completed }, None)).collect();
    let keyed = command("k-1", 50, Queued, Some("my key"));
    let mut commands: Vec<_> = first.iter().chain([&keyed]).map(|c| (a.clone(), c.clone())).collect();
    commands.push((b.clone(), command("c-0", 1, Failed, Some("my key"))));
    project(&*store, Projection { commands, ..Projection::default() }).await;

    assert_eq!(store.command(&a, &keyed.id).await.unwrap(), Some(keyed.clone()));
    assert_eq!(store.command(&b, &keyed.id).await.unwrap(), None);
    assert_eq!(store.command_by_key(&a, "my key").await.unwrap(), Some(keyed.clone()));
    assert_eq!(store.command_by_key(&a, "no key").await.unwrap(), None);

    let ids = |twin: &TwinId, state, limit| {
        let (store, query) = (store.clone(), CommandQuery { twin: twin.clone(), state, limit, cursor: None });
        async move {
            let ask = |cursor| {
                let (store, query) = (store.clone(), CommandQuery { cursor, ..query.clone() });
                async move { store.commands(query).await.unwrap() }
            };
            all_pages(limit, ask).await.iter().map(|c| c.id.to_string()).collect::<Vec<_>>()
        }
    };
    for limit in [1, 2, 3, 100] {
        assert_eq!(ids(&a, None, limit).await, ["c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0", "k-1"], "limit {limit}");
        assert_eq!(ids(&a, Some(Queued), limit).await, ["c-6", "c-4", "c-2", "c-0", "k-1"], "limit {limit}");
        assert_eq!(ids(&b, Some(Queued), limit).await, [""; 0]);
    }
    let ended = Command { state: Expired, ended_at: Some(at(200)), ..keyed };
    project(&*store, Projection { commands: vec![(a.clone(), ended.clone())], ..Projection::default() }).await;
    assert_eq!(store.command(&a, &ended.id).await.unwrap(), Some(ended));
    assert_eq!(ids(&a, Some(Expired), 5).await, ["k-1"]);
}

pub async fn a_deleted_twin_keeps_no_rows(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    let c = command("c-1", 1, CommandState::Queued, Some("k"));
    store.put_rows(vec![row("a", None, 1)]).await.unwrap();
    let rows = Projection { snapshots: vec![snapshot("a", 9, Some(1))], commands: vec![(a.clone(), c.clone())], ..Projection::default() };
    project(&*store, rows).await;
    project(&*store, Projection { deleted: vec![a.clone(), id("never-there")], ..Projection::default() }).await;
    assert_eq!(store.snapshot(&a).await.unwrap(), None);
    assert_eq!(store.entry(&a).await.unwrap(), None);
    assert_eq!(store.command(&a, &c.id).await.unwrap(), None);
    assert_eq!(store.command_by_key(&a, "k").await.unwrap(), None);
    assert_eq!(store.wakes(None, 5).await.unwrap(), []);
    assert_eq!(store.count().await.unwrap(), 0);
}

pub async fn a_deleted_twin_can_begin_anew_in_the_same_flush(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let a = id("a");
    let old = Projection { registry: vec![row("a", None, 50)], snapshots: vec![snapshot("a", 50, None)], ..Projection::default() };
    project(&*store, old).await;
    let new = Projection {
        deleted: vec![a.clone()],
        registry: vec![row("a", None, 1)],
        snapshots: vec![snapshot("a", 2, None)],
        ..Projection::default()
    };
    project(&*store, new).await;
    assert_eq!(store.entry(&a).await.unwrap().unwrap().row, row("a", None, 1));
    assert_eq!(store.snapshot(&a).await.unwrap(), Some(snapshot("a", 2, None)));
}

pub async fn a_refused_projection_writes_nothing(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let beyond = Mark(store.mark().0.iter().map(|n| n + 9).collect());
    let projection = Projection {
        through: Some(beyond),
        snapshots: vec![snapshot("a", 1, None)],
        registry: vec![row("a", None, 1)],
        ..Projection::default()
    };
    assert!(matches!(store.project(projection).await, Err(Error::Refused(_))));
    assert_eq!(store.snapshot(&id("a")).await.unwrap(), None);
    assert_eq!(store.entry(&id("a")).await.unwrap(), None);
}
