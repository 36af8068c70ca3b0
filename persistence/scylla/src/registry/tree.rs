//! Where every twin stands, in memory: parents, children, and what may not be.
//!
//! One process owns the registry, so that this is the truth while it runs; it is read from the rows at start. Index tables
//! lost for the tree: a move would rewrite one for all that is below, and a crash in the middle would leave paths that are wrong. What it
//! costs is said in docs/decisions/0008-the-cql-store.md.
//!
//! A parent that is not there (it was deleted, or its row comes later in the same recovery) makes its child the top of a tree
//! of its own until it comes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    ops::Bound,
};

use hierarchy_models::{
    TwinId,
    id::ModelId,
    limits::TREE_DEPTH_MAX,
    tree::{Path, TreeError},
};
use persistence::{Error, RegistryRow};

/// What is kept of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub model: ModelId,
    pub parent: Option<TwinId>,
    pub seq: u64,
}

#[derive(Default)]
pub struct Tree {
    nodes: BTreeMap<TwinId, Node>,
    /// By the parent that rows name, whether it is there or not.
    children: HashMap<TwinId, BTreeSet<TwinId>>,
    models: HashSet<ModelId>,
}

/// What a change did, newest last, so that it can be undone.
type Undo = Vec<(TwinId, Option<Node>)>;

impl Tree {
    /// Of rows as they lie in the table.
    pub fn load(&mut self, id: TwinId, node: Node) {
        self.set(&id, Some(node));
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn get(&self, id: &TwinId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Returns what was there.
    fn set(&mut self, id: &TwinId, node: Option<Node>) -> Option<Node> {
        let was = self.nodes.remove(id);
        if let Some(parent) = was.as_ref().and_then(|was| was.parent.as_ref())
            && let Some(siblings) = self.children.get_mut(parent)
        {
            siblings.remove(id);
            if siblings.is_empty() {
                self.children.remove(parent);
            }
        }
        if let Some(mut node) = node {
            if let Some(parent) = &node.parent {
                self.children.entry(parent.clone()).or_default().insert(id.clone());
            }
            // Equal names share their memory.
            match self.models.get(&node.model) {
                Some(known) => node.model = known.clone(),
                None => drop(self.models.insert(node.model.clone())),
            }
            self.nodes.insert(id.clone(), node);
        }
        was
    }

    /// The ids from `twin` up: the last one has no parent or is not registered.
    fn upward<'a>(&'a self, twin: &'a TwinId) -> impl Iterator<Item = &'a TwinId> {
        std::iter::successors(Some(twin), |id| self.nodes.get(*id)?.parent.as_ref())
    }

    pub fn path_of(&self, twin: &TwinId) -> Path {
        let mut ids: Vec<&str> = self.upward(twin).filter(|id| self.nodes.contains_key(*id)).map(TwinId::as_str).collect();
        ids.reverse();
        Path::from_stored(&ids.join("/"))
    }

    pub fn children_of<'a>(&'a self, twin: &TwinId) -> impl Iterator<Item = &'a TwinId> {
        self.children.get(twin).into_iter().flatten()
    }

    pub fn has_children(&self, twin: &TwinId) -> bool {
        self.children.contains_key(twin)
    }

    /// Levels below and including `twin`.
    fn height(&self, twin: &TwinId) -> usize {
        1 + self.children_of(twin).map(|child| self.height(child)).max().unwrap_or(0)
    }

