//! Text that stands for something else: dates, times, durations, decimals, UUIDs, as schemas of the language want them.

use super::Standard;

/// Why a text does not fit a standard schema whose values are text; `None` when it does.
pub fn misfit(standard: Standard, text: &str) -> Option<&'static str> {
    let (fits, wanted) = match standard {
        Standard::Date => (is_date(text), "a date such as 2026-01-31"),
        Standard::DateTime => (is_date_time(text), "a date and time such as 2026-01-31T12:00:00Z"),
        Standard::Time => (is_time(text, true), "a time such as 12:00:00Z"),
        Standard::Duration => (is_duration(text), "an ISO 8601 duration such as PT5M"),
        Standard::Decimal => (is_decimal(text), "a decimal number as text, such as \"12.50\""),
        Standard::Uuid => (is_uuid(text), "a UUID"),
        Standard::Bytes => (is_base64(text), "bytes as base64"),
        _ => (true, ""),
    };
    (!fits).then_some(wanted)
}

fn number(text: &str, digits: usize, most: u32) -> Option<u32> {
    let number = (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())??;
    (number <= most).then_some(number)
}

fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(day)) = (parts.next(), parts.next(), parts.next()) else { return false };
    number(year, 4, 9999).is_some()
        && number(month, 2, 12).is_some()
        && number(day, 2, 31).is_some()
        && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_time(text: &str, may_lack_zone: bool) -> bool {
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let zone_ok = match zone.as_bytes().first() {
        None => may_lack_zone,
        Some(b'Z' | b'z') => zone.len() == 1,
        Some(_) => {
            zone.get(1..).and_then(|z| z.split_once(':')).is_some_and(|(h, m)| number(h, 2, 23).is_some() && number(m, 2, 59).is_some())
        }
    };
    let (whole, fraction) = clock.split_once('.').map_or((clock, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut parts = whole.split(':');
    let mut part = |most| parts.next().is_some_and(|p| number(p, 2, most).is_some());
    let clock_ok = part(23) && part(59) && part(60) && parts.next().is_none();
    zone_ok && clock_ok && fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()))
}

fn is_date_time(text: &str) -> bool {
    let split = text.get(..10).zip(text.get(11..)).filter(|_| matches!(text.as_bytes()[10], b'T' | b't' | b' '));
    split.is_some_and(|(date, time)| is_date(date) && is_time(time, false))
}

/// `P`, then numbers with the units Y, M, W, D and, behind a `T`, H, M, S, in this order; only the last may have a fraction.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-').unwrap_or(text).strip_prefix('P') else { return false };
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    // A fraction is for the last unit, and with a time that is not among the days.
    let some = !days.is_empty() && time.is_none() || time.is_some() && !days.contains(['.', ',']);
    some && units_in_order(days, "YMWD") && time.is_none_or(|time| !time.is_empty() && units_in_order(time, "HMS"))
}

fn units_in_order(mut text: &str, units: &str) -> bool {
    let mut next = 0;
    while !text.is_empty() {
        let Some(end) = text.find(|c: char| c.is_ascii_alphabetic()) else { return false };
        let (digits, rest) = text.split_at(end);
        let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
        let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let Some(at) = units[next..].find(&rest[..1]) else { return false };
        let is_last = rest.len() == 1;
        if !all_digits(whole) || !all_digits(fraction) || (digits.len() != whole.len() && !is_last) {
            return false;
        }
        next += at + 1;
        text = &rest[1..];
    }
    true
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && fraction.is_empty()) && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().enumerate().all(|(n, b)| if matches!(n, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() })
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_held_to_its_standard() {
        for (standard, good, bad) in [
            (Standard::Date, &["2024-02-29", "0001-01-01"][..], &["2023-02-29", "2024-1-1", "2024-01-01T00:00:00Z", "x", ""][..]),
            (
                Standard::DateTime,
                &["2024-02-29T23:59:60Z", "2024-01-01T00:00:00.123+05:30"],
                &["2024-01-01T00:00:00", "2024-01-01", "2024-01-01T25:00:00Z", "ä2024-01-01T"],
            ),
            (Standard::Time, &["12:00:00", "12:00:00.5Z", "12:00:00-01:00"], &["12:00", "24:00:00", "12:00:00.", "12:00:00+1"]),
            (
                Standard::Duration,
                &["PT5M", "P1Y2M3W4DT5H6M7.5S", "-P1D", "PT0.5H"],
                &["", "P", "PT", "P1S", "PT1M1H", "P1.5DT1H", "5M", "PT-1S"],
            ),
            (Standard::Decimal, &["1", "-12.50", ".5", "+1."], &["", ".", "1e3", "1.2.3"]),
            (Standard::Uuid, &["123e4567-e89b-12d3-a456-426614174000"], &["123e4567e89b12d3a456426614174000", "x"]),
            (Standard::Bytes, &["", "aGk=", "AAAA"], &["aGk", "a===", "!!!!"]),
        ] {
            for text in good {
                assert_eq!(misfit(standard, text), None, "{text}");
            }
            for text in bad {
                assert!(misfit(standard, text).is_some(), "{text:?} is not {}", standard.term());
            }
        }
    }
}
