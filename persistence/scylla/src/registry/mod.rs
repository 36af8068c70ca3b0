//! The registry: every twin's row in a table, what it is found by in another, and where it stands in memory.

mod postings;
mod searched;
pub mod tree;

use std::sync::Arc;

use async_trait::async_trait;
use hierarchy_models::{Name, Timestamp, TwinId, Value, id::ModelId, tree::Path};
use parking_lot::RwLock;
use persistence::{
    Child, Error, Page, Registry, RegistryEntry, RegistryQuery, RegistryRow, codec, metrics,
    search::{postings_of, search},
};

use self::{
    postings::Postings,
    searched::Searched,
    tree::{Node, Tree},
};
use crate::{
    ScyllaStore,
    cql::{Cql, Statement, Use, damaged, each, for_each},
    projections::shelves::AT_ONCE,
};

/// Parts of the ring that the table is read in, and how many at once.
const PARTS: i64 = 64;
const PARTS_AT_ONCE: usize = 4;
/// Twins whose children are read at once, many of each.
const PARENTS_AT_ONCE: usize = 8;
const READING: &str = "reading the registry";
const WRITING: &str = "writing the registry";

pub struct Rows {
    cql: Arc<Cql>,
    put: Statement,
    get: Statement,
    delete: Statement,
    all: Statement,
    postings: Postings,
    tree: RwLock<Tree>,
    /// Whoever changes rows.
    writing: tokio::sync::Mutex<()>,
}

fn twin_id(text: &str) -> Result<TwinId, Error> {
    TwinId::new(text).map_err(|e| damaged(READING, e))
}

/// An empty text stands for none.
fn or_none(text: &str) -> Result<Option<TwinId>, Error> {
    if text.is_empty() { Ok(None) } else { twin_id(text).map(Some) }
}

fn or_empty(twin: &Option<TwinId>) -> &str {
    twin.as_ref().map_or("", TwinId::as_str)
}

type Stored = (String, String, String, i16, i64, i64, Vec<u8>, Vec<u8>);

fn row_of(id: TwinId, (model, parent, gateway, status, created_at, seq, tags, metadata): Stored) -> Result<RegistryRow, Error> {
    let tags = match codec::value_from_bytes(&tags)? {
        Value::List(tags) => tags.iter().filter_map(|tag| tag.as_str().map(Name::from)).collect(),
        _ => Vec::new(),
    };
    Ok(RegistryRow {
        id,
        model: ModelId::new(&model).map_err(|e| damaged(READING, e))?,
        parent: or_none(&parent)?,
        gateway: or_none(&gateway)?,
        status: codec::wire::status_from(status as u32)?,
        metadata: codec::map_from_bytes(&metadata)?,
        tags,
        created_at: Timestamp::from_millis_clamped(created_at),
        seq: seq as u64,
    })
}

/// Whether any twin is registered.
pub async fn is_anybody_there(cql: &Cql) -> Result<bool, Error> {
    let any = cql.prepare(Use::Read, "SELECT id FROM twin LIMIT 1").await?;
    Ok(cql.row::<(String,)>(READING, &any, ()).await?.is_some())
}

/// The tokens of a part: after the first, up to the second.
fn part_of_ring(part: i64) -> (i64, i64) {
    let at = |part: i64| (i128::from(i64::MIN) + (i128::from(part) << 64) / i128::from(PARTS)).min(i64::MAX.into()) as i64;
    (at(part), at(part + 1))
}