    /// Ids below a twin that is there, itself not included, with their depth under it; the deeper ones later.
    pub fn each_below<'a>(&'a self, top: &TwinId) -> impl Iterator<Item = (usize, &'a TwinId)> {
        let mut waiting: VecDeque<(usize, &TwinId)> = VecDeque::new();
        if self.nodes.contains_key(top) {
            waiting.extend(self.children_of(top).map(|id| (1, id)));
        }
        std::iter::from_fn(move || {
            let (depth, id) = waiting.pop_front()?;
            waiting.extend(self.children_of(id).map(|id| (depth + 1, id)));
            Some((depth, id))
        })
    }

    pub fn below(&self, top: &TwinId) -> Vec<(usize, TwinId)> {
        self.each_below(top).map(|(depth, id)| (depth, id.clone())).collect()
    }

    pub fn stands_under(&self, twin: &TwinId, top: &TwinId) -> bool {
        twin != top && self.nodes.contains_key(top) && self.upward(twin).any(|id| id == top)
    }

    /// Ids from here on, or down from here.
    pub fn ids<'a>(&'a self, from: Bound<&'a str>, descending: bool) -> Box<dyn Iterator<Item = &'a TwinId> + 'a> {
        if descending {
            Box::new(self.nodes.range::<str, _>((Bound::Unbounded, from)).rev().map(|(id, _)| id))
        } else {
            Box::new(self.nodes.range::<str, _>((from, Bound::Unbounded)).map(|(id, _)| id))
        }
    }

    fn place(&mut self, row: &RegistryRow, undo: &mut Undo) -> Result<bool, TreeError> {
        if self.nodes.get(&row.id).is_some_and(|old| old.seq > row.seq) {
            return Ok(false);
        }
        if let Some(parent) = &row.parent {
            if self.upward(parent).any(|id| *id == row.id) {
                return Err(TreeError::Loop { twin: row.id.clone(), parent: parent.clone() });
            }
            let above = self.upward(parent).filter(|id| self.nodes.contains_key(*id)).count();
            let depth = above + self.height(&row.id);
            if depth > TREE_DEPTH_MAX {
                return Err(TreeError::TooDeep { twin: row.id.clone(), depth });
            }
        }
        self.put(row, undo);
        Ok(true)
    }

    fn put(&mut self, row: &RegistryRow, undo: &mut Undo) {
        let node = Node { model: row.model.clone(), parent: row.parent.clone(), seq: row.seq };
        let was = self.set(&row.id, Some(node));
        undo.push((row.id.clone(), was));
    }

    /// Places rows in whatever order works. Those that are newer than what was there, and those that no order could place.
    fn place_all(&mut self, mut waiting: Vec<RegistryRow>, undo: &mut Undo) -> (Vec<RegistryRow>, Vec<(RegistryRow, TreeError)>) {
        let mut placed = Vec::new();
        loop {
            let count = waiting.len();
            let mut refused = Vec::new();
            for row in waiting {
                match self.place(&row, undo) {
                    Ok(true) => placed.push(row),
                    Ok(false) => {}
                    Err(why) => refused.push((row, why)),
                }
            }
            if refused.len() == count {
                return (placed, refused);
            }
            waiting = refused.into_iter().map(|(row, _)| row).collect();
        }
    }

    fn undo(&mut self, undo: Undo) {
        for (id, was) in undo.into_iter().rev() {
            self.set(&id, was);
        }
    }

    /// Rows that somebody asks for, all of them or none: those to be written. The tree stays as it was until [`Tree::accept`].
    pub fn try_rows(&mut self, rows: Vec<RegistryRow>) -> Result<Vec<RegistryRow>, Error> {
        let named: Vec<TwinId> = rows.iter().map(|row| row.id.clone()).collect();
        let mut undo = Undo::new();
        let (placed, refused) = self.place_all(rows, &mut undo);
        let missing = match refused.into_iter().next() {
            Some((_, why)) => Some(why.to_string()),
            None => named
                .iter()
                .filter_map(|id| Some((id, self.nodes.get(id)?.parent.as_ref()?)))
                .find(|(_, parent)| !self.nodes.contains_key(*parent))
                .map(|(id, parent)| format!("{id} names the parent {parent}, which is not registered")),
        };
        self.undo(undo);
        match missing {
            Some(why) => Err(Error::Refused(why)),
            None => Ok(last_of_each(placed)),
        }
    }

    /// Rows that are already facts of the journal: what the tree cannot hold keeps its former place. Those to be written.
    pub fn try_known(&mut self, deleted: &[TwinId], rows: Vec<RegistryRow>) -> Vec<RegistryRow> {
        let mut undo = Undo::new();
        for twin in deleted {
            undo.push((twin.clone(), self.set(twin, None)));
        }
        let (mut placed, refused) = self.place_all(rows, &mut undo);
        for (mut row, why) in refused {
            tracing::warn!(twin = %row.id, %why, "a recorded move cannot be shown; the twin is listed where it was");
            row.parent = self.nodes.get(&row.id).and_then(|old| old.parent.clone());
            self.put(&row, &mut undo);
            placed.push(row);
        }
        self.undo(undo);
        last_of_each(placed)
    }

    /// A row that was tried is in the table now. When others of the same call are not, [`Tree::mend`] sees to it.
    pub fn accept(&mut self, row: &RegistryRow) {
        self.put(row, &mut Undo::new());
    }

    /// Its row is gone from the table.
    pub fn forget(&mut self, twin: &TwinId) {
        self.set(twin, None);
    }

    /// No walk upward comes back to where it was: rows are written in no order, so that a table may hold a loop when only some of
    /// them are there.
    pub fn mend_all(&mut self) {
        let deep: Vec<TwinId> = self.nodes.keys().filter(|id| self.upward(id).nth(TREE_DEPTH_MAX).is_some()).cloned().collect();
        self.mend(deep.iter());
    }

    /// Makes one twin of each loop that these stand in or under the top of a tree of its own, until its row is written again.
    pub fn mend<'a>(&mut self, twins: impl Iterator<Item = &'a TwinId>) {
        for twin in twins {
            let mut seen = HashSet::new();
            let Some(again) = self.upward(twin).find(|id| !seen.insert(*id)).cloned() else { continue };
            tracing::warn!(twin = %again, "rows of the registry close a loop; the twin is listed as the top of a tree until it is moved");
            if let Some(mut node) = self.nodes.get(&again).cloned() {
                node.parent = None;
                self.set(&again, Some(node));
            }
        }
    }
}

