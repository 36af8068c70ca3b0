//! The keyspace and its tables: created and migrated at start, by one process however many start together.
//!
//! `meta` says which version the tables have. Who wants to migrate takes a lock there that goes away by itself, should its holder
//! die, and that its holder renews while it works; every statement may be repeated. A keyspace that a newer program has migrated is
//! refused. The keyspace and `meta` themselves are made outside of the lock: where several nodes are told to make the same table at
//! once, Cassandra keeps one of them, and what was written to another is lost. So it is looked at whether it is still the same one.

use std::time::{Duration, Instant};

use persistence::{Error, SHARDS};
use scylla::serialize::row::SerializeRow;
use uuid::Uuid;

use crate::{
    Options,
    cql::{Cql, Statement, Use, damaged, until_answered},
    keyspace,
};

/// The steps; the version of a keyspace is how many of them it has seen.
const STEPS: &[&str] = &[include_str!("../schema/1.cql"), include_str!("../schema/2.cql")];
/// Version of the tables that this program knows.
pub const VERSION: u32 = STEPS.len() as u32;
const DOING: &str = "preparing the keyspace";
const LOOKING: &str = "looking at the keyspace";
const TABLE_ID: &str = "SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'meta'";
const META: &str = "CREATE TABLE IF NOT EXISTS meta (k text PRIMARY KEY, v text)";
/// The lock goes away after this. It is renewed before a statement when half of it has passed, and no statement may take the other half.
const LOCK_SECONDS: i32 = 120;
const RENEW_AFTER: Duration = Duration::from_secs(LOCK_SECONDS as u64 / 2);
/// Tries of a transaction on a cluster that is slow; each may be repeated, whatever became of the one before.
const TRIES_MAX: usize = 5;
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
    renew: Statement,
    unlock: Statement,
    table_id: Statement,
}

/// How a try to take the lock ended.
enum Lock {
    Mine,
    /// Somebody's, when that is known.
    Taken(Option<String>),
}

impl Meta {
    async fn prepare(cql: &Cql) -> Result<Self, Error> {
        Ok(Self {
            get: cql.prepare(Use::SerialRead, "SELECT v FROM meta WHERE k = ?").await?,
            set: cql.prepare(Use::Transaction, "UPDATE meta SET v = ? WHERE k = ? IF v = ?").await?,
            insert: cql.prepare(Use::Transaction, "INSERT INTO meta (k, v) VALUES (?, ?) IF NOT EXISTS").await?,
            lock: cql.prepare(Use::Transaction, "INSERT INTO meta (k, v) VALUES ('lock', ?) IF NOT EXISTS USING TTL ?").await?,
            renew: cql.prepare(Use::Transaction, "UPDATE meta USING TTL ? SET v = ? WHERE k = 'lock' IF v = ?").await?,
            unlock: cql.prepare(Use::Transaction, "DELETE FROM meta WHERE k = 'lock' IF v = ?").await?,
            table_id: cql.prepare(Use::Read, TABLE_ID).await?,
        })
    }

    async fn text(&self, cql: &Cql, key: &str) -> Result<Option<String>, Error> {
        let value: Option<(Option<String>,)> = cql.settle(DOING, &self.get, (key,)).await?;
        Ok(value.and_then(|(text,)| text))
    }

    /// A try that timed out may have taken it all the same: what is read says whose it is.
    async fn try_lock(&self, cql: &Cql, me: &str) -> Result<Lock, Error> {
        let tried = cql.transact(DOING, &self.lock, (me, LOCK_SECONDS)).await;
        if matches!(tried, Ok(true)) {
            return Ok(Lock::Mine);
        }
        let holder = self.text(cql, "lock").await?;
        Ok(if holder.as_deref() == Some(me) { Lock::Mine } else { Lock::Taken(holder) })
    }

