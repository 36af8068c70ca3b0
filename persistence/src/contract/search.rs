//! Facts about searches: whatever lists a store keeps, it answers as a look at every twin would.

use hierarchy_models::filter::{Filter, Sort};

use super::{model::Choices, *};
use crate::{Error, Projections, Registry, RegistryQuery};

fn pick<'a>(choices: &mut Choices, of: &[&'a str]) -> &'a str {
    of[choices.below(of.len() as u64) as usize]
}

const MODELS: [&str; 3] = ["dtmi:twinfold:Room;1", "dtmi:twinfold:Device;1", "dtmi:example:Pump;1"];
/// Texts that are equal for longer than what is looked up of them.
fn long(end: &str) -> String {
    format!("{}{end}", "l".repeat(120))
}

fn random_row(choices: &mut Choices, n: u64, seq: u64) -> RegistryRow {
    let parent = (n > 0 && choices.below(4) > 0).then(|| format!("t-{:02}", choices.below(n)));
    let mut metadata = hierarchy_models::Map::new();
    let floor = match choices.below(4) {
        0 => Value::Null,
        1 => Value::Int(choices.below(4) as i64),
        _ => Value::from(pick(choices, &["1", "2", "3"])),
    };
    metadata.insert("floor".into(), floor);
    if choices.below(3) > 0 {
        metadata.insert("level".into(), Value::from(choices.below(40) as f64 / 8.0 - 2.0));
    }
    if choices.below(2) > 0 {
        metadata.insert("on".into(), Value::Bool(choices.below(2) > 0));
    }
    if choices.below(2) > 0 {
        metadata.insert("place".into(), Value::from_iter([("wing", Value::from(pick(choices, &["east", "west", "eas", ""])))]));
    }
    if choices.below(3) == 0 {
        metadata.insert("text".into(), Value::from(long(pick(choices, &["a", "b"])).as_str()));
    }
    let tags = ["new", "old", "spare"].into_iter().filter(|_| choices.below(3) == 0).map(Name::from).collect();
    RegistryRow {
        model: ModelId::new(pick(choices, &MODELS)).unwrap(),
        gateway: (choices.below(4) == 0).then(|| id(pick(choices, &["g-1", "g-2"]))),
        status: if choices.below(4) == 0 { Status::Inactive } else { Status::Active },
        metadata,
        tags,
        created_at: at(choices.below(6) as i64 * 1_000),
        ..row(&format!("t-{n:02}"), parent.as_deref(), seq)
    }
}

fn random_filter(choices: &mut Choices, depth: u64) -> String {
    let relation = pick(choices, &["==", "==", "!=", "<", "<=", ">", ">="]);
    let twin = format!("t-{:02}", choices.below(40));
    match choices.below(if depth == 0 { 14 } else { 20 }) {
        0 => format!("metadata.floor {relation} {}", pick(choices, &["\"1\"", "\"2\"", "\"\"", "2", "0", "true"])),
        1 => format!("metadata.level {relation} {}", pick(choices, &["0", "-1.5", "1.125", "2", "-9", "\"x\""])),
        2 => pick(choices, &["metadata.on", "metadata.on == false", "metadata.on > true", "exists(metadata.place)"]).to_owned(),
        3 => format!("metadata.place.wing {relation} \"{}\"", pick(choices, &["east", "eas", "", "z"])),
        4 => format!(
            "metadata.place.wing.{}(\"{}\")",
            pick(choices, &["startsWith", "endsWith", "contains"]),
            pick(choices, &["ea", "st", ""])
        ),
        5 => format!("metadata.text {relation} \"{}\"", long(pick(choices, &["a", "b", ""]))),
        6 => format!("metadata.text.startsWith(\"{}\")", long(pick(choices, &["a", "c", ""]))),
        7 => format!("tag(\"{}\")", pick(choices, &["new", "old", "none"])),
        8 => format!("under(\"{twin}\")"),
        9 => format!("parent {} \"{twin}\" || gateway {} \"g-1\"", pick(choices, &["==", "!="]), pick(choices, &["==", "!="])),
        10 => format!("status == \"{}\"", pick(choices, &["active", "inactive", "online"])),
        11 => format!("model == \"{}\"", pick(choices, &MODELS)),
        12 => format!("created_at {relation} \"1970-01-01T00:00:0{}Z\"", choices.below(6)),
        13 => format!("id {relation} \"{twin}\" || id.startsWith(\"{}\") || values.t > 1", pick(choices, &["t-1", "t-", "x"])),
        14 => format!("!({})", random_filter(choices, depth - 1)),
        n => {
            let sign = if n % 2 == 0 { "&&" } else { "||" };
            format!("({}) {sign} ({})", random_filter(choices, depth - 1), random_filter(choices, depth - 1))
        }
    }
}

