//! What flows to one live reader: a snapshot, then every change, until one side has had enough.
//!
//! Nothing is lost between snapshot and changes. The subscription is older than the snapshot, and a change that waits in
//! it while a page of the snapshot is read is sent after that page: what a reader hears last about a value is the newest.
//! The queue is emptied between pages, so that a large tree does not overflow it. Until `live` no event carries an id, and
//! `reset` makes the reader forget the one it had: a connection that breaks inside a snapshot begins again.
//!
//! The pump is a task of its own and not the response's stream, because a stream that is not polled cannot notice that
//! its reader is slow: the task lets a reader go that takes nothing for `http.live_slow_max`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use actix_web::{HttpRequest, web::Bytes};
use actors::{
    LiveItem, LiveReader, TwinError, Twins,
    access::{Credential, Subject},
    live::{LiveEvent, LiveFilter, LiveKind},
    view::TwinView,
};
use futures_util::{FutureExt, StreamExt, stream};
use hierarchy_models::{TwinId, access::Extent};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use crate::{
    access::{self, Caller},
    problem::{self, Problem},
    query::RegistryQuery,
    settings::Settings,
    sse::{self, Id},
    stopping::Stopping,
};

/// How soon a reader should come back after its connection broke.
const RETRY: Duration = Duration::from_secs(2);
/// A key that has come to its end ends its streams within this time. One that is revoked ends them at once.
const KEY_CHECK: Duration = Duration::from_secs(1);
/// Time to tell a reader to begin again.
const GOODBYE_WAIT: Duration = Duration::from_millis(200);
/// Twins read together for a snapshot.
const SNAPSHOT_PAGE: usize = 100;
/// Twins of a page that are asked at the same time.
const SNAPSHOT_ASKED: usize = 16;
/// Changes that wait are sent together until they are this long.
const CHUNK_BYTES: usize = 32 * 1024;

pub fn describe_metrics() {
    metrics::describe_counter!("twinfold_http_live_ended_total", "Live streams that ended, by reason");
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Gone,
    Slow,
    Revoked,
    Changed,
    Failed,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Slow => "slow",
            Self::Revoked => "revoked",
            Self::Changed => "changed",
            Self::Failed => "failed",
        }
    }
}

/// What was waiting in the queue.
enum Drained {
    /// Changes up to this id, if any.
    UpTo(Option<String>),
    StartOver(String),
}

/// What the reader came with, kept for as long as it reads.
pub enum Shown {
    Bearer(String),
    Session(String),
}

impl Shown {
    pub fn of(credential: Credential<'_>) -> Self {
        match credential {
            Credential::Bearer(bearer) => Self::Bearer(bearer.to_owned()),
            Credential::Session(token) => Self::Session(token.to_owned()),
        }
    }

    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Bearer(bearer) => Credential::Bearer(bearer),
            Self::Session(token) => Credential::Session(token),
        }
    }
}

/// Who reads, and the word when principals, grants or roles have changed.
pub struct Watch {
    pub twins: Twins,
    pub shown: Shown,
    /// As it was when the stream began.
    pub subject: Arc<Subject>,
    pub changes: watch::Receiver<u64>,
}

impl Watch {
    pub fn of<R>(caller: &Caller<R>, request: &HttpRequest, twins: &Twins) -> Result<Self, Problem> {
        let (changes, shown) = (twins.access().changes(), Shown::of(access::credential(request)?));
        Ok(Self { twins: twins.clone(), shown, subject: caller.subject.clone(), changes })
    }

    /// That the caller may still do what it could when it began.
    pub async fn holds(&self) -> Result<(), Problem> {
        self.verdict().await.map_err(|_| Problem::new(problem::FORBIDDEN, "what this key may do has changed meanwhile: begin again"))
    }

    /// Why the stream must end, if it must: the key opens nothing any more, or it opens something else.
    async fn verdict(&self) -> Result<(), End> {
        match self.twins.access().authenticate(self.shown.credential(), self.twins.clock().now()).await {
            Err(_) => Err(End::Revoked),
            Ok(now) if now.granted != self.subject.granted => Err(End::Changed),
            Ok(_) => Ok(()),
        }
    }
}

pub struct Pump {
    settings: Settings,
    stopping: Stopping,
    filter: LiveFilter,
    watch: Watch,
    out: mpsc::Sender<Bytes>,
}

impl Pump {
    pub fn new(settings: Settings, stopping: Stopping, filter: LiveFilter, watch: Watch, out: mpsc::Sender<Bytes>) -> Self {
        Self { settings, stopping, filter, watch, out }
    }

    pub async fn run(self, mut reader: LiveReader) {
        let mut stopping = self.stopping.clone();
        let mut changes = self.watch.changes.clone();
        // In this order: what was revoked is looked at before anything else is sent.
        let end = tokio::select! {
            biased;
            () = stopping.begun() => End::Stopped,
            end = revoked(&self.watch, &mut changes) => end,
            end = pump(&self, &mut reader) => end,
        };
        if end == End::Changed {
            // What may be seen now is not what was followed: the reader comes back and begins again.
            let _ = tokio::time::timeout(GOODBYE_WAIT, self.announce("reset", Id::Clear, "{}")).await;
        }
        metrics::counter!("twinfold_http_live_ended_total", "reason" => end.as_str()).increment(1);
        tracing::debug!(reason = end.as_str(), "a live stream ended");
    }

