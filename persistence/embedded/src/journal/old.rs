//! Moves in from `journal.db`, which held the frames as rows of SQLite before they had files of their own.
//!
//! The copy is made in a folder of another name, synced, and renamed; only then `journal.db` goes, and its log after it, without
//! which it would be an older one. A crash at any point leaves either the old journal whole or the new one.

use std::{fs, io, path::Path};

use persistence::{Error, batch};
use rusqlite::{Connection, params};

use super::{
    frame::HEAD_BYTES,
    recovery::{self, Recovered},
    segments::Limits,
};
use crate::{
    files::{failed, sync_folder},
    sqlite::{self, Migrations, doing},
};

const MOVING: &str = "moving in from journal.db";
const MIGRATIONS: Migrations = &[include_str!("../../schema/journal_1.sql")];
const FILE: &str = "journal.db";
/// What SQLite keeps beside it.
const FILE_AND_SIDES: [&str; 3] = [FILE, "journal.db-wal", "journal.db-shm"];
const FOLDER: &str = "journal";
const FOLDER_UNDER_WAY: &str = "journal.moving";

/// When there is a `journal.db` in `dir`, the frames after `checkpoint` are in the folder `journal` afterwards, and it is gone.
pub fn move_in(dir: &Path, checkpoint: u64) -> Result<(), Error> {
    if dir.join(FILE).exists() {
        let conn = sqlite::open(&dir.join(FILE), MIGRATIONS)?;
        if !dir.join(FOLDER).exists() {
            copy(&conn, dir, checkpoint)?;
        }
        // It may be a copy whose rename was the last thing before a crash, so look before the old one goes.
        check_covered(&conn, dir, checkpoint)?;
    }
    for file in FILE_AND_SIDES {
        if remove(&dir.join(file), |path| fs::remove_file(path))? {
            sync_folder(dir)?;
        }
    }
    remove(&dir.join(FOLDER_UNDER_WAY), |path| fs::remove_dir_all(path)).map(drop)
}

fn copy(conn: &Connection, dir: &Path, checkpoint: u64) -> Result<(), Error> {
    let under_way = dir.join(FOLDER_UNDER_WAY);
    remove(&under_way, |path| fs::remove_dir_all(path))?;
    recovery::make(&under_way, checkpoint + 1)?;
    let Recovered { mut segments, .. } = recovery::open(&under_way, checkpoint, Limits::bounded(None))?;
    let mut frame = Vec::new();
    each_frame(conn, checkpoint, |data| {
        frame.clear();
        frame.resize(HEAD_BYTES, 0);
        frame.extend_from_slice(data);
        let turns = batch::turn_slices(data).try_fold(0, |turns, turn| turn.map(|_| turns + 1))?;
        segments.append(turns, &mut frame).map(drop)
    })?;
    drop(segments);
    fs::rename(&under_way, dir.join(FOLDER)).map_err(failed(MOVING, &under_way))?;
    sync_folder(dir)
}

/// Whether the new journal reaches as far as the old one does.
fn check_covered(conn: &Connection, dir: &Path, checkpoint: u64) -> Result<(), Error> {
    let last = conn.query_row("SELECT coalesce(max(id), 0) FROM frame", [], |row| row.get::<_, i64>(0)).map_err(doing(MOVING))? as u64;
    let there = recovery::open(&dir.join(FOLDER), checkpoint, Limits::bounded(None))?.segments.next_id() - 1;
    if last > there {
        let detail = format!("{FILE} has frame {last}, the folder {FOLDER} ends with frame {there}: only one of them can be the journal");
        return Err(Error::Damaged { doing: MOVING, detail });
    }
    Ok(())
}

/// Every frame after the checkpoint, checked against its checksum; none may be missing.
fn each_frame(conn: &Connection, checkpoint: u64, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let doing = doing(MOVING);
    let mut select = conn.prepare("SELECT id, crc, data FROM frame WHERE id > ?1 ORDER BY id").map_err(&doing)?;
    let mut rows = select.query(params![checkpoint as i64]).map_err(&doing)?;
    let mut next = checkpoint + 1;
    while let Some(row) = rows.next().map_err(&doing)? {
        let (id, crc): (i64, u32) = (row.get(0).map_err(&doing)?, row.get(1).map_err(&doing)?);
        let data = row.get_ref(2).and_then(|v| Ok(v.as_blob()?)).map_err(&doing)?;
        let damaged = |id, what| Error::Damaged { doing: MOVING, detail: format!("frame {id} of {FILE} {what}") };
        if id as u64 != next {
            return Err(damaged(next, "is missing"));
        }
        if crc32fast::hash(data) != crc {
            return Err(damaged(next, "does not match its checksum"));
        }
        each(data)?;
        next += 1;
    }
    Ok(())
}

/// Whether it was there.
fn remove(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<bool, Error> {
    match remove(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true).map_err(failed(MOVING, path)),
    }
}
