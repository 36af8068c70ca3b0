//! What a parent keeps of each child beside its values. Small: a place has thousands of them.

use super::{Counts, Fold};
use crate::{
    id::{Name, TwinId},
    time::Timestamp,
};

#[derive(Debug, Clone)]
pub struct Child {
    /// Its place in every column.
    pub slot: u32,
    /// Silent for too long: then it has no values.
    pub stale: bool,
    /// It has not answered all that it is asked.
    pub awaited: bool,
    /// How often it was heard, around and around.
    pub heard: u16,
    pub last_seen: Option<Timestamp>,
    counts: Small,
    /// Where its values are, in the order of their names.
    pub columns: Box<[u16]>,
    /// Values whose names have no place: the parent has as many as it may.
    pub unplaced: Box<[(Name, Fold)]>,
}

/// [`Counts`] in half the room: no tree has four thousand million twins.
#[derive(Debug, Clone, Copy, Default)]
struct Small {
    devices: u32,
    connected: u32,
    stale: u32,
    quarantined: u32,
    alerts_info: u32,
    alerts_warning: u32,
    alerts_critical: u32,
}

impl Small {
    fn of(counts: &Counts) -> Self {
        let Counts { devices, connected, stale, quarantined, alerts_info, alerts_warning, alerts_critical } = *counts;
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            devices: small(devices),
            connected: small(connected),
            stale: small(stale),
            quarantined: small(quarantined),
            alerts_info: small(alerts_info),
            alerts_warning: small(alerts_warning),
            alerts_critical: small(alerts_critical),
        }
    }
}

impl Child {
    pub fn new(slot: u32) -> Self {
        Self {
            slot,
            stale: false,
            awaited: false,
            heard: 0,
            last_seen: None,
            counts: Small::default(),
            columns: Box::default(),
            unplaced: Box::default(),
        }
    }

    pub fn tell(&mut self, counts: &Counts, last_seen: Option<Timestamp>, stale: bool) {
        (self.counts, self.last_seen, self.stale) = (Small::of(counts), last_seen, stale);
        self.heard = self.heard.wrapping_add(1);
    }

    /// What counts of this child now.
    pub fn counts(&self) -> Counts {
        let Small { devices, connected, stale, quarantined, alerts_info, alerts_warning, alerts_critical } = self.counts;
        Counts {
            devices: devices.into(),
            connected: connected.into(),
            stale: u64::from(stale) + u64::from(self.stale),
            quarantined: quarantined.into(),
            alerts_info: alerts_info.into(),
            alerts_warning: alerts_warning.into(),
            alerts_critical: alerts_critical.into(),
        }
    }

    pub fn take_unplaced(&mut self, name: &Name) -> Option<Fold> {
        let at = self.unplaced.binary_search_by(|(other, _)| other.cmp(name)).ok()?;
        let mut unplaced = std::mem::take(&mut self.unplaced).into_vec();
        let (_, fold) = unplaced.remove(at);
        self.unplaced = unplaced.into();
        Some(fold)
    }

    /// With its part of the map it stands in, to the nearest guess.
    pub fn heap_bytes(&self) -> usize {
        // A node of a map is about two thirds full.
        let own = (size_of::<Self>() + size_of::<TwinId>()) * 3 / 2;
        own + size_of_val(&*self.columns) + size_of_val(&*self.unplaced)
    }
}
