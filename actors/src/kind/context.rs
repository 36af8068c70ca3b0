//! What a turn may look at, and where it puts what should follow.

use std::time::Duration;

use hierarchy_models::{
    Alert, CommandResult, EventBody, OutboundCommand, Severity, Timestamp, TwinId, Value,
    limits::{ALERT_TEXT_BYTES_MAX, ALERTS_PER_TWIN_MAX, COMMAND_TTL_MAX},
    rollup::Aggregate,
    tree::Path,
    value::Map,
};

use super::Turn;
use crate::twin::{Surroundings, TwinState};

/// What a turn may look at, and where it puts what should follow. Of what is said twice under one name in a turn (an alert, a
/// timer) the last word counts.
pub struct Context<'a> {
    here: Surroundings<'a>,
    twin: &'a TwinState,
    now: Timestamp,
    pub(crate) events: Vec<EventBody>,
    answer: Option<CommandResult>,
}

impl<'a> Context<'a> {
    pub fn new(here: Surroundings<'a>, twin: &'a TwinState, now: Timestamp) -> Self {
        Self { here, twin, now, events: Vec::new(), answer: None }
    }

    pub(super) fn into_turn(self) -> Turn {
        Turn { events: self.events, answer: self.answer }
    }

    /// The twin before this event.
    pub fn twin(&self) -> &'a TwinState {
        self.twin
    }

    pub fn id(&self) -> &'a TwinId {
        self.here.id
    }

    pub fn path(&self) -> &'a Path {
        self.here.path
    }

    /// What its children come to, as of the last roll-up tick.
    pub fn below(&self) -> &'a Aggregate {
        self.here.below
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The alert of this name as it stands after what the turn has said so far.
    fn standing(&self, name: &str) -> Option<&Alert> {
        for event in self.events.iter().rev() {
            match event {
                EventBody::AlertRaised(alert) if alert.name == name => return Some(alert),
                EventBody::AlertCleared { name: cleared } if cleared == name => return None,
                _ => {}
            }
        }
        self.twin.alerts.iter().find(|a| a.name == name)
    }

    /// Raises an alert, or counts it again when it stands.
    pub fn raise(&mut self, name: &str, severity: Severity, text: &str, details: Map) {
        let now = self.now;
        let text = &text[..text.floor_char_boundary(ALERT_TEXT_BYTES_MAX)];
        let alert = match self.standing(name) {
            Some(open) => Alert { severity, text: text.into(), details, last_at: now, count: open.count + 1, ..open.clone() },
            None if self.twin.alerts.len() >= ALERTS_PER_TWIN_MAX => {
                metrics::counter!("twinfold_alerts_refused_total").increment(1);
                return;
            }
            None => Alert { name: name.into(), severity, text: text.into(), details, raised_at: now, last_at: now, count: 1 },
        };
        self.forget_raised(name);
        self.events.push(EventBody::AlertRaised(Box::new(alert)));
    }

    /// Clears an alert; nothing happens when it does not stand.
    pub fn clear(&mut self, name: &str) {
        if self.standing(name).is_none() {
            return;
        }
        self.forget_raised(name);
        if self.twin.alerts.iter().any(|a| a.name == name) {
            self.events.push(EventBody::AlertCleared { name: name.into() });
        }
    }

    fn forget_raised(&mut self, name: &str) {
        self.events.retain(|event| !matches!(event, EventBody::AlertRaised(alert) if alert.name == name));
    }

    pub fn emit(&mut self, name: &str, payload: Value) {
        self.events.push(EventBody::Emitted { name: name.into(), payload });
    }

    /// A merge patch of the twin's desired properties; nothing happens when they are so already.
    pub fn set(&mut self, patch: Map) {
        let first = !self.events.iter().any(|event| matches!(event, EventBody::DesiredPatched { .. }));
        if !(first && changes_nothing(&self.twin.desired, &patch)) {
            self.events.push(EventBody::DesiredPatched { patch });
        }
    }

    /// Calls back with [`super::Trigger::Timer`] after `delay`; survives restarts. One timer of each name.
    pub fn after(&mut self, name: &str, delay: Duration) {
        self.forget_timer(name);
        self.events.push(EventBody::TimerSet { name: name.into(), due: self.now.plus(delay) });
    }

    /// The same, after `every` and again and again; one that runs with this period already keeps its beat.
    pub fn every(&mut self, name: &str, every: Duration) {
        let runs = self.twin.timers().iter().any(|t| t.name == name && t.every == Some(every));
        self.forget_timer(name);
        if !runs {
            self.events.push(EventBody::TimerRepeats { name: name.into(), due: self.now.plus(every), every });
        }
    }

    /// Forgets a timer; nothing happens when there is none of this name.
    pub fn cancel(&mut self, name: &str) {
        self.forget_timer(name);
        if self.twin.timers().iter().any(|t| t.name == name) {
            self.events.push(EventBody::TimerCancelled { name: name.into() });
        }
    }

    fn forget_timer(&mut self, name: &str) {
        self.events.retain(|event| match event {
            EventBody::TimerSet { name: set, .. } | EventBody::TimerRepeats { name: set, .. } | EventBody::TimerCancelled { name: set } => {
                set != name
            }
            _ => true,
        });
    }

    /// A command to any twin, this one included: sent once the turn is durable, and again until it is taken there or `ttl`
    /// (cut to [`COMMAND_TTL_MAX`]) is over.
    pub fn command(&mut self, to: TwinId, name: &str, payload: Value, ttl: Duration) {
        let expires_at = self.now.plus(ttl.min(COMMAND_TTL_MAX));
        self.events.push(EventBody::OutboundQueued(Box::new(OutboundCommand { to, name: name.into(), payload, expires_at })));
    }

    /// Gives the command that [`Self::command`] was called with last another time to live.
    pub fn live_for(&mut self, ttl: Duration) {
        let expires_at = self.now.plus(ttl.min(COMMAND_TTL_MAX));
        if let Some(EventBody::OutboundQueued(command)) = self.events.last_mut() {
            command.expires_at = expires_at;
        }
    }

    /// Answers the command that the turn is about: it ends now and does not go to the device.
    pub fn answer(&mut self, result: CommandResult) {
        self.answer = Some(result);
    }

    /// Replaces the behaviour's own state, in its first form.
    pub fn save(&mut self, state: Value) {
        self.save_as(1, state);
    }

    /// Replaces the behaviour's own state, in the form of `version`.
    pub fn save_as(&mut self, version: u32, state: Value) {
        self.events.retain(|event| !matches!(event, EventBody::BehaviourState { .. }));
        self.events.push(EventBody::BehaviourState { version, state });
    }
}

