//! The one place where failures of the runtime become HTTP problems.
//!
//! A match without a wildcard: a new variant does not compile until somebody has decided what a caller reads.
//! What a store says about itself goes to the log; the caller reads only what can be acted on.

use std::time::Duration;

use actors::TwinError;

use crate::{
    problem::{self, Problem},
    query::StoreError,
    stopping::taken_over,
};

/// How long a caller should stay away from a busy or restarting server.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// How long a caller should stay away from a store that is full or gone.
const RETRY_LATER: Duration = Duration::from_secs(5);

impl From<TwinError> for Problem {
    fn from(error: TwinError) -> Self {
        let detail = error.to_string();
        match error {
            TwinError::NoSuchTwin(twin) => Problem::new(problem::NO_SUCH_TWIN, detail).with("twin", twin.as_str()),
            TwinError::NoSuchCommand { .. } => Problem::new(problem::NO_SUCH_COMMAND, detail),
            TwinError::NoSuchAlert(_) => Problem::new(problem::NO_SUCH_ALERT, detail),
            TwinError::AlertCleared(_) => Problem::new(problem::ALERT_CLEARED, detail),
            TwinError::NoSuchClaim => Problem::new(problem::NO_SUCH_CLAIM, detail),
            TwinError::NoSuchRule(_) => Problem::new(problem::NO_SUCH_RULE, detail),
            TwinError::NoSuchJob(_) => Problem::new(problem::NO_SUCH_JOB, detail),
            TwinError::RuleExists(_) => Problem::new(problem::RULE_EXISTS, detail).pointing_at("/id"),
            TwinError::RuleText { pointer, error } => {
                let problem = Problem::new(problem::INVALID_EXPRESSION, detail).pointing_at(&pointer);
                problem.with("line", error.line).with("column", error.column)
            }
            TwinError::AlreadyRegistered(_) => Problem::new(problem::ALREADY_REGISTERED, detail).pointing_at("/id"),
            TwinError::HasChildren { .. } => Problem::new(problem::HAS_CHILDREN, detail),
            TwinError::NoSuchParent { .. } => Problem::new(problem::NO_SUCH_PARENT, detail).pointing_at("/parent"),
            TwinError::NoSuchGateway { .. } => Problem::new(problem::NO_SUCH_GATEWAY, detail).pointing_at("/gateway"),
            TwinError::Tree(_) => Problem::new(problem::TREE_CONFLICT, detail).pointing_at("/parent"),
            TwinError::VersionMismatch { current } => Problem::new(problem::VERSION_MISMATCH, detail).with("version", current),
            TwinError::Invalid { pointer, reason } => Problem::member(&pointer, reason),
            TwinError::Limit { limit, .. } => Problem::new(problem::LIMIT_REACHED, detail).with("limit", limit).retry_after(RETRY_SOON),
            TwinError::CommandEnded { state } => Problem::new(problem::COMMAND_ENDED, detail).with("state", state),
            TwinError::NoSuchModel(model) => Problem::new(problem::NO_SUCH_MODEL, detail).with("model", model.as_str()),
            TwinError::UnknownModel { .. } => Problem::new(problem::UNKNOWN_MODEL, detail).pointing_at("/model"),
            TwinError::InvalidModel(fault) => {
                Problem::new(problem::INVALID_MODEL, detail).with("element", fault.element).with("rule", fault.rule)
            }
            TwinError::ModelDiffers { model } => Problem::new(problem::MODEL_DIFFERS, detail).with("model", model.as_str()),
            TwinError::ModelInUse { model, by } => Problem::new(problem::MODEL_IN_USE, detail).with("model", model.as_str()).with("by", by),
            TwinError::Misfit { pointer, reason } => Problem::new(problem::MODEL_MISFIT, reason).pointing_at(&pointer),
            TwinError::BehaviourFailed { behaviour, error } => {
                Problem::new(problem::BEHAVIOUR_FAILED, detail).with("behaviour", behaviour.as_str()).with("error", error)
            }
            TwinError::NoSuchPrincipal(_) => Problem::new(problem::NO_SUCH_PRINCIPAL, detail),
            TwinError::UnknownPrincipal(_) => Problem::new(problem::UNKNOWN_PRINCIPAL, detail).pointing_at("/principal"),
            TwinError::SubjectTaken => Problem::new(problem::SUBJECT_TAKEN, detail).pointing_at("/subject"),
            TwinError::NoSuchGrant(_) => Problem::new(problem::NO_SUCH_GRANT, detail),
            TwinError::NoSuchRole(_) => Problem::new(problem::NO_SUCH_ROLE, detail),
            TwinError::UnknownRole { pointer, .. } => Problem::new(problem::UNKNOWN_ROLE, detail).pointing_at(&pointer),
            TwinError::RoleFixed(_) => Problem::new(problem::ROLE_FIXED, detail),
            TwinError::RoleInUse { holders, .. } => Problem::new(problem::ROLE_IN_USE, detail).with("holders", holders),
            TwinError::KeyReused => Problem::new(problem::KEY_REUSED, detail).with("header", "Idempotency-Key"),
            TwinError::Withdrawn => Problem::new(problem::FORBIDDEN, detail),
            TwinError::Overloaded => Problem::new(problem::OVERLOADED, detail).retry_after(RETRY_SOON),
            TwinError::Stopping => Problem::new(problem::NOT_READY, detail).retry_after(RETRY_SOON),
            TwinError::Store(store) => of_store(&store),
        }
    }
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::BadCursor => Problem::parameter("cursor", "the cursor is not one that an earlier page gave out"),
        StoreError::Refused(why) => Problem::new(problem::REGISTRY_CONFLICT, format!("the registry refuses the change: {why}")),
        StoreError::Full { .. } => {
            tracing::warn!(%error, "the store is full");
            Problem::new(problem::STORE_FULL, "the store has no room; nothing was changed").retry_after(RETRY_LATER)
        }
        StoreError::Unavailable { .. } => {
            tracing::warn!(%error, "the store is not available");
            Problem::new(problem::STORE_UNAVAILABLE, "the store does not answer; whether a change was made is not known")
                .retry_after(RETRY_LATER)
        }
        StoreError::InUse { .. } => taken_over(),
        StoreError::Damaged { .. } | StoreError::TooNew { .. } => {
            tracing::error!(%error, "the store failed");
            Problem::new(problem::INTERNAL, "the store failed; the server's log says how")
        }
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{AlertId, CommandId, ModelId, TwinId, dtdl::Fault, rule::TextError, tree::TreeError};

