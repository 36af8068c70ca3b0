//! Commands of a twin as their last projection left them: newest first, by id, by the caller's key.
//!
//! The lookups by id and by key only say when a command was queued, and are written before it. A crash leaves at most a lookup
//! that leads nowhere, which the next projection makes good.

use std::{collections::HashMap, sync::Arc};

use hierarchy_models::{Command, CommandId, CommandState, Timestamp, TwinId};
use persistence::{
    CommandQuery, Error, Page, codec,
    paging::{self, CommandCursor},
};

use crate::{
    cql::{Cql, Statement, Use, damaged, for_each},
    projections::{
        chunk::{begin_of, day_of},
        shelves::{AT_ONCE, Shelves},
    },
};

const WRITING: &str = "writing a command";
const READING: &str = "reading commands";
/// Rows looked at in one step of a search by state.
const STEP_ROWS: usize = 256;

pub struct Commands {
    cql: Arc<Cql>,
    shelves: Arc<Shelves>,
    looked_max: usize,
    put: Statement,
    put_id: Statement,
    put_key: Statement,
    get: Statement,
    find_id: Statement,
    find_key: Statement,
    list: Statement,
    of_day: Statement,
    delete: Statement,
    delete_id: Statement,
    delete_key: Statement,
    delete_of_twin: [Statement; 3],
}

impl Commands {
    pub async fn prepare(cql: Arc<Cql>, shelves: Arc<Shelves>, looked_max: usize) -> Result<Self, Error> {
        let write = |text: &'static str| cql.prepare(Use::Write, text);
        let read = |text: &'static str| cql.prepare(Use::Read, text);
        Ok(Self {
            put: write("INSERT INTO command (twin, queued_at, id, state, idempotency_key, data) VALUES (?, ?, ?, ?, ?, ?)").await?,
            put_id: write("INSERT INTO command_by_id (twin, id, queued_at) VALUES (?, ?, ?)").await?,
            put_key: write("INSERT INTO command_by_key (twin, idempotency_key, queued_at, id) VALUES (?, ?, ?, ?)").await?,
            get: read("SELECT data FROM command WHERE twin = ? AND queued_at = ? AND id = ?").await?,
            find_id: read("SELECT queued_at FROM command_by_id WHERE twin = ? AND id = ?").await?,
            find_key: read("SELECT queued_at, id FROM command_by_key WHERE twin = ? AND idempotency_key = ? LIMIT 1").await?,
            list: read("SELECT data FROM command WHERE twin = ? AND (queued_at, id) < (?, ?) LIMIT ?").await?,
            of_day: read("SELECT data FROM command WHERE twin = ? AND queued_at >= ? AND queued_at < ?").await?,
            delete: write("DELETE FROM command WHERE twin = ? AND queued_at = ? AND id = ?").await?,
            delete_id: write("DELETE FROM command_by_id WHERE twin = ? AND id = ?").await?,
            delete_key: write("DELETE FROM command_by_key WHERE twin = ? AND idempotency_key = ? AND queued_at = ? AND id = ?").await?,
            delete_of_twin: [
                write("DELETE FROM command WHERE twin = ?").await?,
                write("DELETE FROM command_by_id WHERE twin = ?").await?,
                write("DELETE FROM command_by_key WHERE twin = ?").await?,
            ],
            cql,
            shelves,
            looked_max,
        })
    }

    /// Many twins at once, of each one after another: rows of one command may stand side by side.
    pub async fn put_all(&self, commands: Vec<(TwinId, Command)>) -> Result<(), Error> {
        let put_of_twin = |(twin, commands): (TwinId, Vec<Command>)| async move {
            for command in commands {
                self.put(&twin, &command).await?;
            }
            Ok(())
        };
        for_each(by_twin(commands), AT_ONCE, put_of_twin).await.map(drop)
    }

    async fn put(&self, twin: &TwinId, c: &Command) -> Result<(), Error> {
        let was = self.by_id(twin, &c.id).await?;
        // Rows of one command may come out of order: what has ended stays so.
        let goes_back = |was: &Command| was.state != CommandState::Queued && c.state == CommandState::Queued;
        if was.as_ref().is_some_and(|was| was.state.is_end() || goes_back(was)) {
            return Ok(());
        }
        if let Some(was) = was.filter(|was| was.queued_at != c.queued_at) {
            self.delete(twin, &was).await?;
        }
        let (id, queued_at, twin) = (c.id.as_str(), c.queued_at.as_millis(), twin.as_str());
        self.shelves.note_day(twin, day_of(c.queued_at)).await?;
        self.cql.write(WRITING, &self.put_id, (twin, id, queued_at)).await?;
        if let Some(key) = c.idempotency_key.as_deref() {
            self.cql.write(WRITING, &self.put_key, (twin, key, queued_at, id)).await?;
        }
        let key = c.idempotency_key.as_deref().unwrap_or_default();
        self.cql.write(WRITING, &self.put, (twin, queued_at, id, c.state.as_str(), key, codec::command_to_bytes(c))).await
    }

