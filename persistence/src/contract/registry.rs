//! Facts about the registry and the tree in it.

use hierarchy_models::limits::TREE_DEPTH_MAX;

use super::*;
use crate::{Child, Error, RegistryQuery, Snapshot};

async fn paths(store: &dyn Store) -> Vec<String> {
    let all = RegistryQuery { limit: 1_000, ..RegistryQuery::default() };
    store.list(all).await.unwrap().items.iter().map(|e| e.path.to_string()).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
}

/// Two sites; `site-1` with two floors, rooms on the first.
async fn building(store: &dyn Store) {
    let rows = vec![
        row("site-1", None, 1),
        row("site-10", None, 1),
        row("floor-1", Some("site-1"), 1),
        row("floor-2", Some("site-1"), 1),
        row("room-1", Some("floor-1"), 1),
        row("room-2", Some("floor-1"), 1),
        row("lamp", Some("room-1"), 1),
    ];
    store.put_rows(rows).await.unwrap();
}

pub async fn what_a_twin_starts_from_is_what_is_read_one_by_one(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    assert_eq!(store.origin(&id("room-1")).await.unwrap(), None, "without a snapshot");
    let snapshot = Snapshot { twin: id("room-1"), seq: 3, state: "s".into(), contribution: "c".into(), wake_at: None };
    store.project(Projection { snapshots: vec![snapshot.clone()], ..Projection::default() }).await.unwrap();
    let origin = store.origin(&id("room-1")).await.unwrap().unwrap();
    assert_eq!(origin.snapshot, snapshot);
    assert_eq!(origin.path, store.entry(&id("room-1")).await.unwrap().unwrap().path);
    assert_eq!(origin.children, store.children(&id("room-1")).await.unwrap());
    assert_eq!(origin.children.len(), 1);
    assert_eq!(store.origin(&id("nobody")).await.unwrap(), None);
}

pub async fn a_row_is_read_back_with_its_path(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let mut full = row("a", Some("top"), 7);
    full.gateway = Some(id("gw"));
    full.status = Status::Inactive;
    full.metadata = [(Name::from("note"), Value::from("ü")), (Name::from("deep"), Value::from_iter([("x", Value::Null)]))].into();
    full.tags = vec![];
    store.put_rows(vec![row("top", None, 1), full.clone()]).await.unwrap();
    let read = async |store: &dyn Store| {
        let entry = store.entry(&id("a")).await.unwrap().unwrap();
        assert_eq!((entry.row, entry.path.as_str()), (full.clone(), "top/a"));
        assert_eq!(store.entry(&id("b")).await.unwrap(), None);
        assert_eq!((store.path(&id("a")).await.unwrap(), store.path(&id("b")).await.unwrap()), (Some(entry.path), None));
    };
    read(&*store).await;
    store.close().await.unwrap();
    drop(store);
    read(&*place.open().await.store).await;
}

pub async fn moving_a_twin_moves_all_below_it(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    store.put_rows(vec![row("floor-1", Some("site-10"), 2)]).await.unwrap();
    let want = [
        "site-10/floor-1",
        "site-1/floor-2",
        "site-10/floor-1/room-1/lamp",
        "site-10/floor-1/room-1",
        "site-10/floor-1/room-2",
        "site-1",
        "site-10",
    ];
    assert_eq!(paths(&*store).await, want);
    store.put_rows(vec![row("room-1", None, 2)]).await.unwrap();
    assert_eq!(store.entry(&id("lamp")).await.unwrap().unwrap().path.as_str(), "room-1/lamp");
    assert_eq!(store.below(&id("site-1")).await.unwrap(), [id("floor-2")]);
}

pub async fn a_loop_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let before = paths(&*store).await;
    refused(store.put_rows(vec![row("site-1", Some("lamp"), 2)]).await);
    refused(store.put_rows(vec![row("site-1", Some("site-1"), 2)]).await);
    refused(store.put_rows(vec![row("new", Some("new"), 1)]).await);
    refused(store.put_rows(vec![row("x", Some("y"), 1), row("y", Some("x"), 1)]).await);
    assert_eq!(paths(&*store).await, before);
}

pub async fn a_missing_parent_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    refused(store.put_rows(vec![row("fine", None, 1), row("a", Some("nobody"), 1)]).await);
    assert_eq!(store.count().await.unwrap(), 0, "all rows of a call or none");
}

