//! Starts: damage is named, never cut off; files that were used before are told apart from new frames.

use super::*;

const SIZE: usize = 100;

#[test]
fn a_bit_that_changed_anywhere_before_the_last_frame_is_damage() {
    let place = Place::new();
    fill(&mut place.open(0), 4, SIZE);
    let whole = place.bytes(1);
    for at in start(1, SIZE)..start(4, SIZE) {
        let mut file = whole.clone();
        file[at] ^= 0x10;
        place.set_bytes(1, &file);
        let detail = place.damage(0);
        let frame = (at - start(1, SIZE)) / (HEAD_BYTES + SIZE) + 1;
        assert!(detail.contains(&format!("frame {frame} in 0000000000000001.log")), "byte {at}: {detail}");
    }
}

#[test]
fn a_frame_that_was_left_out_is_missed() {
    let place = Place::new();
    fill(&mut place.open(0), 4, SIZE);
    let file = place.bytes(1);
    for left_out in 1..=3 {
        place.set_bytes(1, &[&file[..start(left_out, SIZE)], &file[start(left_out + 1, SIZE)..]].concat());
        assert!(place.damage(0).contains(&format!("frame {left_out} in")), "the frames behind it are whole, and are not renumbered");
    }
}

#[test]
fn damage_in_a_segment_that_another_follows_is_found_up_to_its_last_frame() {
    let place = Place::new();
    fill(&mut place.open(0), 20, SIZE);
    let second = place.files()[1];
    let mut file = place.bytes(1);
    file[start(second as usize, SIZE) - 1] ^= 1;
    place.set_bytes(1, &file);
    let detail = place.damage(0);
    assert!(detail.contains(&format!("frame {} in 0000000000000001.log", second - 1)), "{detail}");
    assert_eq!(frames(&place.open(second - 1), 0), salted(second..=20, SIZE), "what the checkpoint covers is not needed");
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    for lost in 0..3 {
        let place = Place::new();
        fill(&mut place.open(0), 20, SIZE);
        let files = place.files();
        fs::remove_file(segment::path(&place.folder(), files[lost])).unwrap();
        let missed = if lost == 0 { "has frame 1".into() } else { format!("frame {} in", files[lost]) };
        // The last one could never have been there, unless the checkpoint knows better.
        if lost == files.len() - 1 {
            place.open(0);
        }
        let detail = place.damage(if lost == files.len() - 1 { 20 } else { 0 });
        assert!(detail.contains(&missed), "{detail}");
    }
}

#[test]
fn an_end_before_the_checkpoint_is_damage() {
    let place = Place::new();
    fill(&mut place.open(0), 3, SIZE);
    assert_eq!(place.open(3).next_id(), 4);
    assert!(place.damage(4).contains("frame 4 in 0000000000000001.log is not whole"));
    let nothing = Place::new();
    assert!(nothing.damage(5).contains("has frame 6"), "a journal that is gone is not made anew");
}

#[test]
fn a_header_is_checked_and_a_newer_form_left_alone() {
    let place = Place::new();
    fill(&mut place.open(0), 1, SIZE);
    let whole = place.bytes(1);
    for at in 0..HEADER_BYTES as usize {
        let mut file = whole.clone();
        file[at] ^= 1;
        place.set_bytes(1, &file);
        assert!(place.damage(0).contains("its header"), "byte {at}");
    }
    place.set_bytes(1, &whole[..HEADER_BYTES as usize - 1]);
    assert!(place.damage(0).contains("is cut off"));
    let mut newer = whole.clone();
    newer[8] = 99;
    let crc = crc32fast::hash(&newer[..20]);
    newer[20..24].copy_from_slice(&crc.to_le_bytes());
    place.set_bytes(1, &newer);
    assert!(matches!(place.try_open(0), Err(Error::TooNew { found: 99, known: 1 })));
}

/// A journal whose last file had a former life: segments 1 and so on were trimmed, and the first of them is used again.
fn recycled(place: &Place) -> Segments {
    let mut segments = place.open(0);
    fill(&mut segments, 14, SIZE);
    assert_eq!(place.files(), [1, 8]);
    trim(&mut segments, 14);
    fill(&mut segments, 15, SIZE);
    assert_eq!(place.files(), [8, 15], "the file of 1 is the file of 15 now");
    segments
}

#[test]
fn frames_of_a_former_life_are_never_taken_for_new_ones() {
    let place = Place::new();
    let mut segments = recycled(&place);
    let file = place.bytes(15);
    let behind = &file[start(2, SIZE)..];
    let turns = data(3, SIZE);
    assert!(behind.windows(SIZE).any(|window| window == turns), "the old frames do stand behind the new one");
    assert_eq!(frames(&place.open(14), 14), salted(15..=15, SIZE));
    for last in 16..=21 {
        fill(&mut segments, last, SIZE);
        assert_eq!(frames(&place.open(14), 14), salted(15..=last, SIZE));
    }
}

#[test]
fn a_tear_and_damage_are_seen_in_a_file_of_a_former_life_too() {
    let place = Place::new();
    fill(&mut recycled(&place), 17, SIZE);
    let whole = place.bytes(15);
    let change = |at: usize| {
        let mut file = whole.clone();
        file[at] ^= 1;
        place.set_bytes(15, &file);
    };
    for at in start(3, SIZE)..start(4, SIZE) {
        change(at);
        assert_eq!(frames(&place.open(14), 14), salted(15..=16, SIZE), "byte {at}: only the last is cut off");
    }
    for at in start(2, SIZE)..start(3, SIZE) {
        change(at);
        assert!(place.damage(14).contains("frame 16 in"), "byte {at}");
    }
}

#[test]
fn a_crash_between_the_renaming_and_the_first_frame_loses_nothing() {
    let place = Place::new();
    let mut segments = recycled(&place);
    fill(&mut segments, 21, SIZE);
    trim(&mut segments, 14);
    segments.failing_syncs = 1;
    assert!(append(&mut segments, 0, SIZE).is_err());
    drop(segments);
    assert_eq!(place.files(), [15, 22], "the next file has its name already");
    let mut segments = place.open(20);
    assert_eq!(frames(&segments, 20), salted(21..=21, SIZE));
    fill(&mut segments, 23, SIZE);
    assert_eq!(frames(&place.open(20), 20), salted(21..=23, SIZE));
    assert_eq!(frames(&place.open(23), 20), salted(22..=23, SIZE));
}

#[test]
fn a_file_without_its_name_yet_is_of_no_meaning() {
    let place = Place::new();
    fill(&mut place.open(0), 2, SIZE);
    fs::write(place.folder().join(segment::UNFINISHED), b"TWIN").unwrap();
    assert_eq!(frames(&place.open(0), 0), salted(1..=2, SIZE));
    assert_eq!(place.files(), [1]);
}

#[test]
fn needless_files_are_kept_for_use_up_to_a_bound() {
    let place = Place::new();
    fill(&mut place.open(0), 70, SIZE);
    assert_eq!(place.files().len(), 10);
    assert_eq!(frames(&place.open(70), 63), salted(64..=70, SIZE));
    assert_eq!(place.files(), [1, 8, 15, 22, 64], "four spares and the last");
    fs::write(segment::path(&place.folder(), 8), b"nothing").unwrap();
    let mut segments = place.open(70);
    fill(&mut segments, 77, SIZE);
    assert_eq!(frames(&place.open(70), 70), salted(71..=77, SIZE), "a spare is used only when its header is whole");
    assert!(!place.files().contains(&8));
}
