//! What a log does when its cells answer late, are lost, or are trimmed by somebody else meanwhile; over cells in memory.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{Event, EventBody, Timestamp, TwinId};
use parking_lot::Mutex;
use persistence::{Batch, Error, backlog::Backlog, batch::BATCH_TURNS_MAX};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::{
    Shared,
    cells::Readable,
    committer::{Append, Committer, SegmentMax},
    frame::Frame,
    log::{Flight, Log, Read},
};
use crate::fence::{self, Cells, Floor, Head, Sealed, Segment};

const BEGINNING: Floor = Floor { seg: 1, next: 1 };
const NO_LIMIT: usize = usize::MAX;
const SEGMENT_MAX: SegmentMax = SegmentMax { frames: 10, bytes: u64::MAX };

#[derive(Default)]
struct State {
    head: Option<Head>,
    floor: Option<Floor>,
    segments: BTreeMap<u64, (Segment, BTreeMap<u64, Frame>)>,
    /// Appends that are sent and then heard of no more, until the next one is sent.
    appends_lost: usize,
    late: Option<(u64, u64, Frame)>,
    /// What somebody else does before the next frames are read: projects up to this floor and trims.
    trimmed_to: Option<Floor>,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<State>>);

fn unknown() -> Error {
    Error::Unavailable { doing: "a call", detail: "timed out".into() }
}

impl State {
    fn put(&mut self, seg: u64, id: u64, frame: Frame) -> bool {
        let Some((segment, frames)) = self.segments.get_mut(&seg) else { return false };
        let fits = segment.next == id && !segment.sealed;
        if fits {
            segment.next = id + 1;
            frames.insert(id, frame);
        }
        fits
    }
}

impl Cells for Memory {
    type Frame = Frame;

    async fn head(&self) -> Result<Option<Head>, Error> {
        Ok(self.0.lock().head)
    }

    async fn floor(&self) -> Result<Floor, Error> {
        Ok(self.0.lock().floor.unwrap_or(BEGINNING))
    }

    async fn segment(&self, seg: u64) -> Result<Option<Segment>, Error> {
        let state = self.0.lock();
        if state.late.is_some() { Err(unknown()) } else { Ok(state.segments.get(&seg).map(|(segment, _)| *segment)) }
    }

    async fn swap_head(&self, was: Option<Head>, now: Head) -> Result<bool, Error> {
        let mut state = self.0.lock();
        let same = state.head == was;
        state.head = if same { Some(now) } else { state.head };
        Ok(same)
    }

    async fn open(&self, seg: u64, owner: Uuid, next: u64) -> Result<bool, Error> {
        self.0.lock().segments.entry(seg).or_insert((Segment { owner, next, sealed: false }, BTreeMap::new()));
        Ok(true)
    }

    async fn seal(&self, seg: u64) -> Result<bool, Error> {
        self.0.lock().segments.get_mut(&seg).unwrap().0.sealed = true;
        Ok(true)
    }

    async fn append(&self, seg: u64, _: Uuid, id: u64, frame: &Frame) -> Result<bool, Error> {
        let mut state = self.0.lock();
        if let Some((seg, id, frame)) = state.late.take() {
            state.put(seg, id, frame);
        }
        if state.appends_lost > 0 {
            state.appends_lost -= 1;
            state.late = Some((seg, id, frame.clone()));
            return Err(unknown());
        }
        Ok(state.put(seg, id, frame.clone()))
    }
}

impl Readable for Memory {
    fn log(&self) -> i16 {
        0
    }

    async fn frames(&self, seg: u64, after: u64, before: u64, _: i32) -> Result<Vec<(u64, Frame)>, Error> {
        let mut state = self.0.lock();
        if let Some(floor) = state.trimmed_to.take() {
            state.floor = Some(floor);
            state.segments.retain(|seg, _| *seg >= floor.seg);
        }
        let frames = state.segments.get(&seg).into_iter().flat_map(|(_, frames)| frames.range(after + 1..before));
        Ok(frames.map(|(id, frame)| (*id, frame.clone())).collect())
    }
}

