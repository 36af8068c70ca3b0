//! A rule on trial: the same engine over stored history, and what it would have raised and cleared.

use std::{sync::Arc, time::Duration};

use hierarchy_models::{
    Name, Severity, Timestamp, TwinId,
    event::SEQ_BITS,
    rule::{Action, CompiledRule, Turned, TwinRules},
    value::Map,
};
use persistence::HistoryQuery;

use super::{
    facts::Then,
    past::{records, telemetry},
};
use crate::{error::TwinError, runtime::Runtime, twin::TwinState};

/// Values read for one trial.
const TRIAL_VALUES_MAX: usize = 200_000;
/// Values read at once.
const READ_AT_ONCE: usize = 5_000;
/// Records between two breaths, so that nobody else on the thread waits long.
const RECORDS_A_BREATH: usize = 500;

#[derive(Debug)]
pub struct Trial {
    pub rule: CompiledRule,
    pub twin: TwinId,
    /// By the time of the records; `from` is included, `to` is not.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// An alert that it would have raised.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialAlert {
    pub name: Name,
    /// `None` of a rule that raises no alert.
    pub severity: Option<Severity>,
    pub text: String,
    pub values: Map,
    pub raised_at: Timestamp,
    /// `None` while it would stand at the end.
    pub cleared_at: Option<Timestamp>,
}

#[derive(Debug, Default, PartialEq)]
pub struct TrialOutcome {
    /// Oldest first.
    pub alerts: Vec<TrialAlert>,
    pub records: u64,
    pub evaluations: u64,
    pub errors: u64,
    pub late: u64,
}

pub async fn run(runtime: &Arc<Runtime>, trial: Trial) -> Result<TrialOutcome, TwinError> {
    let Trial { rule, twin, from, to } = trial;
    let entry = runtime.store.entry(&twin).await?.ok_or_else(|| TwinError::NoSuchTwin(twin.clone()))?;
    let warm = from.map(|from| from.minus(Duration::from_millis(rule.reaches_ms().unsigned_abs())));
    let mut items = Vec::new();
    for name in rule.all_names() {
        let mut cursor = None;
        loop {
            let (twin, name) = (twin.clone(), name.clone());
            let after_seq = entry.row.seq >> SEQ_BITS << SEQ_BITS;
            let query = HistoryQuery { twin, after_seq, name: name.clone(), from: warm, to, limit: READ_AT_ONCE, cursor };
            let page = runtime.store.history(query).await?;
            items.extend(telemetry(page.items).into_iter().map(|item| (name.clone(), item)));
            if items.len() > TRIAL_VALUES_MAX {
                let detail = format!("more than {TRIAL_VALUES_MAX} values to read; name a shorter span");
                return Err(TwinError::Limit { limit: "TRIAL_VALUES_MAX", detail });
            }
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    let state = TwinState { model: entry.row.model, metadata: entry.row.metadata, ..TwinState::blank() };
    Ok(play(rule, &twin, &state, items, (from, to), runtime.settings.rules_late_max).await)
}

async fn play(
    rule: CompiledRule,
    twin: &TwinId,
    state: &TwinState,
    items: Vec<(Name, persistence::HistoryItem)>,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    late_max: Duration,
) -> TrialOutcome {
    let rule = Arc::new(rule);
    let mut rules = TwinRules::new(vec![rule.clone()], |_| false);
    let mut facts = Then::new(twin.as_str(), state, Default::default());
    let mut outcome = TrialOutcome::default();
    let mut turned = Vec::new();
    for (n, record) in records(items).into_iter().enumerate() {
        if n == 0 {
            facts.begin(record.at);
        }
        if n % RECORDS_A_BREATH == RECORDS_A_BREATH - 1 {
            tokio::task::yield_now().await;
        }
        outcome.records += 1;
        rules.record(record.at, &record.values, &mut facts, late_max, &mut turned);
        turned.drain(..).for_each(|turned| take(&rule, &mut outcome.alerts, turned));
    }
    if let Some(to) = to {
        rules.advance(to, &facts, &mut turned);
        turned.drain(..).for_each(|turned| take(&rule, &mut outcome.alerts, turned));
    }
    // What began and ended before the span was only there to warm up.
    outcome.alerts.retain(|alert| from.is_none_or(|from| alert.cleared_at.is_none_or(|end| end >= from)));
    let counts = rules.take_counts();
    (outcome.evaluations, outcome.errors, outcome.late) = (counts.evaluations, counts.errors, counts.late);
    outcome
}

fn take(rule: &CompiledRule, alerts: &mut Vec<TrialAlert>, turned: Turned) {
    if !turned.on {
        alerts.iter_mut().filter(|alert| alert.cleared_at.is_none()).for_each(|alert| alert.cleared_at = Some(turned.at));
        return;
    }
    let Turned { at, texts, values, .. } = turned;
    let before = alerts.len();
    for (n, action) in rule.rule.actions.iter().enumerate() {
        if let (Some(name), Action::Alert { severity, .. }) = (rule.alert_name(action), action) {
            let text = texts.get(n).cloned().unwrap_or_default();
            alerts.push(TrialAlert { name, severity: Some(*severity), text, values: values.clone(), raised_at: at, cleared_at: None });
        }
    }
    if alerts.len() == before {
        let name = rule.rule.id.clone();
        alerts.push(TrialAlert { name, severity: None, text: String::new(), values, raised_at: at, cleared_at: None });
    }
}
