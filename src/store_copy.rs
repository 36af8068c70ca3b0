//! Moving house: everything of one store into another, whichever they are, verified by count and hash.
//!
//! A copy may be stopped and begun again: what the other side holds of a twin's events is always the beginning of them, so a
//! second run appends the rest, and passes by what is the same. The old server may have run on in between: what the old store has
//! no more goes from the new one too, keys before all. So a copy begins in an empty store, and leaves a mark there; without it, or
//! once a server has run on it, a store that holds anything is left alone. Nobody may use either store meanwhile. Not copied: the
//! history of twins that are not registered any more, which no list of a store names.

mod audit;
mod remove;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::{StreamExt, TryStreamExt, stream};
use hierarchy_models::{Command, TwinId};
use persistence::{
    Batch, COPY_KIND, CommandQuery, Document, Error as StoreError, EventQuery, Identity, LoggedEvent, Page, Projection, RegistryQuery,
    RegistryRow, Snapshot, codec,
};

use crate::app::Opened;

/// The document that a copy leaves.
const MARK: &str = "begun";
/// Rows asked for at once.
const PAGE: usize = 1_000;
/// Twins on their way at once.
const TWINS_AT_ONCE: usize = 8;

/// Why a copy stopped. Each is one clear line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("reading the old store: {0}")]
    From(#[source] StoreError),
    #[error("writing the new store: {0}")]
    To(#[source] StoreError),
    #[error("the old store holds events that are not projected; start a server on it once, and stop it")]
    Unprojected,
    #[error("the new store holds other events of {0} than the old one; give it an empty one, or one that a copy was begun in")]
    NotACopy(TwinId),
    #[error("the new store holds {0} that no copy has put there, or that a server has used since; give it an empty one")]
    NotEmpty(&'static str),
    #[error("{0} does not read back as it was written")]
    Differs(TwinId),
    #[error("the {kind} {id} does not read back as it was written")]
    DocumentDiffers { kind: &'static str, id: String },
    #[error("the new store's audit log is not the beginning of the old one's: they part at record {0}")]
    OtherAudit(u64),
    #[error("the old store has {from} {what} and the new one {to}: somebody uses one of them")]
    Counts { what: &'static str, from: u64, to: u64 },
}

/// What was copied or found copied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub twins: u64,
    /// Of those, the ones that needed nothing.
    pub twins_found: u64,
    pub events: u64,
    pub identities: u64,
    pub documents: u64,
    pub audit_records: u64,
    /// Twins, identities and documents of the new store that the old one had no more.
    pub removed: u64,
}

/// A twin as one store has it.
#[derive(Debug, PartialEq)]
struct Twin {
    row: Option<RegistryRow>,
    snapshot: Option<Snapshot>,
    /// Newest first.
    commands: Vec<Command>,
    events: u64,
    hash: u64,
}

impl Twin {
    fn has_rows(&self) -> bool {
        self.row.is_some() || self.snapshot.is_some() || !self.commands.is_empty()
    }
}

/// Copies all of `from` into `to`; calls `each` after every twin.
pub async fn copy(from: &Opened, to: &Opened, mut each: impl FnMut()) -> Result<Copied, Error> {
    if from.store.backlog_bytes() > 0 {
        return Err(Error::Unprojected);
    }
    begin(to).await?;
    let mut copied = Copied::default();
    let mut cursor = None;
    loop {
        let query = RegistryQuery { limit: PAGE, cursor, ..RegistryQuery::default() };
        let page = from.store.list(query).await.map_err(Error::From)?;
        let mut twins = stream::iter(page.items.into_iter().map(|entry| copy_twin(from, to, entry.row.id))).buffer_unordered(TWINS_AT_ONCE);
        while let Some((events, found)) = twins.try_next().await? {
            copied.twins += 1;
            copied.twins_found += u64::from(found);
            copied.events += events;
            each();
        }
        drop(twins);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    // Only then does anything go: a twin of which this is no copy has ended it before.
    copied.removed += remove::twins(from, to).await?;
    copied.identities = copy_identities(from, to).await?;
    copied.removed += remove::identities(from, to).await?;
    for kind in actors::documents::KINDS {
        copied.removed += remove::documents(from, to, kind).await?;
        copied.documents += copy_documents(from, to, kind).await?;
    }
    copied.audit_records = audit::copy(from, to).await?;
    let (there, here) = (from.store.count().await.map_err(Error::From)?, to.store.count().await.map_err(Error::To)?);
    if there != here {
        return Err(Error::Counts { what: "twins", from: there, to: here });
    }
    // The old store is a beginning of the new one, should anybody want to go back.
    mark(from).await.map_err(Error::From)?;
    Ok(copied)
}

/// Takes an empty store, or one that a copy was begun in.
async fn begin(to: &Opened) -> Result<(), Error> {
    if to.store.document(COPY_KIND, MARK).await.map_err(Error::To)?.is_none() {
        if let Some(what) = anything_in(to).await.map_err(Error::To)? {
            return Err(Error::NotEmpty(what));
        }
        mark(to).await.map_err(Error::To)?;
    }
    Ok(())
}

async fn mark(side: &Opened) -> Result<(), StoreError> {
    side.store.put_document(COPY_KIND, MARK, Default::default()).await
}

async fn anything_in(side: &Opened) -> Result<Option<&'static str>, StoreError> {
    if side.store.count().await? > 0 {
        return Ok(Some("twins"));
    }
    if !side.identities.generations(None, 1).await?.is_empty() {
        return Ok(Some("identities"));
    }
    for kind in actors::documents::KINDS {
        if !side.store.documents(kind, None, 1).await?.is_empty() {
            return Ok(Some(kind));
        }
    }
    Ok(side.store.audit_head().await?.map(|_| "an audit log"))
}

/// How many events it has, and whether all was there already.
async fn copy_twin(from: &Opened, to: &Opened, id: TwinId) -> Result<(u64, bool), Error> {
    // Retention may have taken from the old store what the new one still has.
    let first = first_of(from, &id).await.map_err(Error::From)?;
    let there = read(to, &id, first, u64::MAX).await.map_err(Error::To)?;
    let beginning = read(from, &id, first, there.events).await.map_err(Error::From)?;
    if (there.events, there.hash) != (beginning.events, beginning.hash) {
        return Err(Error::NotACopy(id));
    }
    let wanted = read(from, &id, first, u64::MAX).await.map_err(Error::From)?;
    if there == wanted {
        return Ok((wanted.events, true));
    }
    append_after(from, to, &id, there.events).await?;
    let projection = Projection {
        through: Some(to.store.mark()),
        snapshots: wanted.snapshot.iter().cloned().collect(),
        registry: wanted.row.iter().cloned().collect(),
        commands: wanted.commands.iter().map(|command| (id.clone(), command.clone())).collect(),
        // Rows of an earlier copy: a command of it may be forgotten, the twin may be gone.
        deleted: there.has_rows().then(|| id.clone()).into_iter().collect(),
    };
    to.store.project(projection).await.map_err(Error::To)?;
    if read(to, &id, first, u64::MAX).await.map_err(Error::To)? == wanted { Ok((wanted.events, false)) } else { Err(Error::Differs(id)) }
}

/// The number of the first event that is left of a twin: 0 of one that is not registered, and beyond all of one that has none left.
async fn first_of(side: &Opened, id: &TwinId) -> Result<u64, StoreError> {
    let query = EventQuery { twin: id.clone(), after_seq: 0, stream: None, from: None, to: None, limit: 1, cursor: None };
    let first = side.store.events(query).await?.items.first().map(|logged| logged.event.seq);
    let nothing = if side.store.entry(id).await?.is_some() { u64::MAX } else { 0 };
    Ok(first.unwrap_or(nothing))
}

/// A twin, with the count and the hash of `events_max` events from number `first` on.
async fn read(side: &Opened, id: &TwinId, first: u64, events_max: u64) -> Result<Twin, StoreError> {
    let (mut hasher, mut events, mut bytes) = (DefaultHasher::new(), 0, Vec::new());
    each_event(side, id, |logged| {
        if events < events_max && logged.event.seq >= first {
            bytes.clear();
            codec::encode_event(&logged.event, &mut bytes);
            bytes.hash(&mut hasher);
            events += 1;
        }
    })
    .await?;
    let (mut commands, mut cursor) = (Vec::new(), None);
    loop {
        let page = side.store.commands(CommandQuery { twin: id.clone(), state: None, limit: PAGE, cursor }).await?;
        commands.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let row = side.store.entry(id).await?.map(|entry| entry.row);
    Ok(Twin { row, snapshot: side.store.snapshot(id).await?, commands, events, hash: hasher.finish() })
}

async fn page_of(side: &Opened, id: &TwinId, cursor: Option<String>) -> Result<Page<LoggedEvent>, StoreError> {
    side.store.events(EventQuery { twin: id.clone(), after_seq: 0, stream: None, from: None, to: None, limit: PAGE, cursor }).await
}

async fn each_event(side: &Opened, id: &TwinId, mut each: impl FnMut(LoggedEvent)) -> Result<(), StoreError> {
    let mut cursor = None;
    loop {
        let page = page_of(side, id, cursor).await?;
        page.items.into_iter().for_each(&mut each);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Appends all but the first `skip` events, each a turn.
async fn append_after(from: &Opened, to: &Opened, id: &TwinId, mut skip: u64) -> Result<(), Error> {
    let (mut batch, mut cursor) = (Batch::default(), None);
    loop {
        let page = page_of(from, id, cursor).await.map_err(Error::From)?;
        for logged in page.items {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            batch.push(id, &[logged.event]);
            if batch.is_full() {
                to.store.append(std::mem::take(&mut batch)).await.map_err(Error::To)?;
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return to.store.append(batch).await.map_err(Error::To);
        }
    }
}

/// The generation of a device that is gone goes too: a key of it must never work again.
async fn copy_identities(from: &Opened, to: &Opened) -> Result<u64, Error> {
    let (mut count, mut after) = (0, None);
    loop {
        let some = from.identities.generations(after, PAGE).await.map_err(Error::From)?;
        let Some((last, _)) = some.last().cloned() else { return Ok(count) };
        for (device, highest) in some {
            let identity = from.identities.identity(&device).await.map_err(Error::From)?;
            let used = Identity { enabled: false, ..Identity::new(device.clone(), highest, 0) };
            let mut rows = vec![used];
            rows.extend(identity.clone());
            to.identities.put_identities(rows).await.map_err(Error::To)?;
            if identity.is_none() {
                to.identities.delete_identity(&device).await.map_err(Error::To)?;
            }
            let there = to.identities.identity(&device).await.map_err(Error::To)?;
            if there != identity || to.identities.next_generation(&device).await.map_err(Error::To)? != highest + 1 {
                return Err(Error::Differs(device));
            }
            count += 1;
        }
        after = Some(last);
    }
}

async fn copy_documents(from: &Opened, to: &Opened, kind: &'static str) -> Result<u64, Error> {
    let (mut count, mut after) = (0, None);
    loop {
        let some = from.store.documents(kind, after, PAGE).await.map_err(Error::From)?;
        let Some(last) = some.last() else { break };
        after = Some(last.id.clone());
        for Document { id, body } in some {
            to.store.put_document(kind, &id, body.clone()).await.map_err(Error::To)?;
            if to.store.document(kind, &id).await.map_err(Error::To)? != Some(body) {
                return Err(Error::DocumentDiffers { kind, id });
            }
            count += 1;
        }
    }
    let there = remove::document_ids(to, kind).await.map_err(Error::To)?.len() as u64;
    if there == count { Ok(count) } else { Err(Error::Counts { what: kind, from: count, to: there }) }
}
