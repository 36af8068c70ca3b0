//! Who may do what, in one place: the key at the door, the role a route asks for, the part of the tree a key is confined to.
//!
//! The key is checked by a middleware, before a byte of the body is read; the role by the first argument of a handler
//! ([`Caller`]), so that a route without one does not compile into something open: it has no principal to work with.
//! What lies outside a key's scope is answered as if it did not exist.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap},
    middleware::Next,
    web::Data,
};
use actors::{
    TwinError, Twins,
    identity::{Principal, Role},
};
use hierarchy_models::{TwinId, tree::Path};

use crate::{
    edge::Quoted,
    problem::{self, Problem},
};

/// Bytes of a bearer key at most.
const KEY_BYTES_MAX: usize = 4096;

/// Lets a request in only with a valid key, and leaves the principal with it.
///
/// The runtime is looked up here and is no argument: an argument would cost a box for every request.
pub async fn authenticate(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let principal = match request.app_data::<Data<Twins>>() {
        Some(twins) => principal(twins, request.headers()).await,
        None => Err(Problem::new(problem::INTERNAL, "the server knows no keys")),
    };
    match principal {
        Ok(principal) => {
            tracing::Span::current().record("principal", tracing::field::debug(Quoted(&principal.name)));
            request.extensions_mut().insert(principal);
            next.call(request).await.map(ServiceResponse::map_into_boxed_body)
        }
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

/// The principal behind the `Authorization` header.
pub async fn principal(twins: &Twins, headers: &HeaderMap) -> Result<Arc<Principal>, Problem> {
    let key = bearer(headers)?;
    twins
        .identities()
        .principal(key)
        .await?
        .ok_or_else(|| unauthenticated("this key is not known here", "Bearer realm=\"twinfold\", error=\"invalid_token\""))
}

/// The key in the `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || unauthenticated("send a key: `Authorization: Bearer KEY`", "Bearer realm=\"twinfold\"");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, key) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(missing)?;
    let key = key.trim();
    let is_key = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && is_key { Ok(key) } else { Err(missing()) }
}

fn unauthenticated(detail: &str, challenge: &str) -> Problem {
    Problem::new(problem::UNAUTHENTICATED, detail).header_line(header::WWW_AUTHENTICATE, challenge)
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(problem::FORBIDDEN, detail)
}

/// What a route asks of its caller.
pub trait Needs {
    const ROLE: Role;
}

#[derive(Debug)]
pub struct Viewer;
#[derive(Debug)]
pub struct Operator;
#[derive(Debug)]
pub struct Admin;

impl Needs for Viewer {
    const ROLE: Role = Role::Viewer;
}
impl Needs for Operator {
    const ROLE: Role = Role::Operator;
}
impl Needs for Admin {
    const ROLE: Role = Role::Admin;
}

/// A principal that has at least the role `R`. Must be a handler's first argument: it is then settled before the body is read.
#[derive(Debug)]
pub struct Caller<R> {
    access: Access,
    role: PhantomData<R>,
}

impl<R> Deref for Caller<R> {
    type Target = Access;
    fn deref(&self) -> &Access {
        &self.access
    }
}

impl<R: Needs> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Arc<Principal>>().cloned() {
            None => Err(unauthenticated("send a key", "Bearer realm=\"twinfold\"")),
            Some(principal) => {
                let access = Access { principal };
                access.need(R::ROLE).map(|()| Self { access, role: PhantomData })
            }
        })
    }
}

/// What a known principal may reach.
#[derive(Debug, Clone)]
pub struct Access {
    pub principal: Arc<Principal>,
}

impl Access {
    pub fn need(&self, role: Role) -> Result<(), Problem> {
        let name = match role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        if self.principal.may(role) { Ok(()) } else { Err(forbidden(format!("this needs the role {name}"))) }
    }

    pub fn scope(&self) -> Option<&TwinId> {
        self.principal.scope.as_ref()
    }

    pub fn sees(&self, path: &Path) -> bool {
        self.scope().is_none_or(|scope| path.contains(scope))
    }

    /// That the twin may be seen. Without a scope nothing is looked up: the call that follows finds out whether it is there.
    pub async fn reach(&self, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        if self.scope().is_none_or(|scope| scope == twin) { Ok(()) } else { self.reach_existing(twins, twin).await }
    }

    /// Whether the twin is there, where that is looked up, and may be seen.
    pub async fn reaches(&self, twins: &Twins, twin: &TwinId) -> Result<bool, Problem> {
        match self.reach(twins, twin).await {
            Ok(()) => Ok(true),
            Err(problem) if problem.kind() == problem::NO_SUCH_TWIN => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// That the twin is there and may be seen.
    pub async fn reach_existing(&self, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        let entry = twins.entry(twin).await?;
        if self.sees(&entry.path) { Ok(()) } else { Err(TwinError::NoSuchTwin(twin.clone()).into()) }
    }

    /// A key with a scope cannot put a twin at the root of the tree, where it could not see it any more.
    pub fn may_stand_under(&self, parent: Option<&TwinId>) -> Result<(), Problem> {
        match (self.scope(), parent) {
            (Some(scope), None) => Err(forbidden(format!("this key is confined to {scope}: name a parent in it")).pointing_at("/parent")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use hierarchy_models::Timestamp;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    fn access(roles: Vec<Role>, scope: Option<&str>) -> Access {
        let scope = scope.map(|s| TwinId::new(s).unwrap());
        Access { principal: Arc::new(Principal { id: "1".into(), name: "n".into(), roles, scope, created_at: Timestamp::EPOCH }) }
    }

    #[test]
    fn a_key_is_found_behind_bearer_in_any_case() {
        assert_eq!(bearer(&headers("Bearer tw_1")).unwrap(), "tw_1");
        assert_eq!(bearer(&headers("bearer  tw_1 ")).unwrap(), "tw_1");
        for bad in ["tw_1", "Basic abc", "Bearer ", "Bearer a b", &format!("Bearer {}", "x".repeat(5000))] {
            let problem = bearer(&headers(bad)).unwrap_err();
            assert_eq!(problem.kind(), problem::UNAUTHENTICATED);
            assert_eq!(problem.error_response().headers().get("www-authenticate").unwrap(), "Bearer realm=\"twinfold\"");
        }
        assert!(bearer(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_role_includes_the_ones_before_it() {
        assert!(access(vec![Role::Admin], None).need(Role::Viewer).is_ok());
        assert_eq!(access(vec![Role::Viewer], None).need(Role::Operator).unwrap_err().kind(), problem::FORBIDDEN);
        assert_eq!(access(vec![], None).need(Role::Viewer).unwrap_err().kind(), problem::FORBIDDEN);
    }

    #[test]
    fn a_scope_ends_where_its_subtree_ends() {
        let access = access(vec![Role::Viewer], Some("site-1"));
        assert!(access.sees(&Path::from_stored("site-1")) && access.sees(&Path::from_stored("x/site-1/room")));
        assert!(!access.sees(&Path::from_stored("site-10")) && !access.sees(&Path::from_stored("site-2/room")));
        assert_eq!(access.may_stand_under(None).unwrap_err().kind(), problem::FORBIDDEN);
    }
}
