//! Who may write a log, as data and rules over a store that compares and sets; nothing here knows CQL.
//!
//! A *head* says who owns the log; an epoch is added with each claim. A log is a chain of *segments* with rising numbers. An
//! append says `if next is n, the segment is mine and not sealed`: the append itself is the fence, and no clock is asked. Who takes a log over
//! claims the head, walks the chain, seals what is open, and opens the first number that is free. After opening, it looks
//! at the head once more: a claim that came between has walked the chain before this segment was there, or after, and then
//! it seals it. Without that look a segment number that was trimmed could be opened a second time, where nobody reads it. For the
//! same reason a walk that finds a number free looks whether the *floor*, which rises before anything is trimmed, has passed it.
//!
//! What a call that timed out has done is settled by a serial read. A frame is tried again unchanged until it is known to
//! be in or out, because a try that was given up may still arrive.

#[cfg(test)]
mod tests;

use persistence::Error;
use uuid::Uuid;

/// Calls without an outcome, or lost races, before a claim or a take-over gives up.
const TRIES_MAX: usize = 16;

/// Who owns a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub epoch: u64,
    pub owner: Uuid,
}

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub owner: Uuid,
    /// The id of its next frame, or of the next segment's first.
    pub next: u64,
    pub sealed: bool,
}

/// Where a walk of the chain begins: what lies before it is projected, and may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor {
    pub seg: u64,
    /// The first frame of `seg`, should it not be there yet, or a later one.
    pub next: u64,
}

/// The store that compares and sets, for one log. An `Err` means that the outcome is not known; `false` that nothing was written.
pub trait Cells: Sync {
    type Frame: Sync;

    /// Reads see every write that has an outcome, and end those that have none yet.
    fn head(&self) -> impl Future<Output = Result<Option<Head>, Error>> + Send;
    fn floor(&self) -> impl Future<Output = Result<Floor, Error>> + Send;
    fn segment(&self, seg: u64) -> impl Future<Output = Result<Option<Segment>, Error>> + Send;

    /// If the head is still `was`.
    fn swap_head(&self, was: Option<Head>, now: Head) -> impl Future<Output = Result<bool, Error>> + Send;
    /// If there is no such segment.
    fn open(&self, seg: u64, owner: Uuid, next: u64) -> impl Future<Output = Result<bool, Error>> + Send;
    /// If it is not sealed.
    fn seal(&self, seg: u64) -> impl Future<Output = Result<bool, Error>> + Send;
    /// If `owner` has the segment, it is not sealed, and `id` is its next frame.
    fn append(&self, seg: u64, owner: Uuid, id: u64, frame: &Self::Frame) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// A segment that takes no further frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    pub seg: u64,
    /// The first frame after it.
    pub end: u64,
}

/// A log that this process may write.
#[derive(Debug, Clone, Copy)]
pub struct Tenure {
    head: Head,
    pub seg: u64,
    /// The id of the next frame.
    pub next: u64,
}

/// Why something did not happen.
#[derive(Debug)]
pub enum Lost {
    /// Somebody else has the log: nothing more will ever be written here.
    Fenced(String),
    /// Not known, or not yet; the same call again finds out.
    Unknown(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Unknown(error)
    }
}

fn fenced(why: impl Into<String>) -> Lost {
    Lost::Fenced(why.into())
}

fn gave_up(doing: &'static str, last: Option<Error>) -> Lost {
    Lost::Unknown(last.unwrap_or_else(|| Error::Unavailable { doing, detail: "others were faster each time".into() }))
}

/// Makes `owner` the owner of the log: with the next epoch, or with the one it has got elsewhere, unless a later one is here already. Who
/// claims several logs takes the epoch of the first for all of them, so that of those who start together the last one has them all.
pub async fn claim<C: Cells>(cells: &C, owner: Uuid, epoch: Option<u64>) -> Result<Head, Lost> {
    let mut last = None;
    for _ in 0..TRIES_MAX {
        let was = match cells.head().await {
            Ok(was) => was,
            Err(error) => {
                last = Some(error);
                continue;
            }
        };
        if let Some(head) = was.filter(|head| head.owner == owner) {
            return Ok(head);
        }
        let next = was.map_or(1, |head| head.epoch + 1);
        let now = Head { epoch: epoch.unwrap_or(next), owner };
        if now.epoch < next {
            return Err(fenced(format!("its epoch is {} already, and this claim is of {}", next - 1, now.epoch)));
        }
        match cells.swap_head(was, now).await {
            Ok(true) => return Ok(now),
            Ok(false) => {}
            Err(error) => last = Some(error),
        }
    }
    Err(gave_up("claiming a log", last))
}

/// Seals the chain from the floor on and opens the segment behind it.
pub async fn take_over<C: Cells>(cells: &C, head: Head) -> Result<(Tenure, Vec<Sealed>), Lost> {
    let floor = cells.floor().await?;
    go_on(cells, head, floor).await
}

