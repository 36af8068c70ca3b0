//! Which twins stand below one, and reading many twins with few questions to the store: one a level of the tree, and one for all twins
//! that are neither in memory nor above others. Those are read from their snapshots and are not started for it.

use hierarchy_models::{
    TwinId,
    rollup::{Aggregate, Results},
    tree::Path,
};
use persistence::Child;

use super::Twins;
use crate::{
    body::{Body, SharedBody},
    error::TwinError,
    sighting::Sighting,
    twin::{TwinState, view::view},
    view::TwinView,
};

/// A twin of a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeNode {
    pub id: TwinId,
    pub path: Path,
    /// Its parent's place in the list, which comes before its own; `None` for the top.
    pub parent: Option<usize>,
    pub has_children: bool,
    /// Children that were left out by the depth or by the limit of nodes.
    pub children_left_out: u64,
}

impl Twins {
    /// The twin and what is below it, upper levels first; `depth` 0 is the twin alone. At most `nodes_max` twins.
    pub async fn tree(&self, id: &TwinId, depth: usize, nodes_max: usize) -> Result<Vec<TreeNode>, TwinError> {
        let path = match self.runtime.glance(id, |_: &SharedBody, b: &Body| b.path.clone()) {
            Some(path) => path,
            None => self.entry(id).await?.path,
        };
        let mut nodes = vec![TreeNode { id: id.clone(), path, parent: None, has_children: true, children_left_out: 0 }];
        let mut level = 0..1;
        for deeper in (0..=depth).rev() {
            let next = nodes.len();
            let parents: Vec<usize> = level.filter(|n| nodes[*n].has_children).collect();
            if parents.is_empty() {
                break;
            }
            let ids: Vec<TwinId> = parents.iter().map(|n| nodes[*n].id.clone()).collect();
            for (parent, children) in parents.into_iter().zip(self.runtime.store.children_of(&ids).await?) {
                let room = if deeper > 0 { nodes_max.saturating_sub(nodes.len()) } else { 0 };
                nodes[parent].has_children = !children.is_empty();
                nodes[parent].children_left_out = children.len().saturating_sub(room) as u64;
                for child in children.into_iter().take(room) {
                    let node = below(&nodes[parent].path, parent, child)?;
                    nodes.push(node);
                }
            }
            level = next..nodes.len();
        }
        Ok(nodes)
    }

    /// These twins of a tree as they are now; `None` for those that are gone.
    pub async fn see_all(&self, nodes: &[&TreeNode]) -> Result<Vec<Option<(TwinView, Option<Sighting>)>>, TwinError> {
        let at_rest = |node: &TreeNode| !node.has_children && !self.runtime.directory.knows(&node.id);
        let asked: Vec<TwinId> = nodes.iter().filter(|node| at_rest(node)).map(|node| node.id.clone()).collect();
        let mut snapshots =
            if asked.is_empty() { Vec::new() } else { self.runtime.store.snapshots(&asked).await? }.into_iter().flatten().peekable();
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            let seen = match snapshots.next_if(|snapshot| snapshot.twin == node.id) {
                Some(snapshot) => at_peace(TwinState::from_bytes(&snapshot.state)?),
                None => None,
            };
            all.push(match seen {
                Some(state) => Some((self.view_at_rest(node, &state), None)),
                None => match self.see(&node.id).await {
                    Ok(seen) => Some(seen),
                    Err(TwinError::NoSuchTwin(_)) => None,
                    Err(error) => return Err(error),
                },
            });
        }
        Ok(all)
    }

    fn view_at_rest(&self, node: &TreeNode, state: &TwinState) -> TwinView {
        let below = Aggregate::EMPTY;
        let defined = self.runtime.models.known().rollups_in_force(state);
        let results = defined.map_or_else(Results::default, |defined| defined.results(&below));
        view(&node.id, &node.path, state, &below, &results)
    }
}

fn below(path: &Path, parent: usize, child: Child) -> Result<TreeNode, TwinError> {
    let path = path.child(&child.id)?;
    Ok(TreeNode { id: child.id, path, parent: Some(parent), has_children: child.has_children, children_left_out: 0 })
}

/// A twin that was written as connected lost its connection with the process that wrote it, which it finds out when it starts.
fn at_peace(state: TwinState) -> Option<TwinState> {
    (state.registered && !state.connection.connected).then_some(state)
}