    async fn delete(&self, twin: &TwinId, c: &Command) -> Result<(), Error> {
        let (twin, id, queued_at) = (twin.as_str(), c.id.as_str(), c.queued_at.as_millis());
        self.cql.write(WRITING, &self.delete, (twin, queued_at, id)).await?;
        if let Some(key) = c.idempotency_key.as_deref() {
            self.cql.write(WRITING, &self.delete_key, (twin, key, queued_at, id)).await?;
        }
        self.cql.write(WRITING, &self.delete_id, (twin, id)).await
    }

    pub async fn delete_all(&self, twin: &TwinId) -> Result<(), Error> {
        for delete in &self.delete_of_twin {
            self.cql.write("deleting commands", delete, (twin.as_str(),)).await?;
        }
        Ok(())
    }

    async fn get(&self, twin: &TwinId, queued_at: i64, id: &str) -> Result<Option<Command>, Error> {
        let row: Option<(Vec<u8>,)> = self.cql.row(READING, &self.get, (twin.as_str(), queued_at, id)).await?;
        row.map(|(data,)| codec::command_from_bytes(&data)).transpose()
    }

    pub async fn by_id(&self, twin: &TwinId, id: &CommandId) -> Result<Option<Command>, Error> {
        let found: Option<(i64,)> = self.cql.row(READING, &self.find_id, (twin.as_str(), id.as_str())).await?;
        let Some((queued_at,)) = found else { return Ok(None) };
        self.get(twin, queued_at, id.as_str()).await
    }

    /// The newest one, when a key was used again.
    pub async fn by_key(&self, twin: &TwinId, key: &str) -> Result<Option<Command>, Error> {
        let found: Option<(i64, String)> = self.cql.row(READING, &self.find_key, (twin.as_str(), key)).await?;
        let Some((queued_at, id)) = found else { return Ok(None) };
        self.get(twin, queued_at, &id).await
    }

    async fn before(&self, twin: &TwinId, (queued_at, id): (i64, &str), limit: usize) -> Result<Vec<Command>, Error> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows = self.cql.rows::<(Vec<u8>,)>(READING, &self.list, (twin.as_str(), queued_at, id, limit)).await?;
        rows.into_iter().map(|(data,)| codec::command_from_bytes(&data)).collect()
    }

    /// A page of a search by state may be short of its limit and have a cursor: a call looks at so many rows and no more.
    pub async fn list(&self, q: CommandQuery) -> Result<Page<Command>, Error> {
        let after = paging::cursor::<CommandCursor>(&q.cursor)?;
        let mut place = after.map_or((i64::MAX, String::new()), |CommandCursor(at, id)| (at.as_millis(), id.to_string()));
        let limit = q.limit.max(1);
        let step = if q.state.is_some() { limit.max(STEP_ROWS).min(self.looked_max.max(1)) } else { limit + 1 };
        let (mut items, mut looked): (Vec<Command>, usize) = (Vec::new(), 0);
        loop {
            let some = self.before(&q.twin, (place.0, &place.1), step).await?;
            let all = some.len() < step;
            if let Some(last) = some.last() {
                place = (last.queued_at.as_millis(), last.id.to_string());
            }
            looked += some.len();
            items.extend(some.into_iter().filter(|c| q.state.is_none_or(|state| c.state == state)));
            if all || items.len() > limit {
                break;
            }
            if looked >= self.looked_max && q.state.is_some() {
                let id = CommandId::new(place.1.as_str()).map_err(|e| damaged(READING, e))?;
                let cursor = CommandCursor(Timestamp::from_millis_clamped(place.0), id).to_string();
                return Ok(Page { items, cursor: Some(cursor) });
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let cursor = items.last().filter(|_| more).map(|last| CommandCursor(last.queued_at, last.id.clone()).to_string());
        Ok(Page { items, cursor })
    }

    /// Ended commands queued on this day and before `before` go; how many, and whether others of this day are left.
    pub async fn forget(&self, twin: &TwinId, day: i32, before: Timestamp) -> Result<(usize, bool), Error> {
        let values = (twin.as_str(), begin_of(day).as_millis(), begin_of(day + 1).as_millis());
        let rows = self.cql.rows::<(Vec<u8>,)>(READING, &self.of_day, values).await?;
        let (mut gone, count) = (0, rows.len());
        for (data,) in rows {
            let command = codec::command_from_bytes(&data)?;
            if command.state.is_end() && command.queued_at < before {
                self.delete(twin, &command).await?;
                gone += 1;
            }
        }
        Ok((gone, gone < count))
    }
}

/// The commands of each twin in their order.
fn by_twin(commands: Vec<(TwinId, Command)>) -> HashMap<TwinId, Vec<Command>> {
    let mut twins: HashMap<TwinId, Vec<Command>> = HashMap::new();
    for (twin, command) in commands {
        twins.entry(twin).or_default().push(command);
    }
    twins
}
