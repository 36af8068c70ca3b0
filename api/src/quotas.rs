//! Which quotas a request uses up.

use actix_web::http::Method;
use actors::{
    access::Subject,
    quotas::{Exceeded, Quotas},
};

use crate::problem::{self, Problem};

/// Takes the request into account, or says that it is one too many.
pub fn check(quotas: &Quotas, subject: &Subject, method: &Method, path: &str) -> Result<(), Problem> {
    quotas.request(&subject.id).map_err(refused)?;
    if *method != Method::POST {
        return Ok(());
    }
    if path.ends_with("/commands") {
        quotas.command(&subject.id).map_err(refused)?;
    } else if path == "/api/v1/twins" {
        quotas.registration(&subject.id).map_err(refused)?;
    }
    Ok(())
}

fn refused(Exceeded { quota, wait }: Exceeded) -> Problem {
    let detail = format!("more than {quota} allows in a second");
    Problem::new(problem::QUOTA_EXCEEDED, detail).with("limit", quota).retry_after(wait)
}