    use super::*;

    #[test]
    fn every_failure_of_the_runtime_has_its_status() {
        let twin = || TwinId::new("room-1").unwrap();
        let model = || ModelId::new("dtmi:a;1").unwrap();
        let store = |e| TwinError::Store(e);
        let alert = || AlertId::parse("0000000000000-1-t").unwrap();
        let unavailable = || StoreError::Unavailable { doing: "appending", detail: "secret host name".into() };
        let cases: Vec<(TwinError, u16, &str)> = vec![
            (TwinError::NoSuchTwin(twin()), 404, "no-such-twin"),
            (TwinError::NoSuchCommand { twin: twin(), command: CommandId::new("c").unwrap() }, 404, "no-such-command"),
            (TwinError::AlreadyRegistered(twin()), 409, "already-registered"),
            (TwinError::HasChildren { twin: twin() }, 409, "has-children"),
            (TwinError::NoSuchParent { parent: twin() }, 422, "no-such-parent"),
            (TwinError::NoSuchGateway { gateway: twin() }, 422, "no-such-gateway"),
            (TwinError::Tree(TreeError::Loop { twin: twin(), parent: twin() }), 409, "tree-conflict"),
            (TwinError::NoSuchAlert(alert()), 404, "no-such-alert"),
            (TwinError::AlertCleared(alert()), 409, "alert-cleared"),
            (TwinError::NoSuchClaim, 404, "no-such-claim"),
            (TwinError::NoSuchRule("r".into()), 404, "no-such-rule"),
            (TwinError::NoSuchJob("j".into()), 404, "no-such-job"),
            (TwinError::RuleExists("r".into()), 409, "rule-exists"),
            (TwinError::RuleText { pointer: "/when".into(), error: TextError::at("a >", 3, "no") }, 400, "invalid-expression"),
            (TwinError::VersionMismatch { current: 3 }, 412, "version-mismatch"),
            (TwinError::Invalid { pointer: "/metadata/a".into(), reason: "no".into() }, 400, "invalid-member"),
            (TwinError::Limit { limit: "inbox.commands_max", detail: "64".into() }, 429, "limit-reached"),
            (TwinError::CommandEnded { state: "expired" }, 409, "command-ended"),
            (TwinError::NoSuchModel(model()), 404, "no-such-model"),
            (TwinError::UnknownModel { model: model() }, 422, "unknown-model"),
            (TwinError::InvalidModel(Fault::new("dtmi:a;1", "no")), 422, "invalid-model"),
            (TwinError::ModelDiffers { model: model() }, 409, "model-differs"),
            (TwinError::ModelInUse { model: model(), by: "a twin".into() }, 409, "model-in-use"),
            (TwinError::Misfit { pointer: "/desired/a".into(), reason: "no".into() }, 422, "model-misfit"),
            (TwinError::BehaviourFailed { behaviour: "dtmi:a;1".into(), error: "no".into() }, 422, "behaviour-failed"),
            (TwinError::NoSuchPrincipal("p".into()), 404, "no-such-principal"),
            (TwinError::UnknownPrincipal("p".into()), 422, "unknown-principal"),
            (TwinError::SubjectTaken, 409, "subject-taken"),
            (TwinError::NoSuchGrant("g".into()), 404, "no-such-grant"),
            (TwinError::NoSuchRole("r".into()), 404, "no-such-role"),
            (TwinError::UnknownRole { role: "r".into(), pointer: "/role".into() }, 422, "unknown-role"),
            (TwinError::RoleFixed("admin".into()), 409, "role-fixed"),
            (TwinError::RoleInUse { role: "r".into(), holders: 2 }, 409, "role-in-use"),
            (TwinError::KeyReused, 422, "key-reused"),
            (TwinError::Withdrawn, 403, "forbidden"),
            (TwinError::Overloaded, 503, "overloaded"),
            (TwinError::Stopping, 503, "not-ready"),
            (store(StoreError::BadCursor), 400, "invalid-parameter"),
            (store(StoreError::Refused("loop".into())), 409, "registry-conflict"),
            (store(StoreError::Full { doing: "appending", detail: String::new() }), 503, "store-full"),
            (store(unavailable()), 503, "store-unavailable"),
            (store(StoreError::InUse { detail: "secret host name".into() }), 503, "taken-over"),
            (store(StoreError::Damaged { doing: "reading", detail: String::new() }), 500, "internal"),
        ];
        for (error, status, slug) in cases {
            let shown = format!("{error:?}");
            let problem = Problem::from(error);
            assert_eq!((problem.kind().status, problem.kind().slug), (status, slug), "{shown}");
            let response = actix_web::ResponseError::error_response(&problem);
            assert_eq!(response.headers().contains_key("retry-after"), matches!(status, 429 | 503), "{shown}");
        }
        assert!(!Problem::from(store(unavailable())).document().to_string().contains("secret"));
    }
}
