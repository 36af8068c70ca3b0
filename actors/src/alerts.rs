//! Alerts of all twins, listed. The truth is the twins' events; the rows are documents of the store, written behind like snapshots,
//! and what no row shows yet lies here, so that whoever raised or cleared one reads that.
//!
//! Two kinds of documents, the standing and the cleared: whoever asks for what stands does not read through what was. Both are in the
//! order of their ids, which is that of time, the newest first.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use hierarchy_models::{
    Alert, AlertId, AlertRecord, AlertState, Event, EventBody, Name, Severity, Timestamp, TwinId,
    access::Extent,
    alert::Cleared,
    limits::{ALERT_TEXT_BYTES_MAX, ALERTS_PER_TWIN_MAX},
    tree::Path,
    value::Map,
};
use parking_lot::Mutex;
use persistence::{Error, Page, Store};

use crate::{error::TwinError, runtime::Runtime, twin::TwinState};

pub(crate) const STANDING: &str = "alert";
pub(crate) const CLEARED: &str = "alert-cleared";
/// Documents written at the same time, so that the store can share a sync among them.
const WRITTEN_AT_ONCE: usize = 64;
/// Documents of one kind read at once.
const READ_AT_ONCE: usize = 256;
/// Alerts looked at for one page; with more the page is cut short and its cursor goes on.
const LOOKED_AT_MAX: usize = 10_000;
/// Cleared alerts forgotten in one round.
const FORGOTTEN_AT_ONCE: usize = 500;

/// What somebody says when raising an alert.
pub struct Says<'a> {
    pub name: &'a str,
    pub severity: Severity,
    pub text: &'a str,
    pub details: Map,
    pub at: Timestamp,
    pub source: &'a str,
    pub cause: u64,
}

/// The alert after somebody raises it: a new one, or the one that stands, `open`, counted again. `None`, and counted, when `standing`
/// on the twin leave no room.
pub fn raised(open: Option<&Alert>, standing: usize, says: Says<'_>) -> Option<Alert> {
    let Says { name, severity, text, details, at, source, cause } = says;
    let text = text[..text.floor_char_boundary(ALERT_TEXT_BYTES_MAX)].to_owned();
    let source = Name::from(source);
    match open {
        Some(open) => {
            // What has got worse has been seen by nobody.
            let acknowledged = open.acknowledged.clone().filter(|_| severity <= open.severity);
            let last_at = open.last_at.max(at);
            Some(Alert { severity, text, details, last_at, count: open.count + 1, cause, source, acknowledged, ..open.clone() })
        }
        None if standing >= ALERTS_PER_TWIN_MAX => {
            metrics::counter!("twinfold_alerts_refused_total").increment(1);
            None
        }
        None => Some(Alert {
            name: name.into(),
            severity,
            text,
            details,
            raised_at: at,
            last_at: at,
            count: 1,
            seq: 0,
            cause,
            source,
            acknowledged: None,
        }),
    }
}

/// Folds an event into a twin; what became of an alert by it.
pub fn apply_noting(state: &mut TwinState, twin: &TwinId, event: &Event, dedupe_records_max: usize) -> Option<AlertRecord> {
    let (name, cleared) = match &event.body {
        EventBody::AlertRaised(alert) => (alert.name.clone(), None),
        EventBody::AlertAcknowledged { name, .. } => (name.clone(), None),
        EventBody::AlertCleared { name } => (name.clone(), Some(Cleared { at: event.received_at, by: Name::default() })),
        EventBody::AlertEnded { name, by, at } => (name.clone(), Some(Cleared { at: *at, by: by.clone() })),
        _ => {
            state.apply(event, dedupe_records_max);
            return None;
        }
    };
    if event.seq <= state.seq {
        return None;
    }
    let find = |state: &TwinState| state.alerts.iter().find(|a| a.name == name).cloned();
    let before = find(state);
    state.apply(event, dedupe_records_max);
    let alert = if cleared.is_some() { before? } else { find(state)? };
    Some(AlertRecord { twin: twin.clone(), alert, cleared })
}

