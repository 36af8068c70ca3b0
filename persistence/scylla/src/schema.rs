//! The keyspace and its tables: created and migrated at start, by one process however many start together.
//!
//! `meta` says which version the tables have. Who wants to migrate takes a lock there that goes away by itself, should its holder
//! die; every step may be repeated. A keyspace that a newer program has migrated is refused.

use std::time::{Duration, Instant};

use persistence::{Error, SHARDS};
use uuid::Uuid;

use crate::{
    Options,
    cql::{Cql, Statement, Use, damaged},
    options::is_keyspace_name,
};

/// The steps; the version of a keyspace is how many of them it has seen.
const STEPS: &[&str] = &[include_str!("../schema/1.cql")];
const DOING: &str = "preparing the keyspace";
const META: &str = "CREATE TABLE IF NOT EXISTS meta (k text PRIMARY KEY, v text)";
/// The lock goes away after this, so every step must be done sooner.
const LOCK_SECONDS: i32 = 120;
const WAIT_STEP: Duration = Duration::from_millis(100);
/// How long a start waits for another's migration: a little longer than the lock of one that died.
const WAITS_MAX: usize = 1_500;

/// What was fixed when the keyspace was created.
pub struct Keyspace {
    pub logs: u16,
}

struct Meta {
    get: Statement,
    set: Statement,
    insert: Statement,
    lock: Statement,
    unlock: Statement,
}

impl Meta {
    async fn prepare(cql: &Cql) -> Result<Self, Error> {
        Ok(Self {
            get: cql.prepare(Use::SerialRead, "SELECT v FROM meta WHERE k = ?").await?,
            set: cql.prepare(Use::Transaction, "UPDATE meta SET v = ? WHERE k = ? IF v = ?").await?,
            insert: cql.prepare(Use::Transaction, "INSERT INTO meta (k, v) VALUES (?, ?) IF NOT EXISTS").await?,
            lock: cql.prepare(Use::Transaction, "INSERT INTO meta (k, v) VALUES ('lock', ?) IF NOT EXISTS USING TTL ?").await?,
            unlock: cql.prepare(Use::Transaction, "DELETE FROM meta WHERE k = 'lock' IF v = ?").await?,
        })
    }

    async fn number(&self, cql: &Cql, key: &str) -> Result<Option<u32>, Error> {
        let value: Option<(Option<String>,)> = cql.settle(DOING, &self.get, (key,)).await?;
        let parse = |text: String| text.parse().map_err(|_| damaged(DOING, format!("meta says {key} = {text:?}")));
        value.and_then(|(text,)| text).map(parse).transpose()
    }
}

/// Creates what is missing and brings the tables to this program's version.
pub async fn migrate(cql: &Cql, options: &Options) -> Result<Keyspace, Error> {
    let meta = begin(cql, options).await?;
    let me = Uuid::now_v7().to_string();
    for _ in 0..WAITS_MAX {
        let found = meta.number(cql, "schema").await?.unwrap_or(0);
        if found as usize > STEPS.len() {
            return Err(Error::TooNew { found, known: STEPS.len() as u32 });
        }
        if found as usize == STEPS.len() {
            return settled(cql, &meta).await;
        }
        if cql.transact(DOING, &meta.lock, (&me, LOCK_SECONDS)).await? {
            let done = run_steps(cql, &meta, options.logs).await;
            cql.transact(DOING, &meta.unlock, (&me,)).await?;
            done?;
        } else {
            tokio::time::sleep(WAIT_STEP).await;
        }
    }
    Err(Error::Unavailable { doing: DOING, detail: "another process is migrating it and does not come to an end".into() })
}

/// The keyspace and the table that has the lock. Another process may be creating them just now: they are listed then before they
/// can be used. A node that does not agree on them ends the start, once it has had its time.
async fn begin(cql: &Cql, options: &Options) -> Result<Meta, Error> {
    let deadline = Instant::now() + options.schema_patience;
    loop {
        match try_begin(cql, options).await {
            Err(Error::Unavailable { .. }) if Instant::now() < deadline => tokio::time::sleep(WAIT_STEP).await,
            done => return done,
        }
    }
}

async fn try_begin(cql: &Cql, options: &Options) -> Result<Meta, Error> {
    create_keyspace(cql, options).await?;
    cql.use_keyspace(DOING, &options.keyspace).await?;
    if !has_table(cql, &options.keyspace, "meta").await? {
        cql.change_schema(DOING, META).await?;
    }
    Meta::prepare(cql).await
}

async fn settled(cql: &Cql, meta: &Meta) -> Result<Keyspace, Error> {
    let logs = meta.number(cql, "logs").await?.and_then(|logs| u16::try_from(logs).ok());
    let logs =
        logs.filter(|logs| (1..=SHARDS).contains(logs)).ok_or_else(|| damaged(DOING, "meta does not say how many logs there are"))?;
    Ok(Keyspace { logs })
}

async fn run_steps(cql: &Cql, meta: &Meta, logs: u16) -> Result<(), Error> {
    let logs = logs.clamp(1, SHARDS).to_string();
    cql.transact(DOING, &meta.insert, ("logs", &logs)).await?;
    cql.transact(DOING, &meta.insert, ("schema", "0")).await?;
    let from = meta.number(cql, "schema").await?.unwrap_or(0) as usize;
    for (step, text) in STEPS.iter().enumerate().skip(from) {
        tracing::info!(version = step + 1, "migrating the keyspace");
        for statement in statements(text) {
            cql.change_schema(DOING, &statement).await?;
        }
        cql.transact(DOING, &meta.set, ((step + 1).to_string(), "schema", step.to_string())).await?;
    }
    Ok(())
}

/// The statements of a step, without its comments.
fn statements(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    code.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

async fn has_table(cql: &Cql, keyspace: &str, table: &str) -> Result<bool, Error> {
    let select = cql.prepare(Use::Read, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?").await?;
    Ok(cql.row::<(String,)>(DOING, &select, (keyspace, table)).await?.is_some())
}

async fn create_keyspace(cql: &Cql, options: &Options) -> Result<(), Error> {
    if !is_keyspace_name(&options.keyspace) {
        return Err(Error::Refused(format!("{:?} is not a keyspace name: lower-case letters, digits and _, at most 48", options.keyspace)));
    }
    let select = cql.prepare(Use::Read, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?").await?;
    if cql.row::<(String,)>(DOING, &select, (&options.keyspace,)).await?.is_some() {
        return Ok(());
    }
    let state = cql.session(DOING)?.get_cluster_state();
    let nodes = state.get_nodes_info();
    let create = format!("CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {}", options.keyspace, options.replication.map(nodes.len()));
    // ScyllaDB up to 2025.3 knows no lightweight transactions with tablets; Cassandra does not know the option.
    let is_scylla = nodes.iter().any(|node| node.sharder().is_some());
    let tablets = if is_scylla { " AND tablets = {'enabled': false}" } else { "" };
    cql.change_schema(DOING, &format!("{create}{tablets}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_statements_that_may_be_repeated() {
        for step in STEPS {
            let statements = statements(step);
            assert!(!statements.is_empty());
            assert!(statements.iter().all(|s| s.contains("IF NOT EXISTS")), "{statements:#?}");
        }
    }
}
