//! Query parameters, each read by name, so that a wrong or unknown one is answered with its name.
//!
//! Not `web::Query`: it ignores unknown names unless told otherwise for each type, and says what is wrong but not where.

use std::{fmt::Display, str::FromStr, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use hierarchy_models::{Timestamp, TwinId};
use std::future::{Ready, ready};

use crate::problem::{self, Problem};

/// Items of a page when the caller names no limit.
pub const LIMIT_DEFAULT: usize = 100;
/// Items of a page at most.
pub const LIMIT_MAX: usize = 1000;
/// Bytes of a cursor at most.
pub const CURSOR_BYTES_MAX: usize = 2048;
/// Widest bucket of `every`.
pub const EVERY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The parameters that nobody has read yet.
#[derive(Debug)]
pub struct Params {
    unread: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl FromRequest for Params {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

/// For routes that take no parameters.
#[derive(Debug)]
pub struct NoParams;

impl FromRequest for NoParams {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Params::parse(request.query_string()).and_then(Params::finish).map(|()| Self))
    }
}

impl Params {
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let unread = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Problem::new(problem::BAD_REQUEST, "the query is not name=value pairs"))?
            .into_inner();
        let twice = unread.iter().enumerate().find(|(n, (name, _))| unread[..*n].iter().any(|(earlier, _)| earlier == name));
        match twice {
            Some((_, (name, _))) => Err(Problem::parameter(name, format!("{name:?} is given twice"))),
            None => Ok(Self { unread, known: Vec::new() }),
        }
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.unread.iter().position(|(unread, _)| unread == name)?;
        Some(self.unread.swap_remove(at).1)
    }

    /// A parameter that some type checks.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Result<Option<T>, Problem> {
        self.read(name, |text| text.parse().map_err(|e: T::Err| e.to_string()))
    }

    pub fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        read(&text).map(Some).map_err(|why| Problem::parameter(name, why))
    }

    pub fn required(&mut self, name: &'static str) -> Result<String, Problem> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| Problem::parameter(name, "is missing"))
    }

    pub fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        self.read(name, |text| text.parse().map_err(|_| "must be true or false".to_owned())).map(|flag| flag.unwrap_or(false))
    }

    pub fn twin(&mut self, name: &'static str) -> Result<Option<TwinId>, Problem> {
        self.parsed(name)
    }

    pub fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        self.read(name, time)
    }

    /// `from` and `to`, in this order.
    pub fn span(&mut self) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        match (from, to) {
            (Some(from), Some(to)) if from > to => Err(Problem::parameter("from", "lies after `to`")),
            span => Ok(span),
        }
    }

    pub fn limit(&mut self) -> Result<usize, Problem> {
        let limit = self.read("limit", |text| match text.parse() {
            Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            _ => Err(format!("must be a whole number from 1 to {LIMIT_MAX}")),
        })?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT))
    }

    pub fn cursor(&mut self) -> Result<Option<String>, Problem> {
        self.read("cursor", |text| match text.len() {
            1..=CURSOR_BYTES_MAX => Ok(text.to_owned()),
            _ => Err("is not one that an earlier page gave out".into()),
        })
    }

    /// Refuses what nobody has read.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.unread.first() else { return Ok(()) };
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        let detail = format!("{name:?} is not known here; known are: {known}");
        Err(Problem::new(problem::UNKNOWN_PARAMETER, detail).with("parameter", name.as_str()))
    }
}

/// RFC 3339, or a time without a zone, which is UTC. A `+` of a zone that arrived unescaped, and so as a space, is understood.
fn time(text: &str) -> Result<Timestamp, String> {
    let plus = || text.rsplit_once(' ').and_then(|(time, zone)| format!("{time}+{zone}").parse::<Timestamp>().ok());
    text.parse::<Timestamp>().or_else(|error| plus().ok_or(error)).map_err(|error| error.to_string())
}

/// A number and a unit: `500ms`, `30s`, `5m`, `1h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let not = || format!("{text:?} is not a number with one of the units ms, s, m, h, d");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(not)?;
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(not()),
    };
    let number: u64 = number.parse().map_err(|_| not())?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(not)
}

/// The width of a bucket.
pub fn every(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        short if short < Duration::from_secs(1) => Err("must be at least 1s".into()),
        long if long > EVERY_MAX => Err("must be at most 366d".into()),
        every => Ok(every),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(query).unwrap()
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let mut params = params("limit=1&lmit=2");
        assert_eq!(params.limit().unwrap(), 1);
        let problem = params.finish().unwrap_err();
        assert_eq!(problem.kind(), problem::UNKNOWN_PARAMETER);
        assert_eq!(problem.document()["parameter"], "lmit");
    }

    #[test]
    fn a_page_has_a_hundred_items_unless_told_and_never_more_than_a_thousand() {
        assert_eq!(params("").limit().unwrap(), 100);
        assert_eq!(params("limit=1000").limit().unwrap(), 1000);
        for bad in ["0", "1001", "-1", "x", ""] {
            assert_eq!(params(&format!("limit={bad}")).limit().unwrap_err().document()["parameter"], "limit", "{bad}");
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert_eq!(Params::parse("a=1&b=2&a=3").unwrap_err().document()["parameter"], "a");
    }

    #[test]
    fn a_time_without_a_zone_is_utc_and_an_unescaped_plus_is_understood() {
        let at = |query: &str| params(query).time("from").unwrap().unwrap().to_string();
        for query in [
            "from=2013-07-04T00:00:00Z",
            "from=2013-07-04T00:00:00",
            "from=2013-07-04+00:00:00",
            "from=2013-07-04T02:00:00+02:00",
            "from=2013-07-04T02:00:00%2B02:00",
        ] {
            assert_eq!(at(query), "2013-07-04T00:00:00.000Z", "{query}");
        }
        assert_eq!(params("to=yesterday").time("to").unwrap_err().document()["parameter"], "to");
        assert_eq!(params("from=2014-01-01&to=2013-01-01").span().unwrap_err().document()["parameter"], "from");
    }

    #[test]
    fn a_bucket_is_a_number_and_a_unit_of_at_least_a_second() {
        for (text, seconds) in [("1s", 1), ("1000ms", 1), ("5m", 300), ("2h", 7200), ("1d", 86400)] {
            assert_eq!(every(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "5", "m", "5 m", "-1s", "1.5h", "999ms", "0s", "1w", "367d", "99999999999999999999d", "5mm"] {
            assert!(every(bad).is_err(), "{bad}");
        }
    }
}
