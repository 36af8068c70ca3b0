//! Paths through the tree of twins: `site-1/floor-2/room-7/thermostat-3`, the twin itself last.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{id::TwinId, limits::TREE_DEPTH_MAX};

/// The ids from the root down to a twin, itself included, joined by `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(std::sync::Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("{twin} cannot stand under {parent}: {parent} stands under {twin}")]
    Loop { twin: TwinId, parent: TwinId },
    #[error("{twin} would stand {depth} levels deep; at most {TREE_DEPTH_MAX} are allowed")]
    TooDeep { twin: TwinId, depth: usize },
}

impl Path {
    pub fn root(twin: &TwinId) -> Self {
        Self(twin.as_str().into())
    }

    /// Trusts a path this program stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The path of `twin` under the twin at `self`.
    pub fn child(&self, twin: &TwinId) -> Result<Self, TreeError> {
        if self.contains(twin) {
            return Err(TreeError::Loop { twin: twin.clone(), parent: TwinId::new(self.last()).unwrap_or_else(|_| twin.clone()) });
        }
        let depth = self.depth() + 1;
        if depth > TREE_DEPTH_MAX {
            return Err(TreeError::TooDeep { twin: twin.clone(), depth });
        }
        Ok(Self(format!("{}/{}", self.0, twin).into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Levels, 1 for a root.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Whether `twin` is the twin of this path or one above it.
    pub fn contains(&self, twin: &TwinId) -> bool {
        self.0.split('/').any(|step| step == twin.as_str())
    }

    /// Whether this path lies under `top`, or is it.
    pub fn is_under(&self, top: &Path) -> bool {
        self.0.strip_prefix(&*top.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(s: &str) -> TwinId {
        TwinId::new(s).unwrap()
    }

    #[test]
    fn a_twin_never_stands_under_itself() {
        let path = Path::root(&id("site")).child(&id("floor")).unwrap().child(&id("room")).unwrap();
        assert!(matches!(path.child(&id("site")), Err(TreeError::Loop { .. })));
        assert!(matches!(path.child(&id("room")), Err(TreeError::Loop { .. })));
    }

    #[test]
    fn a_tree_has_a_bottom() {
        let mut path = Path::root(&id("0"));
        for n in 1..TREE_DEPTH_MAX {
            path = path.child(&id(&n.to_string())).unwrap();
        }
        assert!(matches!(path.child(&id("x")), Err(TreeError::TooDeep { .. })));
    }

    #[test]
    fn under_means_whole_steps() {
        let site = Path::root(&id("site-1"));
        assert!(Path::from_stored("site-1/a").is_under(&site));
        assert!(Path::from_stored("site-1").is_under(&site));
        assert!(!Path::from_stored("site-10/a").is_under(&site));
    }
}
