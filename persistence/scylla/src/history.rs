//! History, buckets and the event log: a sweep over chunks and unprojected turns in the order of time.
//!
//! The journal's tail is read first, and says up to which frame the tables hold everything; of the tables only that counts. So every
//! committed event is seen once, whatever is being projected meanwhile, or was projected in part before a crash. A day is looked into
//! only when its time has come, and of a day only the chunks whose time has come are read.

use std::{cmp::Reverse, collections::BinaryHeap};

use async_trait::async_trait;
use hierarchy_models::{Command, CommandId, Event, Timestamp, TwinId};
use persistence::{
    Bucket, BucketQuery, CommandQuery, Error, EventQuery, History, HistoryItem, HistoryQuery, LoggedEvent, Page, codec,
    paging::{self, BucketCursor, BucketFiller, Filler, Key, TimeCursor, Waiting},
    values::{self, VALUE_STREAMS, stream_code},
};

use crate::{
    ScyllaStore,
    projections::{
        chunk::{self, Shelf, begin_of, day_of},
        shelves::{Head, Place as ChunkPlace},
    },
    store::Core,
};

/// Chunks, and about their bytes, that are read at once.
const BLOCK_CHUNKS: usize = 64;
const BLOCK_BYTES: usize = 256 * 1024;

/// Which of an event's times the sweep goes by.
#[derive(Clone, Copy, PartialEq)]
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
    streams: Vec<i16>,
    by: By,
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Range {
    fn holds(&self, at: Timestamp) -> bool {
        at >= self.from && self.to.is_none_or(|to| at < to)
    }

    fn holds_day(&self, (first, last): (i32, i32)) -> bool {
        last >= day_of(self.from) && self.to.is_none_or(|to| first <= day_of(to))
    }

    fn wants(&self, stream: i16) -> bool {
        self.streams.is_empty() || self.streams.contains(&stream)
    }

    /// Earliest and latest time of a chunk, in milliseconds.
    fn span(&self, head: &Head) -> (i64, i64) {
        if self.by == By::At { head.at } else { head.received }
    }
}

/// Something that holds items and was not looked into yet.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Closed {
    Day(Shelf),
    /// Chunks side by side: the place of each, and up to which frame rows before it cover.
    Block(Shelf, Vec<(ChunkPlace, u64)>),
}

/// Earliest time, bytes, and the chunks with what rows before them cover.
type Block = (i64, usize, Vec<(ChunkPlace, u64)>);

/// By key, then by commit, then as they stand in it.
type Place = (Key, u64, usize);

/// Gives items in the order of their keys.
struct Sweep<'a, T, F> {
    core: &'a Core,
    range: &'a Range,
    /// Frames up to here are taken from the tables, those after it are in memory already.
    projected: u64,
    closed: BinaryHeap<Reverse<(Timestamp, Closed)>>,
    waiting: BinaryHeap<Reverse<Waiting<Place, T>>>,
    /// Items of an event.
    items_of: F,
}

impl<'a, T, F: Fn(Event, &mut Vec<(Key, T)>)> Sweep<'a, T, F> {
    async fn new(core: &'a Core, range: &'a Range, items_of: F) -> Result<Self, Error> {
        let tail = core.journal.log_of(&range.twin).tail(&range.twin).await?;
        let mut sweep = Self { core, range, projected: tail.after, closed: BinaryHeap::new(), waiting: BinaryHeap::new(), items_of };
        for (frame, turn) in tail.turns {
            let events = codec::decode_turn(turn)?.events;
            events.into_iter().filter(|event| is_in(&range.streams, event)).for_each(|event| sweep.file(frame, event));
        }
        let mut days: Vec<(Shelf, i32)> = Vec::new();
        for row in core.shelves.days(range.twin.as_str()).await?.into_iter().filter(|row| range.wants(row.shelf.1)) {
            let span = if range.by == By::At { row.at } else { (row.shelf.0, row.shelf.0) };
            if range.holds_day(span) {
                days.push((row.shelf, span.0));
            }
        }
        days.sort();
        // The earliest row of each shelf.
        days.dedup_by_key(|(shelf, _)| *shelf);
        sweep.closed.extend(days.into_iter().map(|(shelf, first)| Reverse((begin_of(first), Closed::Day(shelf)))));
        Ok(sweep)
    }

    fn file(&mut self, frame: u64, event: Event) {
        if event.seq <= self.range.after_seq {
            return;
        }
        let mut items = Vec::new();
        (self.items_of)(event, &mut items);
        for (key, item) in items.into_iter().filter(|(key, _)| self.range.holds(key.at)) {
            // Of one frame they come in their order.
            let place = (key, frame, self.waiting.len());
            self.waiting.push(Reverse(Waiting { place, item }));
        }
    }

    async fn look_into(&mut self, closed: Closed) -> Result<(), Error> {
        match closed {
            Closed::Day(shelf) => self.open_day(shelf).await,
            Closed::Block(shelf, chunks) => self.open_block(shelf, &chunks).await,
        }
    }

