//! Opens and closes the journal and the two database files together, and ties the parts into a [`Store`].

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use hierarchy_models::TwinId;
use parking_lot::Mutex;
use persistence::{Batch, Error, Journal as JournalTrait, Mark, Origin, Store, StoreStats, Turn, batch, codec};
use rusqlite::Connection;

use crate::{
    EmbeddedIdentities, Options, audit,
    folder::Folder,
    identities,
    journal::Journal,
    projections::{checkpoint_of, state},
    readers::Readers,
    registry,
    writer::Writer,
};

/// The store of one folder.
pub struct EmbeddedStore {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub journal: Journal,
    pub state: Writer,
    pub state_readers: Readers,
    pub identities: Writer,
    pub identity_readers: Readers,
    pub audit: Writer,
    pub audit_readers: Readers,
    /// Dropped last: the folder stays locked until all threads have let go of it.
    folder: Mutex<Option<Folder>>,
}

/// What [`EmbeddedStore::open`] gives. Closing the store closes both; the folder is held until it is closed or both are dropped.
pub struct Opened {
    pub store: Arc<EmbeddedStore>,
    pub identities: Arc<EmbeddedIdentities>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in `dir`, or makes one there. Blocks for as long as it takes to look through the journal and SQLite's logs.
    pub fn open(dir: &Path, options: Options) -> Result<Opened, Error> {
        let folder = Folder::open(dir)?;
        let state = state::open(&folder.file("state.db"), options.state_pages_max)?;
        let identities = identities::open(&folder.file("identities.db"))?;
        let audit = audit::open(&folder.file("audit.db"))?;
        let readers = |name: &str| Readers::new(folder.file(name), options.readers_max);

        let journal = Journal::open(dir, checkpoint_of(&state)?, &options)?;
        let core = Arc::new(Core {
            journal,
            state: Writer::start("twinfold-state", state)?,
            state_readers: readers("state.db"),
            identities: Writer::start("twinfold-identities", identities)?,
            identity_readers: readers("identities.db"),
            audit: Writer::start("twinfold-audit", audit)?,
            audit_readers: readers("audit.db"),
            folder: Mutex::new(Some(folder)),
        });
        let identities = Arc::new(EmbeddedIdentities { core: core.clone() });
        Ok(Opened { store: Arc::new(Self { core }), identities })
    }
}

impl Core {
    fn tail(&self, twin: &TwinId) -> Result<Vec<Turn>, Error> {
        let tail = self.journal.backlog.turns_of(twin)?;
        let mut turns = Vec::new();
        if tail.needs_journal() {
            let view = self.journal.shelf.view()?;
            view.read(tail.after, tail.resident_from, |_, frame| batch::of_twin(twin, &frame, &mut turns).map(|()| true))?;
        }
        turns.extend(tail.found.into_iter().filter(|(id, _)| *id > tail.after).map(|(_, turn)| turn));
        turns.into_iter().map(codec::decode_turn).collect()
    }

    /// Frames after the checkpoint, about `bytes_max` bytes of them, and the id of the last.
    fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Bytes>, u64), Error> {
        let checkpoint = self.journal.backlog.checkpoint();
        let part = self.journal.backlog.frames_after(checkpoint, bytes_max);
        let (mut frames, mut through, mut bytes) = (Vec::new(), checkpoint, 0);
        let mut take = |id: u64, frame: Bytes| {
            if bytes > 0 && bytes + frame.len() > bytes_max {
                return false;
            }
            bytes += frame.len();
            through = id;
            frames.push(frame);
            true
        };
        if part.needs_journal() {
            self.journal.shelf.view()?.read(checkpoint, part.resident_from, |id, frame| Ok(take(id, frame)))?;
        } else {
            part.found.into_iter().all(|(id, frame)| take(id, frame));
        }
        Ok((frames, through))
    }

    fn close(&self) {
        self.journal.close();
        self.state.close();
        self.identities.close();
        self.audit.close();
        [&self.state_readers, &self.identity_readers, &self.audit_readers].into_iter().for_each(Readers::close);
        self.folder.lock().take();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}

/// Work on the journal that may block.
async fn blocking<T: Send + 'static>(core: &Arc<Core>, work: impl FnOnce(&Core) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let core = core.clone();
    let work = tokio::task::spawn_blocking(move || work(&core)).await;
    work.map_err(|e| Error::Unavailable { doing: "reading the journal", detail: e.to_string() })?
}

#[async_trait]
impl JournalTrait for EmbeddedStore {
    async fn append(&self, batch: Batch) -> Result<(), Error> {
        self.core.journal.append(batch).await
    }

    async fn tail(&self, twin: &TwinId) -> Result<Vec<Turn>, Error> {
        let twin = twin.clone();
        blocking(&self.core, move |core| core.tail(&twin)).await
    }

    async fn unprojected(&self, bytes_max: usize) -> Result<(Vec<Turn>, Mark), Error> {
        let (frames, through) = blocking(&self.core, move |core| core.unprojected(bytes_max)).await?;
        let turns = frames.iter().map(batch::decode).collect::<Result<Vec<_>, _>>()?;
        Ok((turns.into_iter().flatten().collect(), Mark(vec![through])))
    }

    fn mark(&self) -> Mark {
        Mark(vec![self.core.journal.backlog.committed()])
    }

    fn backlog_bytes(&self) -> u64 {
        self.core.journal.backlog.bytes()
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    async fn origin(&self, twin: &TwinId) -> Result<Option<Origin>, Error> {
        let twin = twin.clone();
        let read = move |conn: &Connection| {
            let Some(entry) = registry::entry(conn, &twin)? else { return Ok(None) };
            let children = registry::children(conn, &twin)?;
            let snapshot = state::snapshot(conn, twin)?;
            Ok(snapshot.map(|snapshot| Origin { snapshot, path: entry.path, children }))
        };
        self.core.state_readers.run(read).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.core.journal.ready().await?;
        self.core.state.ready().await
    }

    fn stats(&self) -> StoreStats {
        let (frames_committed, turns_committed) = self.core.journal.backlog.counts();
        StoreStats {
            disk_bytes: self.core.folder.lock().as_ref().map_or(0, Folder::bytes),
            frames_committed,
            turns_committed,
            backlog_bytes: self.backlog_bytes(),
        }
    }

    async fn close(&self) -> Result<(), Error> {
        blocking(&self.core, |core| {
            core.close();
            Ok(())
        })
        .await
    }
}
