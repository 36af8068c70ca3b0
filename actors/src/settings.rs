//! The runtime's settings: every bound has a name, a unit and a default here, and the same name in the configuration file.

use std::time::Duration;

use hierarchy_models::{dtdl::UndefinedExtensions, limits, supervision::RestartPolicy};

use crate::{
    access::{OidcSettings, SESSION_LIFETIME_DEFAULT},
    models::Validation,
    quotas::QuotaSettings,
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// `twins.memory_max_bytes`: beyond it the twins idle longest leave memory first.
    pub memory_max_bytes: u64,
    /// `twins.idle_after`: a twin without a connection and without work leaves memory after this long.
    pub idle_after: Duration,
    /// `twins.mailbox_max`: messages that wait for one twin while it is read back; one more is refused as overload.
    pub mailbox_max: usize,
    /// `twins.dedupe_records_max`: record ids remembered, a twin.
    pub dedupe_records_max: usize,
    /// `rollup.tick`: a twin passes its figures to its parent at most once in this time.
    pub rollup_tick: Duration,
    /// `rollup.stale_after`: a device silent for longer counts as stale and its values are left out.
    pub stale_after: Duration,
    /// `journal.flush_interval`: how often projections are written behind the journal.
    pub flush_interval: Duration,
    /// `journal.backlog_max_bytes`: journal not yet projected; beyond it a flush starts at once.
    pub backlog_max_bytes: u64,
    /// `journal.max_bytes`: journal not yet projected; beyond it devices wait until flushes have caught up.
    pub journal_max_bytes: u64,
    /// `history.retention`: history received longer ago is forgotten; `None` keeps it for ever.
    pub history_retention: Option<Duration>,
    /// `live.replay_events_max`: live events kept for readers that come back.
    pub live_replay_events_max: usize,
    /// `live.queue_events_max`: live events waiting for one slow reader; beyond it the reader starts again from a snapshot.
    pub live_queue_events_max: usize,
    /// `live.readers_max`.
    pub live_readers_max: usize,
    /// `commands.waiters_max`: callers waiting on one twin's commands.
    pub command_waiters_max: usize,
    /// `supervision.*`.
    pub restart: RestartPolicy,
    /// `models.validation`: what becomes of a message or a call that does not fit its twin's model.
    pub validation: Validation,
    /// `models.undefined_extensions`: whether a model may name language extensions that are not known here.
    pub undefined_extensions: UndefinedExtensions,
    /// `rules.late_max`: a record older than the newest of its twin by more than this joins no window of a rule.
    pub rules_late_max: Duration,
    /// `webhooks.allow_private`: whether rules may call addresses of loopback, private and link-local networks.
    pub webhooks_allow_private: bool,
    /// `webhooks.timeout`: for one call of a webhook, from the look-up of its name to the head of the answer.
    pub webhooks_timeout: Duration,
    /// `webhooks.patience`: a call that has failed for this long is given up.
    pub webhooks_patience: Duration,
    /// `webhooks.waiting_max`: calls that wait; beyond it new ones are refused and counted.
    pub webhooks_waiting_max: usize,
    /// `twins.turn_budget`: a behaviour's turn that takes longer is counted and logged. When the thread worked for longer than that,
    /// or stood for twenty times as long, the twin restarts, and is quarantined when it goes on.
    pub turn_budget: Duration,
    /// `auth.oidc.*`: whose signed tokens are believed; nobody's when absent.
    pub oidc: Option<OidcSettings>,
    /// `auth.session_lifetime`: a browser's session ends after this long.
    pub session_lifetime: Duration,
    /// `quotas.*`: what one principal, and all together, may ask for in a second.
    pub quotas: QuotaSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_max_bytes: 2 << 30,
            idle_after: Duration::from_secs(600),
            mailbox_max: 1_024,
            dedupe_records_max: limits::DEDUPE_RECORDS_MAX,
            rollup_tick: Duration::from_millis(100),
            stale_after: Duration::from_secs(900),
            flush_interval: Duration::from_secs(2),
            backlog_max_bytes: 64 << 20,
            journal_max_bytes: 1 << 30,
            history_retention: None,
            live_replay_events_max: 65_536,
            live_queue_events_max: 4_096,
            live_readers_max: 1_000,
            command_waiters_max: 64,
            restart: RestartPolicy::default(),
            validation: Validation::default(),
            undefined_extensions: UndefinedExtensions::default(),
            rules_late_max: Duration::from_secs(300),
            webhooks_allow_private: false,
            webhooks_timeout: Duration::from_secs(10),
            webhooks_patience: Duration::from_secs(24 * 3600),
            webhooks_waiting_max: 10_000,
            turn_budget: Duration::from_millis(50),
            oidc: None,
            session_lifetime: SESSION_LIFETIME_DEFAULT,
            quotas: QuotaSettings::default(),
        }
    }
}
