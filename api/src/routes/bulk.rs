//! Registrations by the million, a JSON document a line: in as a job, out as a stream. Both hold a few lines at a time.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Bytes, BytesMut, Data, Payload},
};
use actors::{
    Registration, Twins,
    jobs::{LINE_BYTES_MAX, Line, LineFault, Spooled},
};
use futures_util::{StreamExt, stream};
use hierarchy_models::{Value, event::Status};
use serde::Serialize;

use super::{
    jobs::{accepted, asker, own_key},
    listing::{self, within},
    register::NewTwin,
};
use crate::{
    access::{self, Caller, needs},
    body::{self, FromBody},
    live::Watch,
    members::{self, Members},
    params::{NoParams, Params},
    problem::{self, Problem},
    query::{RegistryEntry, RegistryQuery},
    replay::IdempotencyKey,
    settings::Settings,
    uncut::uncut,
    wire::{
        described::{Idempotent, Searching},
        job::JobDocument,
    },
};

const NDJSON: &str = "application/x-ndjson";
/// Twins of an export that are read together.
const EXPORTED_AT_ONCE: usize = 500;

/// Registers a twin for each line, each a document as `POST /twins` takes it, or as the export gives it. Lines may stand in any order.
/// A line whose twin is there already, just so, changes nothing.
#[utoipa::path(
    operation_id = "importTwins",
    tag = "jobs",
    params(Idempotent),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 202, description = "The lines are durable, and a job works them", body = JobDocument, headers(("Location" = String))),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/twins/import")]
pub async fn import(
    caller: Caller<needs::Provision>,
    twins: Data<Twins>,
    settings: Data<Settings>,
    key: IdempotencyKey,
    _params: NoParams,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    body::media_type_ok(&request, &[NDJSON, "application/ndjson", "application/jsonl"])?;
    let by = caller.subject.name.clone();
    let key = own_key(&caller, key);
    if let Some(job) = key.as_deref().map(|key| twins.import_of(&by, key)).transpose()?.flatten() {
        return Ok(accepted(job));
    }
    let spooled = receive(twins.begin_import(), payload, &settings).await?;
    access::confirm(&request).await?;
    let asker = asker(&caller);
    let job = uncut(async move { Ok(spooled.finish(asker, key).await?) }).await?;
    Ok(accepted(job))
}

/// Reads lines as they come; who sends faster than they are written waits.
async fn receive(mut spooled: Spooled, mut payload: Payload, settings: &Settings) -> Result<Spooled, Problem> {
    let (mut lines, mut all) = (Lines::default(), 0);
    loop {
        let chunk = tokio::time::timeout(settings.body_timeout, payload.next()).await;
        let chunk = chunk.map_err(|_| {
            let detail = format!("nothing of the body arrived for {:?} (http.body_timeout)", settings.body_timeout);
            Problem::new(problem::BODY_TOO_SLOW, detail)
        })?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| Problem::new(problem::BAD_REQUEST, "the body broke off"))?;
        all += chunk.len();
        if all > settings.import_max_bytes {
            let detail = format!("the body is larger than {} bytes (http.import_max_bytes)", settings.import_max_bytes);
            return Err(Problem::new(problem::BODY_TOO_LARGE, detail).with("limit", "http.import_max_bytes"));
        }
        lines.bytes.extend_from_slice(&chunk);
        while let Some((line, bytes)) = lines.next(false) {
            spooled.push(line, bytes).await?;
        }
    }
    if let Some((line, bytes)) = lines.next(true) {
        spooled.push(line, bytes).await?;
    }
    Ok(spooled)
}

/// What has come of the body and is not yet read.
#[derive(Default)]
struct Lines {
    bytes: BytesMut,
    number: u64,
    /// In the middle of a line that is too long.
    skips: bool,
}

impl Lines {
    /// The next line and its length; empty ones are passed over. `is_end`: what there is is the last line.
    fn next(&mut self, is_end: bool) -> Option<(Line, usize)> {
        loop {
            let end = self.bytes.iter().position(|byte| *byte == b'\n');
            let Some(end) = end.or_else(|| (is_end && !self.bytes.is_empty()).then_some(self.bytes.len())) else {
                if self.bytes.len() > LINE_BYTES_MAX {
                    // Nothing of it is kept, but that it was there.
                    self.bytes.clear();
                    self.skips = true;
                }
                return if is_end && std::mem::take(&mut self.skips) { Some(self.too_long()) } else { None };
            };
            let line = self.bytes.split_to(end);
            let _newline = self.bytes.split_to(self.bytes.len().min(1));
            if std::mem::take(&mut self.skips) || line.len() > LINE_BYTES_MAX {
                return Some(self.too_long());
            }
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Some((read(self.number, &line), line.len()));
            }
        }
    }

    fn too_long(&mut self) -> (Line, usize) {
        self.number += 1;
        let fault = LineFault { problem: format!("the line is longer than {LINE_BYTES_MAX} bytes"), pointer: None };
        (Line { number: self.number, twin: Err(fault) }, 0)
    }
}

/// A registration, and whether its device may connect.
struct Imported(Registration, Status);

