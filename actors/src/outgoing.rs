//! How this server asks others over HTTP: webhooks, an identity provider. No proxy, no redirect, nothing kept open.

use std::time::Duration;

use ureq::{Agent, config::Config};

/// `timeout` is for the whole call. A status that says no is an answer, not an error.
pub fn config(timeout: Duration) -> Config {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .user_agent(concat!("twinfold/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(timeout))
        .build()
}
