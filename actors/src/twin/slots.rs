//! Last known values by name. Twins that know the same names share them, so that a value costs its own 40 bytes and no more.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use hierarchy_models::{Name, Timestamp, Value, patch::merge, value::Map};

/// A last known value by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    pub value: Value,
    pub at: Timestamp,
    pub received_at: Timestamp,
}

/// Slots in the order of their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slots(Option<Box<Inner>>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    /// Sorted, none twice; as many as there are slots.
    names: Arc<[Name]>,
    slots: Vec<Slot>,
}

/// Sets of names that are shared at most; beyond it those that no twin has are forgotten, and then twins have their own.
const SHAPES_MAX: usize = 4_096;

/// The one copy of these names.
fn shared(names: Vec<Name>) -> Arc<[Name]> {
    static SHAPES: LazyLock<Mutex<HashSet<Arc<[Name]>>>> = LazyLock::new(Mutex::default);
    let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = shapes.get(names.as_slice()) {
        return known.clone();
    }
    let names: Arc<[Name]> = names.into();
    if shapes.len() >= SHAPES_MAX {
        shapes.retain(|names| Arc::strong_count(names) > 1);
    }
    if shapes.len() < SHAPES_MAX {
        shapes.insert(names.clone());
    }
    names
}

impl Slots {
    /// From slots in the order of their names, none twice.
    pub fn from_sorted(slots: Vec<(Name, Slot)>) -> Self {
        if slots.is_empty() {
            return Self::default();
        }
        let mut own = Vec::with_capacity(slots.len());
        let names = slots.into_iter().map(|(name, slot)| {
            own.push(slot);
            name
        });
        Self(Some(Box::new(Inner { names: shared(names.collect()), slots: own })))
    }

    fn names(&self) -> &[Name] {
        self.0.as_deref().map_or(&[], |inner| &inner.names)
    }

    pub fn len(&self) -> usize {
        self.names().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Slot)> {
        self.names().iter().zip(self.0.as_deref().map_or(&[][..], |inner| &inner.slots))
    }

    pub fn get(&self, name: &str) -> Option<&Slot> {
        let inner = self.0.as_deref()?;
        inner.slots.get(self.position(name).ok()?)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Slot> {
        let at = self.position(name).ok()?;
        self.0.as_deref_mut()?.slots.get_mut(at)
    }

    pub fn knows(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.names().binary_search_by(|known| known.as_str().cmp(name))
    }

    /// Makes room for names that are not there yet, all at once, so that a twin's names change seldom.
    fn grow<'a>(&mut self, names: impl Iterator<Item = &'a Name>, blank: &Slot) {
        let mut fresh: Vec<&Name> = names.filter(|name| !self.knows(name)).collect();
        if fresh.is_empty() {
            return;
        }
        fresh.sort_unstable();
        fresh.dedup();
        let old = self.0.take().map(|inner| *inner);
        let (old_names, old_slots) = old.map_or((Arc::default(), Vec::new()), |inner| (inner.names, inner.slots));
        let mut all: Vec<(Name, Slot)> = Vec::with_capacity(old_names.len() + fresh.len());
        all.extend(old_names.iter().cloned().zip(old_slots));
        all.extend(fresh.into_iter().map(|name| (name.clone(), blank.clone())));
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        *self = Self::from_sorted(all);
    }

    /// Takes the values of one record: of each name the value that was measured last, and of two measured at the same instant
    /// the one received last.
    pub fn put_all(&mut self, values: &[(Name, Value)], at: Timestamp, received_at: Timestamp) {
        let blank = Slot { value: Value::Null, at, received_at };
        self.grow(values.iter().map(|(name, _)| name), &blank);
        for (name, value) in values {
            if let Some(slot) = self.get_mut(name).filter(|slot| at >= slot.at) {
                slot.value.clone_from(value);
                (slot.at, slot.received_at) = (at, received_at);
            }
        }
    }

