//! The cells of the fence as CQL: one prepared lightweight transaction for each of its moves.

use persistence::Error;
use uuid::Uuid;

use super::frame::Frame;
use crate::{
    cql::{Cql, Statement, Use, damaged},
    fence::{Cells, Floor, Head, Segment},
};

/// The first segment and the first frame of a log.
const BEGINNING: Floor = Floor { seg: 1, next: 1 };

/// Statements about the journal, prepared once.
pub struct Statements {
    head: Statement,
    peek_head: Statement,
    make_head: Statement,
    swap_head: Statement,
    segment: Statement,
    open: Statement,
    seal: Statement,
    append: Statement,
    get_checkpoint: Statement,
    set_checkpoint: Statement,
    frames: Statement,
    sizes: Statement,
    written: Statement,
    trim: Statement,
}

impl Statements {
    pub async fn prepare(cql: &Cql) -> Result<Self, Error> {
        let transaction = |text: &'static str| cql.prepare(Use::Transaction, text);
        Ok(Self {
            head: cql.prepare(Use::SerialRead, "SELECT epoch, owner FROM log_head WHERE log = ?").await?,
            peek_head: cql.prepare(Use::Read, "SELECT epoch, owner FROM log_head WHERE log = ?").await?,
            make_head: transaction("INSERT INTO log_head (log, epoch, owner) VALUES (?, ?, ?) IF NOT EXISTS").await?,
            swap_head: transaction("UPDATE log_head SET epoch = ?, owner = ? WHERE log = ? IF epoch = ? AND owner = ?").await?,
            segment: cql.prepare(Use::SerialRead, "SELECT owner, next, sealed FROM journal WHERE log = ? AND seg = ? LIMIT 1").await?,
            open: transaction("INSERT INTO journal (log, seg, owner, next, sealed) VALUES (?, ?, ?, ?, false) IF NOT EXISTS").await?,
            seal: transaction("UPDATE journal SET sealed = true WHERE log = ? AND seg = ? IF sealed = false").await?,
            append: transaction(
                "UPDATE journal SET next = ?, turns = ?, bytes = ?, number = ?, numbers = ?, data = ? WHERE log = ? AND seg = ? AND frame = ? \
                 IF next = ? AND sealed = false AND owner = ?",
            )
            .await?,
            get_checkpoint: cql.prepare(Use::Read, "SELECT seg, frame FROM checkpoint WHERE log = ?").await?,
            set_checkpoint: cql.prepare(Use::Write, "INSERT INTO checkpoint (log, seg, frame) VALUES (?, ?, ?) USING TIMESTAMP ?").await?,
            frames: cql
                .prepare(Use::Read, "SELECT frame, numbers, data FROM journal WHERE log = ? AND seg = ? AND frame > ? AND frame < ? LIMIT ?")
                .await?,
            sizes: cql.prepare(Use::Read, "SELECT frame, bytes, number FROM journal WHERE log = ? AND seg = ? AND frame > ?").await?,
            written: cql
                .prepare(Use::SerialRead, "SELECT WRITETIME(next), WRITETIME(sealed) FROM journal WHERE log = ? AND seg = ? LIMIT 1")
                .await?,
            trim: cql.prepare(Use::Write, "DELETE FROM journal USING TIMESTAMP ? WHERE log = ? AND seg = ?").await?,
        })
    }
}

/// One log.
#[derive(Clone)]
pub struct CqlCells {
    pub cql: std::sync::Arc<Cql>,
    pub statements: std::sync::Arc<Statements>,
    pub log: i16,
}

const CLAIMING: &str = "claiming a log";
const APPENDING: &str = "appending to the journal";
const READING: &str = "reading the journal";
const TRIMMING: &str = "trimming the journal";

/// Cells whose frames can be read back.
pub trait Readable: Cells<Frame = Frame> {
    /// Which log they are.
    fn log(&self) -> i16;
    /// Frames of a segment with `after < id < before`, ascending, at most `limit`.
    fn frames(&self, seg: u64, after: u64, before: u64, limit: i32) -> impl Future<Output = Result<Vec<(u64, Frame)>, Error>> + Send;
}

impl CqlCells {
    /// Who owns the log, as a majority knows it; a transaction under way is not waited for.
    pub async fn peek_head(&self) -> Result<Option<Head>, Error> {
        let row: Option<(i64, Uuid)> = self.cql.look("looking who owns the journal", &self.statements.peek_head, (self.log,)).await?;
        Ok(row.map(|(epoch, owner)| Head { epoch: epoch as u64, owner }))
    }

