//! `Idempotency-Key` for POSTs that make something: the answer to a repeated request is the first one's.
//!
//! Kept in memory: bounded in number (`http.replays_max`, the oldest goes first), in size and in time (`http.replay_for`),
//! and gone with a restart. It mends lost answers, not lost days. A key belongs to the principal that sent it and to the
//! address it was sent to, so no one is ever shown another's answer; the answers hold device keys, so they are nowhere
//! else. (Commands do not need this: their inbox is durable and knows the keys it has seen.)

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, Ready, ready},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{StatusCode, header::HeaderValue},
};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::{
    access::Access,
    problem::{self, Problem},
};

/// Bytes of an `Idempotency-Key`.
pub const KEY_BYTES_MAX: usize = 128;
/// An answer larger than this is not kept; repeating its request is then an error of its own.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The header, when it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get("idempotency-key") else { return ready(Ok(Self(None))) };
        let key = value.to_str().ok().map(str::trim).filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        ready(match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(Problem::header("Idempotency-Key", format!("must be 1 to {KEY_BYTES_MAX} visible ASCII characters"))),
        })
    }
}

impl IdempotencyKey {
    /// Where the answer to this request is kept: nowhere without a key.
    pub fn slot(self, access: &Access, address: &str) -> Option<Slot> {
        self.0.map(|key| Slot { principal: access.subject.id.clone(), address: address.to_owned(), key })
    }
}

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub etag: Option<HeaderValue>,
    pub body: Value,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, location: None, etag: None, body }
    }

    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(location) = self.location {
            response.insert_header(("location", location));
        }
        if let Some(etag) = self.etag {
            response.insert_header(("etag", etag));
        }
        response.json(self.body)
    }
}

/// Who sent which key to which address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    pub principal: String,
    pub address: String,
    pub key: String,
}

#[derive(Debug)]
enum State {
    Working,
    Done(Box<Answer>),
}

#[derive(Debug)]
struct Entry {
    request: [u8; 32],
    state: State,
    since: Instant,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Slot, Entry>,
    /// In the order they were made.
    order: VecDeque<(Slot, Instant)>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Replays {
    table: Arc<Mutex<Table>>,
    max: usize,
    keep: Duration,
}

/// Takes the slot back when the work ends without an answer to keep, a dropped connection included.
struct Claim {
    replays: Replays,
    slot: Slot,
    kept: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            self.replays.table.lock().entries.remove(&self.slot);
        }
    }
}

impl Replays {
    pub fn new(max: usize, keep: Duration) -> Self {
        Self { table: Arc::default(), max, keep }
    }

    /// Does `work` once for the slot; a failure is not kept, so that the caller may try again.
    pub async fn once(
        &self,
        slot: Option<Slot>,
        body: &[u8],
        work: impl Future<Output = Result<Answer, Problem>>,
    ) -> Result<Answer, Problem> {
        let Some(slot) = slot else { return work.await };
        if let Some(answer) = self.claim(&slot, body, Instant::now())? {
            return Ok(answer);
        }
        let mut claim = Claim { replays: self.clone(), slot, kept: false };
        let answer = work.await?;
        claim.kept = self.keep(&claim.slot, &answer);
        Ok(answer)
    }

    /// The answer kept for the slot, or none and the slot is the caller's to fill.
    fn claim(&self, slot: &Slot, body: &[u8], now: Instant) -> Result<Option<Answer>, Problem> {
        let mut table = self.table.lock();
        table.forget(now, self.keep, self.max);
        let mut request = [0; 32];
        request.copy_from_slice(digest(&SHA256, body).as_ref());
        match table.entries.get(slot) {
            Some(entry) if entry.request != request => {
                Err(Problem::new(problem::KEY_REUSED, "this idempotency key was used for another request")
                    .with("header", "Idempotency-Key"))
            }
            Some(Entry { state: State::Done(answer), .. }) => Ok(Some(Answer::clone(answer))),
            Some(Entry { state: State::Working, .. }) => {
                let problem = Problem::new(problem::REQUEST_IN_PROGRESS, "the first request of this key is being worked on");
                Err(problem.retry_after(Duration::from_secs(1)))
            }
            None => {
                table.entries.insert(slot.clone(), Entry { request, state: State::Working, since: now });
                table.order.push_back((slot.clone(), now));
                Ok(None)
            }
        }
    }

