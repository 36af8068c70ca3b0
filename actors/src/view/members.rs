//! Named members of a view, in the order of their names: a map that is made once, of what is in order already, and then only read.

use std::ops::{Deref, Index};

use hierarchy_models::Name;
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq)]
pub struct Members<T>(Vec<(Name, T)>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Members<T> {
    pub fn get(&self, name: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|(name, _)| name)
    }
}

/// Of members in the order of their names, none twice.
impl<T> FromIterator<(Name, T)> for Members<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(members: I) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        debug_assert!(members.is_sorted_by(|(a, _), (b, _)| a < b), "members come in the order of their names");
        Self(members)
    }
}

impl<T> Deref for Members<T> {
    type Target = [(Name, T)];
    fn deref(&self) -> &[(Name, T)] {
        &self.0
    }
}

impl<T> Index<&str> for Members<T> {
    type Output = T;
    fn index(&self, name: &str) -> &T {
        self.get(name).unwrap_or_else(|| panic!("there is no member {name}"))
    }
}

impl<T: Serialize> Serialize for Members<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, member)| (name, member)))
    }
}