fn id(text: &str) -> TwinId {
    TwinId::new(text).unwrap()
}

/// A frame with one turn of the twin `a`.
fn frame(n: u64) -> Frame {
    let mut batch = Batch::default();
    batch.push(&id("a"), &[Event { seq: n, received_at: Timestamp::EPOCH, body: EventBody::Released }]);
    Frame { numbers: n.to_le_bytes().to_vec().into(), turns: batch.into_bytes(), count: 1 }
}

fn append_of(n: u64, count: usize) -> (Append, oneshot::Receiver<Result<(), Error>>) {
    let (answer, answered) = oneshot::channel();
    let room = Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
    let Frame { numbers, turns, .. } = frame(n);
    (Append { turns, numbers: numbers.to_vec(), count, answer, _room: room }, answered)
}

/// A log of segments 1, with frames 1 and 2, and 2, with 3 and 4; nothing of it is in memory.
fn two_segments() -> Log<Memory> {
    let cells = Memory::default();
    let segment = |next, sealed| Segment { owner: Uuid::nil(), next, sealed };
    let frames = |ids: std::ops::RangeInclusive<u64>| ids.map(|n| (n, frame(n))).collect();
    cells.0.lock().segments = [(1, (segment(3, true), frames(1..=2))), (2, (segment(5, false), frames(3..=4)))].into();
    Log::new(cells, Backlog::new(0, 4, 0, u64::MAX), vec![Sealed { seg: 1, end: 3 }], 2)
}

/// Who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn no_frame_is_acknowledged_for_another_that_came_late() {
    let cells = Memory::default();
    let head = fence::claim(&cells, Uuid::from_u128(1), None).await.unwrap();
    let (tenure, chain) = fence::take_over(&cells, head).await.unwrap();
    let log = Arc::new(Log::new(cells.clone(), Backlog::new(0, 0, 0, u64::MAX), chain, tenure.seg));
    let shared = Arc::<Shared>::default();
    let committer = Committer { log: log.clone(), tenure, shared: shared.clone(), segment_max: SEGMENT_MAX };
    let (queue, waiting) = mpsc::unbounded_channel();
    // The first is a frame of its own.
    let ((first, first_answered), (second, second_answered)) = (append_of(1, BATCH_TURNS_MAX), append_of(2, 1));
    shared.queued_turns.fetch_add(BATCH_TURNS_MAX as u64 + 1, std::sync::atomic::Ordering::Relaxed);
    queue.send(first).unwrap();
    queue.send(second).unwrap();

    cells.0.lock().appends_lost = 1;
    shared.closing.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::time::timeout(PATIENCE, committer.run(waiting)).await.expect("it ends by itself");

    assert!(matches!(first_answered.await.unwrap(), Err(Error::Unavailable { .. })));
    assert!(matches!(second_answered.await.unwrap(), Err(Error::Unavailable { .. })), "the first may be there under its id");
    assert!(log.settled().is_err(), "whether the first is there is not known");
    assert_eq!(shared.queued_turns.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert!(queue.send(append_of(3, 1).0).is_err(), "nothing is taken any more");
}

