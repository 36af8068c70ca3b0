//! The engine against a look at every twin, with lists that say too much and bounds so low that every way is taken.

use std::collections::{BTreeMap, BTreeSet};

use hierarchy_models::{
    ModelId, Name, Timestamp, TwinId, Value,
    event::Status,
    filter::{Filter, Sort, Verdict},
    tree::Path,
};
use proptest::prelude::*;

use super::{key::Posting, *};
use crate::{error::Error, store::RegistryEntry, store::RegistryRow};

#[derive(Default)]
struct Lists {
    rows: BTreeMap<TwinId, RegistryEntry>,
    postings: BTreeSet<(Vec<u8>, Vec<u8>, TwinId)>,
    under: BTreeMap<TwinId, BTreeSet<TwinId>>,
}

fn id(n: u8) -> TwinId {
    TwinId::new(format!("t-{n:02}")).unwrap()
}

impl Lists {
    fn add(&mut self, n: u8, level: Option<i8>, tags: &[&str], is_stale: bool) {
        let twin = id(n);
        let row = RegistryRow {
            id: twin.clone(),
            model: ModelId::new("dtmi:a:B;1").unwrap(),
            parent: None,
            gateway: None,
            status: Status::Active,
            metadata: level.into_iter().map(|level| (Name::from("level"), Value::Int(level.into()))).collect(),
            tags: tags.iter().map(|tag| Name::from(*tag)).collect(),
            created_at: Timestamp::from_millis(i64::from(n % 5)).unwrap(),
            seq: 1,
        };
        for Posting { key, value } in postings_of(&row) {
            self.postings.insert((key, value, twin.clone()));
        }
        let path = Path::from_stored(&format!("{}/{twin}", id(n % 3)));
        self.under.entry(id(n % 3)).or_default().insert(twin.clone());
        // Listed, and not there, or not so any more.
        if !is_stale {
            self.rows.insert(twin, RegistryEntry { row, path });
        }
    }

    fn of(&self, list: &List) -> Vec<TwinId> {
        match list {
            List::All => self.rows.keys().cloned().collect(),
            List::Posting(p) => {
                self.postings.iter().filter(|(key, value, _)| *key == p.key && *value == p.value).map(|(.., id)| id.clone()).collect()
            }
            List::Under(top) => self.under.get(top).into_iter().flatten().cloned().collect(),
            List::IdPrefix(prefix) => self.rows.keys().filter(|id| id.as_str().starts_with(prefix.as_str())).cloned().collect(),
            List::Children(_) => Vec::new(),
        }
    }
}

impl Index for Lists {
    async fn ids(&self, list: &List, from: &From, limit: usize) -> Result<Vec<TwinId>, Error> {
        let mut ids = self.of(list);
        if from.descending {
            ids.reverse();
        }
        ids.retain(|id| match &from.id {
            Some(place) if id == place => from.included,
            Some(place) => (id > place) != from.descending,
            None => true,
        });
        ids.truncate(limit);
        Ok(ids)
    }

    async fn count(&self, list: &List, max: usize) -> Result<usize, Error> {
        Ok(self.of(list).len().min(max + 1))
    }

    async fn values(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, TwinId)>, Error> {
        let of_key = self.postings.iter().filter(|(key, value, _)| *key == span.key && (&span.from..=&span.to).contains(&value));
        let mut found: Vec<_> = of_key.map(|(_, value, id)| (value.clone(), id.clone())).collect();
        if descending {
            found.reverse();
        }
        found.retain(|(value, id)| {
            after.is_none_or(|after| ((value.as_slice(), id) > after) != descending && (value.as_slice(), id) != after)
        });
        found.truncate(limit);
        Ok(found)
    }

    async fn entries(&self, ids: Vec<TwinId>) -> Result<Vec<RegistryEntry>, Error> {
        Ok(ids.iter().filter_map(|id| self.rows.get(id).cloned()).collect())
    }
}

