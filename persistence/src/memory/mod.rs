//! A store in memory: the reference every other store is held against, and the store of tests.
//!
//! It is simple before it is fast: lists are sorted when they are asked for, paths are walked each time. It can be told to
//! fail, to hold commits back, and to crash, so that a test decides what happens when, without a clock.

mod audit;
mod faults;
mod reads;
mod registry;

use std::{collections::BTreeMap, future::poll_fn, sync::Arc, task::Poll};

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::{Command, CommandId, CommandState, Event, Timestamp, TwinId};
use parking_lot::Mutex;

use self::faults::{Answer, Faults, Held};
use crate::{
    audit::AuditRecord,
    batch::{self, Batch},
    error::Error,
    store::{
        Document, Documents, Identities, Identity, Journal, Mark, Projection, Projections, RegistryRow, Snapshot, Store, StoreStats, Turn,
    },
};

/// A handle; clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    faults: Arc<Mutex<Faults>>,
}

/// What survives a crash.
#[derive(Clone, Default)]
struct State {
    frames: BTreeMap<u64, Frame>,
    committed: u64,
    checkpoint: u64,
    turns_committed: u64,
    /// Projected events, in the order of their commits.
    log: BTreeMap<TwinId, Vec<Event>>,
    snapshots: BTreeMap<TwinId, Snapshot>,
    rows: BTreeMap<TwinId, RegistryRow>,
    commands: BTreeMap<TwinId, BTreeMap<CommandId, Command>>,
    documents: BTreeMap<(&'static str, String), Bytes>,
    identities: BTreeMap<TwinId, Identity>,
    generations: BTreeMap<TwinId, u64>,
    audit: Vec<AuditRecord>,
}

#[derive(Clone)]
struct Frame {
    turns: Vec<Turn>,
    bytes: u64,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// The store as it stands after a crash now: all that was committed, without what was held back and without faults.
    pub fn crash(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state.lock().clone())), faults: Arc::default() }
    }

    fn commit(&self, batch: &Batch) -> Result<(), Error> {
        let turns = batch::decode(&Bytes::copy_from_slice(batch.as_bytes()))?;
        let mut state = self.state.lock();
        state.committed += 1;
        state.turns_committed += turns.len() as u64;
        let frame = Frame { turns, bytes: batch.as_bytes().len() as u64 };
        let id = state.committed;
        state.frames.insert(id, frame);
        Ok(())
    }
}

impl State {
    fn unprojected(&self) -> impl Iterator<Item = (u64, &Frame)> {
        self.frames.range(self.checkpoint + 1..).map(|(id, frame)| (*id, frame))
    }

    fn backlog_bytes(&self) -> u64 {
        self.unprojected().map(|(_, frame)| frame.bytes).sum()
    }

    /// Every committed event of a twin, in the order of the commits.
    fn events(&self, twin: &TwinId) -> Vec<Event> {
        let projected = self.log.get(twin).into_iter().flatten();
        let tail = self.unprojected().flat_map(|(_, f)| &f.turns).filter(|t| t.twin == *twin).flat_map(|t| &t.events);
        projected.chain(tail).cloned().collect()
    }

    fn advance(&mut self, through: &Mark) -> Result<(), Error> {
        let through = through.0.first().copied().unwrap_or(0);
        if through > self.committed {
            return Err(Error::Refused(format!("mark {through} lies beyond the journal's end {}", self.committed)));
        }
        let later = self.frames.split_off(&(through + 1));
        for turn in std::mem::replace(&mut self.frames, later).into_values().flat_map(|f| f.turns) {
            self.log.entry(turn.twin).or_default().extend(turn.events);
        }
        self.checkpoint = self.checkpoint.max(through);
        Ok(())
    }