fn last_of_each(rows: Vec<RegistryRow>) -> Vec<RegistryRow> {
    let last: HashMap<TwinId, usize> = rows.iter().enumerate().map(|(n, row)| (row.id.clone(), n)).collect();
    rows.into_iter().enumerate().filter(|(n, row)| last.get(&row.id) == Some(n)).map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TwinId {
        TwinId::new(text).unwrap()
    }

    fn loaded(rows: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (twin, parent) in rows {
            let parent = (!parent.is_empty()).then(|| id(parent));
            tree.load(id(twin), Node { model: ModelId::new("dtmi:twinfold:Room;1").unwrap(), parent, seq: 1 });
        }
        tree.mend_all();
        tree
    }

    #[test]
    fn rows_that_close_a_loop_are_a_tree_all_the_same() {
        let tree = loaded(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "e"), ("site", ""), ("room", "site")]);
        let paths: Vec<String> = ["a", "b", "c", "d", "e", "room"].map(|twin| tree.path_of(&id(twin)).as_str().to_owned()).to_vec();
        assert_eq!(paths, ["a", "a/c/b", "a/c", "a/d", "e", "site/room"]);
        assert_eq!(tree.below(&id("a")).len(), 3);
        assert!(tree.stands_under(&id("b"), &id("a")) && !tree.stands_under(&id("a"), &id("b")));
    }

    #[test]
    fn a_row_that_landed_without_its_fellow_closes_no_loop() {
        let mut tree = loaded(&[("top", ""), ("low", "top")]);
        // Together they swap places; only the second one was written.
        let row = |twin: &str, parent: Option<&str>| RegistryRow {
            id: id(twin),
            model: ModelId::new("dtmi:twinfold:Room;1").unwrap(),
            parent: parent.map(id),
            gateway: None,
            status: hierarchy_models::event::Status::Active,
            metadata: Default::default(),
            tags: Vec::new(),
            created_at: hierarchy_models::Timestamp::EPOCH,
            seq: 2,
        };
        let rows = tree.try_rows(vec![row("low", None), row("top", Some("low"))]).unwrap();
        let landed = rows.iter().find(|row| row.id == id("top")).unwrap();
        tree.accept(landed);
        tree.mend([landed.id.clone()].iter());
        assert_eq!(tree.path_of(&id("low")).as_str().matches('/').count() + tree.path_of(&id("top")).as_str().matches('/').count(), 1);
    }
}
