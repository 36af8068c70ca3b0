//! What all grants of one principal come to, in the form in which it is asked.

use super::rights::{Right, Rights};
use crate::{id::TwinId, tree::Path};

/// All that was granted to one principal: what it may everywhere, and from which twins downward it may what else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    everywhere: Rights,
    /// By twin, each once.
    from: Vec<(TwinId, Rights)>,
}

/// A part of the tree: all of it, or these twins and what is below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    Everywhere,
    Under(Vec<TwinId>),
}

impl Extent {
    pub fn holds(&self, path: &Path) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Under(tops) => tops.iter().any(|top| path.contains(top)),
        }
    }
}

impl Granted {
    /// Of what each grant gives, and where; everywhere when it names no twin.
    pub fn of<'a>(grants: impl IntoIterator<Item = (Rights, Option<&'a TwinId>)>) -> Self {
        let mut all = Self::default();
        for (rights, under) in grants {
            match under {
                None => all.everywhere = all.everywhere | rights,
                Some(top) => match all.from.binary_search_by(|(known, _)| known.cmp(top)) {
                    Ok(at) => all.from[at].1 = all.from[at].1 | rights,
                    Err(at) => all.from.insert(at, (top.clone(), rights)),
                },
            }
        }
        all
    }

    pub fn everywhere(&self) -> Rights {
        self.everywhere
    }

    /// What may be done at the twin of this path.
    pub fn at(&self, path: &Path) -> Rights {
        if self.from.is_empty() {
            return self.everywhere;
        }
        path.as_str().split('/').fold(self.everywhere, |rights, step| rights | self.granted_under(step))
    }

    fn granted_under(&self, step: &str) -> Rights {
        self.from.binary_search_by(|(top, _)| top.as_str().cmp(step)).map_or(Rights::NONE, |at| self.from[at].1)
    }

    /// Whether there is a place where it may be done.
    pub fn anywhere(&self, right: Right) -> bool {
        self.everywhere.has(right) || self.from.iter().any(|(_, rights)| rights.has(right))
    }

    /// Where it may be done.
    pub fn extent(&self, right: Right) -> Extent {
        if self.everywhere.has(right) {
            return Extent::Everywhere;
        }
        Extent::Under(self.from.iter().filter(|(_, rights)| rights.has(right)).map(|(top, _)| top.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> TwinId {
        TwinId::new(text).unwrap()
    }

    fn path(text: &str) -> Path {
        Path::from_stored(text)
    }

    const READ: Rights = Rights::of(&[Right::Read]);
    const COMMAND: Rights = Rights::of(&[Right::Command]);

    #[test]
    fn a_grant_is_inherited_downward_and_by_whole_names() {
        let granted = Granted::of([(READ, Some(&id("site-1"))), (COMMAND, Some(&id("room-7")))]);
        assert_eq!(granted.at(&path("site-1")), READ);
        assert_eq!(granted.at(&path("site-1/floor-2/room-7/d")), READ | COMMAND);
        assert_eq!(granted.at(&path("site-2/room-7")), COMMAND);
        for outside in ["site-10", "site-2", "site", "x/site-1x"] {
            assert_eq!(granted.at(&path(outside)), Rights::NONE, "{outside}");
        }
        assert_eq!(granted.extent(Right::Read), Extent::Under(vec![id("site-1")]));
        assert!(granted.anywhere(Right::Command) && !granted.anywhere(Right::Audit));
    }

    #[test]
    fn what_holds_everywhere_needs_no_place() {
        let granted = Granted::of([(READ, None), (COMMAND, Some(&id("a")))]);
        assert_eq!((granted.at(&path("b")), granted.at(&path("a/b"))), (READ, READ | COMMAND));
        assert_eq!((granted.extent(Right::Read), granted.extent(Right::Command)), (Extent::Everywhere, Extent::Under(vec![id("a")])));
        assert_eq!(Granted::default().extent(Right::Read), Extent::Under(vec![]));
        assert!(!Extent::Under(vec![]).holds(&path("a")));
    }

    proptest! {
        /// The compact form answers as a look at each grant on each step does.
        #[test]
        fn the_sum_is_what_each_grant_says(
            grants in proptest::collection::vec((0u16..1024, proptest::option::of(0u8..8)), 0..12),
            steps in proptest::collection::vec(0u8..8, 1..6),
        ) {
            let name = |n: u8| id(&format!("t{n}"));
            let grants: Vec<(Rights, Option<TwinId>)> = grants.into_iter().map(|(bits, top)| {
                (Right::ALL.into_iter().filter(|r| bits & (1 << *r as u16) != 0).collect(), top.map(name))
            }).collect();
            let path = path(&steps.iter().map(|n| format!("t{n}")).collect::<Vec<_>>().join("/"));
            let granted = Granted::of(grants.iter().map(|(rights, top)| (*rights, top.as_ref())));
            let mut naive = Rights::NONE;
            for (rights, top) in &grants {
                if top.as_ref().is_none_or(|top| path.contains(top)) {
                    naive = naive | *rights;
                }
            }
            prop_assert_eq!(granted.at(&path), naive);
            for right in Right::ALL {
                prop_assert_eq!(granted.extent(right).holds(&path), naive.has(right));
            }
        }
    }
}