/// Seals what is open from here on and another's, and opens the first number that is free.
async fn go_on<C: Cells>(cells: &C, head: Head, Floor { mut seg, mut next }: Floor) -> Result<(Tenure, Vec<Sealed>), Lost> {
    let (mut chain, mut last, mut tries) = (Vec::new(), None, 0);
    while tries < TRIES_MAX {
        tries += 1;
        let found = match look(cells, head, seg).await {
            Ok(found) => found,
            Err(Lost::Unknown(error)) => {
                last = Some(error);
                continue;
            }
            Err(fenced) => return Err(fenced),
        };
        let tried = match found {
            None => match cells.floor().await {
                Ok(floor) if floor.seg > seg => {
                    (seg, next) = (floor.seg, floor.next);
                    chain.clear();
                    continue;
                }
                Ok(_) => cells.open(seg, head.owner, next).await,
                Err(error) => Err(error),
            },
            Some(segment) if segment.sealed => {
                chain.push(Sealed { seg, end: segment.next });
                (seg, next, tries) = (seg + 1, segment.next, 0);
                continue;
            }
            Some(segment) if segment.owner == head.owner => {
                return Ok((Tenure { head, seg, next: segment.next }, chain));
            }
            Some(_) => cells.seal(seg).await,
        };
        last = tried.err().or(last);
    }
    Err(gave_up("opening a segment", last))
}

/// The segment, for who means to seal it, or to write into it, unless it is sealed already. One whose claim was late must not shut the
/// segment of who came after it: that one would be fenced, and nobody left to write. Whoever opened a segment had claimed before, so a look
/// at the head behind the look at the segment tells.
async fn look<C: Cells>(cells: &C, head: Head, seg: u64) -> Result<Option<Segment>, Lost> {
    let found = cells.segment(seg).await?;
    if found.is_some_and(|segment| !segment.sealed) {
        confirm(cells, head).await?;
    }
    Ok(found)
}

/// The next epoch for who owns the log already. After [`Lost::Unknown`] the same call finds out.
pub async fn renew<C: Cells>(cells: &C, mine: Head) -> Result<Head, Lost> {
    let now = cells.head().await?.ok_or_else(|| fenced("its head is gone"))?;
    if now.owner != mine.owner {
        return Err(fenced(format!("its epoch is {} now and was {}", now.epoch, mine.epoch)));
    }
    if now.epoch > mine.epoch {
        return Ok(now);
    }
    let next = Head { epoch: mine.epoch + 1, ..mine };
    if cells.swap_head(Some(mine), next).await? { Ok(next) } else { Err(gave_up("renewing a claim", None)) }
}

/// Nobody else has claimed the log since.
async fn confirm<C: Cells>(cells: &C, head: Head) -> Result<(), Lost> {
    match cells.head().await? {
        Some(now) if now.owner == head.owner => Ok(()),
        Some(now) => Err(fenced(format!("its epoch is {} now and was {}", now.epoch, head.epoch))),
        None => Err(fenced("its head is gone")),
    }
}

impl Tenure {
    /// Tries to append the next frame. After [`Lost::Unknown`] the same frame, unchanged, must be tried again before any other.
    pub async fn append<C: Cells>(&mut self, cells: &C, frame: &C::Frame) -> Result<u64, Lost> {
        let id = self.next;
        let tried = cells.append(self.seg, self.head.owner, id, frame).await;
        if !matches!(tried, Ok(true)) {
            self.settle(cells, tried.err()).await?;
        }
        self.next = id + 1;
        Ok(id)
    }

    /// `Ok` when the frame under way is in.
    async fn settle<C: Cells>(&self, cells: &C, why: Option<Error>) -> Result<(), Lost> {
        let segment = self.own(cells).await?;
        match segment.next {
            next if next == self.next + 1 => Ok(()),
            next if next == self.next && segment.sealed => Err(fenced("another process sealed its segment")),
            next if next == self.next => Err(gave_up("appending a frame", why)),
            next => Err(fenced(format!("its next frame is {next} and should be {}", self.next))),
        }
    }

    async fn own<C: Cells>(&self, cells: &C) -> Result<Segment, Lost> {
        let segment = cells.segment(self.seg).await?.ok_or_else(|| fenced("its segment is gone"))?;
        if segment.owner == self.head.owner { Ok(segment) } else { Err(fenced("its segment is another's")) }
    }

    /// Seals the segment and goes on in the next. Gives what was sealed: this one, and any behind it that somebody opened whose claim
    /// was over by then. After [`Lost::Unknown`] it must be tried again before any append.
    pub async fn roll<C: Cells>(&mut self, cells: &C) -> Result<Vec<Sealed>, Lost> {
        let tried = cells.seal(self.seg).await;
        if !self.own(cells).await?.sealed {
            return Err(gave_up("sealing a segment", tried.err()));
        }
        let (tenure, between) = go_on(cells, self.head, Floor { seg: self.seg + 1, next: self.next }).await?;
        if tenure.next != self.next {
            return Err(fenced(format!("its next segment begins with {} and should with {}", tenure.next, self.next)));
        }
        let sealed = [Sealed { seg: self.seg, end: self.next }].into_iter().chain(between).collect();
        self.seg = tenure.seg;
        Ok(sealed)
    }
}
