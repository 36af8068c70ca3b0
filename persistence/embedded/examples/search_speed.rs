//! What a search costs in this store: `cargo run --release -p persistence-embedded --example search_speed -- 1000000 [folder]`.
//!
//! A campus: 20 sites, each with its rooms, a hundred devices a room with six values of metadata and up to two tags. Each question is asked
//! again and again on this thread's behalf, and the CPU time of the readers is divided by how often.

use std::{
    error::Error,
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use hierarchy_models::{
    ModelId, Name, Timestamp, TwinId, Value,
    event::Status,
    filter::{Filter, Sort},
};
use persistence::{Projection, Projections, Registry, RegistryQuery, RegistryRow, Store};
use persistence_embedded::{EmbeddedStore, Options};

const DEVICES_IN_ROOM: u64 = 100;
const SITES: u64 = 20;
const ROWS_AT_ONCE: usize = 10_000;
/// A question is asked for this long.
const RUN: Duration = Duration::from_secs(1);

const QUESTIONS: [(&str, &str, &str); 12] = [
    ("one twin by a serial number", r#"metadata.serial == "sn-4711""#, "id"),
    ("a page of a value that a hundredth has", r#"metadata.rack == "17""#, "id"),
    ("a page of two values, a tenth and a hundredth", r#"metadata.floor == "3" && metadata.rack == "17""#, "id"),
    ("a page of a tag that a thousandth has", r#"tag("spare")"#, "id"),
    ("a tag or another", r#"tag("spare") || tag("leased")"#, "id"),
    ("a range of numbers, few", "metadata.area > 99.9 && metadata.area <= 99.95", "id"),
    ("below a site", r#"under("site-07")"#, "id"),
    ("below a site, with a value", r#"under("site-07") && metadata.floor == "7""#, "id"),
    ("below a room, the rest by the row", r#"under("room-000007") && metadata.serial.endsWith("7")"#, "id"),
    ("below a room, what the state decides", r#"under("room-000007") && values.temperature > 25"#, "id"),
    ("the newest hundred", "metadata.floor == \"3\"", "-created_at"),
    ("a sorted page of what a thousandth has", r#"tag("spare")"#, "metadata.area"),
];

/// CPU time so far of this whole process.
fn cpu_time() -> io::Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let ran = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += ran.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

fn row(id: String, parent: Option<String>, model: &str, n: u64) -> Result<RegistryRow, Box<dyn Error>> {
    let text = |name: &'static str, value: String| (Name::from(name), Value::from(value.as_str()));
    let mut tags = Vec::new();
    tags.extend(n.is_multiple_of(1_000).then(|| Name::from("spare")));
    tags.extend(n.is_multiple_of(700).then(|| Name::from("leased")));
    Ok(RegistryRow {
        id: TwinId::new(id)?,
        model: ModelId::new(format!("dtmi:twinfold:{model};1"))?,
        parent: parent.map(TwinId::new).transpose()?,
        gateway: None,
        status: if n.is_multiple_of(50) { Status::Inactive } else { Status::Active },
        metadata: [
            text("serial", format!("sn-{n}")),
            text("floor", (n / 100 % 10).to_string()),
            text("rack", (n * 7919 % 100).to_string()),
            text("vendor", format!("vendor-{}", n % 13)),
            (Name::from("area"), Value::Float((n * 7_919 % 1_000_003) as f64 / 10_000.0)),
            (Name::from("wired"), Value::Bool(n.is_multiple_of(2))),
        ]
        .into(),
        tags,
        created_at: Timestamp::from_millis_clamped(1_700_000_000_000 + (n * 104_729 % 10_000_019) as i64),
        seq: 1,
    })
}

async fn fill(store: &EmbeddedStore, devices: u64) -> Result<(), Box<dyn Error>> {
    let (began, cpu) = (Instant::now(), cpu_time()?);
    let mut waiting = Vec::new();
    for site in 0..SITES {
        waiting.push(row(format!("site-{site:02}"), None, "Site", site)?);
    }
    for n in 0..devices {
        if n.is_multiple_of(DEVICES_IN_ROOM) {
            let room = n / DEVICES_IN_ROOM;
            waiting.push(row(format!("room-{room:06}"), Some(format!("site-{:02}", room % SITES)), "Room", n)?);
        }
        waiting.push(row(format!("device-{n:07}"), Some(format!("room-{:06}", n / DEVICES_IN_ROOM)), "Device", n)?);
        if waiting.len() >= ROWS_AT_ONCE || n + 1 == devices {
            store.project(Projection { registry: std::mem::take(&mut waiting), ..Projection::default() }).await?;
        }
    }
    let (took, cpu) = (began.elapsed(), cpu_time()? - cpu);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / devices as f64;
    println!("{} twins written: {:.0} µs each, {:.0} µs of CPU time", store.count().await?, each(took), each(cpu));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let devices: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let folder =
        arguments.next().map_or_else(|| std::env::temp_dir().join(format!("twinfold-search-{}", std::process::id())), PathBuf::from);
    fs::create_dir_all(&folder)?;
    let opened = EmbeddedStore::open(&folder, Options::default())?;
    let store = opened.store;
    fill(&store, devices).await?;
    println!("{:.0} bytes on disk a twin\n", store.stats().disk_bytes as f64 / store.count().await? as f64);
    println!("| question | answers a page | CPU time a page, µs | time a page, µs |\n|---|---|---|---|");
    for (name, filter, sort) in QUESTIONS {
        let query =
            RegistryQuery { filter: Some(Filter::parse(filter)?), sort: Sort::parse(sort)?, limit: 100, ..RegistryQuery::default() };
        let found = store.list(query.clone()).await?.items.len();
        let (began, cpu, mut asked) = (Instant::now(), cpu_time()?, 0);
        while began.elapsed() < RUN {
            store.list(query.clone()).await?;
            asked += 1;
        }
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(asked);
        println!("| {name}: `{filter}` by `{sort}` | {found} | {:.0} | {:.0} |", each(cpu_time()? - cpu), each(began.elapsed()));
    }
    store.close().await?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}
