//! Recorded values and buckets of them.

use hierarchy_models::{Timestamp, Value};
use serde::Serialize;
use utoipa::ToSchema;

use crate::query::{Bucket, HistoryItem};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryItem)]
pub struct ItemDocument {
    /// When the device says it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// `telemetry`, `telemetry/NAME` or `reported`.
    pub stream: String,
}

impl From<HistoryItem> for ItemDocument {
    fn from(item: HistoryItem) -> Self {
        Self { at: item.at, received_at: item.received_at, value: item.value, stream: item.stream.to_string() }
    }
}

/// The figures of one span of time; only those that were asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryBucket)]
pub struct BucketDocument {
    /// When the span begins.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub avg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sum: Option<f64>,
}

/// Which figures of a bucket are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub avg: bool,
    pub min: bool,
    pub max: bool,
    pub count: bool,
    pub sum: bool,
}

impl Figures {
    pub const DEFAULT: Self = Self { avg: true, min: true, max: true, count: true, sum: false };

    /// Names separated by commas.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut figures = Self::default();
        for name in text.split(',') {
            match name.trim() {
                "avg" => figures.avg = true,
                "min" => figures.min = true,
                "max" => figures.max = true,
                "count" => figures.count = true,
                "sum" => figures.sum = true,
                other => return Err(format!("{other:?} is not one of avg, min, max, count, sum")),
            }
        }
        Ok(figures)
    }

    pub fn of(self, bucket: &Bucket) -> BucketDocument {
        BucketDocument {
            at: bucket.at,
            avg: self.avg.then(|| bucket.avg()),
            min: self.min.then_some(bucket.min),
            max: self.max.then_some(bucket.max),
            count: self.count.then_some(bucket.count),
            sum: self.sum.then_some(bucket.sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_holds_what_was_asked_for_and_nothing_else() {
        let bucket = Bucket { at: Timestamp::EPOCH, count: 2, sum: 3.0, min: 1.0, max: 2.0 };
        let document = |agg: &str| serde_json::to_value(Figures::parse(agg).unwrap().of(&bucket)).unwrap();
        assert_eq!(document("avg,count"), json!({"at": "1970-01-01T00:00:00.000Z", "avg": 1.5, "count": 2}));
        assert_eq!(document("sum"), json!({"at": "1970-01-01T00:00:00.000Z", "sum": 3.0}));
        assert!(Figures::parse("avg,median").unwrap_err().contains("median"));
        assert!(Figures::parse("").is_err());
    }
}
