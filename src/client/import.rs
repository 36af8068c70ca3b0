//! `twinfold import FILE.ndjson`: many registrations, a JSON document a line, each the body of `POST /twins`.
//!
//! Lines flow through a bounded queue to a few workers and their outcomes through another to the printer, so memory is
//! the same for a thousand lines and for ten million. Each line succeeds or fails by itself.

mod in_flight;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    Server,
    http::{Api, ClientError},
    rest,
    table::clean,
};
use in_flight::InFlight;

const LINE_BYTES_MAX: usize = 1 << 20;
const QUEUED_LINES_MAX: usize = 256;
const ATTEMPTS_MAX: u32 = 8;
const PAUSE_DEFAULT: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Import {
    /// One registration a line, such as {"id": "t-1", "model": "Device", "parent": "room-7"}; - reads standard input
    file: PathBuf,
    /// Where the keys of the new twins go, a JSON document a line, mode 0600 [default: standard output]
    #[arg(long, value_name = "FILE")]
    keys_out: Option<PathBuf>,
    /// Requests at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
}

struct Line {
    number: u64,
    bytes: u64,
    /// The registration, `None` for an empty line, or why it could not be read.
    body: Result<Option<Value>, String>,
}

struct Outcome {
    number: u64,
    /// Id and keys of the new twin, or why there is none.
    result: Result<Value, String>,
    bytes: u64,
}

impl Import {
    pub fn run(self, server: &Server) -> Result<(), ClientError> {
        let api = server.api()?;
        let (source, bytes) = self.open().map_err(|e| ClientError::Usage(format!("{}: {e}", self.file.display())))?;
        let keys = self.keys_sink()?;
        let (lines_in, lines_out) = mpsc::sync_channel(QUEUED_LINES_MAX);
        let (outcomes_in, outcomes_out) = mpsc::sync_channel(QUEUED_LINES_MAX);
        let lines = Arc::new(Lines { queue: Mutex::new(lines_out), in_flight: InFlight::default() });
        thread::scope(|scope| {
            for _ in 0..self.parallel {
                let (api, lines, outcomes) = (api.clone(), lines.clone(), outcomes_in.clone());
                scope.spawn(move || work(&api, &lines, &outcomes));
            }
            // Each end of a queue is held only by those who use it: when one party gives up, so do the others.
            drop((outcomes_in, lines));
            scope.spawn(move || read_lines(source, &lines_in));
            report(outcomes_out, keys, &bar(bytes))
        })
    }

    fn open(&self) -> io::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
        if self.file.as_os_str() == "-" {
            return Ok((Box::new(BufReader::new(io::stdin())), None));
        }
        let file = File::open(&self.file)?;
        let bytes = file.metadata()?.len();
        Ok((Box::new(BufReader::new(file)), Some(bytes)))
    }

    /// Opened before the first request: keys that cannot be written would be lost, as they are shown only once.
    fn keys_sink(&self) -> Result<Box<dyn Write>, ClientError> {
        let Some(path) = &self.keys_out else { return Ok(Box::new(io::stdout())) };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|e| ClientError::Usage(format!("{}: {e}", path.display())))?;
        Ok(Box::new(BufWriter::new(file)))
    }
}

fn bar(bytes: Option<u64>) -> ProgressBar {
    let Some(bytes) = bytes else { return ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {elapsed_precise}  left {eta_precise}");
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}

/// Reads line by line; a line too long is reported and skipped, never held.
fn read_lines(mut source: impl BufRead, lines: &SyncSender<Line>) {
    for number in 1.. {
        let mut text = Vec::new();
        let read = source.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut text);
        let body = match &read {
            Ok(0) => return,
            Ok(LINE_BYTES_MAX) if text.last() != Some(&b'\n') => {
                let _ = source.skip_until(b'\n');
                Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"))
            }
            Ok(_) if text.trim_ascii().is_empty() => Ok(None),
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|e| format!("not JSON: {e}")),
            Err(error) => Err(format!("reading: {error}")),
        };
        if lines.send(Line { number, bytes: text.len() as u64, body }).is_err() || read.is_err() {
            return;
        }
    }
}

