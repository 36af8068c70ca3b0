//! Who may do what, in one place: the key at the door, the right a route asks for, the part of the tree it was granted over.
//!
//! The key is checked by a middleware, before a byte of the body is read; the right by the first argument of a handler
//! ([`Caller`]), so that a route without one does not compile into something open: it has nobody to work with.
//! A twin at which a caller has no right at all is answered as if it did not exist; where it has some, a lacking one is said.

pub mod cookie;
mod recording;

pub use recording::moved;

use std::{
    future::{Ready, ready},
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap},
    middleware::Next,
    web::Data,
};
use actors::{
    TwinError, Twins,
    access::{Credential, Refused, Subject},
};
use hierarchy_models::{
    TwinId,
    access::{Extent, Right, Rights},
    tree::Path,
};

use recording::Recording;

use crate::{
    edge::Quoted,
    problem::{self, Problem},
    quotas,
};

/// Bytes of a bearer key at most; signed tokens are long.
const KEY_BYTES_MAX: usize = 8192;
/// When to come back while the identity provider does not answer.
const RETRY_PROVIDER: Duration = Duration::from_secs(10);

/// Lets a request in only with a valid key, and leaves with it whose key that is.
///
/// The runtime is looked up here and is no argument: an argument would cost a box for every request.
pub async fn authenticate(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(twins) = request.app_data::<Data<Twins>>().cloned() else {
        let problem = Problem::new(problem::INTERNAL, "the server knows no keys");
        return Ok(refuse(request, problem));
    };
    match subject(&twins, request.request()).await {
        Ok(subject) => {
            tracing::Span::current().record("principal", tracing::field::debug(Quoted(&subject.name)));
            if let Err(problem) = quotas::check(twins.quotas(), &subject, request.method(), request.path()) {
                return Ok(refuse(request, problem));
            }
            request.extensions_mut().insert(subject.clone());
            if recording::is_write(request.method()) {
                // In a box, so that a look does not carry its room.
                return Box::pin(recorded(twins, subject, request, next)).await;
            }
            let response = next.call(request).await?.map_into_boxed_body();
            if response.status().is_client_error() {
                recording::note(&twins, Some(&subject), response.request(), response.response());
            }
            Ok(response)
        }
        Err(problem) => {
            let response = refuse(request, problem);
            recording::note(&twins, None, response.request(), response.response());
            Ok(response)
        }
    }
}

/// Answers with the problem, and keeps it for who asks why.
fn refuse(request: ServiceRequest, problem: Problem) -> ServiceResponse<BoxBody> {
    ServiceResponse::new(request.into_parts().0, HttpResponse::from_error(problem))
}

/// A write: its answer goes out when the record of it is durable.
async fn recorded(
    twins: Data<Twins>,
    subject: Arc<Subject>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let recording = Recording::begin(twins, &subject, request.request()).await;
    let response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => {
            recording.end_broken().await;
            return Err(error);
        }
    };
    match recording.end(response.response()).await {
        Ok(()) => Ok(response),
        Err(problem) => {
            let (request, _) = response.into_parts();
            Ok(ServiceResponse::new(request, HttpResponse::from_error(problem)))
        }
    }
}

/// Who sends this request: by its `Authorization` header, or by the cookie of its session.
pub async fn subject(twins: &Twins, request: &HttpRequest) -> Result<Arc<Subject>, Problem> {
    let credential = credential(request)?;
    twins.access().authenticate(credential, twins.clock().now()).await.map_err(refused)
}

/// With what the request shows who sends it. A cookie counts only where the browser says that a page of ours sent it.
pub fn credential(request: &HttpRequest) -> Result<Credential<'_>, Problem> {
    match cookie::of(request) {
        Some(token) if !request.headers().contains_key(header::AUTHORIZATION) => {
            cookie::same_origin(request.method(), request.headers())?;
            Ok(Credential::Session(token))
        }
        _ => bearer(request.headers()).map(Credential::Bearer),
    }
}

