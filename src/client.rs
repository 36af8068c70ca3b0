//! Everyday work from a terminal, against the HTTP API: what `twinfold twin …`, `command …`, `watch`, `token`, `import` do.
//!
//! Nothing here knows the server's code: a client of another language could do the same.

mod command;
pub mod http;
mod import;
mod rest;
mod sse;
pub mod table;
mod token;
mod twin;
mod watch;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::Value;

pub use command::CommandAction;
pub use import::Import;
pub use token::TokenAction;
pub use twin::TwinAction;
pub use watch::Watch;

use crate::app::ADMIN_TOKEN_FILE;
use http::{Api, ClientError};
use rest::rest;

const URL_DEFAULT: &str = "http://127.0.0.1:8080";
const DATA_DIR_DEFAULT: &str = "./twinfold-data";

/// Where the server is and who is calling.
#[derive(Debug, Args)]
pub struct Server {
    /// The server [environment: TWINFOLD_URL; default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The key to call with [environment: TWINFOLD_TOKEN; default: the one in DATA_DIR/admin-token]
    #[arg(long, global = true, value_name = "KEY")]
    token: Option<String>,
    /// Where the server keeps its data, to find the administrator's key [environment: TWINFOLD_DATA_DIR; default: ./twinfold-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Authorities (PEM) of a server with HTTPS that no public one vouches for [environment: TWINFOLD_CA]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    json: bool,
}

impl Server {
    pub fn api(&self) -> Result<Api, ClientError> {
        let url = self.url.clone().or_else(|| env("TWINFOLD_URL")).unwrap_or_else(|| URL_DEFAULT.to_owned());
        let ca = self.ca.clone().or_else(|| env("TWINFOLD_CA").map(PathBuf::from));
        Api::new(&url, &self.key()?, ca.as_deref())
    }

    fn key(&self) -> Result<String, ClientError> {
        if let Some(token) = self.token.clone().or_else(|| env("TWINFOLD_TOKEN")) {
            return Ok(token);
        }
        let dir = self.data_dir.clone().or_else(|| env("TWINFOLD_DATA_DIR").map(PathBuf::from)).unwrap_or_else(|| DATA_DIR_DEFAULT.into());
        let path = dir.join(ADMIN_TOKEN_FILE);
        let text = fs::read_to_string(&path).map_err(|e| no_key(&path, &e))?;
        Ok(text.trim().to_owned())
    }

    /// Prints the answer: as JSON when asked for, else as `human` puts it.
    fn print(&self, answer: &Value, human: impl FnOnce(&Value) -> String) -> Result<(), ClientError> {
        print(&if self.json { pretty(answer) } else { human(answer) })
    }
}

fn no_key(path: &Path, error: &io::Error) -> ClientError {
    ClientError::Usage(format!(
        "no key to call with: {} cannot be read ({error}). Give --token, TWINFOLD_TOKEN, or the server's --data-dir",
        path.display()
    ))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes to standard output. When its reader went away, as `head` does, there is nothing left to do and nothing to say.
fn print(text: &str) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|error| ClientError::Usage(format!("standard output: {error}"))),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The member at a JSON pointer as text for people; `-` when it is missing.
fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_f64().filter(|_| number.is_f64()).map_or_else(|| number.to_string(), short),
        Some(other) => other.to_string(),
    }
}

/// A measured number without the noise of its last binary digits.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    if number.abs() >= 0.001 { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number.to_string() }
}

fn items(answer: &Value) -> &[Value] {
    answer.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Rows of a list answer, with a word on how to go on when there is more.
fn listing(head: &[&str], pointers: &[&str], answer: &Value) -> String {
    let rows: Vec<Vec<String>> = items(answer).iter().map(|item| pointers.iter().map(|p| text_at(item, p)).collect()).collect();
    let mut text = table::table(head, &rows);
    if let Some(cursor) = answer.get("cursor").and_then(Value::as_str) {
        text.push_str(&format!("there is more: --cursor {}\n", table::clean(cursor)));
    }
    text
}

/// JSON given on the command line; `@FILE` reads it from a file.
fn json_argument(text: &str) -> Result<Value, String> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
            &read
        }
        None => text,
    };
    serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))
}

/// Seconds, as `60` or with a unit, as `2m`.
fn seconds_argument(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => crate::config::value::duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_without_binary_noise() {
        assert_eq!(
            (short(21.499999999), short(3.0), short(0.0), short(0.00001)),
            ("21.5".into(), "3".into(), "0".into(), "0.00001".into())
        );
        assert_eq!(text_at(&serde_json::json!({"a": {"b": 9007199254740993u64}}), "/a/b"), "9007199254740993");
    }

    #[test]
    fn a_list_says_how_to_go_on() {
        let answer = serde_json::json!({"items": [{"id": "a"}], "cursor": "c"});
        assert_eq!(listing(&["ID"], &["/id"], &answer), "ID\na\nthere is more: --cursor c\n");
    }

    #[test]
    fn seconds_may_have_a_unit() {
        assert_eq!(seconds_argument("60"), Ok(Duration::from_secs(60)));
        assert_eq!(seconds_argument("2m"), Ok(Duration::from_secs(120)));
        assert!(seconds_argument("soon").is_err());
    }
}
