//! How a setting's value is written: durations as `10s`, sizes as `256KiB`, and back again.
//!
//! Own code of forty lines instead of `humantime` and `bytesize`: both accept spellings (`1 month`, `1.5kb`) whose
//! meaning an operator would have to look up.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("B", 1)];

/// `10s`, `15m`, `250ms`, `1h30m`. Zero is refused: what is off is written `none` where that is allowed.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 250ms, 10s, 15m, 12h or 30d");
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(wrong)?;
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (_, factor) = DURATION_UNITS.iter().find(|(unit, _)| *unit == &after[..unit_len]).ok_or_else(wrong)?;
        total = number.checked_mul(*factor).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        rest = &after[unit_len..];
    }
    if total == 0 { Err("a duration of zero has no meaning here".into()) } else { Ok(Duration::from_millis(total)) }
}

/// `256KiB`, `2GiB`, `10MB`, or a plain number of bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size such as 4096, 256KiB, 64MiB or 2GiB");
    let (number, unit) = leading_number(text.trim()).ok_or_else(wrong)?;
    let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    match number.checked_mul(*factor) {
        Some(0) => Err("a size of zero has no meaning here".into()),
        Some(bytes) => Ok(bytes),
        None => Err(wrong()),
    }
}

/// A whole number above zero.
pub fn count(text: &str) -> Result<u64, String> {
    match text.trim().replace('_', "").parse::<u64>() {
        Ok(0) => Err("zero has no meaning here".into()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("{text:?} is not a whole number")),
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit_and_may_have_several() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("365d"), Ok(Duration::from_secs(365 * 86_400)));
        for wrong in ["", "10", "s", "10 s", "-1s", "1.5s", "10x", "99999999999999d", "0s", "1m\u{e9}"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_binary_when_it_says_so() {
        assert_eq!(size("256KiB"), Ok(262_144));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("4096"), Ok(4_096));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        for wrong in ["", "KiB", "1.5MiB", "-1", "1kib", "0", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_count_is_above_zero() {
        assert_eq!(count("65_536"), Ok(65_536));
        assert!(count("0").is_err() && count("-1").is_err() && count("many").is_err());
    }
}
