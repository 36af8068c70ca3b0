//! People and systems: who they are, what was granted to them, and what their keys open.
//!
//! All of it is in memory (its bounds are small and have names), so that to know a caller takes no look at the store. The store has
//! the truth: a change is durable before it is in memory, and in memory before it is answered; then whoever holds something open for a
//! caller is told ([`Access::changes`]). Devices are not here: [`crate::identity`].

mod book;
mod grants;
mod keys;
mod oidc;
mod principals;
mod roles;
mod sessions;
mod stored;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hierarchy_models::{
    Timestamp,
    access::{Granted, Right, Rights},
    tree::Path,
};
use parking_lot::RwLock;
use persistence::Store;
use tokio::sync::{Mutex as AsyncMutex, watch};

pub use grants::Grant;
pub use oidc::{OidcSettings, check_url};
pub use principals::{NewPrincipal, Principal};

use crate::error::TwinError;
use book::Book;
use keys::Hash;
use oidc::Provider;
use sessions::Sessions;

/// Kinds of documents that are kept here.
pub const DOCUMENT_KINDS: [&str; 2] = [principals::KIND, roles::KIND];
/// A session ends after this long, unless `auth.session_lifetime` says otherwise.
pub const SESSION_LIFETIME_DEFAULT: Duration = Duration::from_secs(12 * 3600);
/// In front of the id of who is known by a provider's token alone.
const OF_PROVIDER: &str = "oidc:";
/// Documents read at once.
const READ_AT_ONCE: usize = 1_000;

/// Somebody who has shown who it is, and what it may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Of the principal; `admin` for the first administrator.
    pub id: String,
    pub name: String,
    pub granted: Granted,
    /// Whether some of it stands in the provider's token that was shown, and not here.
    pub by_token: bool,
}

/// With what somebody shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// An API key, or a token that an identity provider signed.
    Bearer(&'a str),
    /// The token of a session.
    Session(&'a str),
}

/// Why nobody was recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("this key is not known here")]
    Unknown,
    #[error("this key has expired")]
    Expired,
    #[error("this token is not valid yet")]
    NotYet,
    #[error("this token is of another issuer or for another audience")]
    NotForUs,
    #[error("the identity provider's keys cannot be had")]
    NoProvider,
}

pub struct Access {
    documents: Arc<dyn Store>,
    admin: (Hash, Arc<Subject>),
    book: RwLock<Book>,
    /// Changes go one by one: each reads the book, writes the store, then the book.
    writing: AsyncMutex<()>,
    version: watch::Sender<u64>,
    provider: OnceLock<Provider>,
    sessions: Sessions,
    session_lifetime: OnceLock<Duration>,
}

impl Access {
    pub fn new(documents: Arc<dyn Store>, admin_token: &str) -> Self {
        let granted = Granted::of([(Rights::ALL, None)]);
        let admin = Arc::new(Subject { id: "admin".into(), name: "admin".into(), granted, by_token: false });
        Self {
            documents,
            admin: (keys::sha256(admin_token), admin),
            book: RwLock::default(),
            writing: AsyncMutex::default(),
            version: watch::Sender::new(0),
            provider: OnceLock::new(),
            sessions: Sessions::default(),
            session_lifetime: OnceLock::new(),
        }
    }

    /// To be called once, before the doors open.
    pub fn configure(&self, oidc: Option<OidcSettings>, session_lifetime: Duration) {
        if let Some(settings) = oidc {
            let _ = self.provider.set(Provider::new(settings));
        }
        let _ = self.session_lifetime.set(session_lifetime);
    }

    /// Reads what the store holds. Until then only the first administrator is known.
    pub async fn load(&self) -> Result<(), TwinError> {
        let mut book = Book::default();
        // One that cannot be read gives nothing and opens nothing; the others go on.
        for document in self.all(roles::KIND).await? {
            match stored::role(&document.body) {
                Ok(role) => book.put_role(role),
                Err(error) => tracing::error!(role = %document.id, %error, "a role cannot be read: it gives no right"),
            }
        }
        for document in self.all(principals::KIND).await? {
            match stored::principal(&document.body) {
                Ok(entry) => book.put(entry),
                Err(error) => tracing::error!(principal = %document.id, %error, "a principal cannot be read: its key opens nothing"),
            }
        }
        *self.book.write() = book;
        self.changed();
        Ok(())
    }

