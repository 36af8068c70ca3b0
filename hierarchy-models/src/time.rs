//! Points in time, to the millisecond, in UTC. The domain never asks what time it is: it is told.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Milliseconds since 1970-01-01T00:00:00Z. Between the years 1 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

const MS_MIN: i64 = -62_135_596_800_000;
const MS_MAX: i64 = 253_402_300_799_999;
/// Bytes of a time as text.
const TEXT_LEN: usize = "0000-00-00T00:00:00.000Z".len();

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

    /// RFC 3339 in UTC with milliseconds. By hand, as a document of a twin has dozens of times in it: days since 0000-03-01 make
    /// the leap day the last of its year, and so every month's length a step of one formula.
    fn text(self) -> [u8; TEXT_LEN] {
        const DAY_MS: i64 = 86_400_000;
        const DAYS_BEFORE_1970: i64 = 719_468;
        const DAYS_OF_400_YEARS: u32 = 146_097;
        // No time is outside the years 1 to 9999, so these fit.
        let (day, ms) = ((self.0.div_euclid(DAY_MS) + DAYS_BEFORE_1970) as u32, self.0.rem_euclid(DAY_MS) as u32);
        let (cycle, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + 400 * cycle + u32::from(month <= 2);
        let (second, ms) = (ms / 1000, ms % 1000);

        let two = |number: u32| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        let ([y0, y1], [y2, y3], [m0, m1], [d0, d1]) = (two(year / 100), two(year % 100), two(month), two(day));
        let ([h0, h1], [n0, n1], [s0, s1]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
        let ([f0, f1], f2) = (two(ms / 10), b'0' + (ms % 10) as u8);
        [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0, f1, f2, b'Z']
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
        f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(std::str::from_utf8(&self.text()).map_err(ser::Error::custom)?)
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
    fn a_time_is_written_as_a_calendar_has_it() {
        let written = |ms: i64| {
            let text = Timestamp(ms).to_string();
            assert_eq!(text, format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap()), "{ms}");
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        };
        // All years, with ever another day and another time of the day.
        let days_and_a_bit = 23 * 86_400_000 + 7_919_003;
        let jiff_max = 1000 * jiff::Timestamp::MAX.as_second();
        (MS_MIN..=jiff_max).step_by(days_and_a_bit).chain([MS_MIN, -1, 0, 1, jiff_max]).for_each(written);
        // The last day of our years, which the library leaves out as it might be the first of another one elsewhere.
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(serde_json::to_string(&Timestamp::EPOCH).unwrap(), "\"1970-01-01T00:00:00.000Z\"");
    }

    #[test]
    fn milliseconds_and_text_mean_the_same() {
        let a: Timestamp = serde_json::from_str("1372896000000").unwrap();
        let b: Timestamp = serde_json::from_str("\"2013-07-04T00:00:00Z\"").unwrap();
        assert_eq!(a, b);
        assert!(serde_json::from_str::<Timestamp>("1e300").is_err());
    }
}
