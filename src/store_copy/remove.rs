//! What only the new store has: it was there when an earlier copy was made, and the old server has removed it since. A key that was
//! revoked must not open the new door.

use futures_util::{StreamExt, TryStreamExt, stream};
use hierarchy_models::TwinId;
use persistence::{Error as StoreError, RegistryQuery};

use super::{Error, PAGE, TWINS_AT_ONCE, copy_twin};
use crate::app::Opened;

/// Their rows go, and their history becomes that of the old store. One whose events are no beginning of what the old store has of
/// it is of no copy, and ends the run.
pub async fn twins(from: &Opened, to: &Opened) -> Result<u64, Error> {
    let mut only_there = Vec::new();
    let mut cursor = None;
    loop {
        let query = RegistryQuery { limit: PAGE, cursor, ..RegistryQuery::default() };
        let page = to.store.list(query).await.map_err(Error::To)?;
        let ids = page.items.into_iter().map(|entry| entry.row.id);
        let found: Vec<_> = stream::iter(ids.map(|id| missing_in(from, id))).buffer_unordered(TWINS_AT_ONCE).try_collect().await?;
        only_there.extend(found.into_iter().flatten());
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let removed = only_there.len() as u64;
    for id in only_there {
        copy_twin(from, to, id).await?;
    }
    Ok(removed)
}

async fn missing_in(side: &Opened, id: TwinId) -> Result<Option<TwinId>, Error> {
    let entry = side.store.entry(&id).await.map_err(Error::From)?;
    Ok(entry.is_none().then_some(id))
}

/// Those that the old store never had; one that it has had is settled where identities are copied.
pub async fn identities(from: &Opened, to: &Opened) -> Result<u64, Error> {
    let (mut removed, mut after) = (0, None);
    loop {
        let some = to.identities.generations(after, PAGE).await.map_err(Error::To)?;
        let Some((last, _)) = some.last().cloned() else { return Ok(removed) };
        for (device, _) in some {
            let unknown = from.identities.next_generation(&device).await.map_err(Error::From)? == 1;
            if unknown && to.identities.identity(&device).await.map_err(Error::To)?.is_some() {
                to.identities.delete_identity(&device).await.map_err(Error::To)?;
                removed += 1;
            }
        }
        after = Some(last);
    }
}

pub async fn documents(from: &Opened, to: &Opened, kind: &'static str) -> Result<u64, Error> {
    let mut removed = 0;
    for id in document_ids(to, kind).await.map_err(Error::To)? {
        if from.store.document(kind, &id).await.map_err(Error::From)?.is_none() {
            to.store.delete_document(kind, &id).await.map_err(Error::To)?;
            removed += 1;
        }
    }
    Ok(removed)
}

pub async fn document_ids(side: &Opened, kind: &'static str) -> Result<Vec<String>, StoreError> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let some = side.store.documents(kind, after, PAGE).await?;
        after = some.last().map(|last| last.id.clone());
        if after.is_none() {
            return Ok(ids);
        }
        ids.extend(some.into_iter().map(|document| document.id));
    }
}
