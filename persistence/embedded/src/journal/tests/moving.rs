//! Moving in from `journal.db`, with a crash after every step.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{super::old, *};

const CHECKPOINT: u64 = 4;
const LAST: u64 = 9;

/// The frame's turns must be turns here: how many there are is counted.
fn turns(id: u64) -> Vec<u8> {
    let turn = data(id, 20 + id as usize);
    [&(turn.len() as u32).to_le_bytes()[..], &[0; 2], &turn].concat()
}

/// A folder as an older program left it; frames up to the second were trimmed, up to the fourth projected.
fn old_journal(dir: &Path) -> Connection {
    let conn = Connection::open(dir.join("journal.db")).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch(include_str!("../../../schema/journal_1.sql")).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    for id in 3..=LAST {
        let data = turns(id);
        let row = params![id as i64, 1, crc32fast::hash(&data), data];
        conn.execute("INSERT INTO frame (id, turns, crc, data) VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    }
    conn
}

/// Copies what is in `from`, folders too, as it is at this moment.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::write(to, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

/// Moves in and looks at what is there; the older program's files are gone.
fn moves_in(dir: &Path) -> Segments {
    old::move_in(dir, CHECKPOINT).unwrap();
    let segments = recovery::open(&dir.join("journal"), CHECKPOINT, SMALL).unwrap().segments;
    let want: Vec<_> = (CHECKPOINT + 1..=LAST).map(|id| (id, turns(id))).collect();
    assert_eq!(frames(&segments, CHECKPOINT), want);
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal"]);
    segments
}

#[test]
fn frames_after_the_checkpoint_move_in_and_the_old_file_goes() {
    let dir = tempfile::tempdir().unwrap();
    drop(old_journal(dir.path()));
    let mut segments = moves_in(dir.path());
    assert_eq!(append(&mut segments, 1, 1).unwrap(), LAST + 1);
    drop(segments);
    old::move_in(dir.path(), CHECKPOINT).unwrap();
}

#[test]
fn an_old_journal_without_frames_leaves_its_ids_used_up() {
    let dir = tempfile::tempdir().unwrap();
    old_journal(dir.path()).execute("DELETE FROM frame", []).unwrap();
    old::move_in(dir.path(), LAST).unwrap();
    assert_eq!(recovery::open(&dir.path().join("journal"), LAST, SMALL).unwrap().segments.next_id(), LAST + 1);
}

#[test]
fn a_crash_at_any_step_of_moving_in_loses_nothing_and_the_next_start_repeats_it() {
    let before = tempfile::tempdir().unwrap();
    let live = old_journal(before.path());
    // The older program was killed: its last frames are only in the log beside the file.
    let old = tempfile::tempdir().unwrap();
    copy(before.path(), old.path());
    drop(live);
    assert!(fs::metadata(old.path().join("journal.db-wal")).unwrap().len() > 0);
    let new = tempfile::tempdir().unwrap();
    copy(old.path(), new.path());
    drop(moves_in(new.path()));
    let segment = segment::name(CHECKPOINT + 1);

    // While the copy was made: at every frame of it.
    let whole = fs::read(new.path().join("journal").join(&segment)).unwrap();
    for length in [0, 10, 24, 60, 120, 200, whole.len()] {
        let dir = tempfile::tempdir().unwrap();
        copy(old.path(), dir.path());
        fs::create_dir(dir.path().join("journal.moving")).unwrap();
        fs::write(dir.path().join("journal.moving").join(&segment), &whole[..length]).unwrap();
        // A longer backlog was in more than one file.
        fs::write(dir.path().join("journal.moving").join(segment::name(CHECKPOINT + 3)), &whole).unwrap();
        moves_in(dir.path());
    }
    // After it had its name; then as the old files go, one after another.
    let mut left = ["journal.db", "journal.db-wal", "journal.db-shm"].as_slice();
    while !left.is_empty() {
        let dir = tempfile::tempdir().unwrap();
        copy(&new.path().join("journal"), &dir.path().join("journal"));
        for file in left {
            fs::copy(old.path().join(file), dir.path().join(file)).unwrap();
        }
        moves_in(dir.path());
        left = &left[1..];
    }
}

#[test]
fn an_old_journal_that_goes_further_than_the_new_one_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    drop(old_journal(dir.path()));
    old::move_in(dir.path(), CHECKPOINT).unwrap();
    old_journal(dir.path()).execute("UPDATE frame SET id = id + 1 WHERE id = ?1", [LAST as i64]).unwrap();
    let refused = old::move_in(dir.path(), CHECKPOINT);
    assert!(matches!(&refused, Err(Error::Damaged { detail, .. }) if detail.contains("frame 10")), "{refused:?}");
    assert!(dir.path().join("journal.db").exists());
}

#[test]
fn damage_in_the_old_journal_is_named_and_nothing_moves() {
    for (sql, frame) in [("UPDATE frame SET crc = 0 WHERE id = 7", 7), ("DELETE FROM frame WHERE id = 5", 5)] {
        let dir = tempfile::tempdir().unwrap();
        old_journal(dir.path()).execute(sql, []).unwrap();
        let refused = old::move_in(dir.path(), CHECKPOINT);
        let named = format!("frame {frame} of journal.db");
        assert!(matches!(&refused, Err(Error::Damaged { detail, .. }) if detail.contains(&named)), "{refused:?}");
        assert!(dir.path().join("journal.db").exists() && !dir.path().join("journal").exists());
    }
}
