//! Signed tokens, which a device uses in place of a key: good for a while, and for what their scope says.
//!
//! `twt_EXPIRES.SCOPE.SIGNATURE`, where EXPIRES is seconds since 1970 and SCOPE some of the letters `cps`. The signature
//! covers the device and the generation of its credentials, so that a reset ends every token.

use std::{str::FromStr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{Timestamp, TwinId};
use subtle::ConstantTimeEq;

use super::{Denied, masters::Master};

/// Longest life of a device token.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How far the clocks of those who sign and those who check may lie apart. It never lengthens a life: it only bounds how much
/// of one a token may have left.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);
pub const PREFIX: &str = "twt_";

/// What a device's credentials are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Opening a session.
    pub connect: bool,
    /// Saying something.
    pub publish: bool,
    /// Receiving commands and desired state, and answering them.
    pub subscribe: bool,
}

impl Scope {
    pub const ALL: Self = Self { connect: true, publish: true, subscribe: true };

    const PARTS: [(&'static str, &'static str); 3] = [("connect", "c"), ("publish", "p"), ("subscribe", "s")];

    fn has(self) -> [bool; 3] {
        [self.connect, self.publish, self.subscribe]
    }

    fn of([connect, publish, subscribe]: [bool; 3]) -> Self {
        Self { connect, publish, subscribe }
    }

    fn letters(self) -> String {
        Self::PARTS.iter().zip(self.has()).filter(|(_, has)| *has).map(|((_, letter), _)| *letter).collect()
    }

    /// What both allow.
    pub fn within(self, other: Self) -> Self {
        let (mine, theirs) = (self.has(), other.has());
        Self::of(std::array::from_fn(|n| mine[n] && theirs[n]))
    }
}

/// `connect publish`
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = Self::PARTS.iter().zip(self.has()).filter(|(_, has)| *has).map(|((word, _), _)| *word).collect();
        f.write_str(&words.join(" "))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be some of connect, publish and subscribe, with blanks between them")]
pub struct NoScope;

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let mut has = [false; 3];
        for word in text.split(' ') {
            let part = Self::PARTS.iter().position(|(name, _)| *name == word).ok_or(NoScope)?;
            if std::mem::replace(&mut has[part], true) {
                return Err(NoScope);
            }
        }
        Ok(Self::of(has))
    }
}

pub fn sign(master: &Master, device: &TwinId, generation: u64, expires: u64, scope: Scope) -> String {
    let letters = scope.letters();
    let signature = BASE64.encode(master.token_signature(device, generation, expires, &letters));
    format!("{PREFIX}{expires}.{letters}.{signature}")
}

/// What a token (without its prefix) allows, and until when.
pub fn verify(master: &Master, device: &TwinId, generation: u64, token: &str, now: Timestamp) -> Result<(Scope, Timestamp), Denied> {
    let mut parts = token.splitn(3, '.');
    let (Some(expires), Some(letters), Some(signature)) = (parts.next(), parts.next(), parts.next()) else { return Err(Denied::WrongKey) };
    let expires: u64 = expires.parse().map_err(|_| Denied::WrongKey)?;
    let signature = BASE64.decode(signature).map_err(|_| Denied::WrongKey)?;
    let right = master.token_signature(device, generation, expires, letters);
    if !bool::from(right.as_ref().ct_eq(&signature)) {
        return Err(Denied::WrongKey);
    }
    let scope = Scope::of(std::array::from_fn(|n| letters.contains(Scope::PARTS[n].1)));
    let end = Timestamp::from_millis_clamped(i64::try_from(expires.saturating_mul(1000)).unwrap_or(i64::MAX));
    // One that lives longer than any may was signed by a clock that was ahead.
    let signed_ahead = end > now.plus(TOKEN_LIFETIME_MAX + CLOCK_SKEW_MAX);
    if end <= now || signed_ahead { Err(Denied::Expired) } else { Ok((scope, end)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::masters::Masters;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn id(text: &str) -> TwinId {
        TwinId::new(text).unwrap()
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for text in ["connect", "connect publish", "publish subscribe", "connect publish subscribe"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert_eq!("subscribe connect".parse::<Scope>().unwrap().to_string(), "connect subscribe");
        for text in ["", "connect ", "all", "connect connect", "Connect", "connect,publish"] {
            assert_eq!(text.parse::<Scope>(), Err(NoScope), "{text:?}");
        }
    }

    #[test]
    fn nothing_of_a_token_can_be_changed() {
        let masters = Masters::new([7; 32]);
        let master = masters.get(1).unwrap();
        let scope = "connect publish".parse().unwrap();
        let token = sign(master, &id("a"), 3, 600, scope);
        let token = token.strip_prefix(PREFIX).unwrap();
        let read = |device: &str, generation, token: &str| verify(master, &id(device), generation, token, NOW);
        assert_eq!(read("a", 3, token), Ok((scope, NOW.plus(Duration::from_secs(600)))));
        assert_eq!(read("b", 3, token), Err(Denied::WrongKey), "another device");
        assert_eq!(read("a", 4, token), Err(Denied::WrongKey), "another generation");
        for bad in [token.replace(".cp.", ".cps."), token.replace("600.", "601."), token.replace(".cp.", "."), "600".into(), String::new()]
        {
            assert_eq!(read("a", 3, &bad), Err(Denied::WrongKey), "{bad}");
        }
    }

    #[test]
    fn no_clock_gives_a_token_a_longer_life() {
        let masters = Masters::new([7; 32]);
        let master = masters.get(1).unwrap();
        let at = |expires, now| {
            let token = sign(master, &id("a"), 1, expires, Scope::ALL);
            verify(master, &id("a"), 1, &token[PREFIX.len()..], now).map(drop)
        };
        let later = |seconds| NOW.plus(Duration::from_secs(seconds));
        assert_eq!(at(600, later(599)), Ok(()));
        assert_eq!(at(600, later(600)), Err(Denied::Expired), "not a second of grace");
        let day = TOKEN_LIFETIME_MAX.as_secs();
        assert_eq!(at(day + 60, NOW), Ok(()), "clocks may lie apart");
        assert_eq!(at(day + 61, NOW), Err(Denied::Expired), "signed by a clock that was ahead");
    }
}