fn random_query(choices: &mut Choices) -> (String, RegistryQuery) {
    let filter = random_filter(choices, 3);
    let sort = pick(choices, &["id", "-id", "created_at", "-created_at", "metadata.level", "-metadata.floor", "metadata.text"]);
    let mut twin = || id(&format!("t-{:02}", choices.below(40)));
    let (a, b, c, d) = (twin(), twin(), twin(), twin());
    let mut maybe = |twin: TwinId| (choices.below(6) == 0).then_some(twin);
    let query = RegistryQuery {
        filter: Some(Filter::parse(&filter).unwrap_or_else(|e| panic!("{filter}: {e}"))),
        sort: Sort::parse(sort).unwrap(),
        parent: maybe(a),
        under: maybe(b),
        within: maybe(c).map(|top| maybe(d).into_iter().chain([top]).collect()),
        limit: [1, 3, 100][choices.below(3) as usize],
        ..RegistryQuery::default()
    };
    (format!("{filter} by {sort}, {query:?}"), query)
}

async fn ids(store: &(impl Registry + ?Sized), query: &RegistryQuery) -> Vec<String> {
    let ask = |cursor| {
        let query = RegistryQuery { cursor, ..query.clone() };
        async move { store.list(query).await.unwrap() }
    };
    all_pages(query.limit, ask).await.iter().map(|e| e.row.id.to_string()).collect()
}

pub async fn random_filters_answer_as_a_look_at_every_twin(place: &dyn Place) {
    let mut choices = Choices(0x2545_f491_4f6c_dd1d);
    let (model, Opened { mut store, .. }) = (MemoryStore::new(), place.open().await);
    let mut found = 0;
    for step in 0..12 {
        for n in 0..40 {
            let row = random_row(&mut choices, n, step);
            match choices.below(8) {
                0 if step > 0 => {
                    let projection = Projection { deleted: vec![row.id.clone()], ..Projection::default() };
                    store.project(projection.clone()).await.unwrap();
                    model.project(projection).await.unwrap();
                }
                1..=3 if step > 0 => {}
                _ => {
                    let projection = Projection { registry: vec![row], ..Projection::default() };
                    store.project(projection.clone()).await.unwrap();
                    model.project(projection).await.unwrap();
                }
            }
        }
        if step % 4 == 3 {
            store.close().await.unwrap();
            drop(store);
            store = place.open().await.store;
        }
        for _ in 0..40 {
            let (text, query) = random_query(&mut choices);
            let wanted = ids(&model, &query).await;
            found += wanted.len();
            assert_eq!(ids(&*store, &query).await, wanted, "step {step}: {text}");
        }
    }
    assert!(found > 1_000, "{found} twins in all answers: that proves little");
}

fn filtered(filter: &str) -> RegistryQuery {
    RegistryQuery { filter: Some(Filter::parse(filter).unwrap()), limit: 100, ..RegistryQuery::default() }
}

pub async fn what_nobody_may_see_is_on_no_page(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    store.put_rows(vec![row("site", None, 1), row("room", Some("site"), 1), row("other", None, 1)]).await.unwrap();
    for (tops, wanted) in
        [(vec![], ""), (vec!["nobody"], ""), (vec!["room"], "room"), (vec!["site", "room"], "roomsite"), (vec!["other"], "other")]
    {
        let within = Some(tops.into_iter().map(id).collect());
        for sort in ["id", "created_at"] {
            let query = RegistryQuery { within: within.clone(), sort: Sort::parse(sort).unwrap(), limit: 1, ..RegistryQuery::default() };
            assert_eq!(ids(&*store, &query).await.concat(), wanted);
        }
    }
}

