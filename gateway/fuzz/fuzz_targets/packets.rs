//! Any bytes as a stream of packets, in pieces of any size: never a panic, never a packet larger than allowed, and the
//! same packets however the stream is cut.
#![no_main]

use gateway::wire::{Codec, Version, frame::opening};
use ntex::{codec::Decoder, util::BytesMut};

const PACKET_MAX: u32 = 1024;

fn packets(version: Version, stream: &[u8], piece: usize) -> Vec<String> {
    let codec = Codec::new(version, PACKET_MAX);
    let (mut src, mut out) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(piece) {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(packet)) => {
                    assert!(codec.last_size() <= PACKET_MAX);
                    out.push(format!("{packet:?}"));
                }
                Ok(None) => break,
                Err(_) => {
                    out.push("error".to_owned());
                    return out;
                }
            }
        }
    }
    out
}

libfuzzer_sys::fuzz_target!(|input: (bool, u8, Vec<u8>)| {
    let (v5, piece, stream) = input;
    let version = if v5 { Version::V5 } else { Version::V3 };
    let _ = opening(&stream);
    let whole = packets(version, &stream, stream.len().max(1));
    assert_eq!(packets(version, &stream, usize::from(piece).max(1)), whole);
});
