//! A client of the HTTP interface on one kept-alive connection, which does no more than it must.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest that a server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length: ";

pub struct Reader {
    socket: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Reader {
    /// A reader of one address.
    pub fn connect(server: SocketAddr, key: &str, path: &str) -> Self {
        let socket = TcpStream::connect(server).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n").into_bytes();
        Self { socket, request, answer: vec![0; ANSWER_BYTES_MAX] }
    }

    /// Asks once and takes the whole answer, which must be a good one; the bytes of its body.
    pub fn read(&mut self) -> usize {
        self.socket.write_all(&self.request).unwrap();
        let mut came = 0;
        loop {
            let more = self.socket.read(&mut self.answer[came..]).unwrap();
            assert_ne!(more, 0, "the server hung up, or an answer is longer than {ANSWER_BYTES_MAX} bytes");
            came += more;
            if let Some((head, body)) = ends(&self.answer[..came])
                && came == head + body
            {
                assert!(self.answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&self.answer[..head]));
                return body;
            }
        }
    }
}

/// The bytes of an answer's head and body, once its head is there.
fn ends(answer: &[u8]) -> Option<(usize, usize)> {
    let find = |wanted: &[u8]| answer.windows(wanted.len()).position(|here| here == wanted);
    let head = find(END_OF_HEAD)? + END_OF_HEAD.len();
    let digits = answer[find(LENGTH)? + LENGTH.len()..].iter().take_while(|b| b.is_ascii_digit());
    Some((head, digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))))
}
