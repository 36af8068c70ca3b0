//! Reading twins, their tree and their history.

use hierarchy_models::{
    Name, TwinId,
    event::{SEQ_BITS, STREAMS},
};
use persistence::{Bucket, BucketQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page};

use super::{TreeNode, Twins, error_of};
use crate::{
    body::{Body, SharedBody},
    envelope::{Answer, Ask},
    error::TwinError,
    sighting::Sighting,
    twin::view::view,
    view::TwinView,
};

impl Twins {
    pub async fn get(&self, id: &TwinId) -> Result<TwinView, TwinError> {
        Ok(self.see(id).await?.0)
    }

    /// The twin and, when it was read in passing, what tells later whether it is still so.
    pub async fn see(&self, id: &TwinId) -> Result<(TwinView, Option<Sighting>), TwinError> {
        let look = |cell: &SharedBody, b: &Body| {
            b.used(self.runtime.clock.now());
            (view(&b.id, &b.path, &b.state, b.below()), Some(Sighting::new(cell, b)))
        };
        if let Some(seen) = self.runtime.glance(id, look) {
            return Ok(seen);
        }
        match self.runtime.ask(id, Ask::View).await.map_err(error_of)? {
            Answer::View(view) => Ok((*view, None)),
            _ => Err(TwinError::Overloaded),
        }
    }

    /// Whether the twin would be read just as it was then. It counts as a read.
    pub fn is_as_seen(&self, id: &TwinId, sighting: &Sighting) -> bool {
        let look = |cell: &SharedBody, b: &Body| {
            b.used(self.runtime.clock.now());
            sighting.is_of(cell, b)
        };
        self.runtime.glance(id, look).unwrap_or(false)
    }

    /// `depth` 0 is the twin alone; at most `nodes_max` twins, upper levels first.
    pub async fn tree(&self, id: &TwinId, depth: usize, nodes_max: usize) -> Result<TreeNode, TwinError> {
        let mut left = nodes_max.saturating_sub(1);
        let root = TreeNode { twin: self.get(id).await?, children: Vec::new(), children_left_out: 0 };
        let mut flat = vec![(root, None)];
        let mut level = vec![0];
        for _ in 0..depth {
            let mut next = Vec::new();
            for parent in level {
                let parent_id = flat[parent].0.twin.id.clone();
                for child in self.runtime.store.children(&parent_id).await? {
                    if left == 0 {
                        flat[parent].0.children_left_out += 1;
                        continue;
                    }
                    match self.get(&child.id).await {
                        Ok(twin) => {
                            left -= 1;
                            next.push(flat.len());
                            flat.push((TreeNode { twin, children: Vec::new(), children_left_out: 0 }, Some(parent)));
                        }
                        Err(TwinError::NoSuchTwin(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            level = next;
        }
        for parent in level {
            let parent_id = flat[parent].0.twin.id.clone();
            flat[parent].0.children_left_out += self.runtime.store.children(&parent_id).await?.len() as u64;
        }
        Ok(assemble(flat))
    }

    /// Where the history of the twin begins: what a former twin of the same id left is not this one's. A history that is
    /// asked of a twin that is not there is an error, not an empty page.
    async fn before_its_life(&self, id: &TwinId) -> Result<u64, TwinError> {
        Ok(self.entry(id).await?.row.seq >> SEQ_BITS << SEQ_BITS)
    }

    pub async fn history(&self, query: HistoryQuery) -> Result<Page<HistoryItem>, TwinError> {
        let after_seq = self.before_its_life(&query.twin).await?;
        Ok(self.runtime.store.history(HistoryQuery { after_seq, ..query }).await?)
    }

    pub async fn buckets(&self, query: BucketQuery) -> Result<Page<Bucket>, TwinError> {
        let after_seq = self.before_its_life(&query.twin).await?;
        Ok(self.runtime.store.buckets(BucketQuery { after_seq, ..query }).await?)
    }

    pub async fn events(&self, query: EventQuery) -> Result<Page<LoggedEvent>, TwinError> {
        let after_seq = self.before_its_life(&query.twin).await?;
        if let Some(stream) = query.stream.as_ref().map(Name::as_str)
            && !STREAMS.contains(&stream)
        {
            let reason = format!("there is no stream {stream:?}; there are {}", STREAMS.join(", "));
            return Err(TwinError::Invalid { pointer: "stream".into(), reason });
        }
        Ok(self.runtime.store.events(EventQuery { after_seq, ..query }).await?)
    }
}

/// Hangs each node on its parent, from the last to the first: parents stand before their children.
fn assemble(mut flat: Vec<(TreeNode, Option<usize>)>) -> TreeNode {
    while flat.len() > 1 {
        if let Some((node, Some(parent))) = flat.pop() {
            flat[parent].0.children.insert(0, node);
        }
    }
    flat.swap_remove(0).0
}
