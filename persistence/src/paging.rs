//! Cursors and pages of lists ordered by time, the same for every store.
//!
//! A cursor names the last item given, not a count of items: what is appended meanwhile neither repeats nor hides anything.
//! Its text is checked when it comes back, never trusted.

use std::{fmt, str::FromStr, time::Duration};

use hierarchy_models::{CommandId, Timestamp};

use crate::{
    error::Error,
    query::{Bucket, Page, bucket_start},
};

/// The place of an item in a list ordered by time. Equal keys stand in the order of their commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub at: Timestamp,
    pub seq: u64,
    /// Which of the event's values of this name.
    pub index: u32,
}

/// An item that waits for its turn in a heap; ordered by its place alone.
pub struct Waiting<P, T> {
    pub place: P,
    pub item: T,
}

impl<P: PartialEq, T> PartialEq for Waiting<P, T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}
impl<P: Eq, T> Eq for Waiting<P, T> {}
impl<P: Ord, T> PartialOrd for Waiting<P, T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<P: Ord, T> Ord for Waiting<P, T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

/// Where a page of such a list ended: behind the `same`th item with this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCursor {
    pub key: Key,
    pub same: u32,
}

/// Where a page of buckets goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCursor(pub Timestamp);

/// Where a page of commands ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandCursor(pub Timestamp, pub CommandId);

/// Reads a cursor that came back from a caller.
pub fn cursor<T: FromStr>(text: &Option<String>) -> Result<Option<T>, Error> {
    text.as_deref().map(|t| t.parse().map_err(|_| Error::BadCursor)).transpose()
}

/// Fills a page with items that come in order and begin no later than behind the cursor.
pub struct Filler<T> {
    page: Page<T>,
    limit: usize,
    after: Option<TimeCursor>,
    last: Option<TimeCursor>,
    /// Items with the cursor's own key that went by.
    passed: u32,
}

impl<T> Filler<T> {
    pub fn new(after: Option<TimeCursor>, limit: usize) -> Self {
        Self { page: Page { items: Vec::new(), cursor: None }, limit: limit.max(1), after, last: after, passed: 0 }
    }

    /// Takes the next item; whether the page wants another.
    pub fn take(&mut self, key: Key, item: T) -> bool {
        if let Some(after) = self.after {
            self.passed += u32::from(key == after.key);
            if key < after.key || (key == after.key && self.passed <= after.same) {
                return true;
            }
        }
        if self.page.items.len() >= self.limit {
            self.page.cursor = self.last.map(|c| c.to_string());
            return false;
        }
        let same = self.last.map_or(1, |l| if l.key == key { l.same + 1 } else { 1 });
        self.last = Some(TimeCursor { key, same });
        self.page.items.push(item);
        true
    }

    pub fn page(self) -> Page<T> {
        self.page
    }
}

/// One page of `items`, which are in order and begin no later than behind `after`.
pub fn page<T>(items: impl Iterator<Item = Result<(Key, T), Error>>, after: Option<TimeCursor>, limit: usize) -> Result<Page<T>, Error> {
    let mut filler = Filler::new(after, limit);
    for item in items {
        let (key, item) = item?;
        if !filler.take(key, item) {
            break;
        }
    }
    Ok(filler.page())
}

/// Fills a page of buckets from points in the order of time.
pub struct BucketFiller {
    page: Page<Bucket>,
    limit: usize,
    every: Duration,
}

impl BucketFiller {
    pub fn new(every: Duration, limit: usize) -> Self {
        Self { page: Page { items: Vec::new(), cursor: None }, limit: limit.max(1), every }
    }

    /// Takes the next point; whether the page wants another.
    pub fn take(&mut self, at: Timestamp, value: f64) -> bool {
        let start = bucket_start(at, self.every);
        let full = self.page.items.len() >= self.limit;
        match self.page.items.last_mut() {
            Some(bucket) if bucket.at == start => bucket.add(value),
            _ if full => {
                self.page.cursor = Some(BucketCursor(start).to_string());
                return false;
            }
            _ => self.page.items.push(Bucket::of(start, value)),
        }
        true
    }

    pub fn page(self) -> Page<Bucket> {
        self.page
    }
}

fn at(text: Option<&str>) -> Result<Timestamp, ()> {
    Timestamp::from_millis(number(text)?).map_err(drop)
}

fn number<N: FromStr>(text: Option<&str>) -> Result<N, ()> {
    text.ok_or(())?.parse().map_err(drop)
}

fn end<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<(), ()> {
    if parts.next().is_none() { Ok(()) } else { Err(()) }
}

impl fmt::Display for TimeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t.{}.{}.{}.{}", self.key.at.as_millis(), self.key.seq, self.key.index, self.same)
    }
}

impl FromStr for TimeCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix("t.").ok_or(())?.split('.');
        let key = Key { at: at(parts.next())?, seq: number(parts.next())?, index: number(parts.next())? };
        let same = number(parts.next())?;
        end(parts)?;
        Ok(Self { key, same })
    }
}

impl fmt::Display for BucketCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b.{}", self.0.as_millis())
    }
}

impl FromStr for BucketCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        at(text.strip_prefix("b.")).map(Self)
    }
}

impl fmt::Display for CommandCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c.{}.{}", self.0.as_millis(), self.1)
    }
}

impl FromStr for CommandCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix("c.").ok_or(())?.splitn(2, '.');
        Ok(Self(at(parts.next())?, CommandId::new(parts.next().ok_or(())?).map_err(drop)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: i64, seq: u64) -> Key {
        Key { at: Timestamp::from_millis(at).unwrap(), seq, index: 0 }
    }

    fn pages(items: &[(Key, char)], limit: usize) -> String {
        let (mut all, mut after) = (String::new(), None);
        loop {
            let page = page(items.iter().copied().map(Ok), cursor(&after).unwrap(), limit).unwrap();
            all.extend(page.items);
            after = page.cursor;
            if after.is_none() {
                return all;
            }
        }
    }

    #[test]
    fn pages_of_any_size_hold_every_item_once() {
        let items = [(key(1, 1), 'a'), (key(5, 2), 'b'), (key(5, 2), 'c'), (key(5, 2), 'd'), (key(5, 3), 'e'), (key(6, 1), 'f')];
        for limit in 0..8 {
            assert_eq!(pages(&items, limit), "abcdef", "limit {limit}");
        }
    }

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let c = TimeCursor { key: key(-5, 7), same: 2 };
        assert_eq!(c.to_string().parse(), Ok(c));
        for bad in ["", "t.", "t.1.2.3", "t.1.2.3.4.5", "b.1", "t.x.1.1.1", "t.999999999999999999.1.1.1"] {
            assert!(bad.parse::<TimeCursor>().is_err(), "{bad}");
        }
        let c = CommandCursor(Timestamp::EPOCH, CommandId::new("a-1").unwrap());
        assert_eq!(c.to_string().parse(), Ok(c));
    }
}
