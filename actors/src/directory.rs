//! Where each resident twin lives. A twin has at most one actor in a process: whoever starts or moves one holds its entry
//! as *moving* meanwhile, and everybody else waits there.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use hierarchy_models::TwinId;
use parking_lot::Mutex;
use persistence::shard_of;
use tokio::sync::Semaphore;

use crate::seats::Seat;

/// A resident twin's address: the thread it lives on, and its seat there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwinRef {
    pub host: u32,
    pub seat: Seat,
}

/// Closed when the move is over; nobody ever gets a permit of it.
pub type Gate = Arc<Semaphore>;

enum Place {
    Resident(TwinRef),
    Moving(Gate),
}

pub enum Found {
    Resident(TwinRef),
    /// Wait for the gate, then look again.
    Moving(Gate),
    /// Nobody was there; the caller has the entry now and must settle or clear it.
    Vacant(Gate),
}

const STRIPES: usize = 64;

pub struct Directory {
    stripes: Vec<Mutex<HashMap<TwinId, Place>>>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect() }
    }
}

impl Directory {
    fn stripe(&self, id: &TwinId) -> &Mutex<HashMap<TwinId, Place>> {
        &self.stripes[usize::from(shard_of(id)) % STRIPES]
    }

    /// Looks a twin up; a vacant entry becomes the caller's.
    pub fn claim(&self, id: &TwinId) -> Found {
        match self.stripe(id).lock().entry(id.clone()) {
            Entry::Occupied(entry) => match entry.get() {
                Place::Resident(twin) => Found::Resident(*twin),
                Place::Moving(gate) => Found::Moving(gate.clone()),
            },
            Entry::Vacant(entry) => {
                let gate = Arc::new(Semaphore::new(0));
                entry.insert(Place::Moving(gate.clone()));
                Found::Vacant(gate)
            }
        }
    }

    /// Looks a twin up and leaves everything as it is.
    pub fn peek(&self, id: &TwinId) -> Option<TwinRef> {
        match self.stripe(id).lock().get(id) {
            Some(Place::Resident(twin)) => Some(*twin),
            _ => None,
        }
    }

    /// Looks a twin up once it has arrived, if it is on its way.
    pub async fn arrived(&self, id: &TwinId) -> Option<TwinRef> {
        loop {
            let gate = match self.stripe(id).lock().get(id)? {
                Place::Resident(twin) => return Some(*twin),
                Place::Moving(gate) => gate.clone(),
            };
            let _ = gate.acquire().await;
        }
    }

    /// Whether there is an entry, resident or moving.
    pub fn knows(&self, id: &TwinId) -> bool {
        self.stripe(id).lock().contains_key(id)
    }

    /// Takes a resident's entry for a move; `None` when it is not there or another has it.
    pub fn begin_move(&self, id: &TwinId, twin: TwinRef) -> Option<Gate> {
        let mut stripe = self.stripe(id).lock();
        let place = stripe.get_mut(id).filter(|place| matches!(place, Place::Resident(there) if *there == twin))?;
        let gate = Arc::new(Semaphore::new(0));
        *place = Place::Moving(gate.clone());
        Some(gate)
    }

    /// Ends a claim or a move: the twin lives there now, or (`None`) nowhere.
    pub fn settle(&self, id: &TwinId, gate: &Gate, twin: Option<TwinRef>) {
        let mut stripe = self.stripe(id).lock();
        match twin {
            Some(twin) => stripe.insert(id.clone(), Place::Resident(twin)),
            None => stripe.remove(id),
        };
        drop(stripe);
        gate.close();
    }

    pub fn len(&self) -> usize {
        self.stripes.iter().map(|s| s.lock().len()).sum()
    }

    pub fn residents(&self) -> Vec<TwinRef> {
        let place = |p: &Place| match p {
            Place::Resident(twin) => Some(*twin),
            Place::Moving(_) => None,
        };
        self.stripes.iter().flat_map(|s| s.lock().values().filter_map(place).collect::<Vec<_>>()).collect()
    }
}