    async fn flow(&self, reader: &mut LiveReader) -> Result<Infallible, End> {
        let mut hello = String::new();
        sse::retry(&mut hello, RETRY);
        self.send(hello).await?;
        let mut beat = tokio::time::interval(self.settings.live_heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                item = reader.next() => {
                    self.take(item.ok_or(End::Stopped)?, reader).await?;
                    beat.reset();
                }
                _ = beat.tick() => self.beat().await?,
                () = self.out.closed() => return Err(End::Gone),
            }
        }
    }

    /// Sends an item and whatever waits behind it.
    async fn take(&self, item: LiveItem, reader: &mut LiveReader) -> Result<(), End> {
        let mut chunk = String::new();
        let mut next = Some(item);
        while let Some(item) = next.take() {
            match item {
                LiveItem::Event { id, event } => change(&mut chunk, Id::Set(&id), &event),
                LiveItem::Reset { resume } => {
                    self.send(std::mem::take(&mut chunk)).await?;
                    self.snapshot(resume, reader).await?;
                }
            }
            if chunk.len() < CHUNK_BYTES {
                next = reader.next().now_or_never().flatten();
            }
        }
        self.send(chunk).await
    }

    /// The whole twins under the filter, then `live`.
    async fn snapshot(&self, mut resume: String, reader: &mut LiveReader) -> Result<(), End> {
        'again: loop {
            self.announce("reset", Id::Clear, "{}").await?;
            let (mut sent, mut cursor, mut more) = (0, None, self.wants_snapshot());
            if more && let Some(top) = self.filter.under.clone() {
                sent += self.send_twins(vec![top]).await?;
            }
            while more && sent < self.settings.live_snapshot_twins_max {
                let ids;
                (ids, cursor) = self.page(cursor).await?;
                sent += self.send_twins(ids).await?;
                more = cursor.is_some();
                match self.drain(reader).await? {
                    Drained::UpTo(id) => resume = id.unwrap_or(resume),
                    Drained::StartOver(id) => {
                        resume = id;
                        continue 'again;
                    }
                }
            }
            let data = json!({"twins": sent, "complete": !more}).to_string();
            return self.announce("live", Id::Set(&resume), &data).await;
        }
    }

    /// Special events and commands are not state: who follows only these has nothing to start from.
    fn wants_snapshot(&self) -> bool {
        let kinds = &self.filter.kinds;
        kinds.is_empty() || kinds.iter().any(|kind| matches!(kind, LiveKind::State | LiveKind::Alert))
    }

    async fn page(&self, cursor: Option<String>) -> Result<(Vec<TwinId>, Option<String>), End> {
        let query = RegistryQuery { under: self.filter.under.clone(), limit: SNAPSHOT_PAGE, cursor, ..RegistryQuery::default() };
        let within = match &self.filter.within {
            Extent::Everywhere => None,
            Extent::Under(tops) => Some(tops.clone()),
        };
        let page = self.watch.twins.list(RegistryQuery { within, ..query }).await.map_err(failed)?;
        Ok((page.items.into_iter().map(|entry| entry.row.id).collect(), page.cursor))
    }

    /// Sends these twins as they are now; how many there were. One that has gone meanwhile is left out.
    async fn send_twins(&self, ids: Vec<TwinId>) -> Result<usize, End> {
        let ask = |id: TwinId| async move {
            match self.watch.twins.get(&id).await {
                Ok(view) => Ok(Some(view)),
                Err(TwinError::NoSuchTwin(_)) => Ok(None),
                Err(error) => Err(failed(error)),
            }
        };
        let answers: Vec<Result<Option<TwinView>, End>> = stream::iter(ids).map(ask).buffered(SNAPSHOT_ASKED).collect().await;
        let mut chunk = String::new();
        let mut sent = 0;
        for view in answers {
            if let Some(view) = view? {
                sse::event(&mut chunk, "snapshot", Id::Keep, &serde_json::to_string(&view).unwrap_or_default());
                sent += 1;
            }
        }
        self.send(chunk).await?;
        Ok(sent)
    }

    /// Sends the changes that wait, without ids: a reader that reconnects now must begin again.
    async fn drain(&self, reader: &mut LiveReader) -> Result<Drained, End> {
        let (mut chunk, mut last) = (String::new(), None);
        while let Some(item) = reader.next().now_or_never() {
            match item.ok_or(End::Stopped)? {
                LiveItem::Event { id, event } => {
                    change(&mut chunk, Id::Keep, &event);
                    last = Some(id);
                }
                LiveItem::Reset { resume } => return Ok(Drained::StartOver(resume)),
            }
            if chunk.len() >= CHUNK_BYTES {
                self.send(std::mem::take(&mut chunk)).await?;
            }
        }
        self.send(chunk).await?;
        Ok(Drained::UpTo(last))
    }

    async fn announce(&self, name: &str, id: Id<'_>, data: &str) -> Result<(), End> {
        let mut chunk = String::new();
        sse::event(&mut chunk, name, id, data);
        self.send(chunk).await
    }

    async fn beat(&self) -> Result<(), End> {
        let mut chunk = String::new();
        sse::comment(&mut chunk, "beat");
        self.send(chunk).await
    }

    async fn send(&self, chunk: String) -> Result<(), End> {
        if chunk.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(self.settings.live_slow_max, self.out.send(chunk.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }
}

async fn pump(pump: &Pump, reader: &mut LiveReader) -> End {
    match pump.flow(reader).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

/// Returns when the reader may not go on as it began.
async fn revoked(watch: &Watch, changes: &mut watch::Receiver<u64>) -> End {
    let mut check = tokio::time::interval(KEY_CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if let Err(end) = watch.verdict().await {
            return end;
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = check.tick() => {}
        }
    }
}

fn change(chunk: &mut String, id: Id<'_>, event: &LiveEvent) {
    sse::event(chunk, event.kind.as_str(), id, &serde_json::to_string(event).unwrap_or_default());
}

fn failed(error: TwinError) -> End {
    if matches!(error, TwinError::Stopping) {
        return End::Stopped;
    }
    tracing::warn!(%error, "a live stream could not read its snapshot");
    End::Failed
}
