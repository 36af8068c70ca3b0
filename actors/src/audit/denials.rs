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
/// The same, of one principal.
const SORTS_OF_ONE_MAX: usize = 32;
/// Principals that have a budget of their own at the same time; further ones share one.
const ACTORS_MAX: usize = 4_096;

/// Who sends what is refused. Each has a budget of its own, so that who sends wrong keys by the thousand does not hide what a principal
/// tries, nor the devices at the door, and no principal what another tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Origin {
    Known(Option<Actor>),
    Http,
    Door,
    /// A device that is connected, and reaches for what is not its own.
    Inside,
}

impl Origin {
    fn of(entry: &Entry) -> Self {
        match (&entry.actor, entry.status) {
            (Some(actor), Some(_)) => Self::Known(Some(actor.clone())),
            (Some(_), None) => Self::Inside,
            (None, Some(_)) => Self::Http,
            (None, None) => Self::Door,
        }
    }

    fn sorts_max(&self) -> usize {
        if matches!(self, Self::Known(Some(_))) { SORTS_OF_ONE_MAX } else { SORTS_MAX }
    }

    /// What stands for all that could not be told apart.
    fn others(&self) -> Entry {
        let (who, actor) = match self {
            Self::Known(actor) => (if actor.is_some() { "of this principal" } else { "of principals" }, actor.clone()),
            Self::Http => ("of unknown callers", None),
            Self::Door => ("at the devices' door", None),
            Self::Inside => ("of devices that are connected", None),
        };
        let reason = Some(format!("more sorts of refusals {who} at once than are told apart"));
        Entry { actor, reason, ..Entry::new("*", "*", Target { kind: "*".into(), id: None }, Outcome::Denied) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sort {
    actor: Option<Actor>,
    /// Of a principal only: who is unknown, and a device, can name as many as it likes.
    target: Option<Target>,
    from: String,
    action: String,
    reason: Option<String>,
}

impl Sort {
    fn of(entry: &Entry) -> Self {
        let Entry { actor, action, reason, .. } = entry.clone();
        let target = Some(entry.target.clone()).filter(|_| matches!(Origin::of(entry), Origin::Known(_)));
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
        let (mut origin, sort) = (Origin::of(&entry), Sort::of(&entry));
        let mut origins = self.0.lock();
        if matches!(origin, Origin::Known(_)) && origins.len() >= ACTORS_MAX && !origins.contains_key(&origin) {
            origin = Origin::Known(None);
        }
        let sorts = origins.entry(origin.clone()).or_default();
        if let Some(gathered) = sorts.apart.get_mut(&sort) {
            gathered.count += 1;
            gathered.entry = entry;
            return None;
        }
        if sorts.apart.len() < origin.sorts_max() {
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
        self.0.lock().retain(|_, sorts| {
            sorts.apart.retain(|_, gathered| goes_on(gathered));
            sorts.others = sorts.others.take().filter(&mut goes_on);
            !sorts.apart.is_empty() || sorts.others.is_some()
        });
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
    fn one_principal_hides_nothing_of_another() {
        let denials = Denials::default();
        let by = |who: &str, target: String| {
            let actor = Some(Actor { id: who.into(), name: who.into() });
            Entry { actor, status: Some(403), target: Target { kind: "principal".into(), id: Some(target) }, ..denied("x") }
        };
        let recorded = (0..1_000).filter(|n| denials.take(by("wild", n.to_string()), at(0)).is_some()).count();
        assert_eq!(recorded, SORTS_OF_ONE_MAX);
        assert!(denials.take(by("quiet", "valve".into()), at(1)).is_some());
        let due = denials.due(at(20), false);
        assert!(due.iter().any(|entry| entry.actor.as_ref().is_some_and(|actor| actor.id == "wild") && entry.count > 900), "{due:?}");
        assert!(denials.0.lock().is_empty(), "and what is over is forgotten");
    }

    #[test]
    fn a_device_that_tries_many_topics_is_one_sort() {
        let denials = Denials::default();
        let reaching = |device: &str, topic: String| {
            let actor = Some(Actor { id: device.into(), name: "device".into() });
            Entry { actor, ..Entry::new("x", "PUBLISH", Target { kind: "topic".into(), id: Some(topic) }, Outcome::Denied) }
        };
        assert!(denials.take(reaching("d", "a".into()), at(0)).is_some());
        assert!((0..100).all(|n| denials.take(reaching("d", n.to_string()), at(0)).is_none()));
        assert!(denials.take(reaching("e", "a".into()), at(0)).is_some(), "another device is another sort");
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
