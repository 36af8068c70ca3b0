//! The fence under thousands of interleavings: several owners claim, take over, append, roll, renew and trim one log in a store whose
//! every call may be late, lost, or carried out long after its caller gave up. Whatever was acknowledged must be in the log.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::*;

const OWNERS: usize = 3;
/// Frames that an owner writes.
const FRAMES_MAX: u64 = 8;
const STEPS_MAX: usize = 1_500;
const ROUNDS: u64 = 4_000;
const BEGINNING: Floor = Floor { seg: 1, next: 1 };

/// A small deterministic source of choices (xorshift).
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

#[derive(Default)]
struct State {
    head: Option<Head>,
    segments: BTreeMap<u64, (Segment, BTreeMap<u64, u64>)>,
    /// What was projected, and from where the next owner reads.
    projected: BTreeMap<u64, u64>,
    floor: Option<Floor>,
    /// A frame that was projected twice and differs.
    torn: Option<(u64, u64)>,
    checks_sealed: bool,
}

type Call = Box<dyn FnOnce(&mut State) + Send>;
/// A call that was sent. It stays when its caller gives up, and may still be carried out.
struct Sent {
    carry_out: Option<Call>,
    give_up: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Default)]
struct Net {
    state: State,
    sent: Vec<Sent>,
}

#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Net>>);

type Slot<T> = Arc<Mutex<Option<Result<T, Error>>>>;

impl Slow {
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        let slot: Slot<T> = Arc::default();
        let (answer, lost) = (slot.clone(), slot.clone());
        let carry_out: Call = Box::new(move |state| {
            let done = work(state);
            answer.lock().get_or_insert(Ok(done));
        });
        let unknown = || Error::Unavailable { doing: "a call", detail: "timed out".into() };
        let give_up = Box::new(move || {
            lost.lock().get_or_insert_with(|| Err(unknown()));
        });
        self.0.lock().sent.push(Sent { carry_out: Some(carry_out), give_up: Some(give_up) });
        std::future::poll_fn(move |_| slot.lock().take().map_or(Poll::Pending, Poll::Ready))
    }
}

impl Cells for Slow {
    type Frame = u64;

    fn head(&self) -> impl Future<Output = Result<Option<Head>, Error>> + Send {
        self.call(|state| state.head)
    }

    fn floor(&self) -> impl Future<Output = Result<Floor, Error>> + Send {
        self.call(|state| state.floor.unwrap_or(BEGINNING))
    }

    fn segment(&self, seg: u64) -> impl Future<Output = Result<Option<Segment>, Error>> + Send {
        self.call(move |state| state.segments.get(&seg).map(|(segment, _)| *segment))
    }

    fn swap_head(&self, was: Option<Head>, now: Head) -> impl Future<Output = Result<bool, Error>> + Send {
        self.call(move |state| {
            let same = state.head == was;
            if same {
                state.head = Some(now);
            }
            same
        })
    }

    fn open(&self, seg: u64, owner: Uuid, next: u64) -> impl Future<Output = Result<bool, Error>> + Send {
        self.call(move |state| {
            let free = !state.segments.contains_key(&seg);
            if free {
                state.segments.insert(seg, (Segment { owner, next, sealed: false }, BTreeMap::new()));
            }
            free
        })
    }

    fn seal(&self, seg: u64) -> impl Future<Output = Result<bool, Error>> + Send {
        self.call(move |state| match state.segments.get_mut(&seg) {
            Some((segment, _)) if !segment.sealed => {
                segment.sealed = true;
                true
            }
            _ => false,
        })
    }

    fn append(&self, seg: u64, owner: Uuid, id: u64, frame: &u64) -> impl Future<Output = Result<bool, Error>> + Send {
        let frame = *frame;
        self.call(move |state| {
            let checks_sealed = state.checks_sealed;
            let Some((segment, frames)) = state.segments.get_mut(&seg) else { return false };
            let fits = segment.owner == owner && segment.next == id && !(checks_sealed && segment.sealed);
            if fits {
                segment.next = id + 1;
                frames.insert(id, frame);
            }
            fits
        })
    }
}

/// What the owners said that they had done.
#[derive(Default)]
struct Said {
    acknowledged: Vec<(u64, u64)>,
    fenced: usize,
    takeovers: usize,
    /// Who was fenced although the log was its own still, and why.
    wronged: Option<(u64, String)>,
}

/// One process: takes the log, appends until it is fenced, rolls, renews and projects now and then.
async fn own(cells: Slow, me: u64, plan: u64, said: &RefCell<Said>) {
    let owner = Uuid::from_u128(u128::from(me) + 1);
    let Ok(head) = claim(&cells, owner, None).await else { return };
    if let Err(Lost::Fenced(why)) = append_until_fenced(&cells, (me, plan), head, said).await {
        let mut said = said.borrow_mut();
        said.fenced += 1;
        if cells.0.lock().state.head.is_some_and(|head| head.owner == owner) {
            said.wronged = Some((me, why));
        }
    }
}

async fn append_until_fenced(cells: &Slow, (me, plan): (u64, u64), mut head: Head, said: &RefCell<Said>) -> Result<(), Lost> {
    let mut choices = Choices(plan | 1);
    let (mut tenure, mut chain) = take_over(cells, head).await?;
    said.borrow_mut().takeovers += 1;
    let mut written = 0;
    while written < FRAMES_MAX {
        let frame = me * 1_000 + written;
        match tenure.append(cells, &frame).await {
            Ok(id) => {
                said.borrow_mut().acknowledged.push((id, frame));
                written += 1;
            }
            Err(Lost::Unknown(_)) => continue,
            fenced => drop(fenced?),
        }
        if choices.below(3) == 0 {
            chain.extend(roll_until_known(&mut tenure, cells).await?);
        }
        if choices.below(4) == 0 {
            match renew(cells, head).await {
                Ok(now) => head = now,
                Err(Lost::Unknown(_)) => {}
                fenced => drop(fenced?),
            }
        }
        if choices.below(2) == 0 {
            // One whose outcome is not known goes no further; the next one begins anew.
            let _ = project(cells, &tenure, &chain).await;
        }
    }
    Ok(())
}

