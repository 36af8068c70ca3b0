//! One twin with one behaviour.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use hierarchy_models::{
    Alert, CommandState, Event, Name, Timestamp, TwinId,
    event::DisconnectReason,
    model,
    rollup::{Contribution, Counts, Fold},
    tree::Path,
};
use serde_json::Value;

use super::{
    Effect, Handled, WAKES_MAX, assertions, feed,
    seat::{Seat, inbound},
    start,
};
use crate::{
    behaviour::{Behaviour, Bound, Error, Result, from_json, load},
    settings::Settings,
    twin::{TwinPatch, decide::Input},
};

/// Commands that one step sends; one more is a behaviour that talks to itself.
const SENT_MAX: usize = 1_000;

/// One twin with one behaviour: its device says something, time passes, and the test looks at what followed.
///
/// Each thing said, and each advance of the clock, is a step; [`Self::effects`] and the assertions that begin with `expect` look at the
/// last one, but for alerts, which stand until they are cleared. Commands to other twins count as taken there; one to the
/// twin itself lands in its own inbox.
pub struct TwinTestKit<B = ()> {
    seat: Seat,
    now: Timestamp,
    /// Whether anything has happened beyond setting it up.
    has_begun: bool,
    step: Vec<Effect>,
    behaviour: PhantomData<fn() -> B>,
}

impl TwinTestKit<()> {
    /// A twin `id`, just registered, at the top of its tree.
    #[track_caller]
    pub fn of<B: Behaviour>(id: &str) -> TwinTestKit<B> {
        let id: TwinId = id.parse().unwrap_or_else(|error| panic!("{error}"));
        let model = model::resolve(B::MODEL).unwrap_or_else(|error| panic!("{error}"));
        let (path, is_place) = (Path::root(&id), model::is_place(&model));
        let seat = Seat::new(id, path, Arc::new(Bound::<B>::new()), (model, is_place), None, start());
        let seat = seat.unwrap_or_else(|error| panic!("{error}"));
        TwinTestKit { seat, now: start(), has_begun: false, step: Vec::new(), behaviour: PhantomData }
    }
}

impl<B: Behaviour> TwinTestKit<B> {
    /// Stands it under a parent.
    #[track_caller]
    pub fn under(mut self, parent: &str) -> Self {
        let parent: TwinId = parent.parse().unwrap_or_else(|error| panic!("{error}"));
        self.seat.path = Path::root(&parent).child(&self.seat.id).unwrap_or_else(|error| panic!("{error}"));
        self.set_up(TwinPatch { parent: Some(Some(parent)), ..TwinPatch::default() })
    }

    /// Gives it metadata: a merge patch.
    #[track_caller]
    pub fn with_metadata(self, patch: Value) -> Self {
        let metadata = feed::properties(patch, "metadata").unwrap_or_else(|error| panic!("{error}"));
        self.set_up(TwinPatch { metadata: Some(metadata), ..TwinPatch::default() })
    }

    /// Gives it desired properties: a merge patch.
    #[track_caller]
    pub fn with_desired(self, patch: Value) -> Self {
        let desired = feed::properties(patch, "desired properties").unwrap_or_else(|error| panic!("{error}"));
        self.set_up(TwinPatch { desired: Some(desired), ..TwinPatch::default() })
    }

