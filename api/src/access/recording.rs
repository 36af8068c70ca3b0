//! Writes and refusals on their way into the audit log: what is recorded is made of the request's address and the answer's status, so that
//! no route can forget it.

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{Method, StatusCode, header},
    web::Data,
};
use actors::{
    Twins,
    access::Subject,
    audit::{Actor, Entry, Outcome, Target},
};
use hierarchy_models::{AlertId, TwinId, tree::Path};

use crate::problem::Problem;

const PREFIX: &str = "/api/v1";
/// Characters of a name in an address that are recorded.
const NAME_CHARS_MAX: usize = 128;

pub fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A refusal, recorded behind the answer.
pub fn note(twins: &Twins, subject: Option<&Subject>, request: &HttpRequest, response: &HttpResponse<BoxBody>) {
    let outcome = outcome_of(response);
    if outcome == Outcome::Denied {
        let mut entry = entry(subject, request);
        entry.outcome = outcome;
        entry.status = Some(response.status().as_u16());
        entry.reason = reason_of(response);
        twins.audit().note(entry);
    }
}

/// What a handler leaves with its answer when a twin stands elsewhere now.
struct Moved {
    twin: TwinId,
    from: Path,
    to: Path,
}

/// Lets the record say where a twin stood before and stands now. `from` is absent when the call was not to move it.
pub fn moved(mut response: HttpResponse, twin: TwinId, from: Option<Path>, to: Path) -> HttpResponse {
    if let Some(from) = from.filter(|from| *from != to) {
        response.extensions_mut().insert(Moved { twin, from, to });
    }
    response
}

/// A write that is under way. When its caller hangs up it is recorded all the same.
pub struct Recording {
    twins: Data<Twins>,
    entry: Option<Entry>,
}

impl Recording {
    /// Before the handler: afterwards what it was done to may be gone.
    pub async fn begin(twins: Data<Twins>, subject: &Subject, request: &HttpRequest) -> Self {
        // At an address that there is not nothing is done.
        if request.match_pattern().is_none() {
            return Self { twins, entry: None };
        }
        let path = place(&twins, request.path()).await;
        Self { twins, entry: Some(Entry { path, ..entry(Some(subject), request) }) }
    }

    /// What was done is durably recorded before it is answered; what was refused is recorded behind.
    pub async fn end(mut self, response: &HttpResponse<BoxBody>) -> Result<(), Problem> {
        let Some(mut entry) = self.entry.take() else { return Ok(()) };
        entry.outcome = outcome_of(response);
        entry.status = Some(response.status().as_u16());
        entry.reason = reason_of(response);
        if entry.outcome == Outcome::Done {
            let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            if let Some(made) = location {
                entry.made = made.strip_prefix(PREFIX).map(str::to_owned);
                if entry.path.is_none() {
                    entry.path = place(&self.twins, made).await;
                }
            }
            if let Some(moved) = response.extensions().get::<Moved>() {
                entry.target = Target { kind: "twin".into(), id: Some(moved.twin.to_string()) };
                entry.path = Some(moved.from.clone());
                entry.to = Some(moved.to.clone());
            }
        }
        if response.status().is_client_error() {
            self.twins.audit().note(entry);
            return Ok(());
        }
        Ok(self.twins.audit().record(entry).await?)
    }

    /// The handler ended without an answer.
    pub async fn end_broken(mut self) {
        if let Some(entry) = self.entry.take() {
            let _ = self.twins.audit().record(broken_off(entry)).await;
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        // The write itself goes on without its caller, and so does the record of it.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let twins = self.twins.clone();
                runtime.spawn(async move { drop(twins.audit().record(broken_off(entry)).await) });
            }
            Err(_) => self.twins.audit().note(broken_off(entry)),
        }
    }
}

fn broken_off(entry: Entry) -> Entry {
    let reason = Some("it ended without an answer; whether it was done is not known".into());
    Entry { outcome: Outcome::Failed, reason, ..entry }
}

/// What is known before there is an answer.
fn entry(subject: Option<&Subject>, request: &HttpRequest) -> Entry {
    let pattern = request.match_pattern().unwrap_or_else(|| "/*".into());
    let actor = subject.map(|subject| Actor { id: subject.id.clone(), name: subject.name.clone() });
    let from = request.peer_addr().map_or_else(|| "unknown".into(), |peer| peer.ip().to_canonical().to_string());
    let action = format!("{} {}", request.method(), pattern.strip_prefix(PREFIX).unwrap_or(&pattern));
    Entry { actor, ..Entry::new(from, action, target(request.path()), Outcome::Failed) }
}

fn outcome_of(response: &HttpResponse<BoxBody>) -> Outcome {
    // What is hidden from the caller is no secret to who reads the log.
    if problem_of(response).is_some_and(Problem::hides) {
        return Outcome::Denied;
    }
    match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Denied,
        status if status.is_success() => Outcome::Done,
        // A command that a device did not answer in time stands in its inbox all the same.
        StatusCode::GATEWAY_TIMEOUT => Outcome::Done,
        _ => Outcome::Failed,
    }
}

fn problem_of(response: &HttpResponse<BoxBody>) -> Option<&Problem> {
    response.error().and_then(|error| error.as_error::<Problem>())
}

fn reason_of(response: &HttpResponse<BoxBody>) -> Option<String> {
    let problem = problem_of(response)?;
    Some(if problem.hides() { "hidden".into() } else { problem.kind().slug.to_owned() })
}

/// `/api/v1/twins/d/commands`: the kind of thing, and its name when there is one.
fn steps(path: &str) -> (&str, Option<&str>) {
    let mut steps = path.strip_prefix(PREFIX).unwrap_or(path).trim_start_matches('/').split('/');
    (steps.next().unwrap_or_default(), steps.next().filter(|name| !name.is_empty()))
}

fn target(path: &str) -> Target {
    let (kind, name) = steps(path);
    let kind = kind.strip_suffix('s').unwrap_or(kind).to_owned();
    Target { kind, id: name.map(|name| name.chars().take(NAME_CHARS_MAX).collect()) }
}

/// Where it stands, or where what it is about stands.
async fn place(twins: &Twins, path: &str) -> Option<Path> {
    let (kind, Some(name)) = steps(path) else { return None };
    let twin: TwinId = match kind {
        "twins" => TwinId::new(name).ok()?,
        "alerts" => AlertId::parse(name)?.twin()?,
        "rules" => twins.rule(name).ok()?.rule.under.clone()?,
        "grants" => twins.access().grant(name)?.under?,
        "enrolments" => twins.identities().enrolment(name).await.ok()??.asked.parent?,
        "principals" => {
            // One that has grants in several places stands in none of them.
            let mut places = twins.access().principal(name)?.grants.into_iter().map(|grant| grant.under);
            let first = places.next()??;
            places.all(|place| place.as_ref() == Some(&first)).then_some(first)?
        }
        _ => return None,
    };
    twins.path(&twin).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_is_about() {
        let of = |path: &str| {
            let target = target(path);
            (target.kind, target.id.unwrap_or_default())
        };
        assert_eq!(of("/api/v1/twins"), ("twin".into(), String::new()));
        assert_eq!(of("/api/v1/twins/room-1/commands"), ("twin".into(), "room-1".into()));
        assert_eq!(of("/api/v1/roles/night-desk"), ("role".into(), "night-desk".into()));
        assert_eq!(of("/api/v1/login"), ("login".into(), String::new()));
    }
}
