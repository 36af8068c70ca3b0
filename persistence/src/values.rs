//! Which recorded values an event holds: the one place that says what counts as history; and the numbers of its streams.

use hierarchy_models::{Event, EventBody, Name, Timestamp, Value, event::STREAMS};

use crate::{paging::Key, query::HistoryItem};

/// Streams of the event log whose events hold values.
pub const VALUE_STREAMS: [&str; 2] = ["telemetry", "reported"];

/// Calls `each` for every value of `name` in the event, in the order they stand there, with its own time.
fn values_of(event: &Event, name: &str, mut each: impl FnMut(Timestamp, &Value)) {
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
fn value_stream(event: &Event) -> Name {
    match &event.body {
        EventBody::Telemetry { stream: Some(stream), .. } => format!("telemetry/{stream}").into(),
        body => Name::new_static(body.stream()),
    }
}

/// The event's values of `name` as history lists them, each with its place.
pub fn history_items(event: &Event, name: &str, items: &mut Vec<(Key, HistoryItem)>) {
    let (seq, received_at, stream) = (event.seq, event.received_at, value_stream(event));
    let mut index = 0;
    values_of(event, name, |at, value| {
        let item = HistoryItem { at, received_at, value: value.clone(), stream: stream.clone() };
        items.push((Key { at, seq, index }, item));
        index += 1;
    });
}

/// Those that are numbers, without the rest of an item.
pub fn numbers(event: &Event, name: &str, items: &mut Vec<(Key, f64)>) {
    let mut index = 0;
    values_of(event, name, |at, value| {
        items.extend(value.as_f64().map(|number| (Key { at, seq: event.seq, index }, number)));
        index += 1;
    });
}

/// Stored numbers of the streams. For ever.
const STREAM_CODES: [(&str, i64); 11] = [
    ("telemetry", 1),
    ("reported", 2),
    ("events", 3),
    ("diagnostics", 4),
    ("metadata", 5),
    ("desired", 6),
    ("registry", 7),
    ("connection", 8),
    ("commands", 9),
    ("alerts", 10),
    ("behaviour", 11),
];

/// Every stream of the domain has a number.
const _: () = assert!(STREAM_CODES.len() == STREAMS.len());

pub fn stream_code(stream: &str) -> Option<i64> {
    STREAM_CODES.iter().find(|(name, _)| *name == stream).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_a_number() {
        assert!(STREAMS.iter().all(|stream| stream_code(stream).is_some()));
    }
}
