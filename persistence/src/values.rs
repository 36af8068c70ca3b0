//! Which recorded values an event holds: the one place that says what counts as history.

use hierarchy_models::{Event, EventBody, Name, Timestamp, Value};

/// Streams of the event log whose events hold values.
pub const VALUE_STREAMS: [&str; 2] = ["telemetry", "reported"];

/// Calls `each` for every value of `name` in the event, in the order they stand there, with its own time.
pub fn values_of(event: &Event, name: &str, mut each: impl FnMut(Timestamp, &Value)) {
    match &event.body {
        EventBody::Telemetry { records, .. } => {
            for record in records {
                record.values.iter().filter(|(n, _)| n == name).for_each(|(_, value)| each(record.at, value));
            }
        }
        EventBody::ReportedPatched { patch: properties, .. } | EventBody::ReportedReplaced { properties, .. } => {
            if let Some(value) = properties.get(name) {
                each(event.received_at, value);
            }
        }
        _ => {}
    }
}

/// The stream of an event's values, as history names it: `telemetry`, `telemetry/NAME` or `reported`.
pub fn value_stream(event: &Event) -> Name {
    match &event.body {
        EventBody::Telemetry { stream: Some(stream), .. } => format!("telemetry/{stream}").into(),
        body => Name::new_static(body.stream()),
    }
}