/// That whoever sent this request may still do what it could when the request began: its body may have taken a while, and so may what it
/// waited for.
pub async fn confirm(request: &HttpRequest) -> Result<(), Problem> {
    let Some(before) = request.extensions().get::<Arc<Subject>>().cloned() else { return Ok(()) };
    let Some(twins) = request.app_data::<Data<Twins>>() else { return Ok(()) };
    let now = subject(twins, request).await?;
    if now.granted == before.granted { Ok(()) } else { Err(forbidden("what this key may do has changed meanwhile: ask again")) }
}

fn refused(why: Refused) -> Problem {
    match why {
        Refused::NoProvider => Problem::new(problem::NO_IDENTITY_PROVIDER, why.to_string()).retry_after(RETRY_PROVIDER),
        _ => unauthenticated(&why.to_string(), "Bearer realm=\"twinfold\", error=\"invalid_token\""),
    }
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
    const RIGHT: Right;
}

/// The rights as types, for [`Caller`].
pub mod needs {
    use super::{Needs, Right};

    macro_rules! rights {
        ($($name:ident),*) => {$(
            #[derive(Debug)]
            pub struct $name;
            impl Needs for $name {
                const RIGHT: Right = Right::$name;
            }
        )*};
    }
    rights!(Read, Command, Acknowledge, Write, Rules, Provision, Models, Principals, Audit);
}

/// Somebody who has the right `R` somewhere. Must be a handler's first argument: it is then settled before the body is read. Whether it
/// has it at the twin in question, [`Caller::reach`] says.
#[derive(Debug)]
pub struct Caller<R> {
    access: Access,
    right: PhantomData<R>,
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
        ready(match request.extensions().get::<Arc<Subject>>().cloned() {
            None => Err(unauthenticated("send a key", "Bearer realm=\"twinfold\"")),
            Some(subject) => {
                let access = Access { subject };
                access.need(R::RIGHT).map(|()| Self { access, right: PhantomData })
            }
        })
    }
}

/// Whoever is known, whatever it may.
impl FromRequest for Access {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let subject = request.extensions().get::<Arc<Subject>>().cloned();
        ready(subject.map(|subject| Self { subject }).ok_or_else(|| unauthenticated("send a key", "Bearer realm=\"twinfold\"")))
    }
}

impl<R: Needs> Caller<R> {
    /// That it has the right at this twin. Where it has it everywhere nothing is looked up: the call that follows finds out whether
    /// the twin is there.
    pub async fn reach(&self, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        self.access.reach_for(R::RIGHT, twins, twin).await
    }

    /// That the twin is there, and that it has the right at it.
    pub async fn reach_existing(&self, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        self.access.reach_existing_for(R::RIGHT, twins, twin).await
    }

    /// Where it has the right.
    pub fn extent(&self) -> Extent {
        self.access.subject.granted.extent(R::RIGHT)
    }

    /// That it has the right over all there is: what is everybody's is changed by nobody who is confined to a part.
    pub fn everywhere(&self) -> Result<(), Problem> {
        self.access.need_everywhere(R::RIGHT)
    }
}

/// What somebody who is known may reach.
#[derive(Debug, Clone)]
pub struct Access {
    pub subject: Arc<Subject>,
}

pub fn lacks(right: Right) -> Problem {
    forbidden(format!("this needs the right {right}")).with("right", right.as_str())
}

impl Access {
    /// The twins, as the caller reaches them: what has to wait looks at the caller's right again when its turn has come.
    pub fn acting(&self, twins: &Twins) -> Twins {
        twins.acting_for(&self.subject)
    }

    /// That there is a place where it has the right.
    pub fn need(&self, right: Right) -> Result<(), Problem> {
        if self.subject.granted.anywhere(right) { Ok(()) } else { Err(lacks(right)) }
    }

    pub fn need_everywhere(&self, right: Right) -> Result<(), Problem> {
        match self.subject.granted.everywhere().has(right) {
            true => Ok(()),
            false => Err(forbidden(format!("this needs the right {right} over all there is, and not only over a part"))),
        }
    }

