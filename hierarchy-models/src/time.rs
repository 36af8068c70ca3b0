//! Points in time, to the millisecond, in UTC. The domain never asks what time it is: it is told.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z. Between the years 1 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

const MS_MIN: i64 = -62_135_596_800_000;
const MS_MAX: i64 = 253_402_300_799_999;

/// Why a text or a number is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("{0:?} is not an RFC 3339 time such as 2026-11-21T08:00:00Z")]
    NotATime(String),
    #[error("{0} ms since 1970 is outside the years 1 to 9999")]
    OutOfRange(i64),
}

impl Timestamp {
    pub const MIN: Self = Self(MS_MIN);
    pub const MAX: Self = Self(MS_MAX);
    pub const EPOCH: Self = Self(0);

    pub fn from_millis(ms: i64) -> Result<Self, TimeError> {
        if (MS_MIN..=MS_MAX).contains(&ms) { Ok(Self(ms)) } else { Err(TimeError::OutOfRange(ms)) }
    }

    /// Like [`Self::from_millis`], for numbers this program wrote itself: what lies outside is brought to the nearest bound.
    pub fn from_millis_clamped(ms: i64) -> Self {
        Self(ms.clamp(MS_MIN, MS_MAX))
    }

    pub fn as_millis(self) -> i64 {
        self.0
    }

    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)).min(MS_MAX))
    }

    pub fn minus(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)).max(MS_MIN))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339; a time without a zone is UTC; a space may stand for the `T`; finer digits than a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let not = || TimeError::NotATime(text.chars().take(64).collect());
        let stamp = match text.parse::<jiff::Timestamp>() {
            Ok(stamp) => stamp,
            Err(_) => {
                let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| not())?;
                civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| not())?.timestamp()
            }
        };
        Self::from_millis(stamp.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// RFC 3339 text, or whole milliseconds since 1970.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or milliseconds since 1970")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Timestamp, E> {
                v.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Timestamp, E> {
                Timestamp::from_millis(v).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Timestamp, E> {
                Timestamp::from_millis(i64::try_from(v).unwrap_or(i64::MAX)).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Timestamp, E> {
                if v.fract() == 0.0 && v.abs() < 1e15 { self.visit_i64(v as i64) } else { Err(E::custom("milliseconds must be whole")) }
            }
        }
        d.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let with: Timestamp = "2013-07-04T00:00:00Z".parse().unwrap();
        let without: Timestamp = "2013-07-04 00:00:00".parse().unwrap();
        assert_eq!(with, without);
        assert_eq!(with.to_string(), "2013-07-04T00:00:00.000Z");
        assert_eq!(with, "2013-07-04T02:00:00+02:00".parse().unwrap());
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn milliseconds_and_text_mean_the_same() {
        let a: Timestamp = serde_json::from_str("1372896000000").unwrap();
        let b: Timestamp = serde_json::from_str("\"2013-07-04T00:00:00Z\"").unwrap();
        assert_eq!(a, b);
        assert!(serde_json::from_str::<Timestamp>("1e300").is_err());
    }
}
