//! Searching: the store finds whom the registry's rows can mean, and what only a twin's state can tell is asked here, of twins in memory by
//! a glance, of others by their snapshots.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::{
    ModelId,
    filter::{Filter, Verdict},
};
use persistence::{
    Page, RegistryEntry,
    search::{Place, RegistryQuery, registered},
};

use super::{Twins, error_of};
use crate::{
    body::{Body, SharedBody},
    envelope::{Answer, Ask},
    error::TwinError,
    models::Known,
    rollups::Seen,
    twin::TwinState,
};

/// Twins that one call asks for their state; a page may then hold fewer than were asked for, and its cursor goes on.
pub const STATES_MAX: usize = 10_000;
/// What sealed cursors are of.
const CURSOR: &str = "cursor";
/// Twins that are asked together.
const STATES_AT_ONCE: usize = 256;

impl Twins {
    /// Twins in the order asked for. A page that is not the last may hold fewer than its limit, down to none, when the call has looked at as
    /// many as one call may.
    pub async fn list(&self, query: RegistryQuery) -> Result<Page<RegistryEntry>, TwinError> {
        let mut query = query;
        let known = self.runtime.models.known();
        if let Some(filter) = &mut query.filter {
            let extending = |base: &ModelId| known.catalogue.iter().filter(|m| m.is_a(base)).map(|m| m.id.clone()).collect();
            filter.resolve_models(&extending);
        }
        match query.filter.clone().filter(Filter::reads_state) {
            None => Ok(self.runtime.store.list(query).await?),
            Some(filter) => self.list_by_state(query, Arc::new(filter), &known).await,
        }
    }

    /// A cursor as a caller gets it. It says where a search stands, which may be a twin that the caller may not see, so it is sealed.
    pub fn seal_cursor(&self, cursor: &str) -> Result<String, TwinError> {
        Ok(BASE64.encode(self.runtime.identities.seal_bytes(CURSOR, cursor.as_bytes().to_vec())?))
    }

    pub fn open_cursor(&self, sealed: &str) -> Result<String, TwinError> {
        let opened = BASE64.decode(sealed).ok().and_then(|sealed| self.runtime.identities.open_bytes(CURSOR, &sealed));
        let cursor = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(cursor.ok_or(persistence::Error::BadCursor)?)
    }

    async fn list_by_state(&self, query: RegistryQuery, filter: Arc<Filter>, known: &Known) -> Result<Page<RegistryEntry>, TwinError> {
        let (limit, sort) = (query.limit.max(1), query.sort.clone());
        let mut query = RegistryQuery { limit: STATES_AT_ONCE, ..query };
        let (mut items, mut asked) = (Vec::<RegistryEntry>::new(), 0);
        loop {
            let page = self.runtime.store.list(query.clone()).await?;
            asked += page.items.len();
            let holds = self.hold(&filter, &page.items, known).await?;
            for (entry, _) in page.items.into_iter().zip(holds).filter(|(_, holds)| *holds) {
                if items.len() == limit {
                    let cursor = items.last().map(|last| Place::of(last, &sort).to_string());
                    return Ok(Page { items, cursor });
                }
                items.push(entry);
            }
            query.cursor = page.cursor;
            // A store that gave a page short of what was asked for has itself looked at enough.
            if query.cursor.is_none() || asked >= STATES_MAX {
                return Ok(Page { items, cursor: query.cursor });
            }
        }
    }

    /// Of each of these, whether it is meant.
    async fn hold(&self, filter: &Arc<Filter>, entries: &[RegistryEntry], known: &Known) -> Result<Vec<bool>, TwinError> {
        let mut holds = Vec::with_capacity(entries.len());
        let mut at_rest = Vec::new();
        for (n, entry) in entries.iter().enumerate() {
            let said = match filter.judge(&registered(entry)) {
                Verdict::Open => self.holds_in_memory(filter, entry, known).await?,
                verdict => Some(verdict == Verdict::Yes),
            };
            if said.is_none() {
                at_rest.push(n);
            }
            holds.push(said.unwrap_or(false));
        }
        let ids: Vec<_> = at_rest.iter().map(|n| entries[*n].row.id.clone()).collect();
        if ids.is_empty() {
            return Ok(holds);
        }
        // A twin leaves memory when its snapshot has all of it.
        for (n, snapshot) in at_rest.into_iter().zip(self.runtime.store.snapshots(&ids).await?) {
            let Some(snapshot) = snapshot else { continue };
            let twin = TwinState::from_bytes(&snapshot.state)?;
            let state = Seen { twin: &twin, models: known, is_connected: false };
            holds[n] = filter.holds(&registered(&entries[n]), &state);
        }
        Ok(holds)
    }

    /// `None` when it is not in memory.
    async fn holds_in_memory(&self, filter: &Arc<Filter>, entry: &RegistryEntry, known: &Known) -> Result<Option<bool>, TwinError> {
        let id = &entry.row.id;
        let look = |_: &SharedBody, body: &Body| body.holds(filter, entry, known);
        if let Some(holds) = self.runtime.glance(id, look) {
            return Ok(Some(holds));
        }
        let behind = |_: &Body, durable: &TwinState| holds(durable, filter, entry, known);
        if let Some(holds) = self.runtime.glance_behind(id, behind) {
            return Ok(Some(holds));
        }
        if self.runtime.directory.peek(id).is_none() {
            return Ok(None);
        }
        // Something of it is not durable yet: it answers when that is.
        let ask = Ask::Holds { filter: filter.clone(), entry: Box::new(entry.clone()) };
        match self.runtime.ask(id, ask).await.map_err(error_of) {
            Ok(Answer::Holds(holds)) => Ok(Some(holds)),
            // Unregistered meanwhile.
            Err(TwinError::NoSuchTwin(_)) => Ok(Some(false)),
            Err(error) => Err(error),
            Ok(_) => Err(TwinError::Overloaded),
        }
    }
}

impl Body {
    pub fn holds(&self, filter: &Filter, entry: &RegistryEntry, known: &Known) -> bool {
        holds(&self.state, filter, entry, known)
    }
}

fn holds(twin: &TwinState, filter: &Filter, entry: &RegistryEntry, known: &Known) -> bool {
    let state = Seen { twin, models: known, is_connected: twin.connection.connected };
    twin.registered && filter.holds(&registered(entry), &state)
}
