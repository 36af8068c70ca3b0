//! Alerts that stand on a twin, and the life of each: raised, acknowledged, cleared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Name, TwinId},
    time::Timestamp,
    value::Map,
};

/// How bad it is; the order is the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Who saw an alert, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub at: Timestamp,
    pub by: Name,
}

/// One open alert. A twin has at most one of each name; raising it again counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub name: Name,
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map,
    /// When it was first raised: a rule's alert by the time of the records, any other by the server's.
    pub raised_at: Timestamp,
    pub last_at: Timestamp,
    pub count: u64,
    /// The event that first raised it; 0 in that event itself.
    #[serde(default)]
    pub seq: u64,
    /// The event that brought it about when it was raised last; 0 when time alone did.
    #[serde(default)]
    pub cause: u64,
    /// What raised it: `rule:ID`, `behaviour`, `supervision`.
    #[serde(default)]
    pub source: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Raised,
    Acknowledged,
    Cleared,
}

impl AlertState {
    pub const ALL: [Self; 3] = [Self::Raised, Self::Acknowledged, Self::Cleared];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// The end of an alert. `by` is a person or system, `rule:ID`, or empty when its raiser took it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    pub at: Timestamp,
    #[serde(default)]
    pub by: Name,
}

/// An alert with its twin, as it is listed; it outlives the alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    pub twin: TwinId,
    pub alert: Alert,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Cleared>,
}

impl AlertRecord {
    pub fn id(&self) -> AlertId {
        AlertId::of(&self.twin, &self.alert)
    }

    pub fn state(&self) -> AlertState {
        match (&self.cleared, &self.alert.acknowledged) {
            (Some(_), _) => AlertState::Cleared,
            (None, Some(_)) => AlertState::Acknowledged,
            (None, None) => AlertState::Raised,
        }
    }
}

/// The name of one alert among all twins' for ever. Opaque to callers; it fits a URL segment, and in the order of their ids the alerts
/// raised last come first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(Name);

impl AlertId {
    /// 13 hexadecimal digits hold every span between two times of ours, in milliseconds.
    const TIME_DIGITS: usize = 13;

    pub fn of(twin: &TwinId, alert: &Alert) -> Self {
        let back = Timestamp::MAX.as_millis().abs_diff(alert.raised_at.as_millis());
        Self(format!("{back:013x}-{:x}-{twin}", alert.seq).into())
    }

    /// `None` for what no alert is called.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, rest) = text.split_once('-')?;
        let (seq, twin) = rest.split_once('-')?;
        let is_hex = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let fits = time.len() == Self::TIME_DIGITS && is_hex(time) && seq.len() <= 16 && is_hex(seq) && TwinId::new(twin).is_ok();
        fits.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The twin that it stands or stood on.
    pub fn twin(&self) -> Option<TwinId> {
        TwinId::new(self.0.splitn(3, '-').nth(2)?).ok()
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(at: Timestamp, seq: u64) -> Alert {
        Alert {
            name: "hot".into(),
            severity: Severity::Warning,
            text: String::new(),
            details: Map::new(),
            raised_at: at,
            last_at: at,
            count: 1,
            seq,
            cause: 0,
            source: Name::default(),
            acknowledged: None,
        }
    }

    #[test]
    fn an_alerts_id_leads_back_to_its_twin_and_needs_no_escaping() {
        for twin in ["room-3.1_a:b@c", "-", "a-b-c-"] {
            let twin = TwinId::new(twin).unwrap();
            let id = AlertId::of(&twin, &alert(Timestamp::EPOCH, 7 << 40 | 3));
            assert_eq!(AlertId::parse(id.as_str()), Some(id.clone()));
            assert_eq!(id.twin(), Some(twin));
            assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b)), "{id}");
        }
        for bad in ["", "x", "0000000000000-1-", "00000000000000-1-a", "000000000000g-1-a", "0000000000000--a", "0000000000000-1-a/b"] {
            assert_eq!(AlertId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_stand_in_the_order_of_the_newest_first() {
        let twin = TwinId::new("t").unwrap();
        let times = ["2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00Z", "1969-01-01T00:00:00Z"].map(|at| at.parse().unwrap());
        let times = [Timestamp::MAX].into_iter().chain(times).chain([Timestamp::MIN]);
        let ids: Vec<AlertId> = times.map(|at| AlertId::of(&twin, &alert(at, 1))).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| AlertId::parse(id.as_str()).is_some()), "{ids:?}");
    }
}
