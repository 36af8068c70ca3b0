//! What twins are found by, in a table of its own.
//!
//! Postings of a new row are written before it, those of the old one go after it: a crash in between leaves postings that are stale, which a
//! search sees by the row, and none that is missing. Before a deleted row they go first, as without it nobody knew them any more.

use std::{cmp::Ordering, sync::Arc};

use hierarchy_models::TwinId;
use persistence::{
    Error, RegistryRow,
    search::{From, Posting, Span, postings_of},
    shard_of,
};

use super::{READING, WRITING, twin_id};
use crate::{
    cql::{Cql, Statement, Use, for_each},
    projections::shelves::AT_ONCE,
};

/// Partitions of a key. For ever: a keyspace with another number would not find its twins.
const PARTS: i16 = 8;

pub struct Postings {
    cql: Arc<Cql>,
    put: Statement,
    delete: Statement,
    /// By direction; with the id that is given, or behind it.
    ids: [[Statement; 2]; 2],
    /// By direction; from the beginning, or behind a value and an id.
    values: [[Statement; 2]; 2],
}

fn part_of(twin: &TwinId) -> i16 {
    (shard_of(twin) % PARTS as u16) as i16
}

impl Postings {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let read = async |text: String| cql.prepare(Use::Read, &text).await;
        let order = |descending: bool| if descending { "ORDER BY value DESC, twin DESC" } else { "ORDER BY value, twin" };
        let ids = async |descending: bool, sign: &str| {
            let order = order(descending);
            read(format!("SELECT twin FROM posting WHERE key = ? AND part = ? AND value = ? AND twin {sign} ? {order} LIMIT ?")).await
        };
        let first = async |descending: bool| {
            let order = order(descending);
            read(format!("SELECT value, twin FROM posting WHERE key = ? AND part = ? AND value >= ? AND value <= ? {order} LIMIT ?")).await
        };
        let behind = async |descending: bool| {
            let (sign, end, order) = if descending { ("<", ">=", order(true)) } else { (">", "<=", order(false)) };
            let range = format!("(value, twin) {sign} (?, ?) AND (value) {end} (?)");
            read(format!("SELECT value, twin FROM posting WHERE key = ? AND part = ? AND {range} {order} LIMIT ?")).await
        };
        Ok(Self {
            put: cql.prepare(Use::Write, "INSERT INTO posting (key, part, value, twin) VALUES (?, ?, ?, ?)").await?,
            delete: cql.prepare(Use::Write, "DELETE FROM posting WHERE key = ? AND part = ? AND value = ? AND twin = ?").await?,
            ids: [[ids(false, ">=").await?, ids(false, ">").await?], [ids(true, "<=").await?, ids(true, "<").await?]],
            values: [[first(false).await?, behind(false).await?], [first(true).await?, behind(true).await?]],
            cql,
        })
    }

    async fn run(&self, statement: &Statement, twin: &TwinId, postings: Vec<Posting>) -> Result<(), Error> {
        let each = for_each(postings, AT_ONCE, |Posting { key, value }| async move {
            self.cql.write(WRITING, statement, (key, part_of(twin), value, twin.as_str())).await
        });
        each.await.map(drop)
    }

    /// To be called before the row is written; what has to go after it.
    pub async fn come(&self, old: Option<&RegistryRow>, new: &RegistryRow) -> Result<Vec<Posting>, Error> {
        let (old, wanted) = (old.map(postings_of).unwrap_or_default(), postings_of(new));
        let come = wanted.iter().filter(|posting| old.binary_search(posting).is_err()).cloned().collect();
        self.run(&self.put, &new.id, come).await?;
        Ok(old.into_iter().filter(|posting| wanted.binary_search(posting).is_err()).collect())
    }

    pub async fn go(&self, twin: &TwinId, gone: Vec<Posting>) -> Result<(), Error> {
        self.run(&self.delete, twin, gone).await
    }

    /// Ids under one posting.
    pub async fn ids(&self, posting: &Posting, from: &From, limit: usize) -> Result<Vec<TwinId>, Error> {
        let statement = &self.ids[usize::from(from.descending)][usize::from(!from.included && from.id.is_some())];
        let place = from.id.as_ref().map_or(if from.descending { LAST_ID } else { "" }, TwinId::as_str);
        let parts = for_each(0..PARTS, PARTS as usize, |part| async move {
            let values = (posting.key.as_slice(), part, posting.value.as_slice(), place, limit as i32);
            self.cql.rows::<(String,)>(READING, statement, values).await
        });
        let mut ids = Vec::new();
        for (id,) in parts.await?.into_iter().flatten() {
            ids.push(twin_id(&id)?);
        }
        ids.sort_unstable_by(|a, b| turned(a.cmp(b), from.descending));
        ids.truncate(limit);
        Ok(ids)
    }

    /// How many ids there are under one posting, from as many as `max` in all parts on any number above it.
    pub async fn count(&self, posting: &Posting, max: usize) -> Result<usize, Error> {
        // A hash fills all parts alike: one that holds more than its share says that there are more.
        let share = max / PARTS as usize + 1;
        let statement = &self.ids[0][0];
        let parts = for_each(0..PARTS, PARTS as usize, |part| async move {
            let values = (posting.key.as_slice(), part, posting.value.as_slice(), "", share as i32 + 1);
            Ok(self.cql.rows::<(String,)>(READING, statement, values).await?.len())
        });
        let parts = parts.await?;
        Ok(if parts.iter().any(|count| *count > share) { max + 1 } else { parts.iter().sum() })
    }

    pub async fn values(
        &self,
        span: &Span,
        after: Option<(&[u8], &TwinId)>,
        descending: bool,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, TwinId)>, Error> {
        let statement = &self.values[usize::from(descending)][usize::from(after.is_some())];
        let end = if descending { &span.from } else { &span.to };
        let parts = for_each(0..PARTS, PARTS as usize, |part| async move {
            let key = span.key.as_slice();
            match after {
                Some((value, twin)) => {
                    let values = (key, part, value, twin.as_str(), end.as_slice(), limit as i32);
                    self.cql.rows::<(Vec<u8>, String)>(READING, statement, values).await
                }
                None => {
                    let values = (key, part, span.from.as_slice(), span.to.as_slice(), limit as i32);
                    self.cql.rows::<(Vec<u8>, String)>(READING, statement, values).await
                }
            }
        });
        let mut found = Vec::new();
        for (value, id) in parts.await?.into_iter().flatten() {
            found.push((value, twin_id(&id)?));
        }
        found.sort_unstable_by(|a, b| turned(a.cmp(b), descending));
        found.truncate(limit);
        Ok(found)
    }
}

/// Behind every id.
pub const LAST_ID: &str = "\u{7f}";

fn turned(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}
