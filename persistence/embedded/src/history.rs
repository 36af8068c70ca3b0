//! History, buckets and the event log: a sweep over chunks and unprojected turns in the order of time.
//!
//! A view of `state.db` says which frame its chunks reach to; the turns after that frame come from memory (or the journal), so
//! that every committed event is seen once, whatever is being flushed meanwhile. The order in which the three are looked at
//! matters: memory, then the journal, then the view, because a flush goes the other way.

use std::{cmp::Reverse, collections::BinaryHeap};

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::{Command, CommandId, Event, Timestamp, TwinId};
use persistence::{
    Bucket, BucketQuery, CommandQuery, Error, EventQuery, History, HistoryItem, HistoryQuery, LoggedEvent, Page, batch, codec,
    paging::{self, BucketCursor, BucketFiller, Key, TimeCursor, Waiting},
    values::{self, VALUE_STREAMS, stream_code},
};
use rusqlite::{Connection, params};

use crate::{
    Core, EmbeddedStore, commands,
    projections::{checkpoint_of, chunk, state},
    sqlite::{View, doing},
};

/// Which of a chunk's times the sweep goes by.
#[derive(Clone, Copy)]
enum By {
    /// The records' own time.
    At,
    /// The time of receipt.
    Received,
}

/// What is asked of a sweep.
struct Range {
    twin: TwinId,
    after_seq: u64,
    /// Stored numbers of the streams; all when empty.
    streams: Vec<i64>,
    by: By,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Range {
    fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    /// The chunks with something of this range: the earliest time in them and their id, latest first.
    fn chunks(&self, conn: &Connection) -> Result<Vec<(Timestamp, i64)>, Error> {
        let doing = doing("looking for history");
        let (min, max) = match self.by {
            By::At => ("min_at", "max_at"),
            By::Received => ("min_received", "max_received"),
        };
        let streams = self.streams.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let streams = if streams.is_empty() { String::new() } else { format!("AND stream IN ({streams})") };
        let select =
            format!("SELECT {min}, id FROM chunk WHERE twin = ?1 {streams} AND {max} >= ?2 AND {min} < ?3 ORDER BY {min} DESC, id DESC");
        let (from, to) = (self.from.unwrap_or(Timestamp::MIN), self.to.map_or(i64::MAX, Timestamp::as_millis));
        let mut select = conn.prepare_cached(&select).map_err(&doing)?;
        let rows = select.query_map(params![self.twin.as_str(), from.as_millis(), to], |row| Ok((state::time(row, 0)?, row.get(1)?)));
        rows.map_err(&doing)?.collect::<Result<_, _>>().map_err(&doing)
    }
}

/// Gives items in the order of their keys, and unpacks a chunk only when its time has come.
struct Sweep<'a, T, F> {
    conn: &'a Connection,
    range: &'a Range,
    /// Chunks not unpacked yet, the earliest last.
    chunks: Vec<(Timestamp, i64)>,
    /// By key, then by commit.
    waiting: BinaryHeap<Reverse<Waiting<(Key, u64), T>>>,
    /// Items of an event.
    items_of: F,
}

impl<'a, T, F: Fn(Event, &mut Vec<(Key, T)>)> Sweep<'a, T, F> {
    fn new(conn: &'a Connection, range: &'a Range, turns: Vec<Bytes>, items_of: F) -> Result<Self, Error> {
        let mut sweep = Self { conn, range, chunks: range.chunks(conn)?, waiting: BinaryHeap::new(), items_of };
        // Turns that are not projected were committed after everything that is: their places come last among equal keys.
        let mut order = u64::MAX / 2;
        for turn in turns {
            sweep.file(codec::decode_turn(turn)?.events, &mut order);
        }
        Ok(sweep)
    }

    fn file(&mut self, events: Vec<Event>, order: &mut u64) {
        let mut items = Vec::new();
        let range = self.range;
        let asked = |e: &Event| e.seq > range.after_seq && (range.streams.is_empty() || is_in(&range.streams, e));
        for event in events.into_iter().filter(asked) {
            (self.items_of)(event, &mut items);
        }
        for (key, item) in items.into_iter().filter(|(key, _)| self.range.holds(key.at)) {
            *order += 1;
            self.waiting.push(Reverse(Waiting { place: (key, *order), item }));
        }
    }

    fn unpack(&mut self, id: i64) -> Result<(), Error> {
        // Rowids rise with the commits, and a chunk holds far fewer than 2^20 items of one name.
        let mut order = (id as u64) << 20;
        let events = chunk::decoded(id, state::chunk(self.conn, id)?.unpack()?)?;
        self.file(events, &mut order);
        Ok(())
    }
}

fn is_in(streams: &[i64], event: &Event) -> bool {
    stream_code(event.body.stream()).is_some_and(|code| streams.contains(&code))
}