    fn keep(&self, slot: &Slot, answer: &Answer) -> bool {
        let fits = answer.body.to_string().len() <= ANSWER_BYTES_MAX;
        let mut table = self.table.lock();
        match table.entries.get_mut(slot) {
            Some(entry) if fits => {
                entry.state = State::Done(Box::new(answer.clone()));
                true
            }
            _ => false,
        }
    }
}

impl Table {
    /// Lets go of what is too old, and of the oldest when there are too many.
    fn forget(&mut self, now: Instant, keep: Duration, max: usize) {
        while let Some((slot, since)) = self.order.front() {
            if self.order.len() < max && now.duration_since(*since) < keep {
                return;
            }
            if self.entries.get(slot).is_some_and(|entry| entry.since == *since) {
                self.entries.remove(slot);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn slot(principal: &str, key: &str) -> Option<Slot> {
        Some(Slot { principal: principal.into(), address: "/api/v1/twins".into(), key: key.into() })
    }

    fn answer(n: u32) -> Answer {
        Answer { status: StatusCode::CREATED, location: None, etag: None, body: n.into() }
    }

    async fn post(replays: &Replays, slot: Option<Slot>, body: &str, done: &Cell<u32>) -> Result<Answer, Problem> {
        let work = async {
            done.set(done.get() + 1);
            Ok(answer(done.get()))
        };
        replays.once(slot, body.as_bytes(), work).await
    }

    #[actix_web::test]
    async fn a_repeated_request_is_done_once() {
        let (replays, done) = (Replays::new(10, Duration::from_secs(60)), Cell::new(0));
        assert_eq!(post(&replays, slot("p", "k"), "a", &done).await.unwrap(), answer(1));
        assert_eq!(post(&replays, slot("p", "k"), "a", &done).await.unwrap(), answer(1));
        assert_eq!(post(&replays, slot("p", "k"), "b", &done).await.unwrap_err().kind(), problem::KEY_REUSED);
        assert_eq!(done.get(), 1);
    }

    #[actix_web::test]
    async fn nobody_is_shown_the_answer_to_another() {
        let (replays, done) = (Replays::new(10, Duration::from_secs(60)), Cell::new(0));
        post(&replays, slot("p", "k"), "a", &done).await.unwrap();
        assert_eq!(post(&replays, slot("q", "k"), "a", &done).await.unwrap(), answer(2));
    }

    #[actix_web::test]
    async fn a_failure_is_not_kept() {
        let (replays, done) = (Replays::new(10, Duration::from_secs(60)), Cell::new(0));
        let failing = replays.once(slot("p", "k"), b"a", async { Err(Problem::new(problem::OVERLOADED, "")) });
        assert!(failing.await.is_err());
        assert_eq!(post(&replays, slot("p", "k"), "a", &done).await.unwrap(), answer(1));
    }

    #[actix_web::test]
    async fn the_same_request_at_the_same_time_is_told_to_wait() {
        let (replays, done) = (Replays::new(10, Duration::from_secs(60)), Cell::new(0));
        let outer = replays.once(slot("p", "k"), b"a", async {
            assert_eq!(post(&replays, slot("p", "k"), "a", &done).await.unwrap_err().kind(), problem::REQUEST_IN_PROGRESS);
            Ok(answer(7))
        });
        assert_eq!(outer.await.unwrap(), answer(7));
    }

    #[actix_web::test]
    async fn what_is_kept_is_bounded_in_number_and_in_time() {
        let (replays, done) = (Replays::new(3, Duration::from_secs(60)), Cell::new(0));
        for n in 0..50 {
            post(&replays, slot("p", &n.to_string()), "a", &done).await.unwrap();
        }
        assert!(replays.table.lock().entries.len() <= 3 && replays.table.lock().order.len() <= 3);
        let late = Instant::now() + Duration::from_secs(61);
        assert_eq!(replays.claim(&slot("p", "49").unwrap(), b"a", late).unwrap(), None);
        assert_eq!(replays.table.lock().entries.len(), 1);
    }
}
