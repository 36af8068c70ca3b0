//! A site of ten floors, ten rooms on each and ten devices in each: one path through it, kept up as the runtime does it at every tick.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{
    ModelId, Timestamp, TwinId, Value, model,
    rollup::{Aggregate, Asking, Asks, Contribution, Fold, Results, RollupSet, Source, Subject},
};

/// Children of each place.
const WIDTH: usize = 10;
/// Site, floor and room: a device is the fourth level.
const PLACES: usize = 3;
const STALE: Duration = Duration::from_secs(900);

/// The first of these are put on the site.
pub const DEFINITIONS: [(&str, &str); 8] = [
    ("load", "sum(devices.power)"),
    ("offline", r#"count(where status == "offline")"#),
    ("peak", "max(devices.power)"),
    ("p95", "percentile(devices.power, 95)"),
    ("busy", r#"count(devices where power > 50 and mode != "eco")"#),
    ("weighted", "avg(devices.power, weight: devices.rated)"),
    ("worst", "worst(alerts)"),
    ("rooms", r#"count(twins(of "Room"))"#),
];

struct Device {
    model: ModelId,
    power: Value,
    mode: Value,
    rated: Value,
}

impl Subject for Device {
    fn is_place(&self) -> bool {
        false
    }
    fn is_of(&self, model: &ModelId) -> bool {
        self.model == *model
    }
    fn is_active(&self) -> bool {
        true
    }
    fn is_connected(&self) -> bool {
        true
    }
    fn is_quarantined(&self) -> bool {
        false
    }
    fn alerts(&self) -> [u64; 3] {
        [0; 3]
    }
    fn value(&self, _: Source, name: &str) -> Option<(&Value, Timestamp)> {
        let value = match name {
            "power" => &self.power,
            "mode" => &self.mode,
            "rated" => &self.rated,
            _ => return None,
        };
        Some((value, Timestamp::EPOCH))
    }
}

struct Place {
    model: ModelId,
}

impl Subject for Place {
    fn is_place(&self) -> bool {
        true
    }
    fn is_of(&self, model: &ModelId) -> bool {
        self.model == *model
    }
    fn is_active(&self) -> bool {
        true
    }
    fn is_connected(&self) -> bool {
        false
    }
    fn is_quarantined(&self) -> bool {
        false
    }
    fn alerts(&self) -> [u64; 3] {
        [0; 3]
    }
    fn value(&self, _: Source, _: &str) -> Option<(&Value, Timestamp)> {
        None
    }
}

/// The places above one device, the room first.
pub struct Path {
    device: Device,
    asked: Option<Arc<Asks>>,
    places: Vec<(Place, Asking, Aggregate)>,
    children: Vec<TwinId>,
}

fn id(n: usize) -> TwinId {
    TwinId::new(format!("child-{n}")).expect("letters and digits are an id")
}

impl Path {
    /// With so many of [`DEFINITIONS`] on the site.
    pub fn new(definitions: usize) -> Self {
        let defined = RollupSet::parse(&DEFINITIONS[..definitions]).expect("these are definitions");
        let model = |short| model::resolve(short).expect("a built-in model's name resolves");
        let mut asking = Asking::new(None, (!defined.is_empty()).then(|| Arc::new(defined)));
        let mut places = Vec::with_capacity(PLACES);
        for short in ["Site", "Floor", "Room"] {
            let mut below = Aggregate::default();
            below.ask(asking.down().cloned());
            let next = Asking::new(asking.down().cloned(), None);
            places.insert(0, (Place { model: model(short) }, asking, below));
            asking = next;
        }
        let device = Device { model: model("Device"), power: Value::Float(1.0), mode: "full".into(), rated: Value::Float(2.0) };
        let mut path = Self { device, asked: asking.asked().cloned(), places, children: (0..WIDTH).map(id).collect() };
        // All siblings on all levels are like this one.
        for n in 0..WIDTH {
            path.report(n as f64);
            let last = path.of_device();
            path.places[0].2.update(&id(n), last, STALE, Timestamp::EPOCH);
        }
        for level in 1..PLACES {
            for n in 0..WIDTH {
                let of_place = path.of_place(level - 1);
                path.places[level].2.update(&id(n), of_place, STALE, Timestamp::EPOCH);
            }
        }
        path
    }

    pub fn report(&mut self, power: f64) {
        self.device.power = Value::Float(power);
    }

    fn of_device(&self) -> Contribution {
        let power = self.device.power.as_f64().unwrap_or_default();
        let mut own = Contribution {
            values: vec![("power".into(), Fold::of(power, Timestamp::EPOCH))],
            last_seen: Some(Timestamp::EPOCH),
            ..Contribution::default()
        };
        own.counts.devices = 1;
        let answers = |asked| Box::new(Aggregate::EMPTY.answers(asked, &self.device, &Results::default()));
        own.answers = self.asked.as_ref().map(answers);
        own
    }

    fn of_place(&self, level: usize) -> Contribution {
        let (place, asking, below) = &self.places[level];
        let mut all = below.contribution(Contribution::default());
        all.answers = asking.asked().map(|asked| Box::new(below.answers(asked, place, &Results::default())));
        all
    }

    /// What one change of the device costs from its own tick to the site's: three contributions made, told apart and folded in.
    pub fn tick(&mut self) -> u64 {
        let mut contribution = self.of_device();
        let mut told = 0;
        for level in 0..PLACES {
            told ^= contribution.fingerprint();
            self.places[level].2.update(&self.children[0], contribution, STALE, Timestamp::EPOCH);
            contribution = self.of_place(level);
        }
        told ^ contribution.fingerprint()
    }

    /// The site's defined figures.
    pub fn results(&self) -> Results {
        let (_, asking, below) = &self.places[PLACES - 1];
        asking.defined().map_or_else(Results::default, |defined| defined.results(below))
    }
}
