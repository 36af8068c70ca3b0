//! A rule as the store has it: what its webhooks are signed with is sealed there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hierarchy_models::rule::{Action, Rule};
use persistence::Error;

use crate::{error::TwinError, identity::Identities};

/// In front of a secret that is sealed.
const PREFIX: &str = "sealed.";

pub fn write(rule: &Rule, identities: &Identities) -> Result<Vec<u8>, TwinError> {
    let mut rule = rule.clone();
    let id = rule.id.clone();
    for (at, secret) in secrets(&mut rule) {
        let sealed = identities.seal_bytes(&place(&id, at), std::mem::take(secret).into_bytes())?;
        *secret = format!("{PREFIX}{}", BASE64.encode(sealed));
    }
    Ok(serde_json::to_vec(&rule).map_err(|e| Error::Damaged { doing: "writing a rule", detail: e.to_string() })?)
}

/// Why not, for the log: it names no secret.
pub fn read(body: &[u8], identities: &Identities) -> Result<Rule, String> {
    let mut rule: Rule = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let id = rule.id.clone();
    for (at, secret) in secrets(&mut rule) {
        // Before secrets were sealed they stood there as they are.
        let Some(sealed) = secret.strip_prefix(PREFIX) else { continue };
        let opened = BASE64.decode(sealed).ok().and_then(|sealed| identities.open_bytes(&place(&id, at), &sealed));
        let opened = opened.and_then(|clear| String::from_utf8(clear).ok());
        *secret = opened.ok_or_else(|| format!("the secret of action {at} cannot be opened with the master keys that are here"))?;
    }
    Ok(rule)
}

fn secrets(rule: &mut Rule) -> impl Iterator<Item = (usize, &mut String)> {
    rule.actions.iter_mut().enumerate().filter_map(|(at, action)| match action {
        Action::Webhook { secret: Some(secret), .. } => Some((at, secret)),
        _ => None,
    })
}

/// Bound to the rule and the place in it.
fn place(rule: &str, at: usize) -> String {
    format!("rule:{rule}:{at}")
}
