//! Reads what a projection needs from encoded turns and events without decoding them: whose, which, when.

use bytes::Bytes;
use hierarchy_models::Timestamp;

use super::{FORMAT, TURN_EVENT, TURN_FORMAT, TURN_TWIN, body, damaged};
use crate::error::Error;

/// Walks the fields of a message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(cut)?;
            self.at += 1;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(damaged("a number has no end"))
    }

    fn take(&mut self, length: u64) -> Result<Field<'a>, Error> {
        let end = usize::try_from(length).ok().and_then(|l| self.at.checked_add(l)).ok_or_else(cut)?;
        let content = self.bytes.get(self.at..end).ok_or_else(cut)?;
        self.at = end;
        Ok(Field::Bytes(content))
    }

    /// After an error there is nothing more to read.
    fn stop(&mut self) {
        self.at = self.bytes.len();
    }

    /// The next field's number and content.
    fn field(&mut self) -> Result<Option<(u32, Field<'a>)>, Error> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).map_err(|_| damaged("a field number is out of range"))?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8)?,
            2 => {
                let length = self.varint()?;
                self.take(length)?
            }
            5 => self.take(4)?,
            other => return Err(damaged(format!("a field of wire type {other}"))),
        };
        Ok(Some((tag, field)))
    }
}

fn cut() -> Error {
    damaged("it ends in the middle of a field")
}

fn signed(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn time(n: u64) -> Result<Timestamp, Error> {
    Timestamp::from_millis(signed(n)).map_err(|e| damaged(e.to_string()))
}

/// The twin a turn belongs to, without decoding the rest.
pub fn turn_twin(turn: &[u8]) -> Result<&str, Error> {
    turn_parts(turn).map(|(twin, _)| twin)
}

/// The twin a turn belongs to and its encoded events, one after another.
pub fn turn_parts(turn: &[u8]) -> Result<(&str, EventSlices<'_>), Error> {
    let mut fields = Fields::new(turn);
    match fields.field()? {
        Some((TURN_FORMAT, Field::Number(format))) => check_format(format)?,
        _ => return Err(damaged("a turn does not begin with its format")),
    }
    match fields.field()? {
        Some((TURN_TWIN, Field::Bytes(twin))) => {
            let twin = std::str::from_utf8(twin).map_err(|_| damaged("a twin id is not UTF-8"))?;
            Ok((twin, EventSlices(fields)))
        }
        _ => Err(damaged("a turn does not name its twin")),
    }
}

/// Encoded events of a turn.
pub struct EventSlices<'a>(Fields<'a>);

impl<'a> Iterator for EventSlices<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.0.field() {
                Ok(None) => None,
                Ok(Some((TURN_EVENT, Field::Bytes(event)))) => Some(Ok(event)),
                Ok(Some((TURN_FORMAT | TURN_TWIN, _))) => continue,
                Ok(Some((other, _))) => {
                    self.0.stop();
                    Some(Err(damaged(format!("a turn has field {other}, which this program does not know"))))
                }
                Err(error) => {
                    self.0.stop();
                    Some(Err(error))
                }
            };
        }
    }
}

fn check_format(format: u64) -> Result<(), Error> {
    match u32::try_from(format) {
        Ok(1..=FORMAT) => Ok(()),
        found => Err(Error::TooNew { found: found.unwrap_or(u32::MAX), known: FORMAT }),
    }
}

/// The encoded events of a turn; they share its memory.
pub fn events_in(turn: &Bytes) -> Result<Vec<Bytes>, Error> {
    turn_parts(turn)?.1.map(|event| event.map(|event| turn.slice_ref(event))).collect()
}

/// What a projection files an event under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHead {
    pub seq: u64,
    pub received_at: Timestamp,
    pub stream: &'static str,
    /// Earliest and latest time of what it records: its records' own times for telemetry, else the time of receipt.
    pub at: (Timestamp, Timestamp),
}

/// The head of an encoded event.
pub fn event_head(event: &[u8]) -> Result<EventHead, Error> {
    let (mut seq, mut received_at, mut kind) = (0, Timestamp::EPOCH, None);
    let mut fields = Fields::new(event);
    while let Some((tag, field)) = fields.field()? {
        match (tag, field) {
            (1, Field::Number(n)) => seq = n,
            (2, Field::Number(n)) => received_at = time(n)?,
            (tag, field) => kind = Some((tag, field)),
        }
    }
    let Some((tag, field)) = kind else { return Err(unknown_kind(seq, event)) };
    let Some(stream) = body::stream_of(tag) else { return Err(unknown_kind(seq, event)) };
    let at = match field {
        Field::Bytes(telemetry) if tag == body::TELEMETRY => record_times(telemetry)?,
        _ => None,
    };
    Ok(EventHead { seq, received_at, stream, at: at.unwrap_or((received_at, received_at)) })
}

/// Earliest and latest time of a telemetry message's records.
fn record_times(telemetry: &[u8]) -> Result<Option<(Timestamp, Timestamp)>, Error> {
    let mut span: Option<(Timestamp, Timestamp)> = None;
    let mut fields = Fields::new(telemetry);
    while let Some((tag, field)) = fields.field()? {
        let (2, Field::Bytes(record)) = (tag, field) else { continue };
        let Some((1, Field::Number(n))) = Fields::new(record).field()? else {
            return Err(damaged("a record does not begin with its time"));
        };
        let at = time(n)?;
        span = Some(span.map_or((at, at), |(min, max)| (min.min(at), max.max(at))));
    }
    Ok(span)
}

/// Why an event without a known body is refused: it must come from a newer program, or be damaged.
pub(super) fn unknown_kind(seq: u64, event: &[u8]) -> Error {
    let mut fields = Fields::new(event);
    let mut kind = None;
    while let Ok(Some((tag, _))) = fields.field() {
        kind = (tag > 2).then_some(tag).or(kind);
    }
    match kind {
        Some(kind) => damaged(format!("event {seq} is of kind {kind}, which this program does not know: a newer program wrote it")),
        None => damaged(format!("event {seq} has no content")),
    }
}
