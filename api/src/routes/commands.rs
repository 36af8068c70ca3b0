//! A twin's inbox: sending, reading, cancelling.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, delete, get, http::header, post, web::Data};
use actors::{NewCommand, Twins};
use hierarchy_models::{
    Command, CommandState, Name, TwinId, Value,
    filter::Filter,
    limits::{COMMAND_PAYLOAD_BYTES_MAX, COMMAND_TTL_DEFAULT, COMMAND_TTL_MAX, NAME_BYTES_MAX},
};

use super::{
    jobs::{accepted, asker, own_key},
    path::{CommandPath, TwinPath},
};
use crate::{
    access::{self, Caller, needs},
    body::{Body, FromBody},
    json,
    members::{self, Members},
    params::{NoParams, Params},
    problem::{self, Problem},
    query::CommandQuery,
    replay::IdempotencyKey,
    settings::Settings,
    uncut::uncut,
    wire::{
        command::CommandDocument,
        described::{CommandPage, Idempotent, Paging},
        job::CommandOrJob,
        page,
    },
};

const STATES: [CommandState; 6] = [
    CommandState::Queued,
    CommandState::Delivered,
    CommandState::Completed,
    CommandState::Failed,
    CommandState::Expired,
    CommandState::Cancelled,
];

/// Puts a command into the twin's inbox; with `wait`, answers when the device has.
#[utoipa::path(
    operation_id = "sendCommand",
    tag = "commands",
    params(
        ("id" = String, Path, description = "The twin"),
        ("under" = Option<bool>, Query, description = "One command to every twin below instead: a job. `wait` does not go with it"),
        ("filter" = Option<String>, Query, description = "With `under`: which of them, as in `GET /twins`"),
        Idempotent,
    ),
    request_body = crate::wire::described::NewCommand,
    responses(
        (status = 200, description = "The device has answered within `wait`", body = CommandDocument, headers(("Location" = String))),
        (status = 202, description = "Durable in the inbox; with `under`, a job", body = CommandOrJob, headers(("Location" = String))),
        (status = 422, response = crate::openapi::ProblemResponse),
        (status = 429, response = crate::openapi::ProblemResponse),
        (status = 504, response = crate::openapi::ProblemResponse),
    )
)]
#[post("/twins/{id}/commands")]
pub async fn send(
    caller: Caller<needs::Command>,
    twins: Data<Twins>,
    id: TwinPath,
    key: IdempotencyKey,
    request: HttpRequest,
    mut params: Params,
    body: Body<Order>,
) -> Result<HttpResponse, Problem> {
    let (under, filter) = (params.flag("under")?, params.text("filter"));
    params.finish()?;
    let order = body.value;
    if under {
        return below(&caller, &twins, id.0, filter, key, order).await;
    }
    if filter.is_some() {
        return Err(Problem::parameter("filter", "goes with under=true: it says which of the twins below are meant"));
    }
    let wait = order.wait_within(Settings::of(&request).wait_max)?;
    caller.reach(&twins, &id.0).await?;
    let new = order.into_command(own_key(&caller, key), caller.subject.name.as_str().into());
    let (inbox, twin) = (twins.clone(), id.0.clone());
    let command = uncut(async move { Ok(inbox.command(&twin, new).await?) }).await?;
    let location = (header::LOCATION, format!("/api/v1/twins/{}/commands/{}", id.0, command.id));
    match wait {
        None => Ok(json::answer(HttpResponse::Accepted().insert_header(location), &CommandDocument::from(command))),
        Some(wait) => {
            let answered = answer(&twins, &id.0, command, wait).await?;
            access::confirm(&request).await?;
            Ok(json::answer(HttpResponse::Ok().insert_header(location), &CommandDocument::from(answered)))
        }
    }
}

/// A job that sends it to every twin below that the filter means.
async fn below(
    caller: &Caller<needs::Command>,
    twins: &Data<Twins>,
    top: TwinId,
    filter: Option<String>,
    key: IdempotencyKey,
    order: Order,
) -> Result<HttpResponse, Problem> {
    if order.wait.is_some() {
        return Err(Problem::member("/wait", "cannot be waited for with under=true: the job says what became of it"));
    }
    if let Some(Err(error)) = filter.as_deref().map(Filter::parse) {
        return Err(Problem::parameter("filter", error.to_string()).with("column", error.column));
    }
    caller.reach(twins, &top).await?;
    let (twins, asker) = (twins.clone(), asker(caller));
    let new = order.into_command(own_key(caller, key), caller.subject.name.as_str().into());
    let job = uncut(async move { Ok(twins.command_below(top, filter, new, asker).await?) }).await?;
    Ok(accepted(job))
}