pub async fn a_tree_that_is_too_deep_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let chain = |name: &str, levels: usize| -> Vec<RegistryRow> {
        let link = |n: usize| row(&format!("{name}{n}"), (n > 0).then(|| format!("{name}{}", n - 1)).as_deref(), 1);
        (0..levels).map(link).collect()
    };
    store.put_rows(chain("a", TREE_DEPTH_MAX)).await.unwrap();
    refused(store.put_rows(vec![row("x", Some(&format!("a{}", TREE_DEPTH_MAX - 1)), 1)]).await);
    store.put_rows(chain("b", 3)).await.unwrap();
    refused(store.put_rows(vec![row("b0", Some(&format!("a{}", TREE_DEPTH_MAX - 3)), 2)]).await);
    store.put_rows(vec![row("b0", Some(&format!("a{}", TREE_DEPTH_MAX - 4)), 2)]).await.unwrap();
    assert_eq!(store.entry(&id("b2")).await.unwrap().unwrap().path.depth(), TREE_DEPTH_MAX);
}

pub async fn rows_of_one_call_may_come_in_any_order(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    store.put_rows(vec![row("lamp", Some("room"), 1), row("room", Some("site"), 1), row("site", None, 1)]).await.unwrap();
    assert_eq!(paths(&*store).await, ["site/room/lamp", "site/room", "site"]);
    // Turned upside down in one call.
    store.put_rows(vec![row("site", Some("room"), 2), row("room", Some("lamp"), 2), row("lamp", None, 2)]).await.unwrap();
    assert_eq!(paths(&*store).await, ["lamp", "lamp/room", "lamp/room/site"]);
}

pub async fn a_stale_row_is_ignored(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    store.put_rows(vec![row("room-2", Some("floor-2"), 5)]).await.unwrap();
    let stale = || vec![row("room-2", Some("floor-1"), 4), row("room-2", Some("gone"), 3)];
    store.put_rows(stale()).await.unwrap();
    store.project(Projection { registry: stale(), ..Projection::default() }).await.unwrap();
    assert_eq!(store.entry(&id("room-2")).await.unwrap().unwrap().path.as_str(), "site-1/floor-2/room-2");
}

pub async fn a_recorded_move_is_never_an_error(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let registry = vec![row("site-1", Some("lamp"), 2), row("stray", Some("nobody"), 1), row("room-1", Some("floor-2"), 2)];
    store.project(Projection { registry, ..Projection::default() }).await.unwrap();
    let entry = async |twin: &str| store.entry(&id(twin)).await.unwrap().unwrap();
    assert_eq!(entry("site-1").await.path.as_str(), "site-1", "a loop keeps its former place");
    assert_eq!(entry("site-1").await.row.parent, None);
    assert_eq!(entry("lamp").await.path.as_str(), "site-1/floor-2/room-1/lamp");
    assert_eq!(entry("stray").await.path.as_str(), "stray");
}

pub async fn children_of_a_deleted_twin_stand_on_their_own_until_it_returns(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    store.project(Projection { deleted: vec![id("floor-1")], ..Projection::default() }).await.unwrap();
    assert_eq!(paths(&*store).await, ["site-1/floor-2", "room-1/lamp", "room-1", "room-2", "site-1", "site-10"]);
    refused(store.put_rows(vec![row("floor-1", Some("lamp"), 1)]).await);
    store.put_rows(vec![row("floor-1", Some("site-10"), 1)]).await.unwrap();
    let want = [
        "site-10/floor-1",
        "site-1/floor-2",
        "site-10/floor-1/room-1/lamp",
        "site-10/floor-1/room-1",
        "site-10/floor-1/room-2",
        "site-1",
        "site-10",
    ];
    assert_eq!(paths(&*store).await, want);
}