#[tokio::test]
async fn a_frame_is_tried_again_until_it_is_known_to_be_in() {
    let cells = Memory::default();
    let head = fence::claim(&cells, Uuid::from_u128(1), None).await.unwrap();
    let (tenure, chain) = fence::take_over(&cells, head).await.unwrap();
    let log = Arc::new(Log::new(cells.clone(), Backlog::new(0, 0, 0, u64::MAX), chain, tenure.seg));
    let committer = Committer { log, tenure, shared: Arc::default(), segment_max: SEGMENT_MAX };
    let (queue, waiting) = mpsc::unbounded_channel();
    let (append, answered) = append_of(1, 1);
    queue.send(append).unwrap();
    drop(queue);
    cells.0.lock().appends_lost = 1;
    committer.run(waiting).await;
    answered.await.unwrap().unwrap();
    assert_eq!(cells.0.lock().segments[&1].1.keys().copied().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_segment_ends_by_its_frames_or_by_its_bytes() {
    for (segment_max, ends) in [(SegmentMax { frames: 2, bytes: u64::MAX }, 2), (SegmentMax { frames: u64::MAX, bytes: 1 }, 1)] {
        let cells = Memory::default();
        let head = fence::claim(&cells, Uuid::from_u128(1), None).await.unwrap();
        let (tenure, chain) = fence::take_over(&cells, head).await.unwrap();
        let log = Arc::new(Log::new(cells.clone(), Backlog::new(0, 0, 0, u64::MAX), chain, tenure.seg));
        let committer = Committer { log: log.clone(), tenure, shared: Arc::default(), segment_max };
        let (queue, waiting) = mpsc::unbounded_channel();
        // Each is a frame of its own.
        let answers: Vec<_> =
            (1..=3).map(|n| append_of(n, BATCH_TURNS_MAX)).map(|(append, answer)| (queue.send(append).unwrap(), answer)).collect();
        drop(queue);
        committer.run(waiting).await;
        for (_, answered) in answers {
            answered.await.unwrap().unwrap();
        }
        let state = cells.0.lock();
        assert_eq!(state.segments[&1].0.next, ends + 1, "{segment_max:?}");
        let open = state.segments.iter().find(|(_, (segment, _))| !segment.sealed).map(|(seg, _)| *seg);
        assert_eq!((open, log.segment_of(4)), (Some(3 / ends + 1), 3 / ends + 1), "{segment_max:?}");
    }
}

#[tokio::test]
async fn a_tail_begins_behind_what_was_trimmed_while_it_was_read() {
    let log = two_segments();
    log.cells.0.lock().trimmed_to = Some(Floor { seg: 2, next: 3 });
    let tail = log.tail(&id("a")).await.unwrap();
    // From the tables a reader takes what lies up to `after`: neither is left out, nor seen twice.
    assert_eq!((tail.after, tail.turns.iter().map(|(id, _)| *id).collect::<Vec<_>>()), (2, vec![3, 4]));
}

#[tokio::test]
async fn frames_that_were_trimmed_are_passed_by() {
    let log = two_segments();
    log.cells.0.lock().trimmed_to = Some(Floor { seg: 2, next: 3 });
    let frames = log.frames(0, 4, NO_LIMIT).await.unwrap();
    assert_eq!((frames.reach, frames.found.iter().map(|(id, _)| *id).collect::<Vec<_>>()), (4, vec![3, 4]));
}

#[tokio::test]
async fn a_read_of_frames_that_are_all_trimmed_comes_to_an_end() {
    let log = two_segments();
    log.cells.0.lock().trimmed_to = Some(Floor { seg: 3, next: 5 });
    let frames = log.frames(0, 4, NO_LIMIT).await.unwrap();
    assert_eq!((frames.reach, frames.found.len()), (4, 0));
    // What came after them is in memory.
    log.backlog.push(5, frame(5), 1);
    let frames = log.frames(0, 5, NO_LIMIT).await.unwrap();
    assert_eq!((frames.reach, frames.found.len()), (5, 1));
}

#[tokio::test]
async fn a_frame_that_is_missing_and_was_not_projected_is_damage() {
    let log = two_segments();
    log.cells.0.lock().segments.get_mut(&1).unwrap().1.remove(&2);
    assert!(matches!(log.frames(1, 4, NO_LIMIT).await, Err(Error::Damaged { .. })));
    assert!(matches!(log.tail(&id("a")).await, Err(Error::Damaged { .. })));
    assert_eq!(log.read(2, 5, |_, _| Ok(true)).await.unwrap(), Read::Done);
}

#[test]
fn a_turn_whose_caller_gave_up_on_a_slow_cluster_is_not_said_to_be_missing() {
    let log = two_segments();
    log.settled().unwrap();
    // As `Journal::append` leaves it while the first try is still under way.
    *log.flight.lock() = Flight { under_way: true, doubted: true, trouble: None };
    assert!(matches!(log.settled(), Err(Error::Unavailable { .. })));
}
