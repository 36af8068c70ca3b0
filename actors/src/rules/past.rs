//! What rules remember, read from history: after a restart, and when a rule is new.

use std::collections::BTreeMap;

use hierarchy_models::{
    Name, Timestamp, TwinId, Value,
    limits::WINDOW_SAMPLES_MAX,
    rule::{CompiledRule, TwinRules},
};
use persistence::{Error, HistoryItem, HistoryQuery, Store};

/// A span with too many samples is made this much shorter.
const SHORTER: i64 = 4;

/// What of history is needed.
#[derive(Debug, Default, PartialEq)]
pub struct Wanted {
    /// Values and how far back, in milliseconds.
    names: BTreeMap<Name, i64>,
    /// Conditions are to be followed through it, not only windows filled.
    replay: bool,
}

/// What was measured at one instant.
pub struct PastRecord {
    pub at: Timestamp,
    pub values: Vec<(Name, Value)>,
}

pub struct Past {
    /// In the order in which they came.
    pub records: Vec<PastRecord>,
    pub replay: bool,
}

impl Wanted {
    /// What `rules` ask for and `old` does not have.
    pub fn of(
        rules: &TwinRules,
        compiled: &[std::sync::Arc<CompiledRule>],
        old: Option<&TwinRules>,
        is_known: impl Fn(&str) -> bool,
    ) -> Self {
        let has_window = |name: &Name, ms: i64| old.is_some_and(|old| old.memory().windows().any(|(n, l)| n == name && l == ms));
        let has_condition = |condition: &str| old.is_some_and(|old| old.memory().conditions().any(|c| &**c == condition));
        let mut wanted = Self { replay: rules.memory().conditions().any(|c| !has_condition(c)), ..Self::default() };
        if wanted.replay {
            let reach = compiled.iter().map(|rule| rule.reaches_ms()).max().unwrap_or(0);
            wanted.names = compiled.iter().flat_map(|rule| rule.all_names()).map(|name| (name, reach)).collect();
        } else {
            wanted.names.extend(rules.memory().windows().filter(|(name, ms)| !has_window(name, *ms)).map(|(name, ms)| (name.clone(), ms)));
            // What is read goes into every window of the value, so it must do for the longest.
            for (name, ms) in rules.memory().windows() {
                if let Some(longest) = wanted.names.get_mut(name) {
                    *longest = ms.max(*longest);
                }
            }
        }
        wanted.names.retain(|name, _| is_known(name));
        wanted
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A store that cannot be read costs the past, not the twin: its windows begin empty, which is counted.
pub async fn read(store: &dyn Store, twin: &TwinId, after_seq: u64, wanted: Wanted, newest: Timestamp) -> Past {
    let mut items = Vec::new();
    for (name, reach_ms) in wanted.names {
        match span(store, twin, after_seq, &name, reach_ms, newest).await {
            Ok(found) => items.extend(found.into_iter().map(|item| (name.clone(), item))),
            Err(error) => {
                tracing::warn!(%twin, %name, %error, "the past of a rule's window cannot be read; it begins empty");
                metrics::counter!("twinfold_rule_windows_lost_total").increment(1);
            }
        }
    }
    Past { records: records(items), replay: wanted.replay }
}

/// As much of the span up to the newest record as one window can hold.
async fn span(
    store: &dyn Store,
    twin: &TwinId,
    after_seq: u64,
    name: &Name,
    reach_ms: i64,
    newest: Timestamp,
) -> Result<Vec<HistoryItem>, Error> {
    let mut ms = reach_ms;
    loop {
        let query = HistoryQuery {
            twin: twin.clone(),
            after_seq,
            name: name.clone(),
            from: Some(Timestamp::from_millis_clamped(newest.as_millis().saturating_sub(ms))),
            to: None,
            limit: WINDOW_SAMPLES_MAX,
            cursor: None,
        };
        let page = store.history(query).await?;
        if page.cursor.is_none() || ms <= SHORTER {
            return Ok(telemetry(page.items));
        }
        ms /= SHORTER;
    }
}

/// Reported properties have the same names and are another thing.
pub fn telemetry(mut items: Vec<HistoryItem>) -> Vec<HistoryItem> {
    items.retain(|item| item.stream.starts_with("telemetry"));
    items
}

/// Values that came together are one record again; in the order in which they came, and of one message in the order of their time.
pub fn records(mut items: Vec<(Name, HistoryItem)>) -> Vec<PastRecord> {
    items.sort_by_key(|(_, item)| (item.received_at, item.at));
    let mut records: Vec<(Timestamp, PastRecord)> = Vec::new();
    for (name, item) in items {
        match records.last_mut() {
            Some((received_at, last))
                if *received_at == item.received_at && last.at == item.at && !last.values.iter().any(|(n, _)| *n == name) =>
            {
                last.values.push((name, item.value));
            }
            _ => records.push((item.received_at, PastRecord { at: item.at, values: vec![(name, item.value)] })),
        }
    }
    records.into_iter().map(|(_, record)| record).collect()
}