    /// Everything up to `frame` is projected; `seg` holds the next one, or will.
    pub async fn set_checkpoint(&self, seg: u64, frame: u64) -> Result<(), Error> {
        let values = (self.log, seg as i64, frame as i64, frame as i64);
        self.cql.write("moving the checkpoint", &self.statements.set_checkpoint, values).await
    }

    /// Bytes of a segment's frames after `after`, and the highest number in them.
    pub async fn sizes(&self, seg: u64, after: u64) -> Result<(u64, u64), Error> {
        let rows = self.cql.rows::<(i64, i32, i64)>(READING, &self.statements.sizes, (self.log, seg as i64, after as i64)).await?;
        Ok(rows.iter().fold((0, 0), |(bytes, highest), (_, more, number)| (bytes + *more as u64, highest.max(*number as u64))))
    }

    /// Removes a sealed segment. Its rows carry the time of their transactions, which is that of a coordinator's clock: the sealing was the
    /// last of them, and the deletion says that it came after it, whatever any clock says.
    pub async fn trim(&self, seg: u64) -> Result<(), Error> {
        let row: Option<(Option<i64>, Option<i64>)> = self.cql.settle(TRIMMING, &self.statements.written, (self.log, seg as i64)).await?;
        let Some(last) = row.and_then(|(next, sealed)| next.max(sealed)) else { return Ok(()) };
        self.cql.write(TRIMMING, &self.statements.trim, (last + 1, self.log, seg as i64)).await
    }
}

impl Readable for CqlCells {
    fn log(&self) -> i16 {
        self.log
    }

    async fn frames(&self, seg: u64, after: u64, before: u64, limit: i32) -> Result<Vec<(u64, Frame)>, Error> {
        let values = (self.log, seg as i64, after as i64, i64::try_from(before).unwrap_or(i64::MAX), limit);
        let rows = self.cql.rows::<(i64, Vec<u8>, Vec<u8>)>(READING, &self.statements.frames, values).await?;
        rows.into_iter().map(|(id, numbers, turns)| Ok((id as u64, Frame::stored(numbers, turns)?))).collect()
    }
}

impl Cells for CqlCells {
    type Frame = Frame;

    async fn head(&self) -> Result<Option<Head>, Error> {
        let row: Option<(i64, Uuid)> = self.cql.settle(CLAIMING, &self.statements.head, (self.log,)).await?;
        Ok(row.map(|(epoch, owner)| Head { epoch: epoch as u64, owner }))
    }

    async fn floor(&self) -> Result<Floor, Error> {
        let row: Option<(i64, i64)> = self.cql.row(READING, &self.statements.get_checkpoint, (self.log,)).await?;
        Ok(row.map_or(BEGINNING, |(seg, frame)| Floor { seg: seg as u64, next: frame as u64 + 1 }))
    }

    async fn segment(&self, seg: u64) -> Result<Option<Segment>, Error> {
        type Static = (Option<Uuid>, Option<i64>, Option<bool>);
        let row: Option<Static> = self.cql.settle(READING, &self.statements.segment, (self.log, seg as i64)).await?;
        match row {
            None | Some((None, None, None)) => Ok(None),
            Some((Some(owner), Some(next), Some(sealed))) => Ok(Some(Segment { owner, next: next as u64, sealed })),
            Some(half) => Err(damaged(READING, format!("segment {seg} of log {} says {half:?}", self.log))),
        }
    }

    async fn swap_head(&self, was: Option<Head>, now: Head) -> Result<bool, Error> {
        let (cql, epoch) = (&self.cql, now.epoch as i64);
        match was {
            None => cql.transact(CLAIMING, &self.statements.make_head, (self.log, epoch, now.owner)).await,
            Some(was) => {
                let values = (epoch, now.owner, self.log, was.epoch as i64, was.owner);
                cql.transact(CLAIMING, &self.statements.swap_head, values).await
            }
        }
    }

    async fn open(&self, seg: u64, owner: Uuid, next: u64) -> Result<bool, Error> {
        self.cql.transact("opening a segment", &self.statements.open, (self.log, seg as i64, owner, next as i64)).await
    }

    async fn seal(&self, seg: u64) -> Result<bool, Error> {
        self.cql.transact("sealing a segment", &self.statements.seal, (self.log, seg as i64)).await
    }

    async fn append(&self, seg: u64, owner: Uuid, id: u64, frame: &Frame) -> Result<bool, Error> {
        let id = id as i64;
        let values = (
            id + 1,
            frame.count as i32,
            frame.turns.len() as i32,
            frame.last_number() as i64,
            &frame.numbers[..],
            &frame.turns[..],
            self.log,
            seg as i64,
            id,
            id,
            owner,
        );
        self.cql.transact(APPENDING, &self.statements.append, values).await
    }
}