impl Rows {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let put =
            "INSERT INTO twin (id, model, parent, gateway, status, created_at, seq, tags, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let get = "SELECT model, parent, gateway, status, created_at, seq, tags, metadata FROM twin WHERE id = ?";
        let all = "SELECT id, model, parent, seq FROM twin WHERE token(id) > ? AND token(id) <= ?";
        Ok(Self {
            put: cql.prepare(Use::Write, put).await?,
            get: cql.prepare(Use::Read, get).await?,
            delete: cql.prepare(Use::Write, "DELETE FROM twin WHERE id = ?").await?,
            all: cql.prepare(Use::Read, all).await?,
            postings: Postings::prepare(cql.clone()).await?,
            tree: RwLock::default(),
            writing: tokio::sync::Mutex::new(()),
            cql,
        })
    }

    /// Reads where every twin stands.
    pub async fn load(&self) -> Result<(), Error> {
        *self.tree.write() = Tree::default();
        for_each(0..PARTS, PARTS_AT_ONCE, |part| self.load_part(part_of_ring(part))).await?;
        self.tree.write().mend_all();
        Ok(())
    }

    async fn load_part(&self, tokens: (i64, i64)) -> Result<(), Error> {
        let found = self.cql.rows::<(String, String, String, i64)>(READING, &self.all, tokens).await?;
        let mut tree = self.tree.write();
        for (id, model, parent, seq) in found {
            let model = ModelId::new(&model).map_err(|e| damaged(READING, e))?;
            tree.load(twin_id(&id)?, Node { model, parent: or_none(&parent)?, seq: seq as u64 });
        }
        Ok(())
    }

    /// What landed is in memory too, whatever became of the rest.
    async fn write(&self, deleted: &[TwinId], rows: &[RegistryRow]) -> Result<(), Error> {
        let gone = each(0..deleted.len(), AT_ONCE, |n| self.delete(&deleted[n])).await;
        self.accept(gone, |tree, n| tree.forget(&deleted[n]))?;
        let landed = each(0..rows.len(), AT_ONCE, |n| self.put(&rows[n])).await;
        let landed = self.accept(landed, |tree, n| tree.accept(&rows[n]));
        self.tree.write().mend(rows.iter().map(|row| &row.id));
        landed
    }

    /// The first error, if any.
    fn accept(&self, written: Vec<Result<(), Error>>, take: impl Fn(&mut Tree, usize)) -> Result<(), Error> {
        let mut tree = self.tree.write();
        let mut result = Ok(());
        for (n, written) in written.into_iter().enumerate() {
            match written {
                Ok(()) => take(&mut tree, n),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    async fn delete(&self, twin: &TwinId) -> Result<(), Error> {
        if let Some(row) = self.stored(twin).await? {
            self.postings.go(twin, postings_of(&row)).await?;
        }
        self.cql.write(WRITING, &self.delete, (twin.as_str(),)).await
    }

    async fn put(&self, row: &RegistryRow) -> Result<(), Error> {
        let gone = self.postings.come(self.stored(&row.id).await?.as_ref(), row).await?;
        self.put_row(row).await?;
        self.postings.go(&row.id, gone).await
    }

    /// As the table has it.
    async fn stored(&self, twin: &TwinId) -> Result<Option<RegistryRow>, Error> {
        let row: Option<Stored> = self.cql.row(READING, &self.get, (twin.as_str(),)).await?;
        row.map(|row| row_of(twin.clone(), row)).transpose()
    }

    async fn put_row(&self, row: &RegistryRow) -> Result<(), Error> {
        let tags = codec::value_to_bytes(&Value::from(row.tags.iter().map(|t| Value::Text(t.clone())).collect::<Vec<_>>()));
        let values = (
            row.id.as_str(),
            row.model.as_str(),
            or_empty(&row.parent),
            or_empty(&row.gateway),
            codec::wire::status_code(row.status) as i16,
            row.created_at.as_millis(),
            row.seq as i64,
            tags,
            codec::map_to_bytes(&row.metadata),
        );
        self.cql.write(WRITING, &self.put, values).await
    }

    /// Rows that are facts of the journal.
    pub async fn project(&self, deleted: &[TwinId], rows: Vec<RegistryRow>) -> Result<(), Error> {
        let _alone = self.writing.lock().await;
        // Those that memory does not have too: a row may have landed whose writer was told that it is not known.
        let rows = self.tree.write().try_known(deleted, rows);
        self.write(deleted, &rows).await
    }

    async fn put_rows(&self, rows: Vec<RegistryRow>) -> Result<(), Error> {
        let _alone = self.writing.lock().await;
        let rows = self.tree.write().try_rows(rows)?;
        self.write(&[], &rows).await
    }

    /// `None` as well when it went away just now, or comes just now: where a twin stands, the tree says.
    pub async fn entry(&self, twin: &TwinId) -> Result<Option<RegistryEntry>, Error> {
        let Some(row) = self.stored(twin).await? else { return Ok(None) };
        let tree = self.tree.read();
        let node = tree.get(twin);
        Ok(node.map(|node| RegistryEntry { path: tree.path_of(twin), row: RegistryRow { parent: node.parent.clone(), ..row } }))
    }

    pub fn path(&self, twin: &TwinId) -> Option<Path> {
        let tree = self.tree.read();
        tree.get(twin).map(|_| tree.path_of(twin))
    }

    /// Children as the tree has them, without what their snapshots say.
    pub fn children(&self, parent: &TwinId) -> Vec<Child> {
        let tree = self.tree.read();
        let child = |id: &TwinId| {
            let model = tree.get(id)?.model.clone();
            Some(Child { id: id.clone(), model, has_children: tree.has_children(id), contribution: Default::default() })
        };
        tree.children_of(parent).filter_map(child).collect()
    }
}

#[async_trait]
impl Registry for ScyllaStore {
    async fn put_rows(&self, rows: Vec<RegistryRow>) -> Result<(), Error> {
        let core = self.core.clone();
        // A task of its own: a caller that goes away must not leave memory behind the table.
        let result = tokio::spawn(async move { core.owned(core.registry.put_rows(rows)).await }).await;
        let result = result.unwrap_or_else(|e| Err(Error::Unavailable { doing: WRITING, detail: e.to_string() }));
        result.inspect_err(|error| metrics::failed("put_rows", error))
    }

    async fn entry(&self, twin: &TwinId) -> Result<Option<RegistryEntry>, Error> {
        self.core.registry.entry(twin).await
    }

    async fn path(&self, twin: &TwinId) -> Result<Option<Path>, Error> {
        Ok(self.core.registry.path(twin))
    }

    async fn list(&self, q: RegistryQuery) -> Result<Page<RegistryEntry>, Error> {
        search(&Searched(self.core.clone()), &q).await
    }

    async fn children(&self, parent: &TwinId) -> Result<Vec<Child>, Error> {
        for_each(self.core.registry.children(parent), AT_ONCE, |child| async move {
            let contribution = self.core.snapshots.contribution(&child.id).await?;
            Ok(Child { contribution, ..child })
        })
        .await
    }

    async fn children_of(&self, parents: &[TwinId]) -> Result<Vec<Vec<Child>>, Error> {
        for_each(0..parents.len(), PARENTS_AT_ONCE, |n| self.children(&parents[n])).await
    }

    async fn below(&self, top: &TwinId) -> Result<Vec<TwinId>, Error> {
        let mut below = self.core.registry.tree.read().below(top);
        below.sort_by(|(a_depth, a), (b_depth, b)| b_depth.cmp(a_depth).then_with(|| a.cmp(b)));
        Ok(below.into_iter().map(|(_, id)| id).collect())
    }

    async fn count(&self) -> Result<u64, Error> {
        Ok(self.core.registry.tree.read().len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_ring_are_all_of_it() {
        let parts: Vec<_> = (0..PARTS).map(part_of_ring).collect();
        // No row has the smallest token.
        assert_eq!((parts[0].0, parts[PARTS as usize - 1].1), (i64::MIN, i64::MAX));
        assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].0 < pair[0].1));
    }
}
