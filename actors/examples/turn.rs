//! What a behaviour's turn costs: `cargo run --release -p actors --example turn`. One thread, no store; a message of three values is
//! decided and its events are applied, again and again.

use std::{hint::black_box, sync::Arc, time::Duration};

use actors::{
    behaviour::{Alert, Behaviour, Context, Result, Telemetry, json},
    kind::Kinds,
    twin::{
        Surroundings, TwinState,
        decide::{Input, NewTwin, decide, number},
        device_input::Speaker,
    },
};
use hierarchy_models::{
    DeviceMessage, ModelId, Name, Raw, Record, Timestamp, TwinId, Value, event::Encoding, model, rollup::Aggregate, tree::Path,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

const TURNS: u32 = 500_000;
/// Best of so many, as whatever else the machine does only adds.
const RUNS: usize = 5;

/// Looks at a value and changes nothing.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Thermostat {
    alarmed: bool,
}

impl Behaviour for Thermostat {
    const MODEL: &'static str = "dtmi:cost:Thermostat;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        if t.f64("temperature")? > 30.0 && !self.alarmed {
            self.alarmed = true;
            cx.raise(Alert::warning("too-hot"));
        }
        Ok(())
    }
}

/// Changes its state with each message.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Meter {
    records: u64,
    sum: f64,
}

impl Behaviour for Meter {
    const MODEL: &'static str = "dtmi:cost:Meter;1";

    fn on_telemetry(&mut self, t: &Telemetry, _: &mut Context) -> Result<()> {
        self.records += 1;
        self.sum += t.f64("temperature")?;
        Ok(())
    }
}

/// Emits an event with each message.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Talker;

impl Behaviour for Talker {
    const MODEL: &'static str = "dtmi:cost:Talker;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        cx.emit("seen", json!({"temperature": t.f64("temperature")?}));
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut kinds = Kinds::built_in();
    kinds.bind_behaviour::<Thermostat>()?;
    kinds.bind_behaviour::<Meter>()?;
    kinds.bind_behaviour::<Talker>()?;
    let none = nanoseconds(&kinds, model::resolve("Device")?);
    println!("no behaviour                      {none:>6.0} ns a message");
    for (what, model) in [
        ("a behaviour that changes nothing", Thermostat::MODEL),
        ("one whose state changes", Meter::MODEL),
        ("one that emits an event", Talker::MODEL),
    ] {
        let cost = nanoseconds(&kinds, model::resolve(model)?);
        println!("{what:<33} {cost:>6.0} ns a message, {:>5.0} more", cost - none);
    }
    Ok(())
}

/// The time that this thread has worked.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn nanoseconds(kinds: &Kinds, model: ModelId) -> f64 {
    let kind = Arc::clone(kinds.of(&model));
    let id = TwinId::new("t").expect("a letter is a twin id");
    let (path, below) = (Path::root(&id), Aggregate::default());
    let here = Surroundings { id: &id, path: &path, below: &below };
    let mut twin = TwinState::blank();
    let new = NewTwin { model, is_place: false, parent: None, gateway: None, metadata: Default::default(), tags: Vec::new(), seq_base: 0 };
    let raw = Raw { encoding: Encoding::Json, bytes: Default::default() };
    let mut now = Timestamp::EPOCH;
    let mut take = |twin: &mut TwinState, input| {
        now = now.plus(std::time::Duration::from_millis(1));
        let decided = decide(here, twin, &*kind, input, now).expect("nothing here fails");
        for event in number(twin.seq, now, decided.events) {
            twin.apply(&event, 8);
        }
    };
    take(&mut twin, Input::Register(Box::new(new)));
    let values: Vec<(Name, Value)> = ["temperature", "humidity", "pressure"].map(|name| (name.into(), 21.5.into())).to_vec();
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let started = worked();
        for _ in 0..TURNS {
            let records = vec![Record { at: Timestamp::EPOCH, id: None, values: values.clone() }];
            let message = DeviceMessage::Telemetry { stream: None, records, raw: raw.clone() };
            take(&mut twin, black_box(Input::Device { speaker: Speaker::Server, message, packet: None }));
        }
        best = best.min((worked() - started).as_nanos() as f64 / f64::from(TURNS));
    }
    best
}
