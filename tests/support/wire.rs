//! The wire between a server and its CQL node, which can lose exactly the answers to transactions, or to those of them that append to the
//! journal: the node has done what was asked, and the server does not hear of it.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::cql::{EXECUTE, PREPARE, RESULT, read_frame};

/// What the statement that appends a frame to the journal begins with.
const APPEND: &[u8] = b"UPDATE journal SET next";
/// What every transaction says, as it is prepared.
const CONDITION: &[u8] = b" IF ";
/// The kind of a result that answers to PREPARE.
const PREPARED: [u8; 4] = [0, 0, 0, 4];

/// Cheap to clone; the wire stays for as long as the process does.
#[derive(Clone)]
pub struct Wire {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    node: String,
    /// Ids of what was prepared.
    appends: Mutex<HashSet<Vec<u8>>>,
    transactions: Mutex<HashSet<Vec<u8>>>,
    of_appends: Loss,
    of_transactions: Loss,
}

/// Of one kind of answers.
#[derive(Default)]
struct Loss {
    /// Of so many one is lost; 0 loses none.
    every: AtomicU64,
    answered: AtomicU64,
    lost: AtomicU64,
}

impl Loss {
    fn is_due(&self) -> bool {
        let (answered, every) = (self.answered.fetch_add(1, Ordering::SeqCst) + 1, self.every.load(Ordering::SeqCst));
        let is_lost = every > 0 && answered.is_multiple_of(every);
        self.lost.fetch_add(u64::from(is_lost), Ordering::SeqCst);
        is_lost
    }
}

/// What is prepared, or run, on a stream of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Append,
    /// Any other.
    Transaction,
}

/// Streams of one connection on which an answer is awaited that matters.
#[derive(Default)]
struct Awaited {
    preparing: HashMap<[u8; 2], Kind>,
    running: HashMap<[u8; 2], Kind>,
}

impl Wire {
    /// At the node's own address and another port: the driver goes where the node says it is, by the port that it was told.
    pub fn to(node: &str) -> Self {
        let there = node.to_socket_addrs().unwrap().next().unwrap();
        let listener = TcpListener::bind((there.ip(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared {
            node: node.to_owned(),
            appends: Mutex::default(),
            transactions: Mutex::default(),
            of_appends: Loss::default(),
            of_transactions: Loss::default(),
        };
        let shared = Arc::new(shared);
        let for_thread = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(node) = TcpStream::connect(&for_thread.node) {
                    join(&for_thread, client, node);
                }
            }
        });
        Self { address, shared }
    }

    /// From now on the answer to every `every`th append is lost; 0 ends it.
    pub fn lose_every(&self, every: u64) {
        self.shared.of_appends.every.store(every, Ordering::SeqCst);
    }

    /// The same of every other transaction: claims, new segments, their sealing, the audit log.
    pub fn lose_every_other_transaction(&self, every: u64) {
        self.shared.of_transactions.every.store(every, Ordering::SeqCst);
    }

    /// Answers to appends that were lost.
    pub fn lost(&self) -> u64 {
        self.shared.of_appends.lost.load(Ordering::SeqCst)
    }

    /// Answers to other transactions that were lost.
    pub fn lost_others(&self) -> u64 {
        self.shared.of_transactions.lost.load(Ordering::SeqCst)
    }
}

fn join(shared: &Arc<Shared>, client: TcpStream, node: TcpStream) {
    let awaited = Arc::<Mutex<Awaited>>::default();
    let ends = || (client.try_clone().unwrap(), node.try_clone().unwrap());
    for stream in [&client, &node] {
        let _ = stream.set_nodelay(true);
    }
    let (up, down) = (ends(), ends());
    let (for_up, for_down) = ((shared.clone(), awaited.clone()), (shared.clone(), awaited));
    thread::spawn(move || carry(up.0, up.1, |header, body| for_up.0.asked(&mut lock(&for_up.1), header, body)));
    thread::spawn(move || carry(down.1, down.0, |header, body| for_down.0.answers(&mut lock(&for_down.1), header, body)));
}

/// Carries frames as long as both ends live; `passes` says which.
fn carry(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8], &[u8]) -> bool) {
    let result: io::Result<()> = (|| {
        loop {
            let (header, body) = read_frame(&mut from)?;
            if passes(&header, &body) {
                to.write_all(&[&header[..], &body].concat())?;
            }
        }
    })();
    drop(result);
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

impl Shared {
    fn asked(&self, awaited: &mut Awaited, header: &[u8], body: &[u8]) -> bool {
        let stream = [header[2], header[3]];
        match header[4] {
            PREPARE => drop(body.get(4..).and_then(kind_of).map(|kind| awaited.preparing.insert(stream, kind))),
            EXECUTE => drop(short_bytes(body).and_then(|id| self.kind(id)).map(|kind| awaited.running.insert(stream, kind))),
            _ => {}
        }
        true
    }

    fn answers(&self, awaited: &mut Awaited, header: &[u8], body: &[u8]) -> bool {
        let stream = [header[2], header[3]];
        if let Some(kind) = awaited.preparing.remove(&stream)
            && header[4] == RESULT
            && body.starts_with(&PREPARED)
        {
            lock(self.ids(kind)).extend(short_bytes(&body[PREPARED.len()..]).map(<[u8]>::to_vec));
        }
        match awaited.running.remove(&stream) {
            Some(Kind::Append) => !self.of_appends.is_due(),
            Some(Kind::Transaction) => !self.of_transactions.is_due(),
            None => true,
        }
    }

    fn ids(&self, kind: Kind) -> &Mutex<HashSet<Vec<u8>>> {
        if kind == Kind::Append { &self.appends } else { &self.transactions }
    }

    /// Of what was prepared with this id.
    fn kind(&self, id: &[u8]) -> Option<Kind> {
        [Kind::Append, Kind::Transaction].into_iter().find(|kind| lock(self.ids(*kind)).contains(id))
    }
}

fn kind_of(text: &[u8]) -> Option<Kind> {
    if text.starts_with(APPEND) {
        return Some(Kind::Append);
    }
    text.windows(CONDITION.len()).any(|part| part == CONDITION).then_some(Kind::Transaction)
}

/// Bytes behind their own length in two bytes.
fn short_bytes(body: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes([*body.first()?, *body.get(1)?]);
    body.get(2..2 + usize::from(length))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
