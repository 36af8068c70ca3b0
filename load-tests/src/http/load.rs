//! Requests as a load: in a closed loop, each caller with one on its way, and on a schedule, with latency from the intended
//! time of asking.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use super::client::Client;
use crate::{
    Result,
    clock::{Schedule, Timer, histogram, micros},
    mqtt::open::Offer,
    peer::Running,
};

/// What a load came to. Latencies are in microseconds.
pub struct Answered {
    pub requests: u64,
    /// Answered with a status that the caller did not want, or not at all.
    pub failed: u64,
    pub bytes: u64,
    pub latency: Histogram<u64>,
    /// How late the generator itself was; of a schedule only.
    pub lag: Histogram<u64>,
    /// From the begin of a schedule to the last answer.
    pub took: Duration,
}

impl Answered {
    fn none() -> Self {
        Self { requests: 0, failed: 0, bytes: 0, latency: histogram(), lag: histogram(), took: Duration::ZERO }
    }
}

/// GETs of `path` until `deadline`; every answer must be a 200.
pub async fn saturate(server: &Running, callers: usize, deadline: Instant, path: impl FnMut() -> String + 'static) -> Result<Answered> {
    let (answered, path) = (Rc::new(RefCell::new(Answered::none())), Rc::new(RefCell::new(path)));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (mut client, answered, path) = (Client::open(server).await?, answered.clone(), path.clone());
        tasks.spawn_local(async move {
            loop {
                let begun = Instant::now();
                if begun >= deadline {
                    return Ok(());
                }
                let path = (path.borrow_mut())();
                let bytes = client.read(&path).await.map_err(|e| e.to_string())?.len();
                let mut answered = answered.borrow_mut();
                answered.requests += 1;
                answered.bytes += bytes as u64;
                answered.latency.saturating_record(micros(begun.elapsed()));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?.map_err(|e: String| e)?;
    }
    Ok(Rc::into_inner(answered).ok_or("a caller outlived its load")?.into_inner())
}

/// Requests that are due and have no caller yet.
#[derive(Default)]
struct Due {
    waiting: RefCell<VecDeque<(u64, Instant)>>,
    over: Cell<bool>,
    more: Notify,
}

impl Due {
    async fn take(&self) -> Option<(u64, Instant)> {
        loop {
            if let Some(due) = self.waiting.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.over.get() {
                return None;
            }
            self.more.notified().await;
        }
    }
}

/// Requests at a rate, whatever the answers do: one that finds every caller busy waits, and the wait is part of its latency.
/// `request` gets the request's number and its intended time in microseconds after the begin, and says whether it went well.
pub async fn keep(
    server: &Running,
    callers: usize,
    offer: Offer,
    request: impl AsyncFn(&mut Client, u64, u64) -> Result<bool> + Clone + 'static,
) -> Result<Answered> {
    let (due, answered) = (Rc::<Due>::default(), Rc::new(RefCell::new(Answered::none())));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (mut client, due, answered, request) = (Client::open(server).await?, due.clone(), answered.clone(), request.clone());
        tasks.spawn_local(async move {
            while let Some((number, intended)) = due.take().await {
                let well = request(&mut client, number, micros(intended.saturating_duration_since(offer.begin))).await;
                let mut answered = answered.borrow_mut();
                answered.requests += 1;
                answered.failed += u64::from(!matches!(well, Ok(true)));
                answered.latency.saturating_record(micros(intended.elapsed()));
                answered.took = offer.begin.elapsed();
                if well.is_err() {
                    return;
                }
            }
        });
    }
    let offered = give(&due, offer, &answered).await?;
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout(offer.patience, all).await;
    tasks.shutdown().await;
    let mut answered = answered.replace(Answered::none());
    answered.failed += offered - answered.requests;
    Ok(answered)
}

/// Keeps the schedule; says how many requests fell due.
async fn give(due: &Due, offer: Offer, answered: &RefCell<Answered>) -> Result<u64> {
    let mut schedule = Schedule::new(offer.rate, offer.begin, offer.length, 0);
    let (mut timer, mut number) = (Timer::new()?, 0);
    while !schedule.is_over() {
        timer.until(schedule.next()).await?;
        let now = Instant::now();
        while let Some(intended) = schedule.due(now) {
            answered.borrow_mut().lag.saturating_record(micros(now - intended));
            due.waiting.borrow_mut().push_back((number, intended));
            due.more.notify_one();
            number += 1;
        }
    }
    due.over.set(true);
    due.more.notify_waiters();
    Ok(number)
}
