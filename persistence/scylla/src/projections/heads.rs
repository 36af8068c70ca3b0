//! Heads of chunks that were read lately. A busy device has tens of thousands of chunks a day, and without this every page of that day would
//! read all their heads again.
//!
//! What is covered by the checkpoint is not written again, so only heads behind the last one known have to be read. A chunk that
//! retention has taken since is not found when its data is asked for, which is all that a head is for.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{chunk::Shelf, shelves::Head};

/// Heads that are remembered, of all twins together, some hundred bytes each.
const REMEMBERED_MAX: usize = 1 << 18;
/// Fewer of one shelf are read again.
const WORTH_IT_MIN: usize = 256;

#[derive(Default)]
pub struct Heads(Mutex<Known>);

#[derive(Default)]
struct Known {
    shelves: HashMap<(String, Shelf), Vec<Head>>,
    count: usize,
}

impl Heads {
    /// The first heads of a shelf; none when none are known.
    pub fn known(&self, twin: &str, shelf: Shelf) -> Vec<Head> {
        self.0.lock().shelves.get(&(twin.to_owned(), shelf)).cloned().unwrap_or_default()
    }

    /// These are all heads of the shelf; those that end before the checkpoint stay as they are.
    pub fn remember(&self, twin: &str, shelf: Shelf, heads: &[Head], checkpoint: u64) {
        let heads = settled(heads, checkpoint);
        if heads.len() < WORTH_IT_MIN {
            return;
        }
        let mut known = self.0.lock();
        if known.count + heads.len() > REMEMBERED_MAX {
            *known = Known::default();
        }
        known.count += heads.len();
        let former = known.shelves.insert((twin.to_owned(), shelf), heads.to_vec());
        known.count -= former.map_or(0, |former| former.len());
    }
}

/// Those before the first that may change. Chunks that begin with the same frame stay together.
fn settled(heads: &[Head], checkpoint: u64) -> &[Head] {
    let changing = heads.iter().position(|head| head.last_frame > checkpoint);
    let frame = changing.map(|n| heads[n].place.0);
    &heads[..heads.iter().position(|head| Some(head.place.0) == frame).unwrap_or(heads.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(frame: u64, owner: u64, last_frame: u64) -> Head {
        Head { place: (frame, owner), written: 0, last_frame, at: (0, 0), received: (0, 0), events: 1, size: 1 }
    }

    #[test]
    fn only_what_cannot_change_is_remembered() {
        let heads = Heads::default();
        let mut all: Vec<Head> = (1..=300).map(|frame| head(frame, 1, frame)).collect();
        all.extend([head(301, 1, 301), head(301, 2, 320), head(305, 1, 305)]);
        heads.remember("a", (1, 1), &all, 310);
        assert_eq!(heads.known("a", (1, 1)).len(), 300, "what begins with 301 goes on beyond the checkpoint");
        heads.remember("a", (1, 1), &all, 320);
        assert_eq!(heads.known("a", (1, 1)).len(), 303);
        assert_eq!(heads.0.lock().count, 303);
        heads.remember("a", (2, 1), &all[..10], 320);
        assert!(heads.known("a", (2, 1)).is_empty(), "few are read again");
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let heads = Heads::default();
        let all: Vec<Head> = (1..=WORTH_IT_MIN as u64).map(|frame| head(frame, 1, frame)).collect();
        for day in 0..2 * (REMEMBERED_MAX / WORTH_IT_MIN) as i32 {
            heads.remember("a", (day, 1), &all, u64::MAX);
        }
        let known = heads.0.lock();
        assert!(known.count <= REMEMBERED_MAX && known.count == known.shelves.values().map(Vec::len).sum::<usize>());
    }
}
