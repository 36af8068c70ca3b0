//! A tree of twins that is kept up as the runtime does it: asks go down where they change, contributions go up along one path.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hierarchy_models::{
    ModelId, Timestamp, TwinId, Value, model,
    rollup::{Aggregate, Asking, Contribution, Results, RollupSet, Source, Subject},
};

use super::{random::Random, recomputed::DEFINITIONS};

pub const STALE: Duration = Duration::from_secs(60);
const TWINS_MAX: usize = 24;

pub struct Twin {
    pub model: ModelId,
    pub parent: Option<usize>,
    pub connected: bool,
    pub active: bool,
    pub quarantined: bool,
    pub alerts: [u64; 3],
    pub telemetry: BTreeMap<&'static str, (Value, Timestamp)>,
    pub metadata: BTreeMap<&'static str, Value>,
    pub last_seen: Option<Timestamp>,
    pub asking: Asking,
    pub below: Aggregate,
}

impl Subject for Twin {
    fn is_place(&self) -> bool {
        model::is_place(&self.model)
    }
    fn is_of(&self, model: &ModelId) -> bool {
        self.model == *model || (model.as_str() == "dtmi:test:Meter;1" && self.model.as_str() == "dtmi:test:SmartMeter;1")
    }
    fn is_active(&self) -> bool {
        self.active
    }
    fn is_connected(&self) -> bool {
        self.connected
    }
    fn is_quarantined(&self) -> bool {
        self.quarantined
    }
    fn alerts(&self) -> [u64; 3] {
        self.alerts
    }
    fn value(&self, source: Source, name: &str) -> Option<(&Value, Timestamp)> {
        let measured = self.telemetry.get(name).map(|(value, at)| (value, *at));
        let known = self.metadata.get(name).map(|value| (value, Timestamp::MIN));
        match source {
            Source::Any => measured.or(known),
            Source::Telemetry => measured,
            Source::Metadata => known,
            _ => None,
        }
    }
}

pub struct World {
    pub twins: Vec<Twin>,
    pub now: Timestamp,
}

fn id(n: usize) -> TwinId {
    TwinId::new(format!("t{n}")).unwrap()
}

impl World {
    /// A root, and twins below it.
    pub fn grown(random: &mut Random) -> Self {
        let mut world = Self { twins: Vec::new(), now: Timestamp::EPOCH };
        world.add(None, random);
        for _ in 0..4 + random.below(TWINS_MAX - 5) {
            let parent = random.below(world.twins.len());
            world.add(Some(parent), random);
        }
        world
    }

    fn add(&mut self, parent: Option<usize>, random: &mut Random) {
        let models = ["Site", "Room", "Room", "Device", "Device", "Device", "dtmi:test:Meter;1", "dtmi:test:SmartMeter;1"];
        let asked = parent.and_then(|p| self.twins[p].asking.down().cloned());
        self.twins.push(Twin {
            model: model::resolve(models[random.below(models.len())]).unwrap(),
            parent,
            connected: false,
            active: true,
            quarantined: false,
            alerts: [0; 3],
            telemetry: BTreeMap::new(),
            metadata: BTreeMap::new(),
            last_seen: None,
            asking: Asking::new(asked, None),
            below: Aggregate::default(),
        });
        self.pass_up(self.twins.len() - 1);
    }

    pub fn results(&self, n: usize) -> Results {
        self.twins[n].asking.defined().map_or_else(Results::default, |defined| defined.results(&self.twins[n].below))
    }

    /// Without the figures that every twin folds: they have tests of their own.
    pub fn contribution(&self, n: usize) -> Contribution {
        let twin = &self.twins[n];
        let last_seen = twin.last_seen.filter(|_| !twin.is_place());
        let mut all = twin.below.contribution(Contribution { last_seen, ..Contribution::default() });
        all.answers = twin.asking.asked().map(|asked| Box::new(twin.below.answers(asked, twin, &self.results(n))));
        all
    }

    fn tell_parent(&mut self, n: usize) -> Option<usize> {
        let parent = self.twins[n].parent?;
        let contribution = self.contribution(n);
        self.twins[parent].below.update(&id(n), contribution, STALE, self.now);
        Some(parent)
    }

    fn pass_up(&mut self, n: usize) {
        let mut next = Some(n);
        while let Some(n) = next {
            next = self.tell_parent(n);
        }
    }

