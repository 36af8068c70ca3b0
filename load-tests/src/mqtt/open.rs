//! An open loop: messages leave when the schedule says, whatever the answers do, and latency counts from the intended time.
//! A server that stalls is not let off, and one that is offered too much is offered it all the same.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::ErrorKind,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    task::JoinSet,
    time::timeout,
};

use super::{
    connection::{self, Connection},
    frame::{self, Template},
};
use crate::{
    Result,
    clock::{Schedule, Timer, histogram, micros},
    payload::STAMP_BASE,
};

/// What a device keeps that its socket does not take; a message more is lost, as a device's own memory ends somewhere.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// How often the end of a load is looked for.
const FINISH_LOOK: Duration = Duration::from_millis(1);

/// A load to keep up.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    pub rate: f64,
    pub begin: Instant,
    pub length: Duration,
    /// How long to wait for answers after the last message.
    pub patience: Duration,
}

/// What became of it. Latencies are in microseconds.
pub struct Outcome {
    pub offered: u64,
    /// Answered before the schedule was over.
    pub in_time: u64,
    pub answered: u64,
    /// Never sent, because the device's backlog was full.
    pub dropped: u64,
    pub connections_lost: usize,
    pub latency: Histogram<u64>,
    /// How late the generator itself was.
    pub lag: Histogram<u64>,
}

/// One connection, as its two halves share it.
#[derive(Default)]
struct Way {
    on_the_way: VecDeque<Instant>,
    lost: bool,
}

struct Writer {
    half: OwnedWriteHalf,
    template: Template,
    way: Rc<RefCell<Way>>,
    backlog: Vec<u8>,
    packet_id: u16,
}

/// Offers QoS 1 messages, over all connections in turn. A message's number is its intended time in microseconds after `begin`.
pub async fn offer(connections: Vec<Connection>, offer: Offer, template: impl Fn(&Connection) -> Template) -> Result<Outcome> {
    let outcome = Outcome { offered: 0, in_time: 0, answered: 0, dropped: 0, connections_lost: 0, latency: histogram(), lag: histogram() };
    let outcome = Rc::new(RefCell::new(outcome));
    let (mut writers, mut readers) = (Vec::with_capacity(connections.len()), JoinSet::new());
    for connection in connections {
        let (template, way) = (template(&connection), Rc::<RefCell<Way>>::default());
        let (reader, half) = connection.stream.into_split();
        readers.spawn_local(listen(reader, way.clone(), outcome.clone(), offer.begin + offer.length));
        writers.push(Writer { half, template, way, backlog: Vec::new(), packet_id: 0 });
    }
    send(&mut writers, offer, &outcome).await?;
    // What is not answered by then is counted by its absence.
    let _ = timeout(offer.patience, finish(&mut writers)).await;
    readers.shutdown().await;
    let lost = writers.iter().filter(|w| w.way.borrow().lost).count();
    let outcome = Rc::into_inner(outcome).ok_or("a reader outlived its load")?.into_inner();
    Ok(Outcome { connections_lost: lost, ..outcome })
}

/// Takes the answers of one connection.
async fn listen(mut reader: OwnedReadHalf, way: Rc<RefCell<Way>>, outcome: Rc<RefCell<Outcome>>, end: Instant) {
    let mut unread = Vec::new();
    loop {
        let mut answers = 0;
        let heard = connection::read(&mut reader, &mut unread, |frame| answers += usize::from(frame.kind() == frame::PUBACK)).await;
        let (now, mut way, mut outcome) = (Instant::now(), way.borrow_mut(), outcome.borrow_mut());
        let answers = answers.min(way.on_the_way.len());
        for intended in way.on_the_way.drain(..answers) {
            outcome.latency.saturating_record(micros(now.saturating_duration_since(intended)));
            outcome.answered += 1;
            outcome.in_time += u64::from(now < end);
        }
        if heard.is_err() {
            way.lost = true;
            return;
        }
    }
}

/// Keeps the schedule: wakes when a message is due and sends all that are.
async fn send(writers: &mut [Writer], offer: Offer, outcome: &RefCell<Outcome>) -> Result<()> {
    let mut schedule = Schedule::new(offer.rate, offer.begin, offer.length, 0);
    let (mut timer, mut turn) = (Timer::new()?, 0);
    while !schedule.is_over() {
        timer.until(schedule.next()).await?;
        let now = Instant::now();
        while let Some(due) = schedule.due(now) {
            turn = (turn + 1) % writers.len();
            let mut outcome = outcome.borrow_mut();
            outcome.offered += 1;
            outcome.lag.saturating_record(micros(now - due));
            outcome.dropped += u64::from(!writers[turn].say(due, micros(due - offer.begin)));
        }
        writers.iter_mut().for_each(Writer::flush);
    }
    Ok(())
}

/// Until everything has been sent and answered.
async fn finish(writers: &mut [Writer]) -> Result<()> {
    let mut timer = Timer::new()?;
    while !writers.iter().all(Writer::is_over) {
        writers.iter_mut().for_each(Writer::flush);
        timer.until(Instant::now() + FINISH_LOOK).await?;
    }
    Ok(())
}

impl Writer {
    /// Puts a message on its way; `false` when the device has no room for it.
    fn say(&mut self, due: Instant, number: u64) -> bool {
        let mut way = self.way.borrow_mut();
        if way.lost || self.backlog.len() > BACKLOG_BYTES_MAX {
            return false;
        }
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.template.append(&mut self.backlog, self.packet_id, STAMP_BASE + number);
        way.on_the_way.push_back(due);
        true
    }

    /// Gives the socket what it takes now.
    fn flush(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        match self.half.try_write(&self.backlog) {
            Ok(taken) => drop(self.backlog.drain(..taken)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.way.borrow_mut().lost = true;
        self.backlog.clear();
    }

    fn is_over(&self) -> bool {
        let way = self.way.borrow();
        way.lost || way.on_the_way.is_empty()
    }
}
