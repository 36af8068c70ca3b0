//! Appends, failures of the disk, bounds, trims, and readers meanwhile.

use super::*;

const SIZE: usize = 100;

#[test]
fn frames_go_on_over_segments_and_come_back() {
    let place = Place::new();
    let mut segments = place.open(0);
    fill(&mut segments, 50, SIZE);
    assert_eq!(frames(&segments, 0), salted(1..=50, SIZE));
    assert_eq!(frames(&segments, 17), salted(18..=50, SIZE));
    assert!(place.files().len() > 5);
    assert!(place.files().iter().all(|first| place.bytes(*first).len() as u64 <= SMALL.segment_bytes));
    let recovered = place.try_open(20).unwrap();
    assert_eq!(recovered.backlog_bytes, 30 * SIZE as u64);
    assert_eq!(frames(&recovered.segments, 20), salted(21..=50, SIZE));
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own() {
    let place = Place::new();
    let mut segments = place.open(0);
    let sizes = [SIZE, 5_000, SIZE, 1_000, 3_000_000, 1];
    for (id, bytes) in (1..).zip(sizes) {
        assert_eq!(append(&mut segments, id, bytes).unwrap(), id);
    }
    let want: Vec<_> = (1..).zip(sizes).map(|(id, bytes)| (id, data(id, bytes))).collect();
    assert_eq!(frames(&segments, 0), want);
    let mut segments = place.open(0);
    assert_eq!(frames(&segments, 0), want);
    trim(&mut segments, 6);
    fill(&mut segments, 20, SIZE);
    assert!(place.files().iter().all(|first| place.bytes(*first).len() as u64 <= SMALL.segment_bytes), "such a file is not kept");
}

/// A commit that fails for certain after its frame was written.
fn fail(segments: &mut Segments, bytes: usize) {
    let id = segments.next_id();
    segments.failing_syncs = 1;
    assert!(matches!(append(segments, 99, bytes), Err(Error::Full { .. })));
    assert_eq!(segments.next_id(), id);
}

#[test]
fn a_frame_whose_sync_failed_is_replaced_by_the_next_not_followed() {
    for (failed, next) in [(SIZE, SIZE), (300, 10), (10, 300), (10, 900), (900, 10), (5_000, 10), (10, 5_000)] {
        let place = Place::new();
        let mut segments = place.open(0);
        fill(&mut segments, 2, SIZE);
        fail(&mut segments, failed);
        assert_eq!(frames(&place.open(0), 0), salted(1..=2, SIZE), "{failed}: a start does not find it");
        fail(&mut segments, failed);
        assert_eq!(frames(&segments, 0), salted(1..=2, SIZE), "{failed}: nor does a reader");
        append(&mut segments, 3, next).unwrap();
        fill(&mut segments, 4, SIZE);
        let want = [salted(1..=2, SIZE), salted(3..=3, next), salted(4..=4, SIZE)].concat();
        assert_eq!(frames(&segments, 0), want);
        assert_eq!(frames(&place.open(0), 0), want, "{failed}, then {next}");
    }
}

#[test]
fn a_failed_frame_that_did_reach_the_disk_does_not_count_beside_the_one_that_took_its_id() {
    let place = Place::new();
    let mut segments = place.open(0);
    fill(&mut segments, 2, SIZE);
    append(&mut segments, 99, SIZE).unwrap();
    let reached = place.bytes(1);
    drop(segments);
    place.set_bytes(1, &[&reached[..start(3, SIZE)], &vec![0; reached.len() - start(3, SIZE)]].concat());
    let mut segments = place.open(0);
    // Too long for the rest of the segment, so that it stands in the next one.
    append(&mut segments, 3, 900).unwrap();
    place.set_bytes(1, &reached);
    assert_eq!(frames(&place.open(0), 2), salted(3..=3, 900));
}

#[test]
fn the_probe_tries_and_leaves_no_trace() {
    let place = Place::new();
    let mut segments = place.open(0);
    fill(&mut segments, 2, SIZE);
    segments.failing_syncs = 1;
    assert!(segments.probe().is_err());
    segments.probe().unwrap();
    assert_eq!(frames(&place.open(0), 0), salted(1..=2, SIZE));
    fill(&mut segments, 4, SIZE);
    assert_eq!(frames(&place.open(0), 0), salted(1..=4, SIZE));
}

/// Appends until the bound is reached; the last id.
fn fill_up(segments: &mut Segments) -> u64 {
    loop {
        let id = segments.next_id();
        match append(segments, id, SIZE) {
            Ok(_) => {}
            Err(Error::Full { .. }) => return id - 1,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_bound_is_kept_and_trimmed_files_make_room_again() {
    const MAX: u64 = 3_500;
    let place = Place::with(Limits { bytes_max: Some(MAX), ..SMALL });
    let mut segments = place.open(0);
    let mut trimmed = 0;
    for _ in 0..5 {
        let last = fill_up(&mut segments);
        assert!(last >= trimmed + 20, "{last} after {trimmed}");
        assert!(matches!(segments.probe(), Err(Error::Full { .. })));
        let there: u64 = place.files().iter().map(|first| place.bytes(*first).len() as u64).sum();
        assert!(there <= MAX, "{there} bytes");
        assert_eq!(frames(&segments, trimmed), salted(trimmed + 1..=last, SIZE));
        assert_eq!(frames(&place.open(trimmed), trimmed), salted(trimmed + 1..=last, SIZE));
        trim(&mut segments, last);
        trimmed = last;
    }
}

#[test]
fn a_single_file_without_room_begins_anew_when_all_of_it_is_trimmed() {
    let place = Place::with(Limits { bytes_max: Some(600), ..SMALL });
    let mut segments = place.open(0);
    let last = fill_up(&mut segments);
    trim(&mut segments, last - 1);
    assert!(append(&mut segments, 0, SIZE).is_err(), "one frame is still needed");
    trim(&mut segments, last);
    let view = segments.shelf.view().unwrap();
    assert!(append(&mut segments, 0, SIZE).is_err(), "somebody reads it");
    assert_eq!(frames_in(&view, 0).unwrap(), salted(1..=last, SIZE));
    drop(view);
    let again = fill_up(&mut segments);
    assert!(again >= last + 3);
    assert_eq!(place.files(), [last + 1]);
    assert_eq!(frames(&place.open(last), last), salted(last + 1..=again, SIZE));
}

#[test]
fn the_file_of_a_frame_larger_than_a_segment_makes_room_again_too() {
    let place = Place::with(Limits { bytes_max: Some(1_846), ..SMALL });
    let mut segments = place.open(0);
    fill(&mut segments, 1, 1_794);
    assert!(append(&mut segments, 2, SIZE).is_err());
    trim(&mut segments, 1);
    fill(&mut segments, 5, SIZE);
    assert_eq!((place.files(), place.bytes(2).len() as u64), (vec![2], SMALL.segment_bytes), "and gives back what it needed alone");
    assert_eq!(frames(&place.open(1), 1), salted(2..=5, SIZE));
}

#[test]
fn a_reader_sees_what_was_there_when_it_began_whatever_is_trimmed_meanwhile() {
    let place = Place::new();
    let mut segments = place.open(0);
    fill(&mut segments, 30, SIZE);
    let view = segments.shelf.view().unwrap();
    trim(&mut segments, 30);
    fill(&mut segments, 90, SIZE);
    trim(&mut segments, 90);
    fill(&mut segments, 150, SIZE);
    assert_eq!(frames_in(&view, 0).unwrap()[..30], salted(1..=30, SIZE));
}

#[test]
fn a_reader_names_a_frame_that_is_not_what_was_written() {
    let place = Place::new();
    let mut segments = place.open(0);
    fill(&mut segments, 5, SIZE);
    let mut file = place.bytes(1);
    file[start(3, SIZE) + HEAD_BYTES] ^= 1;
    place.set_bytes(1, &file);
    let view = segments.shelf.view().unwrap();
    assert!(matches!(frames_in(&view, 0), Err(Error::Damaged { detail, .. }) if detail.contains("frame 3 in 0000000000000001.log")));
    assert!(view.read_all(0, 3, |_| Ok(())).is_ok());
    assert!(view.read_all(4, 8, |_| Ok(())).is_err(), "what was never there is missed too");
}
