//! A twin between two threads.

use std::{rc::Rc, sync::atomic::AtomicI64};

use hierarchy_models::{Timestamp, TwinId, rollup::Aggregate, tree::Path};

use super::{Body, Extras};
use crate::{
    host::Host,
    rules::Hosted,
    twin::{TwinState, decide::Input},
};

/// A twin on its way to another thread, all of it durable.
pub struct Luggage {
    id: TwinId,
    path: Path,
    state: TwinState,
    below: Option<Box<Aggregate>>,
    dirty: bool,
    registry_dirty: bool,
    last_used: Timestamp,
    wake_registered: Option<Timestamp>,
    rules: Hosted,
    extras: Option<Box<Extras>>,
}

impl Body {
    /// Takes the twin out of a body that stays behind as a shell.
    pub fn pack(&mut self) -> Luggage {
        let dirty = std::mem::take(&mut self.dirty);
        Luggage {
            id: self.id.clone(),
            path: self.path.clone(),
            state: std::mem::replace(&mut self.state, TwinState::blank()),
            below: self.below.take(),
            dirty,
            registry_dirty: self.registry_dirty,
            last_used: self.last_used(),
            wake_registered: self.wake_registered,
            rules: std::mem::take(&mut self.rules),
            extras: self.extras.take(),
        }
    }

    /// The twin on its new thread, and the end of its connection that is to be recorded there.
    pub fn unpack(host: &Rc<Host>, luggage: Luggage) -> (Self, Option<Input>) {
        let Luggage { id, path, state, below, dirty, registry_dirty, last_used, wake_registered, rules, extras } = luggage;
        let end = host.lost_connection(&state);
        let fresh = Self::new(host, id, path, state, Aggregate::default());
        let last_used = AtomicI64::new(last_used.as_millis());
        (Self { below, dirty, registry_dirty, last_used, wake_registered, rules, extras, ..fresh }, end)
    }
}
