//! The text of a document that is being written: pieces, strings, numbers.

use std::io;

use serde_json::{
    Error,
    ser::{CompactFormatter, Formatter},
};

/// Bytes of a number at most: `-2.2250738585072014e-308`.
const FLOAT_BYTES_MAX: usize = 24;

pub struct Text {
    bytes: Vec<u8>,
    float: Float,
}

/// The float that was written last. The figures of one device are the same number five times over.
struct Float {
    bits: u64,
    text: [u8; FLOAT_BYTES_MAX],
    /// 0: there was none.
    len: usize,
}

impl Text {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), float: Float { bits: 0, text: [0; FLOAT_BYTES_MAX], len: 0 } }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub fn put(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// A string in quotes.
    #[inline]
    pub fn string(&mut self, string: &str) -> Result<(), Error> {
        if !is_plain(string.as_bytes()) {
            return serde_json::to_writer(self, string);
        }
        self.bytes.reserve(string.len() + 2);
        self.put(b"\"");
        self.put(string.as_bytes());
        self.put(b"\"");
        Ok(())
    }

    /// Puts quotes around what was written from `start` on.
    pub fn quote_from(&mut self, start: usize) {
        self.bytes.insert(start, b'"');
        self.put(b"\"");
    }

    #[inline]
    pub fn float(&mut self, value: f64) -> Result<(), Error> {
        if !value.is_finite() {
            self.put(b"null");
            return Ok(());
        }
        if self.float.len == 0 || self.float.bits != value.to_bits() {
            let mut rest = &mut self.float.text[..];
            CompactFormatter.write_f64(&mut rest, value).map_err(Error::io)?;
            self.float.len = FLOAT_BYTES_MAX - rest.len();
            self.float.bits = value.to_bits();
        }
        self.bytes.extend_from_slice(&self.float.text[..self.float.len]);
        Ok(())
    }
}

impl io::Write for Text {
    #[inline]
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.put(piece);
        Ok(piece.len())
    }

    #[inline]
    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        self.put(piece);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether nothing in it must be escaped: no control character, quote or backslash. Eight bytes at a time, the last eight again.
#[inline]
fn is_plain(string: &[u8]) -> bool {
    match string.last_chunk::<8>() {
        Some(last) => string.as_chunks::<8>().0.iter().fold(escapes(*last), |found, word| found | escapes(*word)) == 0,
        None => !string.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')),
    }
}

/// Not 0 when one of the bytes must be escaped: the highest bit of `x - n` is set where a byte below 128 is below n, and
/// `x ^ c` is 0, so below 1, where it is c. A borrow can make a byte above a hit look like one; a hit it is all the same.
#[inline]
fn escapes(word: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_le_bytes(word);
    let below = |bytes: u64, bound: u64| bytes.wrapping_sub(EACH * bound) & !bytes;
    let is = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
    (below(bytes, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_must_be_escaped_is_found_wherever_it_stands() {
        for byte in 0..=0x7f_u8 {
            let must = byte < 0x20 || byte == b'"' || byte == b'\\';
            for len in 1..20 {
                for at in 0..len {
                    for around in [b' ', b'~', b'!', 0x80, 0xff] {
                        let mut text = vec![around; len];
                        text[at] = byte;
                        assert_eq!(is_plain(&text), !must, "{byte} at {at} of {len} among {around}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_becomes_a_name() {
        let mut text = Text::with_capacity(0);
        text.put(b"{");
        text.put(b"-17");
        text.quote_from(1);
        assert_eq!(text.into_bytes(), b"{\"-17\"");
    }
}