impl<T, F: Fn(Event, &mut Vec<(Key, T)>)> Iterator for Sweep<'_, T, F> {
    type Item = Result<(Key, T), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((earliest, id)) = self.chunks.last().copied() {
            if self.waiting.peek().is_some_and(|Reverse(first)| first.place.0.at < earliest) {
                break;
            }
            self.chunks.pop();
            if let Err(error) = self.unpack(id) {
                self.chunks.clear();
                return Some(Err(error));
            }
        }
        self.waiting.pop().map(|Reverse(first)| Ok((first.place.0, first.item)))
    }
}

impl EmbeddedStore {
    /// Runs `read` in a view of `state.db`, with the twin's turns that this view does not hold yet.
    async fn in_view<T: Send + 'static>(
        &self,
        range: Range,
        read: impl FnOnce(&Connection, &Range, Vec<Bytes>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let core = self.core.clone();
        let view = move |conn: &Connection| core.in_view(conn, &range.twin, |turns| read(conn, &range, turns));
        self.core.state_readers.run(view).await
    }
}

impl Core {
    fn in_view<T>(&self, conn: &Connection, twin: &TwinId, read: impl FnOnce(Vec<Bytes>) -> Result<T, Error>) -> Result<T, Error> {
        let tail = self.journal.backlog.turns_of(twin)?;
        let journal = if tail.needs_journal() { Some(self.journal.shelf.view()?) } else { None };
        let _view = View::begin(conn, "reading history")?;
        let checkpoint = checkpoint_of(conn)?;
        let mut turns = Vec::new();
        if let Some(journal) = journal {
            journal.read(checkpoint, tail.resident_from, |_, frame| batch::of_twin(twin, &frame, &mut turns).map(|()| true))?;
        }
        turns.extend(tail.found.into_iter().filter(|(id, _)| *id > checkpoint).map(|(_, turn)| turn));
        read(turns)
    }
}

fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.max(b)
}

fn value_streams() -> Vec<i64> {
    VALUE_STREAMS.iter().filter_map(|stream| stream_code(stream)).collect()
}

#[async_trait]
impl History for EmbeddedStore {
    async fn history(&self, q: HistoryQuery) -> Result<Page<HistoryItem>, Error> {
        let after = paging::cursor::<TimeCursor>(&q.cursor)?;
        let from = later(q.from, after.map(|a| a.key.at));
        let range = Range { twin: q.twin, after_seq: q.after_seq, streams: value_streams(), by: By::At, from, to: q.to };
        self.in_view(range, move |conn, range, turns| {
            let sweep = Sweep::new(conn, range, turns, |event, items: &mut Vec<_>| values::history_items(&event, &q.name, items))?;
            paging::page(sweep, after, q.limit)
        })
        .await
    }

    async fn buckets(&self, q: BucketQuery) -> Result<Page<Bucket>, Error> {
        let after = paging::cursor::<BucketCursor>(&q.cursor)?;
        let from = later(q.from, after.map(|BucketCursor(next)| next));
        let range = Range { twin: q.twin.clone(), after_seq: q.after_seq, streams: value_streams(), by: By::At, from, to: q.to };
        self.in_view(range, move |conn, range, turns| {
            let number = |event: Event, items: &mut Vec<(Key, f64)>| values::numbers(&event, &q.name, items);
            let mut filler = BucketFiller::new(q.every, q.limit);
            for point in Sweep::new(conn, range, turns, number)? {
                let (key, number) = point?;
                if !filler.take(key.at, number) {
                    break;
                }
            }
            Ok(filler.page())
        })
        .await
    }

    async fn events(&self, q: EventQuery) -> Result<Page<LoggedEvent>, Error> {
        let after = paging::cursor::<TimeCursor>(&q.cursor)?;
        let streams = match &q.stream {
            None => Vec::new(),
            // A stream that does not exist has no events.
            Some(stream) => vec![stream_code(stream).unwrap_or(0)],
        };
        let from = later(q.from, after.map(|a| a.key.at));
        let range = Range { twin: q.twin, after_seq: q.after_seq, streams, by: By::Received, from, to: q.to };
        self.in_view(range, move |conn, range, turns| {
            let log = |event: Event, items: &mut Vec<_>| {
                let key = Key { at: event.received_at, seq: event.seq, index: 0 };
                items.push((key, LoggedEvent { twin: range.twin.clone(), event }));
            };
            paging::page(Sweep::new(conn, range, turns, log)?, after, q.limit)
        })
        .await
    }

    async fn command(&self, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error> {
        let (twin, id) = (twin.clone(), id.clone());
        self.core.state_readers.run(move |conn| commands::by_id(conn, &twin, &id)).await
    }

    async fn command_by_key(&self, twin: &TwinId, idempotency_key: &str) -> Result<Option<Command>, Error> {
        let (twin, key) = (twin.clone(), idempotency_key.to_owned());
        self.core.state_readers.run(move |conn| commands::by_key(conn, &twin, &key)).await
    }

    async fn commands(&self, q: CommandQuery) -> Result<Page<Command>, Error> {
        self.core.state_readers.run(move |conn| commands::list(conn, q)).await
    }
}