    /// Runs a transaction that may be repeated, until its outcome is known. After a repetition `false` may mean that it was done before.
    async fn transact(&self, cql: &Cql, statement: &Statement, values: &impl SerializeRow) -> Result<bool, Error> {
        let mut tries = 1;
        loop {
            match cql.transact(DOING, statement, values).await {
                Err(Error::Unavailable { .. }) if tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    /// Goes on holding the lock, which was taken or renewed at `since`.
    async fn keep_lock(&self, cql: &Cql, me: &str, since: &mut Instant) -> Result<(), Error> {
        if since.elapsed() < RENEW_AFTER {
            return Ok(());
        }
        let now = Instant::now();
        if !self.transact(cql, &self.renew, &(LOCK_SECONDS, me, me)).await? {
            let detail = "another process took the lock: a statement took longer than it lasts".into();
            return Err(Error::Unavailable { doing: DOING, detail });
        }
        *since = now;
        Ok(())
    }

    async fn id(&self, cql: &Cql, keyspace: &str) -> Result<Option<Uuid>, Error> {
        Ok(cql.row::<(Uuid,)>(DOING, &self.table_id, (keyspace,)).await?.map(|(id,)| id))
    }

    async fn number(&self, cql: &Cql, key: &str) -> Result<Option<u32>, Error> {
        let parse = |text: String| text.parse().map_err(|_| damaged(DOING, format!("meta says {key} = {text:?}")));
        self.text(cql, key).await?.map(parse).transpose()
    }
}

/// The version of the tables that are there; nothing is made or changed. `None` where there is no keyspace, or nothing in it yet.
pub async fn version(cql: &Cql, keyspace: &str) -> Result<Option<u32>, Error> {
    let table_id = cql.prepare(Use::Read, TABLE_ID).await?;
    if cql.row::<(Uuid,)>(LOOKING, &table_id, (keyspace,)).await?.is_none() {
        return Ok(None);
    }
    cql.use_keyspace(LOOKING, keyspace).await?;
    match Meta::prepare(cql).await?.number(cql, "schema").await? {
        Some(found) if found > VERSION => Err(Error::TooNew { found, known: VERSION }),
        found => Ok(found.filter(|found| *found > 0)),
    }
}

/// Creates what is missing and brings the tables to this program's version. A node that has just come back may not know yet what the
/// others made, and fails what it is asked; it has its time to learn it.
pub async fn migrate(cql: &Cql, options: &Options) -> Result<Keyspace, Error> {
    let me = Uuid::now_v7().to_string();
    until_answered(options.schema_patience, || try_migrate(cql, options, &me)).await
}

async fn try_migrate(cql: &Cql, options: &Options, me: &str) -> Result<Keyspace, Error> {
    let mut meta = begin(cql, options).await?;
    let mut waiting = false;
    for _ in 0..WAITS_MAX {
        let found = meta.number(cql, "schema").await?.unwrap_or(0);
        if found > VERSION {
            return Err(Error::TooNew { found, known: VERSION });
        }
        if found == VERSION {
            let keyspace = settled(cql, &meta).await?;
            cql.refresh(DOING).await?;
            keyspace::report_copies(cql, &options.keyspace, DOING)?;
            return Ok(keyspace);
        }
        let id = meta.id(cql, &options.keyspace).await?;
        let since = Instant::now();
        match meta.try_lock(cql, me).await? {
            Lock::Mine => {
                if meta.id(cql, &options.keyspace).await? != id {
                    meta = begin(cql, options).await?;
                    continue;
                }
                let done = run_steps(cql, &meta, (me, since), options.logs).await;
                meta.transact(cql, &meta.unlock, &(me,)).await?;
                done?;
            }
            Lock::Taken(holder) => {
                if !std::mem::replace(&mut waiting, true) {
                    tracing::info!(holder, "waiting for another process that migrates the keyspace");
                }
                tokio::time::sleep(WAIT_STEP).await;
            }
        }
    }
    Err(Error::Unavailable { doing: DOING, detail: "another process is migrating it and does not come to an end".into() })
}

/// The keyspace and the table that has the lock. Another process may be creating them just now: they are listed then before they
/// can be used. A node that does not agree on them ends the start, once it has had its time.
async fn begin(cql: &Cql, options: &Options) -> Result<Meta, Error> {
    until_answered(options.schema_patience, || try_begin(cql, options)).await
}

async fn try_begin(cql: &Cql, options: &Options) -> Result<Meta, Error> {
    keyspace::make(cql, options, DOING).await?;
    cql.use_keyspace(DOING, &options.keyspace).await?;
    let table_id = cql.prepare(Use::Read, TABLE_ID).await?;
    let found = async || Ok::<_, Error>(cql.row::<(Uuid,)>(DOING, &table_id, (&options.keyspace,)).await?.is_some());
    if !found().await? {
        keyspace::let_others_go_first(cql, DOING).await?;
        if !found().await? {
            cql.change_schema(DOING, META).await?;
        }
    }
    Meta::prepare(cql).await
}

async fn settled(cql: &Cql, meta: &Meta) -> Result<Keyspace, Error> {
    let logs = meta.number(cql, "logs").await?.and_then(|logs| u16::try_from(logs).ok());
    let logs =
        logs.filter(|logs| (1..=SHARDS).contains(logs)).ok_or_else(|| damaged(DOING, "meta does not say how many logs there are"))?;
    Ok(Keyspace { logs })
}

async fn run_steps(cql: &Cql, meta: &Meta, (me, mut since): (&str, Instant), logs: u16) -> Result<(), Error> {
    let logs = logs.clamp(1, SHARDS).to_string();
    meta.transact(cql, &meta.insert, &("logs", &logs)).await?;
    meta.transact(cql, &meta.insert, &("schema", "0")).await?;
    let from = meta.number(cql, "schema").await?.unwrap_or(0) as usize;
    for (step, text) in STEPS.iter().enumerate().skip(from) {
        tracing::info!(version = step + 1, "migrating the keyspace");
        for statement in statements(text) {
            meta.keep_lock(cql, me, &mut since).await?;
            cql.change_schema(DOING, &statement).await?;
        }
        meta.transact(cql, &meta.set, &((step + 1).to_string(), "schema", step.to_string())).await?;
    }
    Ok(())
}

/// The statements of a step, without its comments.
fn statements(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    code.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what each step says. Somebody's keyspace has seen it: what is to change is a new step, and only what is said about one may.
    const FROZEN: &[u32] = &[0x5326_ecc7, 0xcae8_f135];

    #[test]
    fn a_step_that_somebody_may_have_run_stays_as_it_is() {
        let sums: Vec<u32> = STEPS.iter().map(|step| crc32fast::hash(statements(step).join(";").as_bytes())).collect();
        assert_eq!(sums, FROZEN);
    }

    #[test]
    fn every_step_is_statements_that_may_be_repeated() {
        for step in STEPS {
            let statements = statements(step);
            assert!(!statements.is_empty());
            assert!(statements.iter().all(|s| s.contains("IF NOT EXISTS")), "{statements:#?}");
        }
    }
}
