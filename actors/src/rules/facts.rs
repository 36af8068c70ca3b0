//! A twin as its rules see it: as it is with the event that is being decided, or as it was.

use std::collections::BTreeMap;

use hierarchy_models::{
    Name, Timestamp, Value,
    patch::merge,
    rule::{Facts, See},
    value::Map,
};

use crate::{body::Body, rollups::live_rollup, twin::TwinState};

/// The twin before this turn, and what this turn brings on top.
pub struct Live<'a> {
    b: &'a Body,
    fresh: Vec<(Name, Value, Timestamp)>,
    reported: Option<Map>,
    metadata: Option<Map>,
}

impl<'a> Live<'a> {
    pub fn new(b: &'a Body) -> Self {
        Self { b, fresh: Vec::new(), reported: None, metadata: None }
    }

    pub fn patch_reported(&mut self, patch: &Map) {
        let state = &self.b.state;
        let now = self.reported.get_or_insert_with(|| state.reported.iter().map(|(n, s)| (n.clone(), s.value.clone())).collect());
        merge(now, patch);
    }

    pub fn replace_reported(&mut self, properties: &Map) {
        self.reported = Some(properties.clone());
    }

    pub fn patch_metadata(&mut self, patch: &Map) {
        merge(self.metadata.get_or_insert_with(|| self.b.state.metadata.clone()), patch);
    }
}

impl Facts for Live<'_> {
    fn value(&self, name: &str) -> Option<(&Value, Timestamp)> {
        let fresh = self.fresh.iter().find(|(n, _, _)| n == name).map(|(_, value, at)| (value, *at));
        fresh.or_else(|| self.b.state.telemetry.get(name).map(|slot| (&slot.value, slot.at)))
    }

    fn with_values(&self, see: &mut See<'_>) {
        let fresh = self.fresh.iter().map(|(name, value, _)| (name.as_str(), value));
        let known = self.b.state.telemetry.iter().map(|(name, slot)| (name.as_str(), &slot.value));
        // The last of one name counts.
        see(&mut known.chain(fresh));
    }

    fn with_reported(&self, see: &mut See<'_>) {
        match &self.reported {
            Some(reported) => see(&mut reported.iter().map(|(name, value)| (name.as_str(), value))),
            None => see(&mut self.b.state.reported.iter().map(|(name, slot)| (name.as_str(), &slot.value))),
        }
    }

    fn metadata(&self) -> &Map {
        self.metadata.as_ref().unwrap_or(&self.b.state.metadata)
    }

    fn rollups(&self) -> Value {
        live_rollup(self.b).data.get("rollups").cloned().unwrap_or_default()
    }

    fn model(&self) -> &str {
        self.b.state.model.as_str()
    }

    fn id(&self) -> &str {
        self.b.id.as_str()
    }

    fn since(&self) -> Timestamp {
        self.b.state.created_at
    }

    fn take(&mut self, at: Timestamp, values: &[(Name, Value)]) {
        for (name, value) in values {
            if self.value(name).is_some_and(|(_, known)| known > at) {
                continue;
            }
            match self.fresh.iter_mut().find(|(n, _, _)| n == name) {
                Some(known) => (known.1, known.2) = (value.clone(), at),
                None => self.fresh.push((name.clone(), value.clone(), at)),
            }
        }
    }
}

/// The twin's values as they were while records are played again; the rest as it is now, for which no history is kept.
pub struct Then {
    id: String,
    model: String,
    since: Timestamp,
    metadata: Map,
    reported: Map,
    rollups: Value,
    values: BTreeMap<Name, (Value, Timestamp)>,
}

impl Then {
    pub fn new(id: &str, state: &TwinState, rollups: Value) -> Self {
        Self {
            id: id.to_owned(),
            model: state.model.to_string(),
            // Before the first record nothing is absent.
            since: Timestamp::MAX,
            metadata: state.metadata.clone(),
            reported: state.reported.iter().map(|(n, s)| (n.clone(), s.value.clone())).collect(),
            rollups,
            values: BTreeMap::new(),
        }
    }

    pub fn begin(&mut self, at: Timestamp) {
        self.since = at;
    }
}

impl Facts for Then {
    fn value(&self, name: &str) -> Option<(&Value, Timestamp)> {
        self.values.get(name).map(|(value, at)| (value, *at))
    }

    fn with_values(&self, see: &mut See<'_>) {
        see(&mut self.values.iter().map(|(name, (value, _))| (name.as_str(), value)));
    }

    fn with_reported(&self, see: &mut See<'_>) {
        see(&mut self.reported.iter().map(|(name, value)| (name.as_str(), value)));
    }

    fn metadata(&self) -> &Map {
        &self.metadata
    }

    fn rollups(&self) -> Value {
        self.rollups.clone()
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn since(&self) -> Timestamp {
        self.since
    }

    fn take(&mut self, at: Timestamp, values: &[(Name, Value)]) {
        for (name, value) in values {
            if self.values.get(name).is_none_or(|(_, known)| *known <= at) {
                self.values.insert(name.clone(), (value.clone(), at));
            }
        }
    }
}