pub async fn what_was_written_is_found_at_once(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let tagged = |tag: &str, floor: i64, parent: Option<&str>, seq| RegistryRow {
        tags: vec![tag.into()],
        metadata: [(Name::from("floor"), Value::Int(floor))].into(),
        ..row("lamp", parent, seq)
    };
    let found = async |filter: &str| ids(&*store, &filtered(filter)).await.concat();
    store.put_rows(vec![row("site", None, 1), row("other", None, 1), tagged("new", 1, Some("site"), 1)]).await.unwrap();
    assert_eq!(found(r#"tag("new") && metadata.floor == 1 && under("site")"#).await, "lamp");
    store.put_rows(vec![tagged("old", 2, Some("other"), 2)]).await.unwrap();
    for gone in [r#"tag("new")"#, "metadata.floor < 2", r#"under("site")"#] {
        assert_eq!(found(gone).await, "", "{gone}");
    }
    assert_eq!(found(r#"tag("old") && metadata.floor == 2 && under("other")"#).await, "lamp");
    store.project(Projection { deleted: vec![id("other")], ..Projection::default() }).await.unwrap();
    assert_eq!(found(r#"under("other")"#).await, "");
    assert_eq!(found(r#"tag("old")"#).await, "lamp");
    store.project(Projection { deleted: vec![id("lamp")], ..Projection::default() }).await.unwrap();
    assert_eq!(found(r#"tag("old") || metadata.floor > 0"#).await, "site");
}

pub async fn an_order_is_kept_page_by_page(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    let of = |twin: &str, level: Option<Value>, created: i64| RegistryRow {
        metadata: level.into_iter().map(|level| (Name::from("level"), level)).collect(),
        created_at: at(created),
        ..row(twin, None, 1)
    };
    let rows = vec![
        of("a", Some(Value::Int(2)), 3),
        of("b", None, 1),
        of("c", Some(Value::from("x")), 2),
        of("d", Some(Value::Float(-1.5)), 2),
        of("e", Some(Value::Bool(true)), 9),
        of("f", Some(Value::Null), 4),
        of("g", Some(Value::Int(2)), 1),
    ];
    store.put_rows(rows).await.unwrap();
    for (sort, wanted) in [
        ("id", "abcdefg"),
        ("-id", "gfedcba"),
        ("created_at", "bgcdafe"),
        ("-created_at", "efadcgb"),
        ("metadata.level", "edagcbf"),
        ("-metadata.level", "cgadefb"),
    ] {
        for limit in [1, 2, 7, 100] {
            let query = RegistryQuery { sort: Sort::parse(sort).unwrap(), limit, ..RegistryQuery::default() };
            assert_eq!(ids(&*store, &query).await.concat(), wanted, "{sort}, {limit} a page");
        }
    }
    // What comes and goes between two pages neither repeats nor hides another twin.
    let query = RegistryQuery { sort: Sort::parse("metadata.level").unwrap(), limit: 3, ..RegistryQuery::default() };
    let first = store.list(query.clone()).await.unwrap();
    store.project(Projection { deleted: vec![id("a"), id("d")], ..Projection::default() }).await.unwrap();
    store.put_rows(vec![of("h", Some(Value::Int(-9)), 1), of("i", Some(Value::Int(3)), 1)]).await.unwrap();
    let second = store.list(RegistryQuery { cursor: first.cursor, ..query }).await.unwrap();
    assert_eq!(second.items.iter().map(|e| e.row.id.to_string()).collect::<String>(), "gic");
}

/// More than is ever sorted in memory.
pub async fn a_long_order_is_walked(place: &dyn Place) {
    const TWINS: usize = 4_300;
    let Opened { store, .. } = place.open().await;
    let of = |n: usize| RegistryRow {
        metadata: if n.is_multiple_of(7) { Default::default() } else { [(Name::from("n"), Value::Int((n * 31 % 1_000) as i64))].into() },
        tags: if n.is_multiple_of(100) { vec!["few".into()] } else { Vec::new() },
        ..row(&format!("t-{n:04}"), None, 1)
    };
    let rows: Vec<_> = (0..TWINS).map(of).collect();
    let mut wanted: Vec<(bool, usize, String)> = (0..TWINS).map(|n| (n.is_multiple_of(7), n * 31 % 1_000, format!("t-{n:04}"))).collect();
    wanted.iter_mut().filter(|(has_none, ..)| *has_none).for_each(|(_, n, _)| *n = 0);
    wanted.sort();
    for rows in rows.chunks(500) {
        store.put_rows(rows.to_vec()).await.unwrap();
    }
    let by_n = RegistryQuery { sort: Sort::parse("metadata.n").unwrap(), limit: 900, ..RegistryQuery::default() };
    assert_eq!(ids(&*store, &by_n).await, wanted.iter().map(|(.., id)| id.clone()).collect::<Vec<_>>());
    let few = RegistryQuery { sort: by_n.sort, limit: 20, ..filtered(r#"tag("few") && metadata.n >= 0"#) };
    let of_few = |id: &String| id.ends_with("00");
    assert_eq!(ids(&*store, &few).await, wanted.iter().filter(|w| !w.0).map(|(.., id)| id.clone()).filter(of_few).collect::<Vec<_>>());
}

pub async fn a_cursor_of_another_order_is_refused(place: &dyn Place) {
    let Opened { store, .. } = place.open().await;
    for (sort, cursor) in [("id", "v.00.a"), ("id", "x"), ("metadata.x", "r.a"), ("created_at", "")] {
        let query = RegistryQuery { sort: Sort::parse(sort).unwrap(), cursor: Some(cursor.into()), ..RegistryQuery::default() };
        assert!(matches!(store.list(query).await, Err(Error::BadCursor)), "{sort} {cursor}");
    }
}
