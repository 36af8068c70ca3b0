//! The last frame was not written whole.

use super::*;

/// Three frames of this size were written, of which the third is torn.
const SIZE: usize = 60;

/// Opens a journal whose last frame was changed by `tear`, then writes another third frame of `bytes` and a fourth.
fn torn(tear: &dyn Fn(&mut [u8]), bytes: usize) {
    let place = Place::new();
    fill(&mut place.open(0), 3, SIZE);
    let mut file = place.bytes(1);
    tear(&mut file[start(3, SIZE)..start(4, SIZE)]);
    place.set_bytes(1, &file);

    let mut segments = place.open(0);
    assert_eq!(segments.next_id(), 3, "what was torn is not there");
    assert_eq!(frames(&segments, 0), salted(1..=2, SIZE));
    assert_eq!(append(&mut segments, 33, bytes).unwrap(), 3);
    let mut segments = place.open(0);
    let third = [salted(1..=2, SIZE), vec![(3, data(33, bytes))]].concat();
    assert_eq!(frames(&segments, 0), third, "what is left of the torn one confuses nobody");
    assert_eq!(append(&mut segments, 44, SIZE).unwrap(), 4);
    let segments = place.open(0);
    assert_eq!(frames(&segments, 0), [third, vec![(4, data(44, SIZE))]].concat());
}

#[test]
fn a_frame_torn_at_any_byte_is_cut_off_and_its_place_used_again() {
    for cut in 0..HEAD_BYTES + SIZE {
        for bytes in [10, SIZE, 200] {
            torn(&|frame| frame[cut..].fill(0), bytes);
        }
    }
}

#[test]
fn a_frame_of_which_only_the_end_was_written_is_cut_off() {
    for cut in 1..HEAD_BYTES + SIZE {
        torn(&|frame| frame[..cut].fill(0), 20);
    }
}

#[test]
fn a_tear_again_at_the_same_place_is_cut_off_again() {
    let place = Place::new();
    fill(&mut place.open(0), 2, SIZE);
    for (salt, bytes) in [(7, 300), (8, 200), (9, 100), (10, 20)] {
        let mut segments = place.open(0);
        append(&mut segments, salt, bytes).unwrap();
        drop(segments);
        let mut file = place.bytes(1);
        // The last byte of its turns, which are never zero.
        file[start(3, SIZE) + HEAD_BYTES + bytes - 1] = 0;
        place.set_bytes(1, &file);
        assert_eq!(place.open(0).next_id(), 3);
    }
    let mut segments = place.open(0);
    fill(&mut segments, 5, 5);
    assert_eq!(frames(&place.open(0), 2), salted(3..=5, 5));
}

#[test]
fn a_file_that_was_not_yet_made_long_enough_is_no_damage() {
    let place = Place::new();
    fill(&mut place.open(0), 3, SIZE);
    for length in start(3, SIZE)..start(4, SIZE) {
        let place = Place::new();
        fill(&mut place.open(0), 3, SIZE);
        let file = place.bytes(1);
        place.set_bytes(1, &file[..length]);
        let mut segments = place.open(0);
        fill(&mut segments, 4, SIZE);
        assert_eq!(frames(&place.open(0), 0), salted(1..=4, SIZE));
    }
}

#[test]
fn a_payload_that_looks_like_a_frame_of_another_file_is_none() {
    let other = Place::new();
    fill(&mut other.open(0), 9, 5);
    let forged = other.bytes(1)[start(4, 5)..].to_vec();
    let place = Place::new();
    fill(&mut place.open(0), 2, SIZE);
    let mut segments = place.open(0);
    segments.append(1, &mut [vec![0; HEAD_BYTES], forged].concat()).unwrap();
    let mut file = place.bytes(1);
    file[start(3, SIZE)] ^= 1;
    place.set_bytes(1, &file);
    assert_eq!(place.open(0).next_id(), 3, "torn, and the frames in its payload are no proof of damage");
}