async fn roll_until_known(tenure: &mut Tenure, cells: &Slow) -> Result<Vec<Sealed>, Lost> {
    loop {
        match tenure.roll(cells).await {
            Err(Lost::Unknown(_)) => {}
            done => return done,
        }
    }
}

/// Everything in the sealed segments that are known becomes history, then the checkpoint moves, then the segments go, the oldest first. Each
/// step may be late, and another owner's steps come between.
async fn project(cells: &Slow, tenure: &Tenure, chain: &[Sealed]) -> Result<(), Error> {
    let Some(last) = chain.last() else { return Ok(()) };
    let segments: Vec<u64> = chain.iter().map(|sealed| sealed.seg).collect();
    let known = segments.clone();
    let record = move |state: &mut State| {
        let frames: Vec<_> = known.iter().filter_map(|seg| state.segments.get(seg)).flat_map(|(_, frames)| frames.clone()).collect();
        for (id, frame) in frames {
            if state.projected.insert(id, frame).is_some_and(|former| former != frame) {
                state.torn = Some((id, frame));
            }
        }
    };
    cells.call(record).await?;
    let floor = Floor { seg: tenure.seg, next: last.end };
    cells.call(move |state| state.floor = state.floor.max(Some(floor))).await?;
    for seg in segments {
        cells.call(move |state| drop(state.segments.remove(&seg))).await?;
    }
    Ok(())
}

/// What a reader finds who takes the log over when all is said and done.
fn log_of(state: &State) -> BTreeMap<u64, u64> {
    let mut log = state.projected.clone();
    let Floor { mut seg, next: mut end } = state.floor.unwrap_or(BEGINNING);
    while let Some((segment, frames)) = state.segments.get(&seg) {
        // Only what lies before the end that its sealing fixed is read.
        log.extend(frames.range(end..segment.next).map(|(id, frame)| (*id, *frame)));
        (seg, end) = (seg + 1, segment.next);
    }
    log
}

/// A frame that stands in the log a second time, or before one that its owner wrote earlier.
fn out_of_order(log: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    let mut latest = BTreeMap::new();
    let out = |(_, frame): &(&u64, &u64)| latest.insert(**frame / 1_000, **frame).is_some_and(|former| former >= **frame);
    log.iter().find(out).map(|(id, frame)| (*id, *frame))
}

/// Plays one round; an acknowledged frame that is not in the log, or one out of its place, if any, and what was said.
fn play(seed: u64, checks_sealed: bool) -> (Option<(u64, u64)>, Said) {
    let mut choices = Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cells = Slow::default();
    cells.0.lock().state = State { checks_sealed, ..State::default() };
    let said = RefCell::new(Said::default());
    let mut owners: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    let mut started = 0;
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..STEPS_MAX {
        match choices.below(10) {
            0 if started < OWNERS && choices.below(6) == 0 => {
                let plan = (seed << 8) + started as u64 + 1;
                owners.push(Box::pin(own(cells.clone(), started as u64, plan, &said)));
                started += 1;
            }
            0..=3 if !owners.is_empty() => {
                let n = choices.below(owners.len());
                if owners[n].as_mut().poll(&mut cx).is_ready() {
                    drop(owners.swap_remove(n));
                }
            }
            what => {
                let mut net = cells.0.lock();
                if net.sent.is_empty() {
                    continue;
                }
                let n = choices.below(net.sent.len());
                // Mostly a call is carried out and answered; sometimes its caller gives up first, and it may come later, or never.
                if what == 9 && choices.below(2) == 0 {
                    if let Some(give_up) = net.sent[n].give_up.take() {
                        give_up();
                    } else if choices.below(4) == 0 {
                        net.sent.swap_remove(n);
                    }
                } else if let Some(carry_out) = net.sent.swap_remove(n).carry_out {
                    carry_out(&mut net.state);
                }
            }
        }
    }
    drop(owners);
    let said = said.into_inner();
    let state = &cells.0.lock().state;
    let log = log_of(state);
    let lost = said.acknowledged.iter().find(|(id, frame)| log.get(id) != Some(frame)).copied();
    (state.torn.or(lost).or_else(|| out_of_order(&log)), said)
}

#[test]
fn no_acknowledged_frame_is_lost_whoever_takes_the_log_when() {
    let (mut acknowledged, mut fenced, mut takeovers) = (0, 0, 0);
    for seed in 1..=ROUNDS {
        let (lost, said) = play(seed, true);
        assert_eq!((lost, said.wronged), (None, None), "round {seed}");
        acknowledged += said.acknowledged.len();
        fenced += said.fenced;
        takeovers += said.takeovers;
    }
    assert!(
        acknowledged as u64 > 4 * ROUNDS && fenced as u64 > ROUNDS / 4 && takeovers as u64 > ROUNDS,
        "{acknowledged} {fenced} {takeovers}"
    );
}

#[test]
fn without_the_look_at_the_seal_frames_are_lost() {
    assert!((1..=ROUNDS).any(|seed| play(seed, false).0.is_some()));
}
