//! An alert as people and systems read it, standing or cleared.

use hierarchy_models::{AlertRecord, AlertState, Severity, Timestamp, event::shown_seq, value::Map};
use serde::Serialize;
use utoipa::ToSchema;

/// What brought an alert about.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertCause {
    /// `rule:ID`, `behaviour` or `supervision`.
    pub source: String,
    /// The twin's event; absent when time alone did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub seq: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertRecord)]
pub struct AlertDocument {
    /// Fits a URL as it is.
    pub id: String,
    pub twin: String,
    pub name: String,
    #[schema(value_type = String, example = "warning")]
    pub severity: Severity,
    #[schema(value_type = String, example = "raised")]
    pub state: AlertState,
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub text: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub details: Map,
    pub cause: AlertCause,
    /// How often it was raised.
    pub count: u64,
    /// Of a rule's alert by the time of the records, of any other by the server's.
    #[schema(value_type = String, format = DateTime)]
    pub raised_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub acknowledged_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub acknowledged_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub cleared_at: Option<Timestamp>,
    /// Absent when its raiser took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cleared_by: Option<String>,
}

impl From<AlertRecord> for AlertDocument {
    fn from(record: AlertRecord) -> Self {
        let (id, state) = (record.id().to_string(), record.state());
        let AlertRecord { twin, alert, cleared } = record;
        let (acknowledged_at, acknowledged_by) = alert.acknowledged.map(|word| (word.at, word.by.to_string())).unzip();
        let (cleared_at, cleared_by) = cleared.map(|end| (end.at, end.by)).unzip();
        Self {
            id,
            twin: twin.to_string(),
            name: alert.name.to_string(),
            severity: alert.severity,
            state,
            text: alert.text,
            details: alert.details,
            cause: AlertCause { source: alert.source.to_string(), seq: (alert.cause > 0).then(|| shown_seq(alert.cause)) },
            count: alert.count,
            raised_at: alert.raised_at,
            last_at: alert.last_at,
            acknowledged_at,
            acknowledged_by,
            cleared_at,
            cleared_by: cleared_by.filter(|by| !by.is_empty()).map(|by| by.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{
        Alert, TwinId,
        alert::{Acknowledgement, Cleared},
    };

    use super::*;

    #[test]
    fn an_alert_says_where_it_is_in_its_life() {
        let at = |ms| Timestamp::from_millis(ms).unwrap();
        let alert = Alert {
            name: "hot".into(),
            severity: Severity::Critical,
            text: String::new(),
            details: Map::new(),
            raised_at: at(0),
            last_at: at(1),
            count: 2,
            seq: 3 << 40 | 8,
            cause: 3 << 40 | 7,
            source: "rule:hot".into(),
            acknowledged: None,
        };
        let record = AlertRecord { twin: TwinId::new("t").unwrap(), alert, cleared: None };
        let document = |record: &AlertRecord| serde_json::to_value(AlertDocument::from(record.clone())).unwrap();
        let raised = document(&record);
        assert_eq!(raised["state"], "raised");
        assert_eq!(raised["cause"], serde_json::json!({"source": "rule:hot", "seq": 7}));
        assert!(raised.get("text").is_none() && raised.get("acknowledged_by").is_none());
        let word = Some(Acknowledgement { at: at(2), by: "ada".into() });
        let seen = AlertRecord { alert: Alert { acknowledged: word, ..record.alert.clone() }, ..record.clone() };
        assert_eq!((&document(&seen)["state"], &document(&seen)["acknowledged_by"]), (&"acknowledged".into(), &"ada".into()));
        let over = AlertRecord { cleared: Some(Cleared { at: at(3), by: Default::default() }), ..seen };
        assert_eq!((&document(&over)["state"], document(&over).get("cleared_by")), (&"cleared".into(), None));
        assert_eq!(document(&over)["id"], raised["id"], "its name is the same all its life");
    }
}