    async fn open_day(&mut self, shelf: Shelf) -> Result<(), Error> {
        let mut covered = 0;
        let mut block: Block = (i64::MAX, 0, Vec::new());
        let (from, to) = (self.range.from.as_millis(), self.range.to.map_or(i64::MAX, Timestamp::as_millis));
        for head in self.core.shelves.heads_lately(self.range.twin.as_str(), shelf, self.projected).await? {
            let (earliest, latest) = self.range.span(&head);
            if head.place.0 <= self.projected && head.last_frame > covered && latest >= from && earliest < to {
                block = (block.0.min(earliest), block.1 + head.size, block.2);
                block.2.push((head.place, covered));
            }
            covered = covered.max(head.last_frame);
            if block.2.len() >= BLOCK_CHUNKS || block.1 >= BLOCK_BYTES {
                self.close_block(shelf, std::mem::replace(&mut block, (i64::MAX, 0, Vec::new())));
            }
        }
        self.close_block(shelf, block);
        Ok(())
    }

    fn close_block(&mut self, shelf: Shelf, (earliest, _, chunks): Block) {
        if !chunks.is_empty() {
            self.closed.push(Reverse((Timestamp::from_millis_clamped(earliest), Closed::Block(shelf, chunks))));
        }
    }

    async fn open_block(&mut self, shelf: Shelf, chunks: &[(ChunkPlace, u64)]) -> Result<(), Error> {
        let (Some(((first, _), _)), Some(((last, _), _))) = (chunks.first(), chunks.last()) else { return Ok(()) };
        for (place, _, data) in self.core.shelves.data(self.range.twin.as_str(), shelf, *first, *last).await? {
            let Some((_, covered)) = chunks.iter().find(|(of, _)| *of == place) else { continue };
            for (of, event) in chunk::decoded(place.0, data)? {
                if of > *covered && of <= self.projected {
                    self.file(of, event);
                }
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<(Key, T)>, Error> {
        while let Some(Reverse((earliest, _))) = self.closed.peek() {
            if self.waiting.peek().is_some_and(|Reverse(first)| first.place.0.at < *earliest) {
                break;
            }
            if let Some(Reverse((_, closed))) = self.closed.pop() {
                self.look_into(closed).await?;
            }
        }
        Ok(self.waiting.pop().map(|Reverse(first)| (first.place.0, first.item)))
    }

    async fn fill(&mut self, mut take: impl FnMut(Key, T) -> bool) -> Result<(), Error> {
        while let Some((key, item)) = self.next().await? {
            if !take(key, item) {
                break;
            }
        }
        Ok(())
    }
}

fn code_of(stream: &str) -> Option<i16> {
    stream_code(stream).and_then(|code| i16::try_from(code).ok())
}

fn is_in(streams: &[i16], event: &Event) -> bool {
    streams.is_empty() || code_of(event.body.stream()).is_some_and(|code| streams.contains(&code))
}

fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Timestamp {
    a.max(b).unwrap_or(Timestamp::MIN)
}

fn value_streams() -> Vec<i16> {
    VALUE_STREAMS.iter().filter_map(|stream| code_of(stream)).collect()
}

#[async_trait]
impl History for ScyllaStore {
    async fn history(&self, q: HistoryQuery) -> Result<Page<HistoryItem>, Error> {
        let after = paging::cursor::<TimeCursor>(&q.cursor)?;
        let from = later(q.from, after.map(|a| a.key.at));
        let range = Range { twin: q.twin, after_seq: q.after_seq, streams: value_streams(), by: By::At, from, to: q.to };
        let mut filler = Filler::new(after, q.limit);
        let mut sweep = Sweep::new(&self.core, &range, |event, items: &mut Vec<_>| values::history_items(&event, &q.name, items)).await?;
        sweep.fill(|key, item| filler.take(key, item)).await?;
        Ok(filler.page())
    }

    async fn buckets(&self, q: BucketQuery) -> Result<Page<Bucket>, Error> {
        let after = paging::cursor::<BucketCursor>(&q.cursor)?;
        let from = later(q.from, after.map(|BucketCursor(next)| next));
        let range = Range { twin: q.twin, after_seq: q.after_seq, streams: value_streams(), by: By::At, from, to: q.to };
        let mut filler = BucketFiller::new(q.every, q.limit);
        let mut sweep = Sweep::new(&self.core, &range, |event, items: &mut Vec<_>| values::numbers(&event, &q.name, items)).await?;
        sweep.fill(|key, number| filler.take(key.at, number)).await?;
        Ok(filler.page())
    }

    async fn events(&self, q: EventQuery) -> Result<Page<LoggedEvent>, Error> {
        let after = paging::cursor::<TimeCursor>(&q.cursor)?;
        // A stream that does not exist has no events.
        let streams = q.stream.as_ref().map(|stream| vec![code_of(stream).unwrap_or(0)]).unwrap_or_default();
        let from = later(q.from, after.map(|a| a.key.at));
        let range = Range { twin: q.twin, after_seq: q.after_seq, streams, by: By::Received, from, to: q.to };
        let log = |event: Event, items: &mut Vec<_>| {
            let key = Key { at: event.received_at, seq: event.seq, index: 0 };
            items.push((key, LoggedEvent { twin: range.twin.clone(), event }));
        };
        let mut filler = Filler::new(after, q.limit);
        Sweep::new(&self.core, &range, log).await?.fill(|key, item| filler.take(key, item)).await?;
        Ok(filler.page())
    }

    async fn command(&self, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error> {
        self.core.commands.by_id(twin, id).await
    }

    async fn command_by_key(&self, twin: &TwinId, idempotency_key: &str) -> Result<Option<Command>, Error> {
        self.core.commands.by_key(twin, idempotency_key).await
    }

    async fn commands(&self, q: CommandQuery) -> Result<Page<Command>, Error> {
        self.core.commands.list(q).await
    }
}
