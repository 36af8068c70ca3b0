//! What it costs to know a caller and what it may, in nanoseconds: `cargo run --release -p actors --example access_check`.
//!
//! One principal with many grants among ten thousand with ten each, asked for twins six levels deep.

use std::{hint::black_box, sync::Arc, time::Instant};

use actors::access::{Access, Credential, NewPrincipal};
use futures_util::FutureExt;
use hierarchy_models::{
    Timestamp, TwinId,
    access::{Granted, Right, Rights},
    limits::{GRANTS_PER_PRINCIPAL_MAX, PRINCIPALS_MAX},
    tree::Path,
};
use persistence::MemoryStore;

const ROUNDS: u32 = 2_000_000;

fn measured(what: &str, mut work: impl FnMut(u32) -> bool) {
    let (begun, mut yes) = (Instant::now(), 0u32);
    for round in 0..ROUNDS {
        yes += u32::from(black_box(work(round)));
    }
    println!("{what:<70} {:>7.1} ns  ({yes} of {ROUNDS} yes)", begun.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
}

fn site(n: u32) -> TwinId {
    TwinId::new(format!("site-{n}")).expect("it is so in this example")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let paths: Vec<Path> =
        (0..1_000).map(|n| Path::from_stored(&format!("campus/site-{}/building-{n}/floor-3/room-{n}/device-{n}", n % 200))).collect();
    let path = |round: u32| &paths[round as usize % paths.len()];
    for grants in [0, 1, 10, GRANTS_PER_PRINCIPAL_MAX as u32] {
        let tops: Vec<TwinId> = (0..grants).map(site).collect();
        let granted = Granted::of(tops.iter().map(|top| (Rights::of(&[Right::Read]), Some(top))));
        measured(&format!("may read, {grants} grants, a twin six levels deep"), |round| granted.at(path(round)).has(Right::Read));
    }
    let access = Access::new(Arc::new(MemoryStore::default()), "first-key");
    access.load().await.expect("it is so in this example");
    let mut keys = Vec::new();
    for n in 0..PRINCIPALS_MAX as u32 {
        let new = NewPrincipal { name: "p".into(), roles: vec!["viewer".into()], scope: Some(site(n % 200)), ..Default::default() };
        let (made, key) = access.create_principal(new, Timestamp::EPOCH).await.expect("it is so in this example");
        for more in 1..10 {
            access
                .create_grant(&made.id, "operator".into(), Some(site(n % 200 + more)), Timestamp::EPOCH)
                .await
                .expect("it is so in this example");
        }
        keys.push(key.expect("it is so in this example"));
    }
    let known = |round: u32| {
        access
            .authenticate(Credential::Bearer(&keys[round as usize % keys.len()]), Timestamp::EPOCH)
            .now_or_never()
            .expect("it is so in this example")
            .expect("it is so in this example")
    };
    measured("who has this key, among 10,000", |round| known(round).granted.anywhere(Right::Read));
    measured("who has this key, and may it read this twin", |round| known(round).granted.at(path(round)).has(Right::Read));
    measured("a key that is not known", |_| {
        access
            .authenticate(Credential::Bearer("tw_0123_nonsense"), Timestamp::EPOCH)
            .now_or_never()
            .expect("it is so in this example")
            .is_ok()
    });
}
