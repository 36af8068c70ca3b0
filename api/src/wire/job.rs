//! A job as it is listed.

use actors::jobs::{Failure, JOB_FAILURES_MAX, Job};
use hierarchy_models::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Work on many twins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobDocument {
    pub id: String,
    /// `import` or `command`.
    pub kind: &'static str,
    /// `queued`, `running`, `completed`, `failed` (it could not go on: see `problem`) or `cancelled`.
    pub state: &'static str,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub ended_at: Option<Timestamp>,
    /// Lines, where their number is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
    /// Twins that were registered, or got the command.
    pub done: u64,
    /// Lines whose twin was registered already, just so.
    pub unchanged: u64,
    pub failed: u64,
    /// The first of those that failed.
    pub failures: Vec<FailureDocument>,
    /// How many failed that are not listed.
    pub failures_left_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub problem: Option<String>,
}

/// One line or one twin that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobFailure)]
pub struct FailureDocument {
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub twin: Option<String>,
    pub problem: String,
    /// The member of the line at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pointer: Option<String>,
}

/// The command, or with `under` the job that sends it to many.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code)]
pub enum CommandOrJob {
    Command(super::command::CommandDocument),
    Job(JobDocument),
}

impl From<Failure> for FailureDocument {
    fn from(failure: Failure) -> Self {
        let Failure { line, twin, problem, pointer } = failure;
        Self { line, twin: twin.map(|twin| twin.to_string()), problem, pointer }
    }
}

impl From<Job> for JobDocument {
    fn from(job: Job) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.work.kind(),
            state: job.state.as_str(),
            created_by: job.by.to_string(),
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            total: job.total,
            done: job.done,
            unchanged: job.unchanged,
            failed: job.failed,
            failures_left_out: job.failed.saturating_sub(JOB_FAILURES_MAX as u64),
            failures: job.failures.into_iter().map(FailureDocument::from).collect(),
            problem: job.problem,
        }
    }
}
