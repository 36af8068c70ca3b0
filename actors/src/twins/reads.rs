//! Reading twins, their tree and their history.

use hierarchy_models::{
    Name, TwinId,
    event::{SEQ_BITS, STREAMS},
};
use persistence::{Bucket, BucketQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page};

use super::{Twins, error_of};
use crate::{
    body::{Body, SharedBody},
    envelope::{Answer, Ask},
    error::TwinError,
    sighting::Sighting,
    twin::TwinState,
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
            (b.view(), Some(Sighting::new(cell, b)))
        };
        if let Some(seen) = self.runtime.glance(id, look) {
            return Ok(seen);
        }
        let behind = |b: &Body, durable: &TwinState| {
            b.used(self.runtime.clock.now());
            b.view_of(durable)
        };
        if let Some(view) = self.runtime.glance_behind(id, behind) {
            return Ok((view, None));
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