    fn project(&mut self, projection: Projection) -> Result<(), Error> {
        if let Some(through) = &projection.through {
            self.advance(through)?;
        }
        for twin in &projection.deleted {
            self.snapshots.remove(twin);
            self.rows.remove(twin);
            self.commands.remove(twin);
        }
        self.place_known(projection.registry);
        for snapshot in projection.snapshots {
            if self.snapshots.get(&snapshot.twin).is_none_or(|old| old.seq <= snapshot.seq) {
                self.snapshots.insert(snapshot.twin.clone(), snapshot);
            }
        }
        for (twin, command) in projection.commands {
            let of_twin = self.commands.entry(twin).or_default();
            // Rows of one command may come out of order: what has ended stays so.
            let rank = |c: &Command| (c.state.is_end(), c.state != CommandState::Queued);
            if of_twin.get(&command.id).is_none_or(|known| !known.state.is_end() && rank(known) <= rank(&command)) {
                of_twin.insert(command.id.clone(), command);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn append(&self, batch: Batch) -> Result<(), Error> {
        let answer = {
            let mut faults = self.faults.lock();
            if let Some(error) = &faults.append {
                return Err(error.clone());
            }
            if !faults.holding {
                return self.commit(&batch);
            }
            let answer = Arc::<Mutex<Answer>>::default();
            faults.held.push_back(Held { batch, answer: answer.clone() });
            answer
        };
        poll_fn(|cx| {
            let mut answer = answer.lock();
            match answer.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    answer.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn tail(&self, twin: &TwinId) -> Result<Vec<Turn>, Error> {
        let state = self.state.lock();
        Ok(state.unprojected().flat_map(|(_, f)| &f.turns).filter(|t| t.twin == *twin).cloned().collect())
    }

    async fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Turn>, Mark), Error> {
        let state = self.state.lock();
        let (mut turns, mut bytes, mut through) = (Vec::new(), 0, state.checkpoint);
        for (id, frame) in state.unprojected() {
            if bytes > 0 && bytes + frame.bytes > bytes_max as u64 {
                break;
            }
            turns.extend(frame.turns.iter().cloned());
            bytes += frame.bytes;
            through = id;
        }
        Ok((turns, Mark(vec![through])))
    }

    fn mark(&self) -> Mark {
        Mark(vec![self.state.lock().committed])
    }

    fn backlog_bytes(&self) -> u64 {
        self.state.lock().backlog_bytes()
    }
}

#[async_trait]
impl Projections for MemoryStore {
    async fn project(&self, projection: Projection) -> Result<(), Error> {
        if let Some(error) = &self.faults.lock().project {
            return Err(error.clone());
        }
        self.state.lock().project(projection)
    }

    async fn snapshot(&self, twin: &TwinId) -> Result<Option<Snapshot>, Error> {
        Ok(self.state.lock().snapshots.get(twin).cloned())
    }

    async fn wakes(&self, after: Option<(Timestamp, TwinId)>, limit: usize) -> Result<Vec<(Timestamp, TwinId)>, Error> {
        let state = self.state.lock();
        let wake = |s: &Snapshot| s.wake_at.map(|at| (at, s.twin.clone()));
        let mut due: Vec<_> = state.snapshots.values().filter_map(wake).filter(|w| after.as_ref().is_none_or(|a| w > a)).collect();
        due.sort();
        due.truncate(limit);
        Ok(due)
    }

    async fn forget_history(&self, before: Timestamp, rows_max: usize) -> Result<usize, Error> {
        let mut state = self.state.lock();
        let mut gone = 0;
        for events in state.log.values_mut() {
            events.retain(|event| {
                let keep = gone >= rows_max || event.received_at >= before;
                gone += usize::from(!keep);
                keep
            });
        }
        for commands in state.commands.values_mut() {
            commands.retain(|_, c| {
                let keep = gone >= rows_max || !c.state.is_end() || c.queued_at >= before;
                gone += usize::from(!keep);
                keep
            });
        }
        Ok(gone)
    }
}

#[async_trait]
impl Documents for MemoryStore {
    async fn put_document(&self, kind: &'static str, id: &str, body: Bytes) -> Result<(), Error> {
        self.state.lock().documents.insert((kind, id.to_owned()), body);
        Ok(())
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.state.lock().documents.get(&(kind, id.to_owned())).cloned())
    }

    async fn delete_document(&self, kind: &'static str, id: &str) -> Result<bool, Error> {
        Ok(self.state.lock().documents.remove(&(kind, id.to_owned())).is_some())
    }

    async fn documents(&self, kind: &'static str, after: Option<String>, limit: usize) -> Result<Vec<Document>, Error> {
        {
            let mut faults = self.faults.lock();
            if faults.reads_fail > 0 {
                faults.reads_fail -= 1;
                return Err(Error::Unavailable { doing: "reading documents", detail: "no answer".into() });
            }
        }
        let state = self.state.lock();
        let of_kind = state.documents.iter().filter(|((k, id), _)| *k == kind && after.as_ref().is_none_or(|a| id > a));
        Ok(of_kind.take(limit).map(|((_, id), body)| Document { id: id.clone(), body: body.clone() }).collect())
    }
}

#[async_trait]
impl Identities for MemoryStore {
    async fn put_identities(&self, identities: Vec<Identity>) -> Result<(), Error> {
        let mut state = self.state.lock();
        for identity in identities {
            let highest = state.generations.entry(identity.device.clone()).or_default();
            *highest = identity.generation.max(*highest);
            state.identities.insert(identity.device.clone(), identity);
        }
        Ok(())
    }

    async fn identity(&self, device: &TwinId) -> Result<Option<Identity>, Error> {
        Ok(self.state.lock().identities.get(device).cloned())
    }

    async fn delete_identity(&self, device: &TwinId) -> Result<(), Error> {
        self.state.lock().identities.remove(device);
        Ok(())
    }

    async fn next_generation(&self, device: &TwinId) -> Result<u64, Error> {
        Ok(self.state.lock().generations.get(device).map_or(1, |highest| highest + 1))
    }

    async fn generations(&self, after: Option<TwinId>, limit: usize) -> Result<Vec<(TwinId, u64)>, Error> {
        let state = self.state.lock();
        let behind = state.generations.iter().filter(|(device, _)| after.as_ref().is_none_or(|after| *device > after));
        Ok(behind.take(limit).map(|(device, highest)| (device.clone(), *highest)).collect())
    }

    async fn behind_gateway(&self, gateway: &TwinId, after: Option<TwinId>, limit: usize) -> Result<Vec<TwinId>, Error> {
        let state = self.state.lock();
        let behind = state.identities.values().filter(|i| i.gateway.as_ref() == Some(gateway)).map(|i| i.device.clone());
        Ok(behind.filter(|device| after.as_ref().is_none_or(|after| device > after)).take(limit).collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn commits_may_wait(&self) -> bool {
        self.faults.lock().commits_may_wait
    }

    async fn ready(&self) -> Result<(), Error> {
        self.faults.lock().append.clone().map_or(Ok(()), Err)
    }

    fn stats(&self) -> StoreStats {
        let state = self.state.lock();
        StoreStats {
            disk_bytes: 0,
            frames_committed: state.committed,
            turns_committed: state.turns_committed,
            backlog_bytes: state.backlog_bytes(),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
