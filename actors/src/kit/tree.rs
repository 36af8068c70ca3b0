//! A site with its tree: places and devices, commands between them, roll-ups.

mod rollups;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{Alert, Timestamp, TwinId, event::DisconnectReason, limits::COMMAND_TTL_DEFAULT, model, tree::Path};
use serde_json::Value;

use super::{
    Effect, Handled, WAKES_MAX, assertions, feed,
    seat::{Seat, inbound},
    start,
};
use crate::{
    behaviour::{Behaviour, Children, Error, Result, load},
    kind::Kinds,
    models::Known,
    settings::Settings,
    twin::{TwinPatch, decide::Input},
};

/// Rounds of commands and roll-ups after one step; one more is a tree that never comes to rest.
const ROUNDS_MAX: usize = 1_000;

/// A site: its devices say something, time passes, and the test looks at what became of its twins.
///
/// After each step commands between twins are delivered and roll-ups folded, level by level, until nothing is left to do; so a
/// step is as if a long enough time had passed in the server, but on the clock. Assertions that begin with `expect` look at the
/// last step, but for alerts and inboxes, which are as they stand.
pub struct TreeTestKit {
    kinds: Kinds,
    models: Arc<Known>,
    seats: BTreeMap<TwinId, Seat>,
    now: Timestamp,
    /// Whether anything has happened beyond setting it up.
    has_begun: bool,
    step: Vec<(TwinId, Effect)>,
    stale_after: Duration,
}

impl Default for TreeTestKit {
    fn default() -> Self {
        Self {
            kinds: Kinds::built_in(),
            models: Known::built_in(),
            seats: BTreeMap::new(),
            now: start(),
            has_begun: false,
            step: Vec::new(),
            stale_after: Settings::default().stale_after,
        }
    }
}