    async fn all(&self, kind: &'static str) -> Result<Vec<persistence::Document>, TwinError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|d: &persistence::Document| d.id.clone());
            let page = self.documents.documents(kind, after, READ_AT_ONCE).await?;
            let is_last = page.len() < READ_AT_ONCE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Who shows this.
    pub async fn authenticate(&self, credential: Credential<'_>, now: Timestamp) -> Result<Arc<Subject>, Refused> {
        match credential {
            Credential::Bearer(bearer) => self.by_bearer(bearer, now).await,
            Credential::Session(token) => {
                let bearer = self.sessions.bearer(token, now)?;
                self.by_bearer(&bearer, now).await
            }
        }
    }

    async fn by_bearer(&self, bearer: &str, now: Timestamp) -> Result<Arc<Subject>, Refused> {
        match self.provider.get() {
            // In a box, so that who comes with a key does not carry its room.
            Some(provider) if oidc::looks_like_one(bearer) => Box::pin(self.by_token(provider, bearer, now)).await,
            _ => self.by_key(bearer, now),
        }
    }

    async fn by_token(&self, provider: &Provider, token: &str, now: Timestamp) -> Result<Arc<Subject>, Refused> {
        let verified = provider.verify(token, now).await?;
        let book = self.book.read();
        let known = book.by_subject.get(&verified.subject).and_then(|id| book.principals.get(id));
        if verified.roles.is_empty()
            && let Some(known) = known
        {
            return Ok(known.subject.clone());
        }
        let rights = |role| book.roles.get(role).copied().unwrap_or_default();
        let own = known.iter().flat_map(|entry| &entry.principal.grants).map(|grant| (rights(&grant.role), grant.under.as_ref()));
        let brought = verified.roles.iter().map(|(role, under)| (rights(role), under.as_ref()));
        let granted = Granted::of(own.chain(brought));
        let id = known.map_or_else(|| format!("{OF_PROVIDER}{}", verified.subject), |entry| entry.principal.id.clone());
        let name = known.map_or_else(|| verified.name.clone(), |entry| entry.principal.name.clone());
        Ok(Arc::new(Subject { id, name, granted, by_token: true }))
    }

    /// A session for who has shown this bearer: its token, and when it ends at the latest.
    pub fn open_session(&self, bearer: &str, subject: &Subject, now: Timestamp) -> Result<(String, Timestamp), TwinError> {
        let lifetime = self.session_lifetime.get().copied().unwrap_or(SESSION_LIFETIME_DEFAULT);
        self.sessions.open(bearer, &subject.id, lifetime, now)
    }

    pub fn close_session(&self, token: &str) {
        self.sessions.close(token);
        self.changed();
    }

    fn by_key(&self, bearer: &str, now: Timestamp) -> Result<Arc<Subject>, Refused> {
        let hash = keys::sha256(bearer);
        if keys::are_equal(&self.admin.0, &hash) {
            return Ok(self.admin.1.clone());
        }
        let id = keys::principal_of(bearer).ok_or(Refused::Unknown)?;
        let book = self.book.read();
        let entry = book.principals.get(id).ok_or(Refused::Unknown)?;
        if !entry.sha256.as_ref().is_some_and(|own| keys::are_equal(own, &hash)) {
            return Err(Refused::Unknown);
        }
        if entry.principal.expires_at.is_some_and(|end| end <= now) {
            return Err(Refused::Expired);
        }
        Ok(entry.subject.clone())
    }

    /// Whether who once showed to be this principal has a right still: at all of these places, or everywhere. What a provider's token said
    /// is known only while it is shown, so of who had its right by one (`by_token`) only that it was not removed.
    pub fn still_may(&self, id: &str, by_token: bool, (right, places): (Right, Option<&[Path]>), now: Timestamp) -> bool {
        if id == self.admin.1.id {
            return true;
        }
        let book = self.book.read();
        let Some(entry) = book.principals.get(id) else { return by_token && id.starts_with(OF_PROVIDER) };
        if entry.principal.expires_at.is_some_and(|end| end <= now) {
            return false;
        }
        if by_token {
            return true;
        }
        let granted = &entry.subject.granted;
        match places {
            None => granted.everywhere().has(right),
            Some(places) => places.iter().all(|place| granted.at(place).has(right)),
        }
    }

    /// Says each time that principals, grants or roles have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}
