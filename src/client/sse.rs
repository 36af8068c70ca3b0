//! Server-Sent Events, as the WHATWG standard frames them: enough of it to follow the live stream.

use std::io::{self, BufRead};

/// Longest line read; a longer one ends the stream with an error, as it would fill memory.
const LINE_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Default, PartialEq)]
pub struct Event {
    /// `message` when the server names none.
    pub name: String,
    pub data: String,
}

/// Reads one event after another. The last id outlives the event that brought it.
pub struct Events<R> {
    source: R,
    pub last_id: Option<String>,
}

impl<R: BufRead> Events<R> {
    pub fn new(source: R, last_id: Option<String>) -> Self {
        Self { source, last_id }
    }

    /// The next event; `None` at the end of the stream. Comments (heartbeats) are passed over.
    pub fn next(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut has_data = false;
        let mut id = None;
        while let Some(line) = self.line()? {
            if line.is_empty() {
                self.last_id = id.take().or(self.last_id.take());
                if has_data {
                    event.data.pop();
                    return Ok(Some(event));
                }
                event = Event::default();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" if !value.contains('\0') => id = Some(value.to_owned()),
                "data" => {
                    has_data = true;
                    event.data.push_str(value);
                    event.data.push('\n');
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let read = io::Read::take(&mut self.source, LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream broke off inside a line"));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_the_last_id_is_kept_for_resuming() {
        let text = ": hello\n\nid: 7\nevent: state\ndata: {\"a\":\r\ndata: 1}\n\nid\ndata:x\n\n";
        let mut events = Events::new(text.as_bytes(), None);
        assert_eq!(events.next().unwrap(), Some(Event { name: "state".into(), data: "{\"a\":\n1}".into() }));
        assert_eq!(events.last_id.as_deref(), Some("7"));
        assert_eq!(events.next().unwrap(), Some(Event { name: String::new(), data: "x".into() }));
        assert_eq!(events.last_id.as_deref(), Some(""));
        assert_eq!(events.next().unwrap(), None);
    }

    #[test]
    fn a_stream_that_breaks_off_keeps_the_id_of_its_last_whole_event() {
        let mut events = Events::new("id: 7\ndata: x\n\nid: 8\nda".as_bytes(), None);
        assert!(events.next().unwrap().is_some());
        assert!(events.next().is_err());
        assert_eq!(events.last_id.as_deref(), Some("7"));
    }
}