    /// Asks of the children what the twin asks now, and so on down.
    fn ask_below(&mut self, n: usize) {
        let down = self.twins[n].asking.down().cloned();
        self.twins[n].below.ask(down.clone());
        for awaited in self.twins[n].below.awaited() {
            let child: usize = awaited.child.as_str()[1..].parse().unwrap();
            if self.twins[child].asking.adopt(down.clone()) {
                self.ask_below(child);
            }
            assert!(self.twins[n].below.still_awaits(&awaited));
            self.tell_parent(child);
        }
        assert!(!self.twins[n].below.awaits_any());
    }

    pub fn define(&mut self, n: usize, definitions: &[(&str, &str)]) {
        let set = RollupSet::parse(definitions).unwrap();
        let defined = (!set.is_empty()).then(|| Arc::new(set));
        if self.twins[n].asking.define(defined) {
            self.ask_below(n);
        }
        self.pass_up(n);
    }

    fn is_under(&self, n: usize, top: usize) -> bool {
        let mut next = Some(n);
        std::iter::from_fn(|| {
            let here = next?;
            next = self.twins[here].parent;
            Some(here)
        })
        .any(|here| here == top)
    }

    /// One thing happens; what.
    pub fn change(&mut self, random: &mut Random) -> String {
        let n = random.below(self.twins.len());
        match random.below(100) {
            0..50 => self.report(n, random),
            50..60 => self.note(n, random),
            60..68 => self.wait(random),
            68..78 => self.move_somewhere(n, random),
            78..84 => self.replace(random),
            _ => {
                let some: Vec<_> = DEFINITIONS.iter().filter(|_| random.chance(25)).map(|d| (d.name, d.text)).collect();
                self.define(n, &some);
                format!("{n} defines {some:?}")
            }
        }
    }

    fn report(&mut self, n: usize, random: &mut Random) -> String {
        let (now, name) = (self.now, ["power", "temperature", "mode", "eco"][random.below(4)]);
        let twin = &mut self.twins[n];
        let value = match name {
            "mode" => Value::from(["eco", "full"][random.below(2)]),
            "eco" => Value::Bool(random.chance(50)),
            _ => Value::Float(random.quarter()),
        };
        if random.chance(10) {
            twin.telemetry.remove(name);
        } else {
            twin.telemetry.insert(name, (value.clone(), now));
        }
        twin.last_seen = Some(now);
        self.pass_up(n);
        format!("{n} reports {name} {value:?}")
    }

    fn note(&mut self, n: usize, random: &mut Random) -> String {
        let twin = &mut self.twins[n];
        match random.below(6) {
            0 => twin.connected = !twin.connected && !model::is_place(&twin.model),
            1 => twin.active = !twin.active,
            2 => twin.quarantined = !twin.quarantined,
            3 => twin.alerts[random.below(3)] = random.below(3) as u64,
            4 => drop(twin.metadata.insert("area", Value::Float(random.below(17) as f64 / 2.0 - 1.0))),
            _ => drop(twin.metadata.insert("rated", Value::Int(random.below(100) as i64))),
        }
        self.pass_up(n);
        format!("{n} is noted something of")
    }

    fn wait(&mut self, random: &mut Random) -> String {
        self.now = self.now.plus(Duration::from_secs(random.below(50) as u64));
        for n in 0..self.twins.len() {
            if self.twins[n].below.sweep(STALE, self.now) {
                self.pass_up(n);
            }
        }
        "time passes".into()
    }

    fn leave(&mut self, n: usize) {
        if let Some(parent) = self.twins[n].parent.take() {
            self.twins[parent].below.remove(&id(n));
            self.pass_up(parent);
        }
    }

    fn arrive(&mut self, n: usize, parent: usize) {
        self.twins[n].parent = Some(parent);
        self.pass_up(n);
        // It answers what the former parent asked until the new one has told it better.
        self.ask_below(parent);
        self.pass_up(parent);
    }

    fn move_somewhere(&mut self, n: usize, random: &mut Random) -> String {
        let to = random.below(self.twins.len());
        if n == 0 || self.is_under(to, n) {
            return "nothing moves".into();
        }
        self.leave(n);
        self.arrive(n, to);
        format!("{n} moves to {to}")
    }

    /// A twin without others below it goes, and another comes in its place elsewhere.
    fn replace(&mut self, random: &mut Random) -> String {
        let last = self.twins.len() - 1;
        if last < 3 || self.twins.iter().any(|twin| twin.parent == Some(last)) {
            if self.twins.len() < TWINS_MAX {
                let parent = random.below(self.twins.len());
                self.add(Some(parent), random);
            }
            return "a twin is registered".into();
        }
        self.leave(last);
        self.twins.pop();
        "a twin is removed".into()
    }
}