/// Which alerts to list.
#[derive(Debug, Clone)]
pub struct AlertQuery {
    /// On this twin or below.
    pub under: Option<TwinId>,
    /// And what the caller may see of it.
    pub within: Extent,
    pub state: Option<AlertState>,
    pub severity: Option<Severity>,
    pub limit: usize,
    pub cursor: Option<AlertId>,
}

impl Default for AlertQuery {
    /// All there are: how the runtime itself asks.
    fn default() -> Self {
        Self { under: None, within: Extent::Everywhere, state: None, severity: None, limit: 0, cursor: None }
    }
}

#[derive(Default)]
pub struct Alerts {
    /// As they are now, where no document shows it. As many as a flush interval's journal can bring.
    fresh: Mutex<BTreeMap<AlertId, AlertRecord>>,
}

impl Alerts {
    /// They are durable as events of their twins.
    pub fn changed(&self, records: Vec<AlertRecord>) {
        if records.is_empty() {
            return;
        }
        let mut fresh = self.fresh.lock();
        for record in records {
            let state = record.state().as_str();
            metrics::counter!("twinfold_alerts_total", "state" => state, "severity" => record.alert.severity.as_str()).increment(1);
            fresh.insert(record.id(), record);
        }
    }

    /// Writes what no document shows yet.
    pub async fn flush(&self, store: &dyn Store) -> Result<(), Error> {
        let rows: Vec<(AlertId, AlertRecord)> = self.fresh.lock().iter().map(|(id, row)| (id.clone(), row.clone())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        write(store, &rows).await?;
        let mut fresh = self.fresh.lock();
        for (id, row) in rows {
            if fresh.get(&id) == Some(&row) {
                fresh.remove(&id);
            }
        }
        Ok(())
    }

    pub async fn get(&self, store: &dyn Store, id: &AlertId) -> Result<Option<AlertRecord>, TwinError> {
        if let Some(row) = self.fresh.lock().get(id) {
            return Ok(Some(row.clone()));
        }
        for kind in [CLEARED, STANDING] {
            if let Some(body) = store.document(kind, id.as_str()).await? {
                return Ok(Some(parse(&body)?));
            }
        }
        Ok(None)
    }

    /// Those behind `after` up to the end of what one read brings, in order; and whether that is the end of all.
    async fn read(
        &self,
        store: &dyn Store,
        kinds: &[&'static str],
        after: Option<&AlertId>,
    ) -> Result<(BTreeMap<AlertId, AlertRecord>, Option<AlertId>), TwinError> {
        let (mut found, mut end) = (BTreeMap::new(), None::<AlertId>);
        // Copied first: what a flush moves into a document meanwhile is then in both, never in neither.
        let fresh: Vec<(AlertId, AlertRecord)> = {
            let fresh = self.fresh.lock();
            let behind = fresh.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
            behind.map(|(id, row)| (id.clone(), row.clone())).collect()
        };
        for kind in kinds {
            let documents = store.documents(kind, after.map(|id| id.as_str().to_owned()), READ_AT_ONCE).await?;
            if documents.len() == READ_AT_ONCE
                && let Some(last) = documents.last().and_then(|d| AlertId::parse(&d.id))
            {
                end = Some(end.map_or(last.clone(), |end| end.min(last)));
            }
            for document in documents {
                if let Some(id) = AlertId::parse(&document.id) {
                    found.insert(id, parse(&document.body)?);
                }
            }
        }
        found.extend(fresh);
        if let Some(end) = &end {
            found.retain(|id, _| id <= end);
        }
        Ok((found, end))
    }
}

async fn write(store: &dyn Store, rows: &[(AlertId, AlertRecord)]) -> Result<(), Error> {
    let writes: Vec<_> = rows.iter().map(|(id, row)| write_one(store, id, row)).collect();
    stream::iter(writes).buffer_unordered(WRITTEN_AT_ONCE).try_collect::<()>().await
}

async fn write_one(store: &dyn Store, id: &AlertId, row: &AlertRecord) -> Result<(), Error> {
    let body = serde_json::to_vec(row).map_err(|e| Error::Damaged { doing: "writing an alert", detail: e.to_string() })?;
    match row.cleared {
        None => store.put_document(STANDING, id.as_str(), body.into()).await,
        Some(_) => {
            store.put_document(CLEARED, id.as_str(), body.into()).await?;
            store.delete_document(STANDING, id.as_str()).await.map(drop)
        }
    }
}

fn parse(body: &[u8]) -> Result<AlertRecord, TwinError> {
    serde_json::from_slice(body).map_err(|e| Error::Damaged { doing: "reading an alert", detail: e.to_string() }.into())
}

/// One page, newest first. A page may hold fewer than its limit and still have a cursor.
pub async fn list(runtime: &Arc<Runtime>, query: AlertQuery) -> Result<Page<AlertRecord>, TwinError> {
    let kinds: &[&'static str] = match query.state {
        Some(AlertState::Cleared) => &[CLEARED],
        Some(_) => &[STANDING],
        None => &[STANDING, CLEARED],
    };
    let limit = query.limit.max(1);
    let mut paths: HashMap<TwinId, Option<Path>> = HashMap::new();
    let (mut items, mut after, mut looked_at) = (Vec::new(), query.cursor.clone(), 0);
    loop {
        let (found, end) = runtime.alerts.read(&*runtime.store, kinds, after.as_ref()).await?;
        for (id, record) in found {
            if items.len() == limit || looked_at == LOOKED_AT_MAX {
                return Ok(Page { items, cursor: after.map(|id| id.to_string()) });
            }
            looked_at += 1;
            after = Some(id);
            let is_wanted = query.state.is_none_or(|state| record.state() == state)
                && query.severity.is_none_or(|severity| record.alert.severity == severity);
            if is_wanted && is_under(runtime, &mut paths, &record.twin, &query).await? {
                items.push(record);
            }
        }
        match end {
            Some(end) => after = Some(end),
            None => return Ok(Page { items, cursor: None }),
        }
    }
}

/// Where the twin stands by now; one that is gone stands nowhere.
async fn is_under(
    runtime: &Arc<Runtime>,
    paths: &mut HashMap<TwinId, Option<Path>>,
    twin: &TwinId,
    query: &AlertQuery,
) -> Result<bool, TwinError> {
    if query.under.is_none() && query.within == Extent::Everywhere {
        return Ok(true);
    }
    if !paths.contains_key(twin) {
        let path = match runtime.glance(twin, |_, b| b.path.clone()) {
            Some(path) => Some(path),
            None => runtime.store.entry(twin).await?.map(|entry| entry.path),
        };
        paths.insert(twin.clone(), path);
    }
    let is_wanted = |path: &Path| query.under.as_ref().is_none_or(|top| path.contains(top)) && query.within.holds(path);
    Ok(paths.get(twin).and_then(Option::as_ref).is_some_and(is_wanted))
}

/// Forgets cleared alerts that were raised before; how many went.
pub async fn forget(store: &dyn Store, before: Timestamp) -> Result<usize, Error> {
    let after = format!("{:013x}", Timestamp::MAX.as_millis().abs_diff(before.as_millis()));
    let old = store.documents(CLEARED, Some(after), FORGOTTEN_AT_ONCE).await?;
    for document in &old {
        store.delete_document(CLEARED, &document.id).await?;
    }
    Ok(old.len())
}

/// What recovery found of them.
pub async fn recover(store: &dyn Store, records: BTreeMap<AlertId, AlertRecord>) -> Result<(), Error> {
    let rows: Vec<(AlertId, AlertRecord)> = records.into_iter().collect();
    write(store, &rows).await
}
