//! Server-Sent Events on the wire: how an event, a comment and a reconnection time are written.
//!
//! Thirty lines of our own and not `actix-web-lab`: framing is all we need, and a snapshot needs the empty `id:` line,
//! which makes a browser forget where it was.

use std::time::Duration;

/// What an event does to the reader's `Last-Event-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id<'a> {
    /// Leaves it as it is.
    Keep,
    /// Makes the reader forget it: a reconnection starts over.
    Clear,
    /// Where a reconnection resumes.
    Set(&'a str),
}

/// Appends one event to `out`.
pub fn event(out: &mut String, name: &str, id: Id<'_>, data: &str) {
    field(out, "event", name);
    match id {
        Id::Keep => {}
        Id::Clear => out.push_str("id:\n"),
        Id::Set(id) => field(out, "id", id),
    }
    for line in data.split('\n') {
        field(out, "data", line);
    }
    out.push('\n');
}

/// Appends a comment, which readers ignore and proxies see as life.
pub fn comment(out: &mut String, text: &str) {
    field(out, "", text);
    out.push('\n');
}

/// Appends how long a reader should wait before it connects again.
pub fn retry(out: &mut String, after: Duration) {
    field(out, "retry", &after.as_millis().to_string());
    out.push('\n');
}

/// A line that would end the field early is left out of it: nothing from a device can forge an event.
fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(": ");
    out.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn an_event_ends_with_an_empty_line() {
        assert_eq!(written(|o| event(o, "state", Id::Set("a-7"), "{}")), "event: state\nid: a-7\ndata: {}\n\n");
        assert_eq!(written(|o| event(o, "snapshot", Id::Keep, "{}")), "event: snapshot\ndata: {}\n\n");
    }

    #[test]
    fn a_reset_makes_the_reader_forget_where_it_was() {
        assert_eq!(written(|o| event(o, "reset", Id::Clear, "{}")), "event: reset\nid:\ndata: {}\n\n");
    }

    #[test]
    fn no_text_can_forge_an_event() {
        assert_eq!(written(|o| event(o, "a\nevent: b", Id::Set("1\n\n"), "x\ny\rz")), "event: aevent: b\nid: 1\ndata: x\ndata: yz\n\n");
    }

    #[test]
    fn comments_and_reconnection_times_are_no_events() {
        assert_eq!(written(|o| comment(o, "beat")), ": beat\n\n");
        assert_eq!(written(|o| retry(o, Duration::from_secs(3))), "retry: 3000\n\n");
    }
}
