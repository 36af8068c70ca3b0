//! A reader of the live stream: Server-Sent Events, one at a time.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::PATIENCE;

pub struct Live {
    lines: BufReader<TcpStream>,
}

#[derive(Debug, Clone, Default)]
pub struct SseEvent {
    pub id: String,
    pub event: String,
    pub data: Value,
}

impl Live {
    /// `query` is what stands behind `/api/v1/live?`.
    pub fn open(http: SocketAddr, key: &str, query: &str, last_event_id: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let resume = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let head = format!(
            "GET /api/v1/live?{query} HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n{resume}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_ascii_lowercase());
        }
        assert!(head[0].contains(" 200 "), "{head:?}");
        assert!(head.iter().any(|h| h.starts_with("content-type: text/event-stream")), "{head:?}");
        Self { lines }
    }

    /// The next event; comments, keep-alives and chunk heads are passed over.
    pub fn next(&mut self) -> SseEvent {
        let (mut event, mut data) = (SseEvent::default(), String::new());
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("the next live event in time");
            assert!(read > 0, "the live stream ended");
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(':') {
                Some(("id", value)) => event.id = value.trim_start().to_owned(),
                Some(("event", value)) => event.event = value.trim_start().to_owned(),
                Some(("data", value)) => data += value.trim_start(),
                None if line.is_empty() && !data.is_empty() => {
                    event.data = serde_json::from_str(&data).unwrap_or(Value::String(data));
                    return event;
                }
                _ => {}
            }
        }
    }

    /// Reads on until the stream ends; one that stays open and silent is a failure.
    pub fn until_it_ends(mut self) {
        let mut line = String::new();
        // An empty chunk is the end; the connection may stay.
        while self.lines.read_line(&mut line).expect("the stream ends in time") > 0 && line.trim_end() != "0" {
            line.clear();
        }
    }

    /// The first event that fits, those before it dropped.
    pub fn find(&mut self, fits: impl Fn(&SseEvent) -> bool) -> SseEvent {
        loop {
            let event = self.next();
            if fits(&event) {
                return event;
            }
        }
    }
}
