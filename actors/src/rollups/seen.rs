//! A twin's state as definitions see it, in memory or at rest.

use std::sync::Arc;

use hierarchy_models::{
    ModelId, Timestamp, Value,
    event::Status,
    rollup::{Aggregate, Asks, Contribution, Results, Source, Subject},
};

use crate::{
    models::Known,
    twin::{TwinState, slots::Slots},
};

pub struct Seen<'a> {
    pub twin: &'a TwinState,
    pub models: &'a Known,
    pub is_connected: bool,
}

impl Subject for Seen<'_> {
    fn is_place(&self) -> bool {
        self.twin.is_place
    }

    fn is_of(&self, model: &ModelId) -> bool {
        self.models.is_of(&self.twin.model, model)
    }

    fn is_active(&self) -> bool {
        self.twin.status == Status::Active
    }

    fn is_connected(&self) -> bool {
        self.is_connected
    }

    fn is_quarantined(&self) -> bool {
        self.twin.quarantined().is_some()
    }

    fn alerts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        // The order of severities is the order of the counts.
        self.twin.alerts.iter().for_each(|alert| counts[alert.severity as usize] += 1);
        counts
    }

    fn value(&self, source: Source, name: &str) -> Option<(&Value, Timestamp)> {
        fn last<'a>(slots: &'a Slots, name: &str) -> Option<(&'a Value, Timestamp)> {
            slots.get(name).map(|slot| (&slot.value, slot.at))
        }
        let telemetry = || last(&self.twin.telemetry, name);
        let reported = || last(&self.twin.reported, name);
        let metadata = || self.twin.metadata.get(name).map(|value| (value, Timestamp::MIN));
        match source {
            Source::Any => telemetry().or_else(reported).or_else(metadata),
            Source::Telemetry => telemetry(),
            Source::Reported => reported(),
            Source::Metadata => metadata(),
            Source::Rollups => None,
        }
    }
}

/// What a twin that is not in memory and has none below it comes to. Nobody is connected: a connected twin is in memory and speaks for itself.
pub fn at_rest(models: &Known, twin: &TwinState, asks: &Arc<Asks>) -> Contribution {
    let mut contribution = twin.own_contribution();
    contribution.counts.connected = 0;
    let below = Aggregate::EMPTY;
    let results = models.rollups_in_force(twin).map_or_else(Results::default, |defined| defined.results(&below));
    contribution.answers = Some(Box::new(below.answers(asks, &Seen { twin, models, is_connected: false }, &results)));
    contribution
}