/// Whether a merge patch leaves `target` as it is.
fn changes_nothing(target: &Map, patch: &Map) -> bool {
    patch.iter().all(|(name, change)| match (target.get(name), change) {
        (None, Value::Null) => true,
        (Some(Value::Map(held)), Value::Map(inner)) => changes_nothing(held, inner),
        (Some(held), change) => held == change && !matches!(change, Value::Null | Value::Map(_)),
        (None, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Map {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_patch_that_says_what_stands_changes_nothing() {
        let target = map(r#"{"a": 1, "b": {"x": 1}, "c": null}"#);
        for same in ["{}", r#"{"a": 1}"#, r#"{"z": null}"#, r#"{"b": {"x": 1, "y": null}}"#] {
            assert!(changes_nothing(&target, &map(same)), "{same}");
        }
        for other in [r#"{"a": 2}"#, r#"{"a": null}"#, r#"{"a": {}}"#, r#"{"b": {"x": 2}}"#, r#"{"z": 0}"#, r#"{"z": {}}"#] {
            assert!(!changes_nothing(&target, &map(other)), "{other}");
        }
    }

    #[test]
    fn of_what_a_turn_says_twice_the_last_word_counts() {
        let (id, twin, below) = (TwinId::new("t").unwrap(), TwinState::blank(), Aggregate::default());
        let path = Path::root(&id);
        let mut cx = Context::new(Surroundings { id: &id, path: &path, below: &below }, &twin, Timestamp::EPOCH);
        for n in 0..3 {
            cx.raise("hot", Severity::Warning, "", Map::new());
            cx.after("look", Duration::from_secs(n));
        }
        cx.raise("cold", Severity::Warning, "", Map::new());
        cx.clear("cold");
        cx.every("beat", Duration::from_secs(1));
        cx.cancel("beat");
        let [EventBody::AlertRaised(hot), EventBody::TimerSet { due, .. }] = &cx.events[..] else { panic!("{:?}", cx.events) };
        assert_eq!((&*hot.name, hot.count, due.as_millis()), ("hot", 3, 2_000));
    }
}
