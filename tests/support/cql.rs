//! As much of CQL as a test needs: where the server is, a keyspace that goes when its test does, and one statement at a time.

use std::{
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::skip;

/// The node of tests/cql/cassandra that these tests share: one of their own, so that the keyspaces which the store's tests leave behind
/// do not make every change of the schema slow here.
const NODE: &str = "51";
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// A change of the schema on a busy machine.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Copies of each row, as a single server can have.
const ONE_COPY: &str = "1";

/// Bytes before the body of a frame.
pub const HEADER_BYTES: usize = 9;
pub const REQUEST_V4: u8 = 0x04;
pub const STARTUP: u8 = 0x01;
pub const QUERY: u8 = 0x07;
pub const RESULT: u8 = 0x08;
pub const PREPARE: u8 = 0x09;
pub const EXECUTE: u8 = 0x0a;
const ERROR: u8 = 0x00;
const READY: u8 = 0x02;

/// The server that all tests share: a ScyllaDB or Cassandra that runs, or the one that tests/cql/cassandra started.
pub fn node() -> String {
    env::var("TWINFOLD_TEST_CQL").unwrap_or_else(|_| format!("127.0.0.{NODE}:9042"))
}

/// Whether tests/cql/cassandra says that it runs.
fn is_started() -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/cql/node{NODE}/pid")).exists()
}

/// Whether the tests are to run on it.
pub fn is_chosen() -> bool {
    env::var("TWINFOLD_TEST_STORE").is_ok_and(|store| store == "scylla")
}

/// Whether there is one; when there is none, says that `test` is skipped. Never somebody else's: tests make keyspaces.
pub fn there(test: &str) -> bool {
    let is_ours = env::var_os("TWINFOLD_TEST_CQL").is_some() || is_started();
    let there = is_ours && connect(&node()).is_ok();
    if !there {
        skip(test, "there is no CQL server; tests/cql/cassandra start 51 starts one");
    }
    there
}

/// Whether a test may start and stop nodes of its own.
pub fn own_nodes(test: &str) -> bool {
    let is_given = env::var_os("TWINFOLD_TEST_CQL").is_some();
    if is_given {
        skip(test, "it starts and stops nodes, and TWINFOLD_TEST_CQL is somebody's");
    }
    !is_given && there(test)
}

/// A name nobody else has; what is in it goes when this is dropped.
pub struct Keyspace {
    pub name: String,
    /// Contact points, joined by commas.
    pub nodes: String,
    replication: String,
}

impl Keyspace {
    pub fn new() -> Self {
        Self::on(&node(), ONE_COPY)
    }

    pub fn on(nodes: &str, replication: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("server_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name, nodes: nodes.to_owned(), replication: replication.to_owned() }
    }

    /// What a server that lives in it is told, as in its environment.
    pub fn settings(&self) -> Vec<(String, String)> {
        let told = [
            ("STORE", "scylla"),
            ("SCYLLA__NODES", &self.nodes),
            ("SCYLLA__KEYSPACE", &self.name),
            ("SCYLLA__REPLICATION", &self.replication),
            // Few: a start claims every one of them.
            ("SCYLLA__LOGS", "4"),
        ];
        told.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The same under the names that the environment has for it, beside what else is told.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.settings().into_iter().map(|(name, value)| (format!("TWINFOLD_{name}"), value)).collect()
    }
}

impl Drop for Keyspace {
    /// Thousands of tables that nobody uses any more make every change of the schema slow.
    fn drop(&mut self) {
        let first = self.nodes.split(',').next().unwrap_or_default();
        if let Err(why) = run(first, &format!("DROP KEYSPACE IF EXISTS {}", self.name)) {
            eprintln!("{} stays: {why}", self.name);
        }
    }
}

/// How many rows a SELECT finds, of those that fit into one page.
pub fn count(node: &str, select: &str) -> io::Result<u32> {
    // The kind of the result, the flags and number of columns of what would describe them, then the number of rows.
    let body = run(node, select)?;
    let number = body.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    number.ok_or_else(|| io::Error::other(format!("{select} answers no rows")))
}

/// Runs one statement on a connection of its own; what it answers, not described.
pub fn run(node: &str, statement: &str) -> io::Result<Vec<u8>> {
    let mut stream = connect(node)?;
    // {"CQL_VERSION": "3.0.0"}
    let mut startup = vec![0, 1];
    for text in ["CQL_VERSION", "3.0.0"] {
        startup.extend((text.len() as u16).to_be_bytes());
        startup.extend(text.as_bytes());
    }
    expect(ask(&mut stream, STARTUP, &startup)?, READY)?;
    let mut query = (statement.len() as u32).to_be_bytes().to_vec();
    query.extend(statement.as_bytes());
    // Consistency ONE, and no description of the rows.
    query.extend([0, 1, 2]);
    expect(ask(&mut stream, QUERY, &query)?, RESULT)
}

fn connect(node: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = node.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&address, CONNECT_WAIT_MAX)?;
    stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> io::Result<(u8, Vec<u8>)> {
    let mut frame = vec![REQUEST_V4, 0, 0, 1, opcode];
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(body);
    stream.write_all(&frame)?;
    let (header, body) = read_frame(stream)?;
    Ok((header[4], body))
}

fn expect((opcode, body): (u8, Vec<u8>), wanted: u8) -> io::Result<Vec<u8>> {
    match opcode {
        found if found == wanted => Ok(body),
        ERROR => Err(io::Error::other(String::from_utf8_lossy(&body[6.min(body.len())..]).into_owned())),
        other => Err(io::Error::other(format!("it answered with opcode {other}"))),
    }
}

/// The header of a frame and its body.
pub fn read_frame(stream: &mut impl Read) -> io::Result<([u8; HEADER_BYTES], Vec<u8>)> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize];
    stream.read_exact(&mut body)?;
    Ok((header, body))
}

/// Tells a node that tests/cql/cassandra runs.
pub fn cassandra(verb: &str, node: &str) {
    tell(verb, node, &[]);
}

/// Tells Cassandra's own tool about such a node.
pub fn nodetool(node: &str, arguments: &[&str]) {
    tell("nodetool", node, arguments);
}

fn tell(verb: &str, node: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cql/cassandra");
    let status = Command::new(script).args([verb, node]).args(arguments).env("CASSANDRA_HEAP", "512m").status().unwrap();
    assert!(status.success(), "{verb} {node} {arguments:?}");
}

/// A node of a test's own; ends whatever happens.
pub struct Node(pub &'static str);

impl Node {
    pub fn start(node: &'static str) -> Self {
        let this = Self(node);
        cassandra("start", node);
        this
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        cassandra("kill9", self.0);
    }
}