/// The command once the device has answered it. One that ended otherwise (expired, cancelled) got no answer.
async fn answer(twins: &Twins, twin: &TwinId, command: Command, wait: Duration) -> Result<Command, Problem> {
    let command = twins.await_command(twin, &command.id, wait).await?;
    if matches!(command.state, CommandState::Completed | CommandState::Failed) {
        return Ok(command);
    }
    let detail = format!("the device has not answered command {}: it is {}", command.id, command.state.as_str());
    let problem = Problem::new(problem::WAIT_TIMED_OUT, detail).with("command", command.id.as_str()).with("state", command.state.as_str());
    Err(problem.header_line(header::LOCATION, &format!("/api/v1/twins/{twin}/commands/{}", command.id)))
}

/// The twin's commands, newest first. A page may hold fewer than its limit and still have a cursor.
#[utoipa::path(
    operation_id = "listCommands",
    tag = "commands",
    params(
        ("id" = String, Path, description = "The twin"),
        ("state" = Option<String>, Query, description = "queued, delivered, completed, failed, expired or cancelled"),
        Paging,
    ),
    responses((status = 200, description = "One page of commands", body = CommandPage))
)]
#[get("/twins/{id}/commands")]
pub async fn list(caller: Caller<needs::Read>, twins: Data<Twins>, id: TwinPath, params: Params) -> Result<HttpResponse, Problem> {
    let query = query(id.0.clone(), params)?;
    caller.reach_existing(&twins, &id.0).await?;
    Ok(json::ok(&page(twins.commands(query).await?, CommandDocument::from)))
}

fn query(twin: TwinId, mut params: Params) -> Result<CommandQuery, Problem> {
    let state = params.read("state", |text| {
        let known = STATES.map(CommandState::as_str).join(", ");
        STATES.into_iter().find(|s| s.as_str() == text).ok_or_else(|| format!("{text:?} is not one of {known}"))
    })?;
    let (limit, cursor) = (params.limit()?, params.cursor()?);
    params.finish()?;
    Ok(CommandQuery { twin, state, limit, cursor })
}

/// One command.
#[utoipa::path(
    operation_id = "readCommand",
    tag = "commands",
    params(("id" = String, Path, description = "The twin"), ("cid" = String, Path, description = "The command")),
    responses((status = 200, description = "The command as it is now", body = CommandDocument))
)]
#[get("/twins/{id}/commands/{cid}")]
pub async fn read(
    caller: Caller<needs::Read>,
    twins: Data<Twins>,
    id: TwinPath,
    cid: CommandPath,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    Ok(json::ok(&CommandDocument::from(twins.command_of(&id.0, &cid.0).await?)))
}

/// Cancels a command that has not ended. The device may have had it already.
#[utoipa::path(
    operation_id = "cancelCommand",
    tag = "commands",
    params(("id" = String, Path, description = "The twin"), ("cid" = String, Path, description = "The command")),
    responses(
        (status = 200, description = "The command, cancelled", body = CommandDocument),
        (status = 409, response = crate::openapi::ProblemResponse),
    )
)]
#[delete("/twins/{id}/commands/{cid}")]
pub async fn cancel(
    caller: Caller<needs::Command>,
    twins: Data<Twins>,
    id: TwinPath,
    cid: CommandPath,
    _params: NoParams,
) -> Result<HttpResponse, Problem> {
    caller.reach(&twins, &id.0).await?;
    let command = uncut(async move { Ok(twins.cancel_command(&id.0, &cid.0).await?) }).await?;
    Ok(json::ok(&CommandDocument::from(command)))
}

/// What is asked of a device.
#[derive(Debug)]
pub struct Order {
    name: Name,
    payload: Value,
    ttl: Duration,
    wait: Option<Duration>,
}

impl FromBody for Order {
    fn read(body: &mut Members) -> Result<Self, Problem> {
        Ok(Self {
            name: body.required("name", topic_level)?,
            payload: body.optional("payload", payload)?.unwrap_or_default(),
            ttl: body.optional("ttl", ttl)?.unwrap_or(COMMAND_TTL_DEFAULT),
            wait: body.optional("wait", seconds)?.filter(|wait| !wait.is_zero()),
        })
    }
}

impl Order {
    fn wait_within(&self, max: Duration) -> Result<Option<Duration>, Problem> {
        match self.wait {
            Some(wait) if wait > max => {
                Err(Problem::member("/wait", format!("must be at most {} seconds (http.wait_max)", max.as_secs_f64()))
                    .with("limit", "http.wait_max"))
            }
            wait => Ok(wait),
        }
    }