impl TreeTestKit {
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a behaviour to its model, for the twins that are added from here on.
    #[track_caller]
    pub fn with<B: Behaviour>(mut self) -> Self {
        self.kinds.bind_behaviour::<B>().unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Makes models known: an Interface, or an array of them. Twins of one without a behaviour of its own behave as those of its bases.
    #[track_caller]
    pub fn with_models(mut self, interfaces: Value) -> Self {
        let interfaces = match interfaces {
            Value::Array(list) => list,
            one => vec![one],
        };
        let read = |one: &Value| serde_json::from_str(&one.to_string()).unwrap_or_else(|error| panic!("{error}"));
        let models = self.models.and(interfaces.iter().map(read));
        self.models = Arc::new(models.unwrap_or_else(|fault| panic!("{fault}")));
        self
    }

    /// Adds a twin; parents come before their children. `model` is a DTMI or the short name of a built-in one.
    #[track_caller]
    pub fn add(&mut self, id: &str, model: &str, parent: Option<&str>) -> &mut Self {
        let added = self.try_add(id, model, parent);
        self.must(added)
    }

    fn try_add(&mut self, id: &str, model: &str, parent: Option<&str>) -> Result<()> {
        let (id, model) = (id.parse::<TwinId>()?, model::resolve(model)?);
        if self.seats.contains_key(&id) {
            return Err(Error::new(format!("{id} is there already")));
        }
        let parent = parent.map(|parent| parent.parse::<TwinId>()).transpose()?;
        let path = match &parent {
            Some(parent) => self.find(parent)?.path.child(&id)?,
            None => Path::root(&id),
        };
        let is_place = self.models.catalogue.is_place(&model);
        let kind = self.kinds.inherited(&model, &self.models.catalogue, is_place).clone();
        let seat = Seat::new(id.clone(), path, kind, (model, is_place), parent, self.now)?;
        self.seats.insert(id, seat);
        self.step.clear();
        self.settle()
    }

    fn find(&self, id: &TwinId) -> Result<&Seat> {
        self.seats.get(id).ok_or_else(|| Error::new(format!("there is no twin {id}")))
    }

    #[track_caller]
    fn seat(&self, id: &str) -> &Seat {
        self.seats.get(id).unwrap_or_else(|| panic!("there is no twin {id}"))
    }

    #[track_caller]
    fn must(&mut self, taken: Result<()>) -> &mut Self {
        if let Err(error) = taken {
            panic!("{error}");
        }
        self
    }

    /// One step: an input of one twin, and all that follows from it.
    fn step(&mut self, id: &str, input: impl FnOnce(&Seat) -> Result<Input>) -> Result<()> {
        self.step.clear();
        let id: TwinId = id.parse()?;
        let input = input(self.find(&id)?)?;
        self.has_begun |= !matches!(input, Input::Patch { .. });
        self.take(&id, input)?;
        self.settle()
    }

    fn take(&mut self, id: &TwinId, input: Input) -> Result<()> {
        let seat = self.seats.get_mut(id).ok_or_else(|| Error::new(format!("there is no twin {id}")))?;
        let (events, _) = seat.take(input, self.now).map_err(|error| Error::new(format!("{id}: {error}")))?;
        self.step.extend(Effect::of(&events).into_iter().map(|effect| (id.clone(), effect)));
        Ok(())
    }

    /// Delivers and folds until nothing is left to do.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if !self.deliver()? && !self.fold()? {
                return Ok(());
            }
        }
        Err(Error::new(format!("the twins do not come to rest: after {ROUNDS_MAX} rounds they still send each other commands or figures")))
    }

    /// Hands every command between twins to its target; whether there was any.
    fn deliver(&mut self) -> Result<bool> {
        let entries = |seat: &Seat| -> Vec<_> { seat.twin.outbox().iter().map(|entry| (seat.id.clone(), entry.clone())).collect() };
        let due: Vec<_> = self.seats.values().flat_map(entries).collect();
        for (sender, entry) in &due {
            let command = inbound(sender, entry, self.now);
            let id = command.id.clone();
            // As in the server a twin that refuses it, or fails on it, costs the sender nothing but the command.
            let taken = if self.seats.contains_key(&entry.command.to) {
                self.take(&entry.command.to, Input::Queue(Box::new(command)))
            } else {
                Err(Error::new(format!("there is no twin {}", entry.command.to)))
            };
            let outcome = taken.map(|()| id).map_err(|error| error.to_string());
            self.take(sender, Input::OutboundDone { queued: entry.queued, outcome })?;
        }
        Ok(!due.is_empty())
    }

    /// Somebody changes a twin's metadata: a merge patch.
    #[track_caller]
    pub fn metadata(&mut self, id: &str, patch: Value) -> &mut Self {
        let patch = feed::properties(patch, "metadata").map(|metadata| TwinPatch { metadata: Some(metadata), ..TwinPatch::default() });
        let taken =
            patch.and_then(|patch| self.step(id, |_| Ok(Input::Patch { patch: Box::new(patch), is_place: false, if_version: None })));
        self.must(taken)
    }

    /// Somebody changes what is desired of a twin: a merge patch.
    #[track_caller]
    pub fn desired(&mut self, id: &str, patch: Value) -> &mut Self {
        let patch =
            feed::properties(patch, "desired properties").map(|desired| TwinPatch { desired: Some(desired), ..TwinPatch::default() });
        let taken =
            patch.and_then(|patch| self.step(id, |_| Ok(Input::Patch { patch: Box::new(patch), is_place: false, if_version: None })));
        self.must(taken)
    }

    /// A device sends telemetry: a record, or an array of records, in the forms that the MQTT topic takes.
    #[track_caller]
    pub fn telemetry(&mut self, id: &str, records: Value) -> &mut Self {
        let taken = self.try_telemetry(id, records);
        self.must(taken)
    }

    /// The same, for behaviours that may fail on it.
    pub fn try_telemetry(&mut self, id: &str, records: Value) -> Result<()> {
        let message = feed::telemetry(records, None, self.now)?;
        self.step(id, |_| Ok(Seat::say(message)))
    }

    /// A device reports properties: a merge patch.
    #[track_caller]
    pub fn reported(&mut self, id: &str, patch: Value) -> &mut Self {
        let taken = feed::reported(patch).and_then(|message| self.step(id, |_| Ok(Seat::say(message))));
        self.must(taken)
    }

    /// A device sends a special event.
    #[track_caller]
    pub fn event(&mut self, id: &str, name: &str, payload: Value) -> &mut Self {
        let taken = feed::event(name, payload).and_then(|message| self.step(id, |_| Ok(Seat::say(message))));
        self.must(taken)
    }

    #[track_caller]
    pub fn connected(&mut self, id: &str) -> &mut Self {
        let taken = self.step(id, |seat| Ok(seat.connect()));
        self.must(taken)
    }

    #[track_caller]
    pub fn disconnected(&mut self, id: &str, reason: DisconnectReason) -> &mut Self {
        let taken = self.step(id, |seat| Ok(seat.disconnect(reason)));
        self.must(taken)
    }

    /// Somebody sends a twin a command that lives for a minute; what became of it.
    #[track_caller]
    pub fn command(&mut self, id: &str, name: &str, payload: Value) -> Handled {
        let now = self.now;
        let command = self.seat(id).command(name, payload, COMMAND_TTL_DEFAULT, now).unwrap_or_else(|error| panic!("{error}"));
        let cid = command.id.clone();
        let taken = self.step(id, |_| Ok(Input::Queue(Box::new(command))));
        self.must(taken);
        self.seat(id).handled(&cid).unwrap_or_else(|| panic!("{id} has not taken the command"))
    }

    /// A device answers the oldest command of this name; 2xx completes it.
    #[track_caller]
    pub fn answers(&mut self, id: &str, name: &str, status: u16, payload: Value) -> &mut Self {
        let taken = self.step(id, |seat| seat.device_answers(name, status, payload));
        self.must(taken)
    }

    /// Time passes: timers fire, commands expire and devices fall silent (`rollup.stale_after`, 15 minutes), each at its time.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) -> &mut Self {
        let taken = self.pass(self.now.plus(time));
        self.must(taken)
    }

    fn pass(&mut self, end: Timestamp) -> Result<()> {
        (self.has_begun, self.step) = (true, Vec::new());
        for _ in 0..WAKES_MAX {
            let wake = self.seats.values().filter_map(|seat| Some((seat.twin.next_deadline()?, seat.id.clone()))).min();
            let silence = self.next_silence();
            let next = wake.as_ref().map(|(at, _)| *at).into_iter().chain(silence).min().filter(|at| *at <= end);
            let Some(at) = next else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(at);
            if let Some((_, id)) = wake.filter(|(due, _)| *due <= self.now) {
                self.take(&id, Input::Wake)?;
            }
            self.sweep();
            self.settle()?;
        }
        Err(Error::new(format!("after {WAKES_MAX} wakes the twins' timers do not come to rest")))
    }

    /// Takes the recorded events of twins in, each with the twin's id: all of them in the order of time, each at its own, as
    /// [`super::TwinTestKit::replay`] does it for one. What twins of this tree sent each other is left out: their behaviours send now.
    /// All of it is one step. The number of events that were done again.
    ///
    /// # Errors
    /// The first call that failed, with its twin and its line. What came after it was done all the same, as in the server.
    pub fn replay<'a>(&mut self, logs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<usize> {
        let recorded = super::replay::read_all(logs)?;
        let is_here = |sender: &str| self.seats.keys().any(|id| id.as_str() == sender);
        let recorded: Vec<_> = recorded.into_iter().filter(|(_, one)| !one.is_sent_by(is_here)).collect();
        if let Some((_, first)) = recorded.first().filter(|_| !self.has_begun) {
            self.now = first.at;
        }
        let (mut effects, mut failed) = (Vec::new(), None);
        for (id, one) in &recorded {
            let passed = self.pass(self.now.max(one.at));
            effects.append(&mut self.step);
            let input = self.find(id).and_then(|seat| one.input(seat, self.now));
            let taken = input.and_then(|input| self.take(id, input)).and_then(|()| self.settle());
            effects.append(&mut self.step);
            failed = failed.or(passed.and(taken.map_err(|error| one.at_its_line(error))).err());
        }
        self.step = effects;
        failed.map_or(Ok(recorded.len()), Err)
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A twin's behaviour as the twin keeps it.
    #[track_caller]
    pub fn state<B: Behaviour>(&self, id: &str) -> B {
        load(&self.seat(id).twin).unwrap_or_else(|error| panic!("{id}: {error}"))
    }

    /// What is below a twin.
    #[track_caller]
    pub fn below(&self, id: &str) -> Children<'_> {
        Children::of(&self.seat(id).below)
    }

    /// What followed from the last step, with the twin that asked for it.
    pub fn effects(&self) -> Vec<(&str, &Effect)> {
        self.step.iter().map(|(id, effect)| (id.as_str(), effect)).collect()
    }

    /// What followed from the last step at one twin.
    pub fn effects_of(&self, id: &str) -> Vec<Effect> {
        self.step.iter().filter(|(twin, _)| twin.as_str() == id).map(|(_, effect)| effect.clone()).collect()
    }

    /// The alerts that stand on a twin.
    #[track_caller]
    pub fn alerts(&self, id: &str) -> &[Alert] {
        &self.seat(id).twin.alerts
    }

    /// The commands that wait for a twin's device, oldest first.
    #[track_caller]
    pub fn inbox(&self, id: &str) -> Vec<Handled> {
        self.seat(id).inbox()
    }

    /// An alert of this name stands on the twin.
    #[track_caller]
    pub fn expect_alert(&self, id: &str, name: &str) -> &Alert {
        assertions::alert(id, self.alerts(id), name)
    }

    #[track_caller]
    pub fn expect_no_alert(&self, id: &str, name: &str) {
        assertions::no_alert(id, self.alerts(id), name);
    }

    #[track_caller]
    pub fn expect_no_effects(&self) {
        let effects: Vec<Effect> = self.step.iter().map(|(_, effect)| effect.clone()).collect();
        assertions::nothing(&effects);
    }

    /// A command of this name waits for the twin's device.
    #[track_caller]
    pub fn expect_waiting(&self, id: &str, name: &str) -> Handled {
        let inbox = self.inbox(id);
        let found = inbox.iter().find(|command| command.name == name).cloned();
        found.unwrap_or_else(|| panic!("no command {name:?} waits for {id}; there are {inbox:?}"))
    }
}
