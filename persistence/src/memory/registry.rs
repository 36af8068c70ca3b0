//! The registry of the memory store: rows by id; where a twin stands is walked from its parents each time.
//!
//! A parent that is not there (it was deleted, or its row comes later in the same recovery) makes its child the top of a tree
//! of its own until it comes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use hierarchy_models::{
    TwinId,
    filter::Verdict,
    limits::TREE_DEPTH_MAX,
    tree::{Path, TreeError},
};

use super::{MemoryStore, State};
use crate::{
    error::Error,
    query::Page,
    search::{Place, RegistryQuery},
    store::{Child, Registry, RegistryEntry, RegistryRow},
};

type Rows = BTreeMap<TwinId, RegistryRow>;

/// The ids from `twin` up: the last one has no parent or is not registered.
fn upward(rows: &Rows, twin: &TwinId) -> Vec<TwinId> {
    let mut ids = vec![twin.clone()];
    while let Some(parent) = rows.get(&ids[ids.len() - 1]).and_then(|row| row.parent.clone()) {
        ids.push(parent);
    }
    ids
}

fn path_of(rows: &Rows, twin: &TwinId) -> Path {
    let mut ids = upward(rows, twin);
    ids.retain(|id| rows.contains_key(id));
    Path::from_stored(&ids.iter().rev().map(TwinId::as_str).collect::<Vec<_>>().join("/"))
}

/// Levels below and including `twin`.
fn height(rows: &Rows, twin: &TwinId) -> usize {
    let children = rows.values().filter(|row| row.parent.as_ref() == Some(twin));
    1 + children.map(|row| height(rows, &row.id)).max().unwrap_or(0)
}

fn place(rows: &mut Rows, row: RegistryRow) -> Result<(), TreeError> {
    if rows.get(&row.id).is_some_and(|old| old.seq > row.seq) {
        return Ok(());
    }
    if let Some(parent) = &row.parent {
        if upward(rows, parent).contains(&row.id) {
            return Err(TreeError::Loop { twin: row.id.clone(), parent: parent.clone() });
        }
        let above = upward(rows, parent).iter().filter(|id| rows.contains_key(*id)).count();
        let depth = above + height(rows, &row.id);
        if depth > TREE_DEPTH_MAX {
            return Err(TreeError::TooDeep { twin: row.id.clone(), depth });
        }
    }
    rows.insert(row.id.clone(), row);
    Ok(())
}

/// Places rows in whatever order works; returns those that no order could place, each with why.
fn place_all(rows: &mut Rows, mut waiting: Vec<RegistryRow>) -> Vec<(RegistryRow, TreeError)> {
    loop {
        let count = waiting.len();
        let refused: Vec<_> = waiting.into_iter().filter_map(|row| place(rows, row.clone()).err().map(|why| (row, why))).collect();
        if refused.len() == count {
            return refused;
        }
        waiting = refused.into_iter().map(|(row, _)| row).collect();
    }
}

impl State {
    /// Rows that are already facts of the journal: what the tree cannot hold keeps its former place.
    pub(super) fn place_known(&mut self, rows: Vec<RegistryRow>) {
        for (mut row, _) in place_all(&mut self.rows, rows) {
            row.parent = self.rows.get(&row.id).and_then(|old| old.parent.clone());
            self.rows.insert(row.id.clone(), row);
        }
    }

    fn put_rows(&mut self, rows: Vec<RegistryRow>) -> Result<(), Error> {
        let mut after = self.rows.clone();
        let named: BTreeSet<_> = rows.iter().map(|row| row.id.clone()).collect();
        if let Some((_, why)) = place_all(&mut after, rows).into_iter().next() {
            return Err(Error::Refused(why.to_string()));
        }
        for row in named.iter().filter_map(|twin| after.get(twin)) {
            if let Some(parent) = row.parent.as_ref().filter(|parent| !after.contains_key(*parent)) {
                return Err(Error::Refused(format!("{} names the parent {parent}, which is not registered", row.id)));
            }
        }
        self.rows = after;
        Ok(())
    }

    fn entry(&self, row: &RegistryRow) -> RegistryEntry {
        RegistryEntry { row: row.clone(), path: path_of(&self.rows, &row.id) }
    }

    fn stands_under(&self, twin: &TwinId, top: &TwinId) -> bool {
        twin != top && self.rows.contains_key(top) && upward(&self.rows, twin).contains(top)
    }
}

#[async_trait]
impl Registry for MemoryStore {
    async fn put_rows(&self, rows: Vec<RegistryRow>) -> Result<(), Error> {
        self.state.lock().put_rows(rows)
    }

    async fn entry(&self, twin: &TwinId) -> Result<Option<RegistryEntry>, Error> {
        let state = self.state.lock();
        Ok(state.rows.get(twin).map(|row| state.entry(row)))
    }

    async fn list(&self, q: RegistryQuery) -> Result<Page<RegistryEntry>, Error> {
        let after = Place::read(&q.cursor, &q.sort)?;
        let state = self.state.lock();
        let all = state.rows.values().map(|row| state.entry(row)).filter(|entry| q.judge(entry) != Verdict::No);
        let mut found: Vec<_> = all.map(|entry| (Place::of(&entry, &q.sort), entry)).collect();
        found.retain(|(place, _)| after.as_ref().is_none_or(|after| after.order(place, q.sort.descending).is_lt()));
        found.sort_by(|(a, _), (b, _)| a.order(b, q.sort.descending));
        let limit = q.limit.max(1);
        let cursor = found.get(limit - 1).filter(|_| found.len() > limit).map(|(last, _)| last.to_string());
        Ok(Page { items: found.into_iter().take(limit).map(|(_, entry)| entry).collect(), cursor })
    }

    async fn children(&self, parent: &TwinId) -> Result<Vec<Child>, Error> {
        let state = self.state.lock();
        let child = |row: &RegistryRow| Child {
            id: row.id.clone(),
            model: row.model.clone(),
            has_children: state.rows.values().any(|below| below.parent.as_ref() == Some(&row.id)),
            contribution: state.snapshots.get(&row.id).map(|s| s.contribution.clone()).unwrap_or_default(),
        };
        Ok(state.rows.values().filter(|row| row.parent.as_ref() == Some(parent)).map(child).collect())
    }

    async fn below(&self, top: &TwinId) -> Result<Vec<TwinId>, Error> {
        let state = self.state.lock();
        let mut ids: Vec<_> = state.rows.keys().filter(|id| state.stands_under(id, top)).cloned().collect();
        ids.sort_by_key(|id| (std::cmp::Reverse(path_of(&state.rows, id).depth()), id.clone()));
        Ok(ids)
    }

    async fn count(&self) -> Result<u64, Error> {
        Ok(self.state.lock().rows.len() as u64)
    }
}