    fn into_command(self, idempotency_key: Option<Name>, sender: Name) -> NewCommand {
        NewCommand { name: self.name, payload: self.payload, ttl: self.ttl, idempotency_key, sender }
    }
}

/// A command's name becomes one level of an MQTT topic.
fn topic_level(value: Value, pointer: &str) -> Result<Name, Problem> {
    let name = members::text(value, pointer)?;
    let ok = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(|c| matches!(c, '/' | '+' | '#') || c.is_control());
    if ok {
        Ok(name.into())
    } else {
        Err(Problem::member(pointer, format!("must be 1 to {NAME_BYTES_MAX} bytes without '/', '+', '#' and control characters")))
    }
}

fn payload(value: Value, pointer: &str) -> Result<Value, Problem> {
    let bytes = serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len());
    if bytes <= COMMAND_PAYLOAD_BYTES_MAX {
        return Ok(value);
    }
    let detail = format!("the payload is {bytes} bytes long; at most {COMMAND_PAYLOAD_BYTES_MAX} are taken");
    Err(Problem::new(problem::BODY_TOO_LARGE, detail).pointing_at(pointer))
}

fn seconds(value: Value, pointer: &str) -> Result<Duration, Problem> {
    let seconds = members::number(value, pointer)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| Problem::member(pointer, "must be a number of seconds, 0 or more"))
}

fn ttl(value: Value, pointer: &str) -> Result<Duration, Problem> {
    // Times are kept to the millisecond; less than one is none.
    let ttl = Duration::from_millis(seconds(value, pointer)?.as_millis().try_into().unwrap_or(u64::MAX));
    if !ttl.is_zero() && ttl <= COMMAND_TTL_MAX {
        return Ok(ttl);
    }
    Err(Problem::member(pointer, format!("must be above 0 and at most {} seconds", COMMAND_TTL_MAX.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    fn order(json: &str) -> Order {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_command_needs_no_more_than_a_name() {
        let order = order(r#"{"name": "reboot"}"#);
        assert_eq!((order.payload, order.ttl, order.wait), (Value::Null, COMMAND_TTL_DEFAULT, None));
    }

    #[test]
    fn times_may_be_fractions_of_a_second() {
        let order = order(r#"{"name": "a", "ttl": 0.5, "wait": 1.25, "payload": [1]}"#);
        assert_eq!((order.ttl, order.wait), (Duration::from_millis(500), Some(Duration::from_millis(1250))));
        assert_eq!(order.wait_within(Duration::from_secs(1)).unwrap_err().document()["pointer"], "/wait");
        assert_eq!(super::tests::order(r#"{"name": "a", "wait": 0}"#).wait, None);
    }

    #[test]
    fn a_name_fits_a_topic_level() {
        for bad in ["", "a/b", "a+", "#", "a\\u0000", "a\\n", &"x".repeat(129)] {
            let problem = parse::<Order>(format!(r#"{{"name": "{bad}"}}"#).as_bytes()).unwrap_err();
            assert_eq!(problem.document()["pointer"], "/name", "{bad:?}");
        }
    }

    #[test]
    fn every_fault_is_answered_with_its_pointer() {
        for (body, pointer) in [
            ("{}", "/name"),
            (r#"{"name": "a", "ttl": 0}"#, "/ttl"),
            (r#"{"name": "a", "ttl": -1}"#, "/ttl"),
            (r#"{"name": "a", "ttl": 2592001}"#, "/ttl"),
            (r#"{"name": "a", "ttl": 1e300}"#, "/ttl"),
            (r#"{"name": "a", "ttl": "60"}"#, "/ttl"),
            (r#"{"name": "a", "wait": -1}"#, "/wait"),
            (r#"{"name": "a", "id": "x"}"#, "/id"),
        ] {
            assert_eq!(parse::<Order>(body.as_bytes()).unwrap_err().document()["pointer"], pointer, "{body}");
        }
        let large = format!(r#"{{"name": "a", "payload": "{}"}}"#, "x".repeat(COMMAND_PAYLOAD_BYTES_MAX));
        assert_eq!(parse::<Order>(large.as_bytes()).unwrap_err().kind(), problem::BODY_TOO_LARGE);
    }

    #[test]
    fn a_state_must_be_one_that_there_is() {
        let query = |text: &str| query(TwinId::new("t").unwrap(), Params::parse(text).unwrap());
        assert_eq!(query("state=queued").unwrap().state, Some(CommandState::Queued));
        assert_eq!(query("state=done").unwrap_err().document()["parameter"], "state");
    }
}
