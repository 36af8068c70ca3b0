//! Fetching a provider's keys. Blocks, so it runs on a thread for that; with the client that webhooks use, but where it goes is said by
//! the operator's own settings, so no guard stands in the way.

use std::{io::Read, time::Duration};

use serde::Deserialize;
use ureq::Agent;

use super::{OidcSettings, jwks::Keys};
use crate::outgoing;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys as they are published now. The error is for the log.
pub fn keys(settings: &OidcSettings) -> Result<Keys, String> {
    let agent = Agent::new_with_config(outgoing::config(TIMEOUT));
    let url = match &settings.jwks_url {
        Some(url) => url.clone(),
        None => discover(&agent, settings)?,
    };
    super::check_url(&url)?;
    let keys = Keys::parse(&get(&agent, &url)?)?;
    if keys.len() == 0 { Err(format!("{url} has no key of a sort that is taken here (RS256, ES256, EdDSA)")) } else { Ok(keys) }
}

fn discover(agent: &Agent, settings: &OidcSettings) -> Result<String, String> {
    let url = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
    let found: Discovery = serde_json::from_slice(&get(agent, &url)?).map_err(|e| format!("{url} is no discovery document: {e}"))?;
    if found.issuer != settings.issuer {
        return Err(format!("{url} speaks of the issuer {:?}", found.issuer));
    }
    Ok(found.jwks_uri)
}

fn get(agent: &Agent, url: &str) -> Result<Vec<u8>, String> {
    let failed = |e: String| format!("{url}: {e}");
    let mut answer = agent.get(url).header("accept", "application/json").call().map_err(|e| failed(e.to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(format!("it answered {}", answer.status())));
    }
    let mut body = Vec::new();
    let read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX + 1).read_to_end(&mut body);
    read.map_err(|e| failed(e.to_string()))?;
    if body.len() as u64 > ANSWER_BYTES_MAX { Err(failed(format!("its answer is larger than {ANSWER_BYTES_MAX} bytes"))) } else { Ok(body) }
}
