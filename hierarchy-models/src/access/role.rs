//! Roles: three that are always there, and those that an installation makes for itself.

use serde::{Deserialize, Serialize};

use super::rights::{Right, Rights};
use crate::{id::Name, limits::ROLE_NAME_BYTES_MAX};

/// A named set of rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub name: Name,
    pub rights: Rights,
}

/// Why a name is none for a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role's name has 1 to {ROLE_NAME_BYTES_MAX} of a-z, 0-9, '-' and '_'")]
pub struct RoleError;

const VIEWER: Rights = Rights::of(&[Right::Read]);
const OPERATOR: Rights = Rights::of(&[Right::Read, Right::Command, Right::Acknowledge, Right::Write, Right::Rules]);

impl Role {
    pub const VIEWER: &'static str = "viewer";
    pub const OPERATOR: &'static str = "operator";
    pub const ADMIN: &'static str = "admin";

    /// Each includes the ones before it.
    pub fn built_in() -> [Self; 3] {
        [(Self::VIEWER, VIEWER), (Self::OPERATOR, OPERATOR), (Self::ADMIN, Rights::ALL)]
            .map(|(name, rights)| Self { name: Name::new_static(name), rights })
    }

    pub fn is_built_in(name: &str) -> bool {
        [Self::VIEWER, Self::OPERATOR, Self::ADMIN].contains(&name)
    }

    pub fn check_name(name: &str) -> Result<(), RoleError> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if (1..=ROLE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(ok) { Ok(()) } else { Err(RoleError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_role_includes_the_ones_before_it() {
        let roles = Role::built_in();
        assert!(roles.windows(2).all(|pair| pair[1].rights.includes(pair[0].rights) && pair[0].rights != pair[1].rights));
        assert!(roles.iter().all(|role| Role::is_built_in(&role.name) && Role::check_name(&role.name).is_ok()));
    }

    #[test]
    fn a_name_fits_an_address_unescaped() {
        for bad in ["", "Night", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(Role::check_name(bad), Err(RoleError), "{bad:?}");
        }
    }
}
