//! What can be set on this store. Every bound has its unit in its name.

use std::{fmt, time::Duration};

use crate::Tls;

/// Logs of a keyspace that names no other number when it is created.
pub const LOGS_DEFAULT: u16 = 16;
/// Copies of each row, when the cluster has that many nodes and nothing else is asked for.
pub const REPLICAS_DEFAULT: usize = 3;

/// Settings of a [`crate::ScyllaStore`].
#[derive(Clone)]
pub struct Options {
    /// Contact points, `host` or `host:port`.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// Every connection is encrypted, or none.
    pub tls: Option<Tls>,
    /// Of a keyspace that is created.
    pub replication: Replication,
    /// Of a keyspace that is created: how many logs the journal has. A commit costs a lightweight transaction for each log it touches.
    pub logs: u16,
    /// Chunks of history are written to go away by themselves after this. What retention finds beyond that is deleted.
    pub history_ttl: Option<Duration>,
    /// Bytes of turns that wait for a commit before further appends wait to queue.
    pub queue_bytes_max: usize,
    /// Bytes of committed but unprojected turns kept in memory; older ones are read from the cluster again when needed.
    pub backlog_memory_bytes_max: u64,
    /// Frames after which a log goes on in a new segment.
    pub segment_frames_max: u64,
    /// Bytes of turns after which it does. A segment is a partition, which is best kept below 100 MB.
    pub segment_bytes_max: u64,
    /// Commands that one search by state looks at; its page may be short, and its cursor goes on.
    pub commands_looked_max: usize,
    /// How long an append waits for a cluster in trouble before its caller hears of it.
    pub append_patience: Duration,
    /// How often it is looked whether another process has taken the keyspace over.
    pub watch_every: Duration,
    /// How long a change of the schema waits for all nodes to agree on it.
    pub schema_patience: Duration,
    /// Reads under way at once, and as many writes; those of the journal not counted.
    pub in_flight_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".into()],
            keyspace: "twinfold".into(),
            credentials: None,
            tls: None,
            replication: Replication::AsNodesAllow,
            logs: LOGS_DEFAULT,
            history_ttl: None,
            queue_bytes_max: 32 * 1024 * 1024,
            backlog_memory_bytes_max: 64 * 1024 * 1024,
            segment_frames_max: 4_096,
            segment_bytes_max: 64 * 1024 * 1024,
            commands_looked_max: 10_000,
            append_patience: Duration::from_secs(60),
            watch_every: Duration::from_secs(1),
            schema_patience: Duration::from_secs(30),
            in_flight_max: 128,
        }
    }
}

impl fmt::Debug for Options {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("nodes", &self.nodes).field("keyspace", &self.keyspace).finish_non_exhaustive()
    }
}

/// How many copies of each row a keyspace keeps, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// Three in each data centre, or as many as there are nodes.
    AsNodesAllow,
    /// This many in each data centre.
    Everywhere(usize),
    /// This many in each of these data centres.
    DataCentres(Vec<(String, usize)>),
}

impl Replication {
    /// `3`, or `dc1:3,dc2:2`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a replication; write the number of copies, such as 3, or one for each data centre, such as dc1:3,dc2:2"
            )
        };
        let copies = |text: &str| text.trim().parse().ok().filter(|copies| (1..=16).contains(copies)).ok_or_else(wrong);
        if !text.contains(':') {
            return copies(text).map(Self::Everywhere);
        }
        let centre = |part: &str| {
            let (name, number) = part.split_once(':').ok_or_else(wrong)?;
            let plain = !name.trim().is_empty() && name.trim().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if plain { Ok((name.trim().to_owned(), copies(number)?)) } else { Err(wrong()) }
        };
        text.split(',').map(centre).collect::<Result<_, _>>().map(Self::DataCentres)
    }

    /// As CQL writes it.
    pub(crate) fn map(&self, nodes: usize) -> String {
        let copies = match self {
            Self::AsNodesAllow => format!("'replication_factor': {}", REPLICAS_DEFAULT.min(nodes.max(1))),
            Self::Everywhere(copies) => format!("'replication_factor': {copies}"),
            Self::DataCentres(centres) => centres.iter().map(|(name, copies)| format!("'{name}': {copies}")).collect::<Vec<_>>().join(", "),
        };
        format!("{{'class': 'NetworkTopologyStrategy', {copies}}}")
    }
}

/// Whether `name` can be a keyspace without quotes.
pub fn is_keyspace_name(name: &str) -> bool {
    let first = name.chars().next();
    name.len() <= 48
        && first.is_some_and(|c| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replication_is_a_number_or_one_for_each_data_centre() {
        assert_eq!(Replication::parse("3").unwrap().map(1), "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}");
        assert_eq!(Replication::parse("a:3, b-2:1").unwrap().map(1), "{'class': 'NetworkTopologyStrategy', 'a': 3, 'b-2': 1}");
        assert_eq!(Replication::AsNodesAllow.map(2), "{'class': 'NetworkTopologyStrategy', 'replication_factor': 2}");
        for bad in ["", "0", "17", "x", "a:", ":3", "a:3,", "a':3", "a:3;b:2"] {
            assert!(Replication::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_keyspace_name_needs_no_quotes() {
        assert!(is_keyspace_name("twinfold_2"));
        for bad in ["", "2x", "Twinfold", "a-b", "a b", "\"", &"x".repeat(49)] {
            assert!(!is_keyspace_name(bad), "{bad}");
        }
    }
}