    /// A merge patch of properties: always newer than what is there.
    pub fn patch_all(&mut self, patch: &Map, now: Timestamp) {
        let blank = Slot { value: Value::Null, at: now, received_at: now };
        self.grow(patch.iter().filter(|(_, change)| **change != Value::Null).map(|(name, _)| name), &blank);
        for (name, change) in patch.iter().filter(|(_, change)| **change != Value::Null) {
            let Some(slot) = self.get_mut(name) else { continue };
            (slot.at, slot.received_at) = (now, now);
            match change {
                Value::Map(inner) => {
                    if !matches!(slot.value, Value::Map(_)) {
                        slot.value = Value::from(Map::new());
                    }
                    if let Value::Map(existing) = &mut slot.value {
                        merge(existing, inner);
                    }
                }
                other => slot.value.clone_from(other),
            }
        }
        let gone = |name: &str| patch.get(name).is_some_and(|change| *change == Value::Null);
        if self.names().iter().any(|name| gone(name)) {
            let inner = self.0.take().map(|inner| *inner);
            let (names, slots) = inner.map_or((Arc::default(), Vec::new()), |inner| (inner.names, inner.slots));
            *self = Self::from_sorted(names.iter().cloned().zip(slots).filter(|(name, _)| !gone(name)).collect());
        }
    }

    /// Without the names, which many twins share.
    pub fn heap_bytes(&self) -> usize {
        self.0.as_deref().map_or(0, |inner| {
            size_of::<Inner>()
                + inner.slots.capacity() * size_of::<Slot>()
                + inner.slots.iter().map(|s| s.value.heap_bytes()).sum::<usize>()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    fn record(names: &[&str]) -> Vec<(Name, Value)> {
        names.iter().enumerate().map(|(n, name)| (Name::from(*name), Value::Int(n as i64))).collect()
    }

    #[test]
    fn twins_with_the_same_names_share_them() {
        let (mut a, mut b) = (Slots::default(), Slots::default());
        a.put_all(&record(&["temperature", "humidity"]), at(1), at(1));
        b.put_all(&record(&["humidity"]), at(1), at(1));
        b.put_all(&record(&["temperature"]), at(1), at(1));
        let names = |slots: &Slots| slots.0.as_deref().unwrap().names.clone();
        assert!(Arc::ptr_eq(&names(&a), &names(&b)));
        assert_eq!(names(&a).to_vec(), ["humidity", "temperature"]);
        assert_eq!(a.0.as_deref().unwrap().slots.capacity(), 2, "no room is left over");
    }

    #[test]
    fn an_older_value_does_not_replace_a_newer_one() {
        let mut slots = Slots::default();
        slots.put_all(&[("t".into(), Value::Int(2))], at(20), at(21));
        slots.put_all(&[("t".into(), Value::Int(1)), ("u".into(), Value::Int(7))], at(10), at(22));
        assert_eq!(slots.get("t").unwrap().value, Value::Int(2));
        assert_eq!((slots.get("u").unwrap().value.clone(), slots.get("u").unwrap().at), (Value::Int(7), at(10)));
        slots.put_all(&[("t".into(), Value::Int(3))], at(20), at(23));
        assert_eq!(slots.get("t").unwrap().value, Value::Int(3), "of the same instant the one received last");
    }

    #[test]
    fn a_patch_adds_changes_merges_and_removes() {
        let mut slots = Slots::default();
        let map = |json: &str| serde_json::from_str::<Map>(json).unwrap();
        slots.patch_all(&map(r#"{"a":1,"b":{"x":1,"n":null},"c":3,"z":null}"#), at(1));
        slots.patch_all(&map(r#"{"a":null,"b":{"x":null,"y":2},"c":{"d":4}}"#), at(2));
        let seen: Vec<(String, Value)> = slots.iter().map(|(n, s)| (n.to_string(), s.value.clone())).collect();
        let want = [("b", map(r#"{"y":2}"#)), ("c", map(r#"{"d":4}"#))].map(|(n, m)| (n.to_owned(), Value::from(m)));
        assert_eq!(seen, want);
        slots.patch_all(&map(r#"{"b":null,"c":null}"#), at(3));
        assert_eq!(slots, Slots::default(), "nothing is left of the last one");
    }
}