pub async fn lists_are_filtered_and_paged_by_id(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let mut other = row("odd", Some("floor-1"), 1);
    other.model = ModelId::new("dtmi:twinfold:Lamp;1").unwrap();
    store.put_rows(vec![other.clone()]).await.unwrap();
    let ids = async |query: RegistryQuery| {
        let ask = |cursor| {
            let (store, query) = (store.clone(), RegistryQuery { cursor, ..query.clone() });
            async move { store.list(query).await.unwrap() }
        };
        all_pages(query.limit, ask).await.iter().map(|e| e.row.id.to_string()).collect::<Vec<_>>()
    };
    for limit in [1, 2, 100] {
        let q = RegistryQuery { limit, ..RegistryQuery::default() };
        assert_eq!(ids(q.clone()).await, ["floor-1", "floor-2", "lamp", "odd", "room-1", "room-2", "site-1", "site-10"]);
        assert_eq!(ids(RegistryQuery { parent: Some(id("floor-1")), ..q.clone() }).await, ["odd", "room-1", "room-2"]);
        assert_eq!(
            ids(RegistryQuery { under: Some(id("site-1")), ..q.clone() }).await,
            ["floor-1", "floor-2", "lamp", "odd", "room-1", "room-2"]
        );
        assert_eq!(ids(RegistryQuery { under: Some(id("site-10")), ..q.clone() }).await, [""; 0]);
        assert_eq!(ids(RegistryQuery { under: Some(id("nobody")), ..q.clone() }).await, [""; 0]);
        assert_eq!(ids(RegistryQuery { model: Some(other.model.clone()), ..q.clone() }).await, ["odd"]);
        let both = RegistryQuery { model: Some(row("x", None, 1).model), under: Some(id("floor-1")), parent: Some(id("floor-1")), ..q };
        assert_eq!(ids(both).await, ["room-1", "room-2"]);
    }
    assert_eq!(store.count().await.unwrap(), 8);
}

pub async fn what_is_below_is_listed_wherever_its_ids_lie(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let mut rows = vec![row("site", None, 1), row("few", None, 1)];
    rows.extend((0..300).map(|n| row(&format!("m-{n:03}"), Some("site"), 1)));
    rows.extend(["a-first", "m-150-between", "z-last"].map(|name| row(name, Some("few"), 1)));
    store.put_rows(rows).await.unwrap();
    for limit in [1, 2, 3, 10, 400] {
        let below = async |top: &str| {
            let ask = |cursor| {
                let (store, query) = (store.clone(), RegistryQuery { under: Some(id(top)), limit, cursor, ..RegistryQuery::default() });
                async move { store.list(query).await.unwrap() }
            };
            all_pages(limit, ask).await.iter().map(|e| e.row.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(below("few").await, ["a-first", "m-150-between", "z-last"], "{limit} a page");
        assert_eq!(below("site").await, (0..300).map(|n| format!("m-{n:03}")).collect::<Vec<_>>(), "{limit} a page");
    }
}

pub async fn what_is_asked_of_many_is_what_is_asked_of_each(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let snapshot = |name: &str| Snapshot { twin: id(name), seq: 1, state: "s".into(), contribution: name.to_owned().into(), wake_at: None };
    let snapshots = vec![snapshot("room-1"), snapshot("floor-2"), snapshot("lamp")];
    store.project(Projection { snapshots, ..Projection::default() }).await.unwrap();
    let asked = ["floor-1", "nobody", "lamp", "room-1", "site-1", "floor-2", "floor-1"].map(id);
    let (children, snapshots) = (store.children_of(&asked).await.unwrap(), store.snapshots(&asked).await.unwrap());
    assert_eq!((children.len(), snapshots.len()), (asked.len(), asked.len()));
    for (n, twin) in asked.iter().enumerate() {
        assert_eq!(children[n], store.children(twin).await.unwrap(), "{twin}");
        assert_eq!(snapshots[n], store.snapshot(twin).await.unwrap(), "{twin}");
    }
    assert_eq!((children[0].len(), snapshots.iter().flatten().count()), (2, 3));
    assert_eq!((store.children_of(&[]).await.unwrap(), store.snapshots(&[]).await.unwrap()), (vec![], vec![]));
}

pub async fn children_bring_their_contribution(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let snapshot = Snapshot { twin: id("room-1"), seq: 1, state: Bytes::from("s"), contribution: Bytes::from("21.5"), wake_at: None };
    store.project(Projection { snapshots: vec![snapshot], ..Projection::default() }).await.unwrap();
    let child = |name: &str, has_children, contribution: &'static str| Child {
        id: id(name),
        model: row("x", None, 1).model,
        has_children,
        contribution: Bytes::from(contribution),
    };
    assert_eq!(store.children(&id("floor-1")).await.unwrap(), [child("room-1", true, "21.5"), child("room-2", false, "")]);
    assert_eq!(store.children(&id("lamp")).await.unwrap(), []);
}

pub async fn below_is_deepest_first(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    building(&*store).await;
    let want = ["lamp", "room-1", "room-2", "floor-1", "floor-2"];
    assert_eq!(store.below(&id("site-1")).await.unwrap(), want.map(id));
    assert_eq!(store.below(&id("lamp")).await.unwrap(), []);
    assert_eq!(store.below(&id("nobody")).await.unwrap(), []);
}