impl FromBody for Imported {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        let status = body.optional("status", |value, at| match members::text(value, at)?.as_str() {
            "active" => Ok(Status::Active),
            "inactive" => Ok(Status::Inactive),
            _ => Err(Problem::member(at, "must be active or inactive")),
        })?;
        let NewTwin(registration, credentials) = NewTwin::read(body)?;
        for (pointer, is_given) in [("/certificates", !credentials.certificates.is_empty()), ("/password", credentials.password.is_some())]
        {
            if is_given {
                return Err(Problem::member(pointer, "an import takes keys; give it with PATCH /twins/{id}/credentials"));
            }
        }
        Ok(Self(registration, status.unwrap_or_default()))
    }
}

fn read(number: u64, line: &[u8]) -> Line {
    let twin = body::parse::<Imported>(line).map(|Imported(twin, status)| (twin, status)).map_err(|problem| {
        let document = problem.document();
        let text = |name: &str| document[name].as_str().map(str::to_owned);
        LineFault { problem: text("detail").unwrap_or_default(), pointer: text("pointer") }
    });
    Line { number, twin }
}

/// Registrations, one a line, as the import takes them: without keys, and without what the twins themselves have told.
#[utoipa::path(
    operation_id = "exportTwins",
    tag = "jobs",
    params(Searching),
    responses((status = 200, description = "A document a line; an export that is cut off ends without its last chunk", content_type = "application/x-ndjson", body = String))
)]
#[get("/twins/export")]
pub async fn export(
    caller: Caller<needs::Read>,
    request: HttpRequest,
    twins: Data<Twins>,
    mut params: Params,
) -> Result<HttpResponse, Problem> {
    let query = listing::conditions(&mut params)?;
    params.finish()?;
    let query = RegistryQuery { limit: EXPORTED_AT_ONCE, ..within(&caller, &twins, query).await? };
    // The first page is read before the answer begins, so that what is wrong with the question is said by a status.
    let first = twins.list(query.clone()).await?;
    let watch = Arc::new(Watch::of(&caller, &request, &twins)?);
    let pages = stream::try_unfold(Some((first, query)), move |at| {
        let (twins, watch) = (twins.clone(), watch.clone());
        async move {
            let Some((page, query)) = at else { return Ok::<_, actix_web::Error>(None) };
            let lines = lines_of(page.items);
            let next = match page.cursor {
                None => None,
                Some(cursor) => {
                    watch.holds().await?;
                    let query = RegistryQuery { cursor: Some(cursor), ..query };
                    Some((twins.list(query.clone()).await.map_err(Problem::from)?, query))
                }
            };
            Ok(Some((lines, next)))
        }
    });
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(pages))
}

/// One line of an export.
#[derive(Serialize)]
struct Exported<'a> {
    id: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    metadata: &'a std::collections::BTreeMap<hierarchy_models::Name, Value>,
    tags: &'a [hierarchy_models::Name],
}

fn lines_of(entries: Vec<RegistryEntry>) -> Bytes {
    let mut lines = Vec::with_capacity(entries.len() * 128);
    for RegistryEntry { row, .. } in &entries {
        let line = Exported {
            id: row.id.as_str(),
            model: row.model.as_str(),
            parent: row.parent.as_ref().map(|parent| parent.as_str()),
            gateway: row.gateway.as_ref().map(|gateway| gateway.as_str()),
            status: Some(row.status).filter(|status| *status != Status::Active),
            metadata: &row.metadata,
            tags: &row.tags,
        };
        if serde_json::to_writer(&mut lines, &line).is_ok() {
            lines.push(b'\n');
        }
    }
    lines.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<(u64, Result<String, String>)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let told = |(line, _): (Line, usize)| {
            let twin = line.twin.map(|(twin, status)| format!("{} {status:?}", twin.id.unwrap()));
            (line.number, twin.map_err(|fault| format!("{} {}", fault.pointer.unwrap_or_default(), fault.problem)))
        };
        for chunk in chunks {
            lines.bytes.extend_from_slice(chunk);
            found.extend(std::iter::from_fn(|| lines.next(false)).map(told));
        }
        found.extend(std::iter::from_fn(|| lines.next(true)).map(told));
        found
    }

    #[test]
    fn lines_are_found_wherever_the_body_is_cut() {
        let body = b"{\"id\":\"a\",\"model\":\"Room\"}\r\n\n{\"id\":\"b\",\"model\":\"Room\",\"status\":\"inactive\"}";
        let wanted = vec![(1, Ok("a Active".to_owned())), (3, Ok("b Inactive".to_owned()))];
        for cut in 0..body.len() {
            assert_eq!(all(&[&body[..cut], &body[cut..]]), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn a_bad_line_costs_only_itself_and_says_where() {
        let long = [vec![b'x'; LINE_BYTES_MAX / 2], vec![b'x'; LINE_BYTES_MAX]];
        let chunks: [&[u8]; 6] =
            [b"{\"model\":\"Rom\"}\nnonsense\n", &long[0], &long[1], b"x\n{\"id\":\"c\",\"model\":\"Room\"}\n", &long[0], &long[1]];
        let found = all(&chunks);
        let fault = |n: usize| found[n].1.clone().unwrap_err();
        assert!(fault(0).starts_with("/model "), "{}", fault(0));
        assert!(fault(1).contains("not JSON"), "{}", fault(1));
        assert!(fault(2).contains("longer than") && fault(4).contains("longer than"));
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(found[3].1, Ok("c Active".into()));
    }
}