/// Where the workers take lines from, in the file's order.
struct Lines {
    queue: Mutex<Receiver<Line>>,
    in_flight: InFlight,
}

impl Lines {
    fn next(&self) -> Option<Line> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let line = queue.recv().ok()?;
        // Still under the queue's lock: a later line must not get ahead.
        if let Ok(Some(body)) = &line.body {
            self.in_flight.take_off(line.number, body);
        }
        Some(line)
    }
}

fn work(api: &Api, lines: &Lines, outcomes: &SyncSender<Outcome>) {
    while let Some(Line { number, bytes, body }) = lines.next() {
        let result = match body {
            Ok(None) => continue,
            Ok(Some(body)) => {
                lines.in_flight.wait_for_those_above(number, &body);
                let answer = send(api, &body);
                lines.in_flight.land(number);
                answer.map(|answer| json!({"id": answer["id"], "keys": answer["keys"]})).map_err(|e| e.to_string())
            }
            Err(reason) => Err(reason),
        };
        if outcomes.send(Outcome { number, result, bytes }).is_err() {
            return;
        }
    }
}

/// Tries again what the server puts off, as it asks.
fn send(api: &Api, body: &Value) -> Result<Value, ClientError> {
    for attempt in 1.. {
        match api.post("/twins", body) {
            Err(ClientError::Refused { status: 429 | 503, retry_after, .. }) if attempt < ATTEMPTS_MAX => {
                rest(retry_after.unwrap_or(PAUSE_DEFAULT * attempt).min(PAUSE_LONGEST));
            }
            settled => return settled,
        }
    }
    unreachable!("the loop ends at its last attempt")
}

fn report(outcomes: Receiver<Outcome>, mut keys: Box<dyn Write>, bar: &ProgressBar) -> Result<(), ClientError> {
    let (mut done, mut failed) = (0u64, 0u64);
    for outcome in outcomes {
        bar.inc(outcome.bytes);
        match outcome.result {
            Ok(registered) => {
                done += 1;
                let written = bar.suspend(|| writeln!(keys, "{registered}"));
                written.map_err(|e| ClientError::Usage(format!("the keys cannot be written: {e}; stopped at line {}", outcome.number)))?;
            }
            Err(reason) => {
                failed += 1;
                bar.suspend(|| eprintln!("line {}: {}", outcome.number, clean(&reason)));
            }
        }
        bar.set_message(format!("{done} registered, {failed} failed"));
    }
    keys.flush().map_err(|e| ClientError::Usage(format!("the keys cannot be written: {e}")))?;
    bar.finish_and_clear();
    eprintln!("{done} registered, {failed} failed");
    if failed > 0 { Err(ClientError::Usage("not all lines were imported".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Result<Option<Value>, String>)> {
        let (sender, receiver) = mpsc::sync_channel(64);
        read_lines(text, &sender);
        drop(sender);
        receiver.iter().map(|line| (line.number, line.body)).collect()
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let read = lines(b"{}\n\xff\n\n{\"id\":1}");
        assert_eq!(read[0], (1, Ok(Some(json!({})))));
        assert!(read[1].1.is_err());
        assert_eq!((&read[2], &read[3]), (&(3, Ok(None)), &(4, Ok(Some(json!({"id": 1}))))));
    }

    #[test]
    fn a_line_too_long_is_skipped_whole() {
        let text = [vec![b'x'; LINE_BYTES_MAX * 3], b"\n7".to_vec()].concat();
        let read = lines(&text);
        assert!(read[0].1.as_ref().is_err_and(|reason| reason.contains("longer")));
        assert_eq!(read[1], (2, Ok(Some(json!(7)))));
    }
}
