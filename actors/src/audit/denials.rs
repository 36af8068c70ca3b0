//! Refusals, gathered: the first of a sort is recorded at once, those that follow within a while are counted and recorded together. So a
//! flood of wrong keys is seen, and who sent it, without its being a way to fill the disk.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use hierarchy_models::Timestamp;
use parking_lot::Mutex;

use super::entry::{Actor, Entry, Outcome, Target};

/// How long refusals of one sort are gathered.
const GATHERED_FOR: Duration = Duration::from_secs(10);
/// Sorts from one origin that are told apart at the same time; further ones are one sort together.
const SORTS_MAX: usize = 1_000;

/// Who sends what is refused. Each has a budget of its own, so that who sends wrong keys by the thousand does not hide what a principal
/// tries, nor the devices at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Known,
    Http,
    Door,
}

impl Origin {
    fn of(entry: &Entry) -> Self {
        match (&entry.actor, entry.status) {
            (Some(_), _) => Self::Known,
            (None, Some(_)) => Self::Http,
            (None, None) => Self::Door,
        }
    }

    /// What stands for all that could not be told apart.
    fn others(self) -> Entry {
        let who = match self {
            Self::Known => "of principals",
            Self::Http => "of unknown callers",
            Self::Door => "at the devices' door",
        };
        let reason = Some(format!("more sorts of refusals {who} at once than are told apart"));
        Entry { reason, ..Entry::new("*", "*", Target { kind: "*".into(), id: None }, Outcome::Denied) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sort {
    actor: Option<Actor>,
    /// Of a principal only: who is unknown can name as many as it likes.
    target: Option<Target>,
    from: String,
    action: String,
    reason: Option<String>,
}

impl Sort {
    fn of(entry: &Entry) -> Self {
        let Entry { actor, action, reason, .. } = entry.clone();
        let target = actor.as_ref().map(|_| entry.target.clone());
        Self { actor, target, from: network(&entry.from), action, reason }
    }
}

/// Of IPv6 the first 64 bits: whoever has one address of such a network mostly has them all.
fn network(address: &str) -> String {
    match address.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        _ => address.to_owned(),
    }
}

struct Gathered {
    /// The last one, which stands for all of them.
    entry: Entry,
    count: u64,
    since: Timestamp,
}

/// Of one origin.
#[derive(Default)]
struct Sorts {
    apart: HashMap<Sort, Gathered>,
    others: Option<Gathered>,
}

#[derive(Default)]
pub struct Denials(Mutex<HashMap<Origin, Sorts>>);

impl Denials {
    /// The entry, when it is the first of its sort: it is to be recorded now. The others come out of [`Self::due`].
    pub fn take(&self, entry: Entry, now: Timestamp) -> Option<Entry> {
        let (origin, sort) = (Origin::of(&entry), Sort::of(&entry));
        let mut origins = self.0.lock();
        let sorts = origins.entry(origin).or_default();
        if let Some(gathered) = sorts.apart.get_mut(&sort) {
            gathered.count += 1;
            gathered.entry = entry;
            return None;
        }
        if sorts.apart.len() < SORTS_MAX {
            sorts.apart.insert(sort, Gathered { entry: entry.clone(), count: 0, since: now });
            return Some(entry);
        }
        let others = sorts.others.get_or_insert_with(|| Gathered { entry: origin.others(), count: 0, since: now });
        others.count += 1;
        None
    }

    /// What was gathered for long enough; all of it, when it is the end.
    pub fn due(&self, now: Timestamp, is_end: bool) -> Vec<Entry> {
        let mut due = Vec::new();
        let mut goes_on = |gathered: &Gathered| {
            let is_due = is_end || now.since(gathered.since) >= GATHERED_FOR;
            if is_due && gathered.count > 0 {
                due.push(Entry { count: gathered.count, ..gathered.entry.clone() });
            }
            !is_due
        };
        for sorts in self.0.lock().values_mut() {
            sorts.apart.retain(|_, gathered| goes_on(gathered));
            sorts.others = sorts.others.take().filter(&mut goes_on);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(from: &str) -> Entry {
        let reason = Some("unauthenticated".into());
        Entry { status: Some(401), reason, ..Entry::new(from, "GET /twins", Target { kind: "twin".into(), id: None }, Outcome::Denied) }
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

    #[test]
    fn a_flood_hides_nothing_of_another_origin() {
        let denials = Denials::default();
        for n in 0..5_000 {
            denials.take(denied(&n.to_string()), at(0));
        }
        let actor = Some(Actor { id: "p".into(), name: "night desk".into() });
        let of_a_principal = Entry { actor, status: Some(403), ..denied("x") };
        let at_the_door = Entry { status: None, action: "CONNECT".into(), ..denied("x") };
        assert!(denials.take(of_a_principal, at(1)).is_some());
        assert!(denials.take(at_the_door, at(1)).is_some());
    }

    #[test]
    fn addresses_of_one_network_are_one_sender() {
        let denials = Denials::default();
        assert!(denials.take(denied("2001:db8::1"), at(0)).is_some());
        assert!(denials.take(denied("2001:db8::ffff:2"), at(0)).is_none());
        assert!(denials.take(denied("2001:db8:0:1::1"), at(0)).is_some());
        assert!(denials.take(denied("[2001:db8:0:1::2]"), at(0)).is_none(), "as the door writes it");
        assert!(denials.take(denied("192.0.2.1"), at(0)).is_some() && denials.take(denied("192.0.2.2"), at(0)).is_some());
    }
}