const FILTERS: [&str; 10] = [
    "metadata.level >= -100",
    "metadata.level > 0 && tag(\"a\")",
    "tag(\"a\") || tag(\"b\")",
    "tag(\"a\") && tag(\"b\") && under(\"t-01\")",
    "(tag(\"a\") && metadata.level < 2) || under(\"t-02\")",
    "metadata.level != 1 && status == \"active\"",
    "!(tag(\"a\") || metadata.level == 1)",
    "id == \"t-07\" || metadata.level in [1, 2]",
    "id.startsWith(\"t-1\") && tag(\"a\")",
    "tag(\"a\") && values.t > 1",
];

fn naive(lists: &Lists, query: &RegistryQuery) -> Vec<TwinId> {
    let mut found: Vec<_> =
        lists.rows.values().filter(|entry| query.judge(entry) != Verdict::No).map(|e| Place::of(e, &query.sort)).collect();
    found.sort_by(|a, b| a.order(b, query.sort.descending));
    found.into_iter().map(|place| place.id).collect()
}

/// All pages, with how many there were.
async fn paged(lists: &Lists, query: &RegistryQuery, bounds: Bounds) -> (Vec<TwinId>, usize) {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let query = RegistryQuery { cursor, ..query.clone() };
        let page = search_within(lists, &query, bounds).await.unwrap();
        assert!(page.items.len() <= query.limit);
        ids.extend(page.items.iter().map(|entry| entry.row.id.clone()));
        cursor = page.cursor;
        pages += 1;
        assert!(pages < 1_000, "a search that does not end: {query:?}");
        if cursor.is_none() {
            return (ids, pages);
        }
    }
}

proptest! {
    #[test]
    fn every_way_through_the_lists_finds_the_same(
        twins in prop::collection::vec((0u8..60, prop::option::of(-3i8..4), 0u8..4, prop::bool::weighted(0.2)), 0..60),
        filter in 0..FILTERS.len(),
        sort in prop::sample::select(vec!["id", "-id", "created_at", "-created_at", "metadata.level", "-metadata.level"]),
        limit in prop::sample::select(vec![1usize, 2, 7, 100]),
        looks_max in prop::sample::select(vec![1usize, 20, 1_000]),
        rows_max in prop::sample::select(vec![1usize, 1_000]),
        sorted_in_memory_max in prop::sample::select(vec![0usize, 3, 100]),
        walked_alone_max in prop::sample::select(vec![0usize, 3, 100]),
    ) {
        let mut lists = Lists::default();
        for (n, level, tags, is_stale) in twins {
            let tags: &[&str] = [&[] as &[&str], &["a"], &["b"], &["a", "b"]][usize::from(tags)];
            lists.add(n, level, tags, is_stale);
        }
        let query = RegistryQuery {
            filter: Some(Filter::parse(FILTERS[filter]).unwrap()),
            sort: Sort::parse(sort).unwrap(),
            limit,
            ..RegistryQuery::default()
        };
        let bounds = Bounds { looks_max, rows_max, sorted_in_memory_max, counted_max: 10, walked_alone_max };
        let searched = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(paged(&lists, &query, bounds));
        prop_assert_eq!(searched.0, naive(&lists, &query));
    }
}

#[tokio::test]
async fn a_call_that_has_looked_at_enough_goes_on_where_it_ended() {
    let mut lists = Lists::default();
    (0..60).for_each(|n| lists.add(n, Some(1), &[], false));
    let filter = Filter::parse("metadata.level.contains(\"x\")").unwrap();
    let query = RegistryQuery { filter: Some(filter), limit: 10, ..RegistryQuery::default() };
    let (found, pages) = paged(&lists, &query, Bounds { rows_max: 10, ..Bounds::default() }).await;
    assert!(found.is_empty() && (4..=7).contains(&pages), "{pages} pages");
}
