//! Sessions of browsers: a random token that stands for a key or a signed token which the browser then need not keep.
//!
//! They lie in memory only, so that nothing that opens a door is written down; a restart asks people to log in again. A session is
//! never more than its key: that is looked at anew with each request, so what ends the key ends the session.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hierarchy_models::Timestamp;
use parking_lot::Mutex;

use super::{
    Refused,
    keys::{self, Hash},
};
use crate::error::TwinError;

/// Sessions there may be.
pub const SESSIONS_MAX: usize = 10_000;
/// Sessions of one principal; the oldest goes.
pub const SESSIONS_PER_PRINCIPAL_MAX: usize = 32;

struct Session {
    bearer: Arc<str>,
    principal: String,
    until: Timestamp,
}

#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Hash, Session>>);

impl Sessions {
    /// Opens a session for who has just shown this bearer; its token.
    pub fn open(&self, bearer: &str, principal: &str, lifetime: Duration, now: Timestamp) -> Result<(String, Timestamp), TwinError> {
        let token = keys::secret()?;
        let until = now.plus(lifetime);
        let mut sessions = self.0.lock();
        sessions.retain(|_, session| session.until > now);
        let own = sessions.iter().filter(|(_, session)| session.principal == principal);
        if own.clone().count() >= SESSIONS_PER_PRINCIPAL_MAX
            && let Some(oldest) = own.min_by_key(|(_, session)| session.until).map(|(hash, _)| *hash)
        {
            sessions.remove(&oldest);
        }
        if sessions.len() >= SESSIONS_MAX {
            return Err(TwinError::Limit { limit: "SESSIONS_MAX", detail: format!("{SESSIONS_MAX} sessions") });
        }
        sessions.insert(keys::sha256(&token), Session { bearer: bearer.into(), principal: principal.into(), until });
        Ok((token, until))
    }

    /// What the session stands for.
    pub fn bearer(&self, token: &str, now: Timestamp) -> Result<Arc<str>, Refused> {
        let sessions = self.0.lock();
        let session = sessions.get(&keys::sha256(token)).ok_or(Refused::Unknown)?;
        if session.until <= now { Err(Refused::Expired) } else { Ok(session.bearer.clone()) }
    }

    pub fn close(&self, token: &str) {
        self.0.lock().remove(&keys::sha256(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_stands_for_its_key_until_it_ends_or_is_closed() {
        let (sessions, now) = (Sessions::default(), Timestamp::EPOCH);
        let (a, until) = sessions.open("key-a", "ann", HOUR, now).unwrap();
        let (b, _) = sessions.open("key-b", "bob", HOUR, now).unwrap();
        assert_eq!((sessions.bearer(&a, now).as_deref(), sessions.bearer(&b, now).as_deref()), (Ok("key-a"), Ok("key-b")));
        assert_eq!(sessions.bearer(&a, until), Err(Refused::Expired));
        assert_eq!(sessions.bearer("key-a", now), Err(Refused::Unknown));
        sessions.close(&a);
        assert_eq!(sessions.bearer(&a, now), Err(Refused::Unknown));
        assert!(sessions.bearer(&b, now).is_ok());
    }

    #[test]
    fn one_principal_holds_so_many_sessions_and_no_more() {
        let sessions = Sessions::default();
        let open = |n: i64| sessions.open("key", "ann", HOUR, Timestamp::from_millis(n).unwrap()).unwrap().0;
        let tokens: Vec<String> = (0..SESSIONS_PER_PRINCIPAL_MAX as i64 + 5).map(open).collect();
        let open: Vec<bool> = tokens.iter().map(|token| sessions.bearer(token, Timestamp::EPOCH).is_ok()).collect();
        assert_eq!(open.iter().filter(|is_open| **is_open).count(), SESSIONS_PER_PRINCIPAL_MAX);
        assert!(open[5..].iter().all(|is_open| *is_open), "the youngest stay");
    }
}