    #[track_caller]
    fn set_up(mut self, patch: TwinPatch) -> Self {
        let taken = self.seat.take(Input::Patch { patch: Box::new(patch), is_place: false, if_version: None }, self.now);
        taken.unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Lets it start with this state, as a version of the behaviour has stored it.
    #[track_caller]
    pub fn with_stored_state(mut self, version: u32, state: Value) -> Self {
        let state = from_json(state).unwrap_or_else(|error| panic!("{error}"));
        let rare = self.seat.twin.rare_mut();
        (rare.behaviour_version, rare.behaviour) = (version, state);
        self
    }

    /// One step; what follows from it is what [`Self::effects`] tells.
    fn step(&mut self, input: Input) -> Result<()> {
        self.step.clear();
        self.take(input)
    }

    fn take(&mut self, input: Input) -> Result<()> {
        self.has_begun = true;
        let (events, _) = self.seat.take(input, self.now)?;
        self.step.extend(Effect::of(&events));
        for _ in 0..SENT_MAX {
            let Some(entry) = self.seat.twin.outbox().first().cloned() else { return Ok(()) };
            let command = inbound(&self.seat.id, &entry, self.now);
            let id = command.id.clone();
            // What it sends itself is for its own device; the others have taken theirs.
            let taken = if entry.command.to == self.seat.id {
                self.seat.take(Input::Queue(Box::new(command)), self.now).map(|(events, _)| events)
            } else {
                Ok(Vec::new())
            };
            self.step.extend(taken.as_deref().map(Effect::of).unwrap_or_default());
            let outcome = taken.map(|_| id).map_err(|error| error.to_string());
            self.seat.take(Input::OutboundDone { queued: entry.queued, outcome }, self.now)?;
        }
        Err(Error::new(format!("it has sent {SENT_MAX} commands in one step and does not come to rest")))
    }

    #[track_caller]
    fn must(&mut self, taken: Result<()>) -> &mut Self {
        if let Err(error) = taken {
            panic!("{}: {error}", self.seat.id);
        }
        self
    }

    /// The device sends telemetry: a record, or an array of records, in the forms that the MQTT topic takes.
    #[track_caller]
    pub fn telemetry(&mut self, records: Value) -> &mut Self {
        let taken = self.try_telemetry(records);
        self.must(taken)
    }

    /// The same, for a behaviour that may fail on it.
    pub fn try_telemetry(&mut self, records: Value) -> Result<()> {
        let message = feed::telemetry(records, None, self.now)?;
        self.step(Seat::say(message))
    }

    /// The device reports properties: a merge patch.
    #[track_caller]
    pub fn reported(&mut self, patch: Value) -> &mut Self {
        let taken = feed::reported(patch).and_then(|message| self.step(Seat::say(message)));
        self.must(taken)
    }

    /// The device reports all its properties: a key frame.
    #[track_caller]
    pub fn reported_full(&mut self, properties: Value) -> &mut Self {
        let taken = feed::reported_full(properties).and_then(|message| self.step(Seat::say(message)));
        self.must(taken)
    }

    /// The device sends a special event.
    #[track_caller]
    pub fn event(&mut self, name: &str, payload: Value) -> &mut Self {
        let taken = self.try_event(name, payload);
        self.must(taken)
    }

    /// The same, for a behaviour that may fail on it.
    pub fn try_event(&mut self, name: &str, payload: Value) -> Result<()> {
        let message = feed::event(name, payload)?;
        self.step(Seat::say(message))
    }

    #[track_caller]
    pub fn connected(&mut self) -> &mut Self {
        let taken = self.step(self.seat.connect());
        self.must(taken)
    }

    /// The connection ends. Without a goodbye: [`DisconnectReason::Lost`].
    #[track_caller]
    pub fn disconnected(&mut self, reason: DisconnectReason) -> &mut Self {
        let taken = self.step(self.seat.disconnect(reason));
        self.must(taken)
    }

    /// Somebody sends a command that lives for a minute; what became of it.
    #[track_caller]
    pub fn command(&mut self, name: &str, payload: Value) -> Handled {
        self.command_for(name, payload, hierarchy_models::limits::COMMAND_TTL_DEFAULT)
    }

    /// The same, with another time to live.
    #[track_caller]
    pub fn command_for(&mut self, name: &str, payload: Value, ttl: Duration) -> Handled {
        self.try_command(name, payload, ttl).unwrap_or_else(|error| panic!("{}: {error}", self.seat.id))
    }

    /// The same, for a behaviour that may fail on it.
    pub fn try_command(&mut self, name: &str, payload: Value, ttl: Duration) -> Result<Handled> {
        let command = self.seat.command(name, payload, ttl, self.now)?;
        let id = command.id.clone();
        self.step(Input::Queue(Box::new(command)))?;
        self.seat.handled(&id).ok_or_else(|| Error::new("the command was not taken"))
    }

    /// The device answers the oldest command of this name; 2xx completes it.
    #[track_caller]
    pub fn answers(&mut self, name: &str, status: u16, payload: Value) -> &mut Self {
        let taken = self.seat.device_answers(name, status, payload).and_then(|input| self.step(input));
        self.must(taken)
    }

    /// A device below sends values; what is below is folded as the server folds it.
    #[track_caller]
    pub fn child(&mut self, id: &str, values: Value) -> &mut Self {
        let child: TwinId = id.parse().unwrap_or_else(|error| panic!("{error}"));
        let values = feed::properties(values, "a child's values").unwrap_or_else(|error| panic!("{error}"));
        let fold = |(name, value): (&Name, &hierarchy_models::Value)| Some((name.clone(), Fold::of(value.as_f64()?, self.now)));
        let contribution = Contribution {
            counts: Counts { devices: 1, connected: 1, ..Counts::NONE },
            values: values.iter().filter_map(fold).collect(),
            last_seen: Some(self.now),
            answers: None,
        };
        self.seat.below.update(&child, contribution, Settings::default().stale_after, self.now);
        let taken = self.step(Input::Children);
        self.must(taken)
    }

    /// Time passes: timers fire and commands expire, each at its time.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) -> &mut Self {
        let taken = self.pass(self.now.plus(time));
        self.must(taken)
    }

