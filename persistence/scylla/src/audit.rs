//! The audit log: a partition for each day on which something was appended, a row for each append, and a lightweight transaction that says
//! where the chain ends. `next` of a day is the number that its next row must begin with; who appends compares it, so two writers never
//! stand one beside the other, whoever of them still believes to own the keyspace. A day ends by naming the day that goes on (`successor`), once
//! for all, and only the day that was named opens.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::Timestamp;
use persistence::{AUDIT_TOGETHER_MAX, Audit, AuditHash, AuditQuery, AuditRecord, Error, audit::follows, metrics};

use crate::{
    ScyllaStore,
    cql::{Cql, Statement, Use, damaged, until_answered},
};

const WRITING: &str = "writing the audit log";
const READING: &str = "reading the audit log";
const DAY_MS: i64 = 24 * 3600 * 1_000;
/// The list of days is one partition.
const DAYS: i16 = 0;
/// Tries to learn what became of a transaction.
const TRIES_MAX: usize = 5;

pub struct Log {
    cql: Arc<Cql>,
    add_day: Statement,
    days: Statement,
    end: Statement,
    close: Statement,
    open: Statement,
    append: Statement,
    rows: Statement,
    newest: Statement,
    /// One append at a time of this process.
    writing: tokio::sync::Mutex<()>,
}

/// How far a day has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    next: u64,
    /// The day that goes on.
    then: Option<i32>,
}

/// Records of one append: what each is, and all of their hashes and bodies in a row.
type Row = (i64, Vec<i64>, Vec<Vec<u8>>, Vec<Vec<u8>>);

