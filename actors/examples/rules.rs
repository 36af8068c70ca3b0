//! What a reading costs a twin with no, ten and a hundred rules in scope: `cargo run --release -p actors --example rules`.
//!
//! One device on one thread, a store in memory, no socket: the message's way through session, twin, rules, lane and back. Told is the time
//! that the process worked, of whatever else the machine did meanwhile. The figures stand in docs/performance/behaviours-and-rules.md.

use std::{sync::Arc, time::Duration};

use actors::{
    Registration, Settings, Twins,
    clock::{Clock, SystemClock},
    device::{Connect, Downlink, Link, LinkError},
    identity::Identities,
};
use bytes::Bytes;
use hierarchy_models::{
    DeviceMessage, Raw, Record, Severity, Timestamp, TwinId, Value,
    event::Encoding,
    model,
    rule::{Action, Rule},
};
use persistence::MemoryStore;
use rustix::time::{ClockId, clock_gettime};

const WARM_UP: u32 = 2_000;
const READINGS: u32 = 10_000;
/// The least of so many, as whatever else the machine does only adds.
const RUNS: usize = 3;

struct Nowhere;

impl Link for Nowhere {
    fn deliver(&self, _: &TwinId, _: Downlink) -> Result<(), LinkError> {
        Ok(())
    }
    fn is_closed(&self) -> bool {
        false
    }
}

/// Each with its own bound, none of which is ever reached.
fn rule(n: usize, when: &str) -> Rule {
    Rule {
        id: format!("r{n}").into(),
        description: String::new(),
        enabled: true,
        model: None,
        under: None,
        when: when.replace("BOUND", &format!("{}", 1_000 + n)),
        clear: None,
        actions: vec![Action::Alert { name: None, severity: Severity::Warning, text: "{value}".into() }],
        version: 1,
        created_at: Timestamp::EPOCH,
        changed_at: Timestamp::EPOCH,
    }
}

async fn measure(rules: usize, when: &str) -> f64 {
    let store = Arc::new(MemoryStore::default());
    let identities = Identities::new(store.clone(), store.clone(), [1; 32], "admin".into());
    let twins = Twins::open(store, identities, Settings::default(), Arc::new(SystemClock)).await.expect("a world of its own");
    twins.join_thread();
    let id = TwinId::new("d").expect("a world of its own");
    let (model, metadata) = (model::resolve("Device").expect("a world of its own"), Default::default());
    let new = Registration { id: Some(id.clone()), model, parent: None, gateway: None, metadata, tags: vec![], keys: None };
    twins.register(new).await.expect("a world of its own");
    for n in 0..rules {
        twins.create_rule(rule(n, when)).await.expect("a world of its own");
    }
    let connect = Connect {
        device: id.clone(),
        protocol: "example".into(),
        remote: "here".into(),
        clean_start: true,
        expiry: Duration::ZERO,
        proof: None,
        link: Arc::new(Nowhere),
    };
    let session = twins.connect(connect).await.expect("a world of its own");
    let mut at = SystemClock.now().minus(Duration::from_secs(24 * 3600));
    let mut began = Duration::ZERO;
    for n in 0..WARM_UP + READINGS {
        if n == WARM_UP {
            began = worked();
        }
        at = at.plus(Duration::from_secs(1));
        let values = vec![("temperature".into(), Value::Float(f64::from(n % 100))), ("humidity".into(), Value::Int(40))];
        let raw = Raw { encoding: Encoding::Json, bytes: Bytes::from_static(b"{}") };
        let message = DeviceMessage::Telemetry { stream: None, records: vec![Record { at, id: None, values }], raw };
        session.send(&id, message, None).await.expect("a world of its own");
    }
    let each = (worked() - began).as_secs_f64() * 1e6 / f64::from(READINGS);
    twins.shutdown().await;
    each
}

/// The time that all threads of the process have worked.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

async fn least(rules: usize, when: &str) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        least = least.min(measure(rules, when).await);
    }
    least
}

fn main() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a world of its own");
    tokio::task::LocalSet::new().block_on(&tokio, async {
        let kinds = [
            ("a comparison", "temperature > BOUND"),
            ("of another value", "pressure > BOUND"),
            ("a window of 10 min", "avg(temperature, 10m) > BOUND"),
            ("`for` over it", "for(avg(temperature, 10m) > BOUND, 5m)"),
        ];
        println!("{:<22}{:>10}{:>10}{:>10}   µs a reading", "rules in scope", 0, 10, 100);
        for (name, when) in kinds {
            let figures = [least(0, when).await, least(10, when).await, least(100, when).await];
            println!("{name:<22}{:>10.1}{:>10.1}{:>10.1}", figures[0], figures[1], figures[2]);
        }
    });
}