    /// What it may do at the twin of this path; at one where it may nothing it sees nothing either.
    pub fn rights_at(&self, path: &Path) -> Rights {
        self.subject.granted.at(path)
    }

    pub async fn reach_for(&self, right: Right, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        if self.subject.granted.everywhere().has(right) { Ok(()) } else { self.reach_existing_for(right, twins, twin).await }
    }

    pub async fn reach_existing_for(&self, right: Right, twins: &Twins, twin: &TwinId) -> Result<(), Problem> {
        match self.rights_at(&twins.path(twin).await?) {
            rights if rights.has(right) => Ok(()),
            rights if rights.is_empty() => Err(Problem::from(TwinError::NoSuchTwin(twin.clone())).hiding()),
            _ => Err(lacks(right)),
        }
    }

    /// That it may register or move twins to stand there: at the root only who may do so everywhere.
    pub fn may_stand_under(&self, parent: Option<&TwinId>) -> Result<(), Problem> {
        match parent {
            Some(_) => Ok(()),
            None => self.need_everywhere(Right::Provision).map_err(|problem| problem.pointing_at("/parent")),
        }
    }

    /// Whether the right covers all that lies under this twin, or everything when there is none. A twin that is gone is covered by
    /// nobody who is confined.
    pub async fn covers(&self, right: Right, twins: &Twins, under: Option<&TwinId>) -> Result<bool, Problem> {
        Ok(self.rights_over(twins, under).await?.has(right))
    }

    /// What it may do at a twin and so at all below it; everywhere, when none is named.
    pub async fn rights_over(&self, twins: &Twins, under: Option<&TwinId>) -> Result<Rights, Problem> {
        let everywhere = self.subject.granted.everywhere();
        let Some(under) = under.filter(|_| everywhere != Rights::ALL) else { return Ok(everywhere) };
        match twins.path(under).await {
            Ok(path) => Ok(self.rights_at(&path)),
            Err(TwinError::NoSuchTwin(_)) => Ok(everywhere),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{ResponseError, http::header::HeaderValue};
    use hierarchy_models::access::Granted;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    fn access(rights: &[Right], scope: Option<&str>) -> Access {
        let scope = scope.map(|s| TwinId::new(s).unwrap());
        let granted = Granted::of([(Rights::of(rights), scope.as_ref())]);
        Access { subject: Arc::new(Subject { id: "1".into(), name: "n".into(), granted, by_token: false }) }
    }

    #[test]
    fn a_key_is_found_behind_bearer_in_any_case() {
        assert_eq!(bearer(&headers("Bearer tw_1")).unwrap(), "tw_1");
        assert_eq!(bearer(&headers("bearer  tw_1 ")).unwrap(), "tw_1");
        for bad in ["tw_1", "Basic abc", "Bearer ", "Bearer a b", &format!("Bearer {}", "x".repeat(9000))] {
            let problem = bearer(&headers(bad)).unwrap_err();
            assert_eq!(problem.kind(), problem::UNAUTHENTICATED);
            assert_eq!(problem.error_response().headers().get("www-authenticate").unwrap(), "Bearer realm=\"twinfold\"");
        }
        assert!(bearer(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_right_is_had_where_it_was_granted_and_nowhere_else() {
        let confined = access(&[Right::Read, Right::Provision], Some("site-1"));
        assert!(confined.need(Right::Read).is_ok());
        assert_eq!(confined.need(Right::Command).unwrap_err().kind(), problem::FORBIDDEN);
        assert_eq!(confined.need_everywhere(Right::Read).unwrap_err().kind(), problem::FORBIDDEN);
        assert!(confined.rights_at(&Path::from_stored("x/site-1/room")).has(Right::Read));
        assert!(confined.rights_at(&Path::from_stored("site-10")).is_empty());
        assert_eq!(confined.may_stand_under(None).unwrap_err().document()["pointer"], "/parent");
        assert!(access(&[Right::Provision], None).may_stand_under(None).is_ok());
        assert_eq!(access(&[], None).need(Right::Read).unwrap_err().document()["right"], "read");
    }
}
