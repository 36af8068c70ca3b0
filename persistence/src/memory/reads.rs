//! History, buckets, the event log and commands of the memory store: collect, sort, cut.

use async_trait::async_trait;
use hierarchy_models::{Command, CommandId, Event, Timestamp, TwinId};

use super::{MemoryStore, State};
use crate::{
    error::Error,
    paging::{self, BucketCursor, CommandCursor, Key},
    query::{Bucket, BucketQuery, CommandQuery, EventQuery, HistoryItem, HistoryQuery, LoggedEvent, Page, buckets_of},
    store::History,
    values,
};

fn within(at: Timestamp, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
}

impl State {
    fn history(
        &self,
        twin: &TwinId,
        after_seq: u64,
        name: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Vec<(Key, HistoryItem)> {
        let mut items = Vec::new();
        for event in self.events(twin).into_iter().filter(|e| e.seq > after_seq) {
            values::history_items(&event, name, &mut items);
        }
        items.retain(|(key, _)| within(key.at, from, to));
        items.sort_by_key(|(key, _)| *key);
        items
    }
}

fn key_of(event: &Event) -> Key {
    Key { at: event.received_at, seq: event.seq, index: 0 }
}

#[async_trait]
impl History for MemoryStore {
    async fn history(&self, q: HistoryQuery) -> Result<Page<HistoryItem>, Error> {
        let after = paging::cursor(&q.cursor)?;
        let items = self.state.lock().history(&q.twin, q.after_seq, &q.name, q.from, q.to);
        paging::page(items.into_iter().map(Ok), after, q.limit)
    }

    async fn buckets(&self, q: BucketQuery) -> Result<Page<Bucket>, Error> {
        let after = paging::cursor::<BucketCursor>(&q.cursor)?;
        let items = self.state.lock().history(&q.twin, q.after_seq, &q.name, q.from, q.to);
        let points = items.into_iter().filter_map(|(key, item)| Some((key.at, item.value.as_f64()?)));
        let buckets = buckets_of(points, q.every).into_values();
        let mut items: Vec<_> = buckets.filter(|b| after.is_none_or(|BucketCursor(next)| b.at >= next)).collect();
        let cursor = items.get(q.limit.max(1)).map(|next| BucketCursor(next.at).to_string());
        items.truncate(q.limit.max(1));
        Ok(Page { items, cursor })
    }

    async fn events(&self, q: EventQuery) -> Result<Page<LoggedEvent>, Error> {
        let after = paging::cursor(&q.cursor)?;
        let mut events = self.state.lock().events(&q.twin);
        events.retain(|e| {
            e.seq > q.after_seq && within(e.received_at, q.from, q.to) && q.stream.as_ref().is_none_or(|s| s == e.body.stream())
        });
        events.sort_by_key(key_of);
        let items = events.into_iter().map(|event| Ok((key_of(&event), LoggedEvent { twin: q.twin.clone(), event })));
        paging::page(items, after, q.limit)
    }

    async fn command(&self, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error> {
        Ok(self.state.lock().commands.get(twin).and_then(|of| of.get(id)).cloned())
    }

    async fn command_by_key(&self, twin: &TwinId, idempotency_key: &str) -> Result<Option<Command>, Error> {
        let state = self.state.lock();
        let with_key = state.commands.get(twin).into_iter().flat_map(|of| of.values());
        let with_key = with_key.filter(|c| c.idempotency_key.as_deref() == Some(idempotency_key));
        Ok(with_key.max_by_key(|c| (c.queued_at, c.id.clone())).cloned())
    }

    async fn commands(&self, q: CommandQuery) -> Result<Page<Command>, Error> {
        let after = paging::cursor::<CommandCursor>(&q.cursor)?;
        let place = |c: &Command| CommandCursor(c.queued_at, c.id.clone());
        let state = self.state.lock();
        let of_twin = state.commands.get(&q.twin).into_iter().flat_map(|of| of.values());
        let mut items: Vec<_> = of_twin
            .filter(|c| q.state.is_none_or(|state| c.state == state) && after.as_ref().is_none_or(|a| place(c) < *a))
            .cloned()
            .collect();
        items.sort_by_key(|c| std::cmp::Reverse(place(c)));
        let more = items.len() > q.limit.max(1);
        items.truncate(q.limit.max(1));
        let cursor = items.last().filter(|_| more).map(|last| place(last).to_string());
        Ok(Page { items, cursor })
    }
}