    fn pass(&mut self, end: Timestamp) -> Result<()> {
        (self.has_begun, self.step) = (true, Vec::new());
        for _ in 0..WAKES_MAX {
            let Some(due) = self.seat.twin.next_deadline().filter(|due| *due <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(due);
            self.take(Input::Wake)?;
        }
        Err(Error::new(format!("its timers have fired {WAKES_MAX} times and do not come to rest")))
    }

    /// The server is down for this long, and starts again on what is durable: what came due meanwhile comes now.
    #[track_caller]
    pub fn down_for(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.plus(time);
        let taken = self.seat.restart().and_then(|()| self.pass(self.now));
        self.must(taken)
    }

    /// Takes recorded events in, oldest first, each at its own time: lines of JSON as `GET /api/v1/twins/{id}/events` answers them, one
    /// event or one page a line. What devices and people did is done again, messages that the behaviour of then failed on too (if they came
    /// as JSON); what a behaviour made of it is left out, for this one decides now. So are changes of what is desired, of which the log does
    /// not say whose they were: [`Self::with_desired`]. All of it is one step. The number of events that were done again.
    ///
    /// # Errors
    /// The first call that failed, with its line. What came after it was done all the same, as in the server.
    pub fn replay(&mut self, ndjson: &str) -> Result<usize> {
        let recorded = super::replay::read(ndjson)?;
        let own = self.seat.id.to_string();
        let recorded: Vec<_> = recorded.into_iter().filter(|one| !one.is_sent_by(|sender| sender == own)).collect();
        if let Some(first) = recorded.first().filter(|_| !self.has_begun) {
            self.now = first.at;
        }
        let (mut effects, mut failed) = (Vec::new(), None);
        for one in &recorded {
            let passed = self.pass(self.now.max(one.at));
            effects.append(&mut self.step);
            let taken = one.input(&self.seat, self.now).and_then(|input| self.take(input));
            effects.append(&mut self.step);
            failed = failed.or(passed.and(taken.map_err(|error| one.at_its_line(error))).err());
        }
        self.step = effects;
        failed.map_or(Ok(recorded.len()), Err)
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The behaviour's state as the twin keeps it.
    #[track_caller]
    pub fn state(&self) -> B {
        load(&self.seat.twin).unwrap_or_else(|error| panic!("{}: {error}", self.seat.id))
    }

    /// What followed from the last step.
    pub fn effects(&self) -> &[Effect] {
        &self.step
    }

    /// Everything that happened to the twin, as its log has it.
    pub fn events(&self) -> &[Event] {
        &self.seat.log
    }

    /// The alerts that stand.
    pub fn alerts(&self) -> &[Alert] {
        &self.seat.twin.alerts
    }

    /// The commands that wait for the device, oldest first.
    pub fn inbox(&self) -> Vec<Handled> {
        self.seat.inbox()
    }

    /// What is desired of the device, as it stands.
    pub fn desired(&self) -> Value {
        crate::behaviour::to_json(&hierarchy_models::Value::from(self.seat.twin.desired.clone()))
    }

    /// An alert of this name stands.
    #[track_caller]
    pub fn expect_alert(&self, name: &str) -> &Alert {
        assertions::alert(self.seat.id.as_str(), self.alerts(), name)
    }

    #[track_caller]
    pub fn expect_no_alert(&self, name: &str) {
        assertions::no_alert(self.seat.id.as_str(), self.alerts(), name);
    }

    #[track_caller]
    pub fn expect_no_effects(&self) {
        assertions::nothing(&self.step);
    }

    /// The last step sent this command to that twin; its payload.
    #[track_caller]
    pub fn expect_command(&self, to: &str, name: &str) -> Value {
        let what = format!("a command {name:?} to {to}");
        let wanted = |effect: &Effect| matches!(effect, Effect::Command { to: t, name: n, .. } if t == to && n == name);
        match assertions::effect(&self.step, &what, wanted) {
            Effect::Command { payload, .. } => payload,
            _ => Value::Null,
        }
    }

    /// The last step emitted this event; its payload.
    #[track_caller]
    pub fn expect_event(&self, name: &str) -> Value {
        let wanted = |effect: &Effect| matches!(effect, Effect::Emitted { name: n, .. } if n == name);
        match assertions::effect(&self.step, &format!("the event {name:?}"), wanted) {
            Effect::Emitted { payload, .. } => payload,
            _ => Value::Null,
        }
    }

    /// The command waits for the device, which gets it when it is connected.
    #[track_caller]
    pub fn expect_waiting(&self, name: &str) -> Handled {
        let inbox = self.inbox();
        let found = inbox.iter().find(|c| c.name == name && matches!(c.state, CommandState::Queued | CommandState::Delivered));
        found.cloned().unwrap_or_else(|| panic!("no command {name:?} waits for {}; there are {inbox:?}", self.seat.id))
    }
}
