//! What is durable of a twin while something of it is on its way to a store far away: what readers are shown meanwhile
//! (docs/decisions/0003-reads-wait-for-the-commit.md).

use hierarchy_models::{Event, EventBody};

use super::Body;
use crate::twin::TwinState;

impl Body {
    /// What is durable, when that is not what is in memory and was kept. A commit that brought a part of what is under way leaves nothing.
    pub fn durable(&self) -> Option<&TwinState> {
        self.durable.as_deref().filter(|durable| durable.seq == self.durable_seq && durable.registered && !self.leaving)
    }

    /// Before anything is changed by events that are not durable yet. What changes more than the state leaves nothing to show: readers wait.
    pub(super) fn keep_durable(&mut self, events: &[Event]) {
        use EventBody::{ModelSet, Registered, RollupsSet, Unregistered};
        let goes_further = |event: &Event| matches!(event.body, ModelSet { .. } | Registered { .. } | RollupsSet { .. } | Unregistered);
        if events.iter().any(goes_further) {
            self.durable = None;
        } else if self.runtime.keeps_durable && !events.is_empty() && self.state.seq == self.durable_seq {
            self.durable = Some(Box::new(self.state.clone()));
        }
    }

    /// A commit returned: everything up to this event is durable.
    pub fn now_durable(&mut self, seq: u64) {
        self.durable_seq = self.durable_seq.max(seq);
        if self.durable_seq >= self.state.seq {
            self.durable = None;
        }
    }
}
