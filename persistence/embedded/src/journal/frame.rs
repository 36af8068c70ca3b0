//! A frame as it lies in a segment: a head of fixed size, then the turns of one group commit.
//!
//! `mark u64, id u64, length u32, turns u32, crc u32`, little endian; `crc` is the CRC-32 of all before it and of the turns.
//! Instead of a constant a frame begins with its segment's own *mark*, sixty-four bits that no device knows: nothing a device
//! puts into its payloads can be taken for a frame, and neither can what an earlier life of the file left behind.

/// Bytes before the turns.
pub const HEAD_BYTES: usize = 28;
const CRC_AT: usize = 24;

/// A frame that is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub id: u64,
    /// Of the head and the turns.
    pub bytes: usize,
}

/// Fills in the head, for which the first [`HEAD_BYTES`] of `frame` were kept free.
pub fn seal(frame: &mut [u8], mark: u64, id: u64, turns: u32) {
    let length = (frame.len() - HEAD_BYTES) as u32;
    frame[..8].copy_from_slice(&mark.to_le_bytes());
    frame[8..16].copy_from_slice(&id.to_le_bytes());
    frame[16..20].copy_from_slice(&length.to_le_bytes());
    frame[20..CRC_AT].copy_from_slice(&turns.to_le_bytes());
    let crc = checksum(frame);
    frame[CRC_AT..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(frame: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame[..CRC_AT]);
    crc.update(&frame[HEAD_BYTES..]);
    crc.finalize()
}

/// The whole frame of this mark that `bytes` begin with, if they do.
pub fn parse(bytes: &[u8], mark: u64) -> Option<Found> {
    if !bytes.starts_with(&mark.to_le_bytes()) {
        return None;
    }
    let id = u64::from_le_bytes(field(bytes, 8)?);
    let length = u32::from_le_bytes(field(bytes, 16)?) as usize;
    let crc = u32::from_le_bytes(field(bytes, CRC_AT)?);
    let frame = bytes.get(..HEAD_BYTES.checked_add(length)?)?;
    (checksum(frame) == crc).then_some(Found { id, bytes: frame.len() })
}

/// The first whole frame of this mark that begins anywhere in `bytes`.
pub fn find(bytes: &[u8], mark: u64) -> Option<Found> {
    let mark_bytes = mark.to_le_bytes();
    let begins = bytes.windows(mark_bytes.len()).enumerate().filter(|(_, window)| *window == mark_bytes);
    begins.into_iter().find_map(|(at, _)| parse(&bytes[at..], mark))
}

/// `N` bytes at a place, when they are there.
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(data: &[u8], mark: u64, id: u64) -> Vec<u8> {
        let mut frame = [&[0; HEAD_BYTES], data].concat();
        seal(&mut frame, mark, id, 3);
        frame
    }

    #[test]
    fn a_frame_of_which_any_bit_changed_or_any_byte_is_missing_is_none() {
        let frame = sealed(b"turns of a frame", 77, 5);
        assert_eq!(parse(&frame, 77), Some(Found { id: 5, bytes: frame.len() }));
        assert_eq!(parse(&frame, 78), None);
        for cut in 0..frame.len() {
            assert_eq!(parse(&frame[..cut], 77), None, "cut at {cut}");
        }
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped, 77), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_is_found_wherever_it_begins_and_one_in_a_payload_of_another_mark_is_not() {
        let inner = sealed(b"inside", 1, 9);
        let outer = sealed(&inner, 2, 4);
        assert_eq!(find(&outer[1..], 2), None);
        assert_eq!(find(&[&[0; 13], &outer[..]].concat(), 2).map(|f| f.id), Some(4));
        let broken = [&2u64.to_le_bytes()[..], &outer].concat();
        assert_eq!(find(&broken, 2).map(|f| f.id), Some(4), "a mark alone does not end the search");
    }
}
