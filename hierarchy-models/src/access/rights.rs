//! Rights, and sets of them as bits.

use std::{fmt, ops::BitOr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// One thing that can be done. The order is that of the bits; new ones go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Right {
    /// Look: twins, history, alerts, rules, models, the live stream.
    Read,
    /// Send commands, take them back, let a quarantined twin run again.
    Command,
    /// Acknowledge and clear alerts.
    Acknowledge,
    /// Change desired properties, metadata, tags and roll-ups.
    Write,
    /// Write rules.
    Rules,
    /// Register, move and remove twins, turn their access on and off, give out their credentials.
    Provision,
    /// Add and remove models, which are everybody's.
    Models,
    /// Send what is known here to the outside: webhooks and sinks.
    Sinks,
    /// Make principals, roles and grants.
    Principals,
    /// Read who did what.
    Audit,
}

impl Right {
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Command,
        Self::Acknowledge,
        Self::Write,
        Self::Rules,
        Self::Provision,
        Self::Models,
        Self::Sinks,
        Self::Principals,
        Self::Audit,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Command => "command",
            Self::Acknowledge => "acknowledge",
            Self::Write => "write",
            Self::Rules => "rules",
            Self::Provision => "provision",
            Self::Models => "models",
            Self::Sinks => "sinks",
            Self::Principals => "principals",
            Self::Audit => "audit",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL.into_iter().find(|right| right.as_str() == text).ok_or_else(|| format!("{text:?} is no right; there are {}", known()))
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Rights(u16);

impl Rights {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self((1 << Right::ALL.len()) - 1);

    pub const fn of(rights: &[Right]) -> Self {
        let (mut bits, mut n) = (0, 0);
        while n < rights.len() {
            bits |= 1 << rights[n] as u16;
            n += 1;
        }
        Self(bits)
    }

    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u16) != 0
    }

    pub fn includes(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of these that are not among `others`.
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl BitOr for Rights {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, |all, right| all | Self::of(&[right]))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Right::as_str).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter().map(Right::as_str))
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        names.iter().map(|name| name.parse::<Right>().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for right in Right::ALL {
            let only = Rights::of(&[right]);
            assert_eq!(only.iter().collect::<Vec<_>>(), [right]);
            assert!(Rights::ALL.has(right) && !Rights::NONE.has(right));
            assert_eq!(right.as_str().parse(), Ok(right));
        }
        assert_eq!(Right::ALL.into_iter().collect::<Rights>(), Rights::ALL);
        assert!(Rights::of(&[Right::Read, Right::Write]).includes(Rights::of(&[Right::Read])));
        assert!(!Rights::of(&[Right::Read]).includes(Rights::of(&[Right::Read, Right::Write])));
        assert_eq!(Rights::ALL.without(Rights::of(&[Right::Audit])).iter().count(), Right::ALL.len() - 1);
    }

    #[test]
    fn rights_are_written_as_their_names() {
        let some = Rights::of(&[Right::Command, Right::Read]);
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"["read","command"]"#);
        assert_eq!(serde_json::from_str::<Rights>(r#"["command","read","read"]"#).unwrap(), some);
        assert!(serde_json::from_str::<Rights>(r#"["root"]"#).unwrap_err().to_string().contains("there are read, command"));
    }
}
