//! What checking a device's credentials costs, on a memory store: the figures of docs/performance/security.md.
//!
//! `cargo run --release -p actors --example credentials`

use std::{error::Error, sync::Arc, time::Duration, time::Instant};

use actors::{
    Registration, Twins,
    clock::{Clock, SystemClock},
    identity::{Certificate, Identities, NewCredentials},
};
use hierarchy_models::{TwinId, model, value::Map};
use persistence::MemoryStore;

const ROUNDS: u32 = 200_000;
const PASSWORD: &str = "a password of somebody";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tokio::task::LocalSet::new().run_until(measure()).await
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MemoryStore::default());
    let identities = Identities::new(store.clone(), store.clone(), [1; 32], "an administrator's key".into());
    let twins = Twins::open(store, identities, actors::Settings::default(), Arc::new(SystemClock)).await?;
    let _home = twins.join_thread();
    let device = TwinId::new("device-1")?;
    let registration = Registration {
        id: Some(device.clone()),
        model: model::resolve("Device")?,
        parent: None,
        gateway: None,
        metadata: Map::new(),
        tags: vec![],
        keys: Some([("primary".into(), None), ("secondary".into(), None), ("brought".into(), Some("a-key-of-a-factory".into()))].into()),
    };
    let certificate = Certificate { sha256: [7; 32], not_after: SystemClock.now().plus(Duration::from_secs(3600)), vouched_for: None };
    let credentials = NewCredentials { certificates: [("own".into(), [7; 32])].into(), password: Some(PASSWORD.into()), keys: None };
    let keys = twins.register_with(registration, credentials).await?.keys;
    let token = twins.identities().issue_token(&device, Duration::from_secs(3600), SystemClock.now()).await?;
    let ids = twins.identities();
    let now = SystemClock.now();

    let begun = Instant::now();
    ids.verify_device(&device, PASSWORD.as_bytes(), now).await?;
    println!("{:<44} {:>12.1} µs", "a password, the first time (argon2id)", begun.elapsed().as_secs_f64() * 1e6);
    for (what, password) in
        [("a password, known", PASSWORD), ("a derived key", &keys["primary"]), ("a brought key", "a-key-of-a-factory"), ("a token", &token)]
    {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            ids.verify_device(&device, password.as_bytes(), now).await?;
        }
        print(what, begun);
    }
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        ids.verify_certificate(&device, &certificate, now).await?;
    }
    print("a certificate, once judged", begun);
    twins.shutdown().await;
    Ok(())
}

fn print(what: &str, begun: Instant) {
    println!("{what:<44} {:>12.3} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}