impl Log {
    pub async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        let transaction = |text: &'static str| cql.prepare(Use::Transaction, text);
        Ok(Self {
            add_day: cql.prepare(Use::Write, "INSERT INTO audit_day (part, day) VALUES (?, ?)").await?,
            days: cql.prepare(Use::Read, "SELECT day FROM audit_day WHERE part = ?").await?,
            end: cql.prepare(Use::SerialRead, "SELECT next, successor FROM audit WHERE day = ? LIMIT 1").await?,
            close: transaction("UPDATE audit SET successor = ? WHERE day = ? IF next = ? AND successor = -1").await?,
            open: transaction("INSERT INTO audit (day, next, successor) VALUES (?, ?, -1) IF NOT EXISTS").await?,
            append: transaction(
                "UPDATE audit SET next = ?, times = ?, hashes = ?, bodies = ? WHERE day = ? AND first = ? IF next = ? AND successor = -1",
            )
            .await?,
            rows: cql.prepare(Use::Read, "SELECT first, times, hashes, bodies FROM audit WHERE day = ? AND first > ? LIMIT ?").await?,
            newest: cql
                .prepare(
                    Use::Read,
                    "SELECT first, times, hashes, bodies FROM audit WHERE day = ? AND first < ? ORDER BY first DESC LIMIT ?",
                )
                .await?,
            writing: tokio::sync::Mutex::default(),
            cql,
        })
    }

    /// Ascending.
    async fn days(&self) -> Result<Vec<i32>, Error> {
        let mut days: Vec<i32> = self.cql.rows::<(i32,)>(READING, &self.days, (DAYS,)).await?.into_iter().map(|(day,)| day).collect();
        days.sort_unstable();
        Ok(days)
    }

    async fn end(&self, day: i32) -> Result<Option<End>, Error> {
        let row: Option<(Option<i64>, Option<i32>)> = self.cql.settle(READING, &self.end, (day,)).await?;
        let Some((Some(next), then)) = row else { return Ok(None) };
        Ok(Some(End { next: next as u64, then: then.filter(|then| *then >= 0) }))
    }

    /// The day that the chain ends in, and its end. Opens the day that one was closed for, should that have been broken off.
    async fn last(&self) -> Result<Option<(i32, End)>, Error> {
        for day in self.days().await?.into_iter().rev() {
            let Some(mut end) = self.end(day).await? else { continue };
            let mut day = day;
            while let Some(then) = end.then {
                self.open(then, end.next).await?;
                end = self.end(then).await?.ok_or_else(|| damaged(READING, format!("day {then} goes on from {day} and is not there")))?;
                day = then;
            }
            return Ok(Some((day, end)));
        }
        Ok(None)
    }

    async fn open(&self, day: i32, next: u64) -> Result<(), Error> {
        // In the list first: a day that is not there is passed over, one that is not listed would be lost.
        self.cql.write(WRITING, &self.add_day, (DAYS, day)).await?;
        match self.cql.transact(WRITING, &self.open, (day, next as i64)).await {
            Ok(_) => Ok(()),
            // Whether it was done is seen by who reads it next.
            Err(Error::Unavailable { .. }) if self.end(day).await?.is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The day to append to now: today, unless the clock went back behind the last one.
    async fn current(&self, today: i32) -> Result<(i32, End), Error> {
        for _ in 0..TRIES_MAX {
            match self.last().await? {
                None => self.open(today, 1).await?,
                Some((day, end)) if day >= today => return Ok((day, end)),
                Some((day, end)) => {
                    self.cql.write(WRITING, &self.add_day, (DAYS, today)).await?;
                    // Lost or not known: the next look says which day goes on.
                    let closed = self.cql.transact(WRITING, &self.close, (today, day, end.next as i64)).await;
                    if let Err(error @ Error::Damaged { .. }) = closed {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::Unavailable { doing: WRITING, detail: "the day of the audit log cannot be settled".into() })
    }

    /// After an error it may be called `again` with the same records, and finds out what became of them.
    async fn append(&self, records: &[AuditRecord], again: bool) -> Result<(), Error> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let latest = records.iter().map(|record| record.at.as_millis()).max().unwrap_or(0);
        let today = i32::try_from(latest.div_euclid(DAY_MS)).unwrap_or(0).max(0);
        let (first, next) = (first.number, last.number + 1);
        let _alone = self.writing.lock().await;
        let (day, end) = self.current(today).await?;
        // An earlier try may have landed, whatever became of its answer.
        if again && end.next > first && self.after(first - 1, 1).await?.first() == records.first() {
            return Ok(());
        }
        follows(end.next - 1, records)?;
        let times: Vec<i64> = records.iter().map(|record| record.at.as_millis()).collect();
        let hashes: Vec<&[u8]> = records.iter().map(|record| &record.hash[..]).collect();
        let bodies: Vec<&[u8]> = records.iter().map(|record| &record.body[..]).collect();
        let values = (next as i64, times, hashes, bodies, day, first as i64, first as i64);
        let done = self.cql.transact(WRITING, &self.append, values).await;
        if matches!(done, Ok(true)) {
            return Ok(());
        }
        // Not known, or another was faster: the row says whose it is, once a serial read has ended what may be under way there.
        self.end(day).await?;
        let own = self.rows(day, first - 1, 1).await?.into_iter().next();
        match (own, done) {
            (Some(found), _) if found == records[0] => Ok(()),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(Error::Refused(format!("audit record {first} is another's"))),
        }
    }

    /// Records of a day whose rows begin above `after`, oldest first.
    async fn rows(&self, day: i32, after: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        records(self.cql.rows(READING, &self.rows, (day, after as i64, rows_for(limit))).await?)
    }

    /// Records of a day whose rows begin below `before`, newest first.
    async fn newest(&self, day: i32, before: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let mut rows: Vec<Row> = self.cql.rows(READING, &self.newest, (day, before, rows_for(limit))).await?;
        rows.reverse();
        let mut found = records(rows)?;
        found.reverse();
        Ok(found)
    }

    async fn before(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        let mut found = Vec::new();
        for day in self.days().await?.into_iter().rev() {
            // The clock may have gone back, so that an old time stands in a later day, but no later one in an old day.
            let end = Timestamp::from_millis_clamped((i64::from(day) + 1) * DAY_MS);
            if query.from.is_some_and(|from| end <= from) {
                break;
            }
            let mut before = query.before.unwrap_or(u64::MAX);
            loop {
                let page = self.newest(day, before, query.limit).await?;
                let Some(oldest) = page.last().map(|record| record.number) else { break };
                found.extend(page.into_iter().filter(|record| {
                    query.before.is_none_or(|before| record.number < before)
                        && query.from.is_none_or(|from| record.at >= from)
                        && query.to.is_none_or(|to| record.at < to)
                }));
                if found.len() >= query.limit {
                    found.truncate(query.limit);
                    return Ok(found);
                }
                before = oldest;
            }
        }
        Ok(found)
    }

    async fn after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        let mut found = Vec::new();
        for day in self.days().await? {
            // The row that it falls into begins so far before it at most.
            let mut after = number.saturating_sub(AUDIT_TOGETHER_MAX as u64);
            loop {
                let page = self.rows(day, after, limit).await?;
                let Some(last) = page.last().map(|record| record.number) else { break };
                found.extend(page.into_iter().filter(|record| record.number > number));
                if found.len() >= limit {
                    found.truncate(limit);
                    return Ok(found);
                }
                after = last;
            }
        }
        Ok(found)
    }
}

/// Each row holds a record at least.
fn rows_for(records: usize) -> i32 {
    i32::try_from(records.max(1)).unwrap_or(i32::MAX)
}

fn records(rows: Vec<Row>) -> Result<Vec<AuditRecord>, Error> {
    let mut records = Vec::new();
    for (first, times, hashes, bodies) in rows {
        for (((at, hash), body), number) in times.into_iter().zip(hashes).zip(bodies).zip(first as u64..) {
            let hash = AuditHash::try_from(hash).map_err(|_| damaged(READING, format!("the hash of record {number} is none")))?;
            records.push(AuditRecord { number, at: Timestamp::from_millis_clamped(at), hash, body: Bytes::from(body) });
        }
    }
    Ok(records)
}

#[async_trait]
impl Audit for ScyllaStore {
    async fn append_audit(&self, records: Vec<AuditRecord>) -> Result<(), Error> {
        let records = &records;
        let mut again = false;
        let append = || self.core.owned(self.core.audit.append(records, std::mem::replace(&mut again, true)));
        until_answered(self.core.patience, append).await.inspect_err(|error| metrics::failed("append_audit", error))
    }

    async fn audit_head(&self) -> Result<Option<AuditRecord>, Error> {
        let Some((_, end)) = self.core.audit.last().await? else { return Ok(None) };
        // A day that has just been opened holds nothing yet.
        let found = self.audit(AuditQuery { before: Some(end.next), limit: 1, ..AuditQuery::default() }).await?.pop();
        let last = found.as_ref().map_or(0, |record| record.number);
        if last + 1 == end.next { Ok(found) } else { Err(damaged(READING, format!("record {} is missing", end.next - 1))) }
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        self.core.audit.before(query).await
    }

    async fn audit_after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        self.core.audit.after(number, limit).await
    }
}

/// The audit log of a keyspace that another process may have, for who only reads it.
pub struct AuditReader(Log);

impl AuditReader {
    pub(crate) async fn prepare(cql: Arc<Cql>) -> Result<Self, Error> {
        Log::prepare(cql).await.map(Self)
    }
}

#[async_trait]
impl Audit for AuditReader {
    async fn append_audit(&self, _records: Vec<AuditRecord>) -> Result<(), Error> {
        Err(Error::Refused("the audit log is only read here".into()))
    }

    async fn audit_head(&self) -> Result<Option<AuditRecord>, Error> {
        Ok(self.0.before(AuditQuery { limit: 1, ..AuditQuery::default() }).await?.pop())
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, Error> {
        self.0.before(query).await
    }

    async fn audit_after(&self, number: u64, limit: usize) -> Result<Vec<AuditRecord>, Error> {
        self.0.after(number, limit).await
    }
}
