//! Refusals, gathered: the first of a sort is recorded at once, those that follow within a while are counted and recorded together. So a
//! flood of wrong keys is seen, and who sent it, without its being a way to fill the disk.

use std::{collections::HashMap, time::Duration};

use hierarchy_models::Timestamp;
use parking_lot::Mutex;

use super::entry::{Actor, Entry, Outcome, Target};

/// How long refusals of one sort are gathered.
const GATHERED_FOR: Duration = Duration::from_secs(10);
/// Sorts that are told apart at the same time; further ones are one sort together.
const SORTS_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sort {
    actor: Option<Actor>,
    from: String,
    action: String,
    reason: Option<String>,
}

struct Gathered {
    /// The last one, which stands for all of them.
    entry: Entry,
    count: u64,
    since: Timestamp,
}

#[derive(Default)]
pub struct Denials(Mutex<HashMap<Sort, Gathered>>);

impl Denials {
    /// The entry, when it is the first of its sort: it is to be recorded now. The others come out of [`Self::due`].
    pub fn take(&self, entry: Entry, now: Timestamp) -> Option<Entry> {
        let mut sorts = self.0.lock();
        let sort =
            Sort { actor: entry.actor.clone(), from: entry.from.clone(), action: entry.action.clone(), reason: entry.reason.clone() };
        if let Some(gathered) = sorts.get_mut(&sort) {
            gathered.count += 1;
            gathered.entry = entry;
            return None;
        }
        if sorts.len() < SORTS_MAX {
            sorts.insert(sort, Gathered { entry: entry.clone(), count: 0, since: now });
            return Some(entry);
        }
        let others = Sort { actor: None, from: "*".into(), action: "*".into(), reason: None };
        let target = Target { kind: "*".into(), id: None };
        let of_others = Entry {
            actor: None,
            from: "*".into(),
            action: "*".into(),
            target,
            path: None,
            outcome: Outcome::Denied,
            status: None,
            reason: Some("more sorts of refusals at once than are told apart".into()),
            made: None,
            count: 1,
        };
        sorts.entry(others).or_insert(Gathered { entry: of_others, count: 0, since: now }).count += 1;
        None
    }

    /// What was gathered for long enough; all of it, when it is the end.
    pub fn due(&self, now: Timestamp, is_end: bool) -> Vec<Entry> {
        let mut due = Vec::new();
        self.0.lock().retain(|_, gathered| {
            let is_due = is_end || now.since(gathered.since) >= GATHERED_FOR;
            if is_due && gathered.count > 0 {
                due.push(Entry { count: gathered.count, ..gathered.entry.clone() });
            }
            !is_due
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(from: &str) -> Entry {
        Entry {
            actor: None,
            from: from.into(),
            action: "GET /twins".into(),
            target: Target { kind: "twin".into(), id: None },
            path: None,
            outcome: Outcome::Denied,
            status: Some(401),
            reason: Some("unauthenticated".into()),
            made: None,
            count: 1,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000).unwrap()
    }

    #[test]
    fn the_first_is_recorded_and_the_rest_is_counted() {
        let denials = Denials::default();
        assert!(denials.take(denied("a"), at(0)).is_some());
        for n in 0..500 {
            assert_eq!(denials.take(denied("a"), at(n / 100)), None);
        }
        assert!(denials.take(denied("b"), at(5)).is_some(), "another address is another sort");
        assert_eq!(denials.due(at(9), false), []);
        let due = denials.due(at(10), false);
        assert_eq!((due.len(), due[0].count, due[0].from.as_str()), (1, 500, "a"));
        assert!(denials.take(denied("a"), at(11)).is_some(), "and it begins anew");
        assert_eq!(denials.due(at(12), true), [], "one that was alone was recorded already");
    }

    #[test]
    fn a_flood_of_many_sorts_is_bounded() {
        let denials = Denials::default();
        let first = (0..5_000).filter(|n| denials.take(denied(&n.to_string()), at(0)).is_some()).count();
        assert_eq!(first, SORTS_MAX);
        let due = denials.due(at(10), false);
        assert_eq!((due.len(), due[0].from.as_str(), due[0].count), (1, "*", 4_000));
    }
}
