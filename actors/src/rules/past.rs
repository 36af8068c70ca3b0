//! What rules remember, read from history: after a restart, and when a rule is new.

use std::{collections::BTreeMap, time::Duration};

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
    /// Windows that are empty, each with its length in milliseconds.
    windows: Vec<(Name, i64)>,
    /// Values that conditions are to be followed over, and how far back.
    followed: BTreeMap<Name, i64>,
}

/// What was measured at one instant.
pub struct PastRecord {
    pub at: Timestamp,
    pub values: Vec<(Name, Value)>,
}

/// Samples for one window, in the order in which they came.
pub struct Filling {
    pub name: Name,
    pub length_ms: i64,
    pub samples: Vec<(Timestamp, Value)>,
}

pub struct Past {
    pub fillings: Vec<Filling>,
    /// What new conditions are to be followed over, in the order in which it came; empty when none is new.
    pub records: Vec<PastRecord>,
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
        let mut wanted = Self::default();
        let empty = rules.memory().windows().filter(|(name, ms)| is_known(name) && !has_window(name, *ms));
        wanted.windows.extend(empty.map(|(name, ms)| (name.clone(), ms)));
        // The longest of each value first: what it brings may do for the shorter ones.
        wanted.windows.sort_by(|(a, of_a), (b, of_b)| a.cmp(b).then(of_b.cmp(of_a)));
        if rules.memory().conditions().any(|c| !has_condition(c)) {
            let reach = compiled.iter().map(|rule| rule.reaches_ms()).max().unwrap_or(0);
            let names = compiled.iter().flat_map(|rule| rule.all_names()).filter(|name| is_known(name));
            wanted.followed = names.map(|name| (name, reach)).collect();
        }
        wanted
    }

    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.followed.is_empty()
    }
}

/// Where a twin's history is read.
pub struct Source<'a> {
    pub store: &'a dyn Store,
    pub twin: &'a TwinId,
    pub after_seq: u64,
    /// The time of its newest record.
    pub newest: Timestamp,
    pub late_max: Duration,
}

/// A span of history, and how far back it reaches.
struct Span {
    name: Name,
    reach_ms: i64,
    items: Vec<HistoryItem>,
}

impl Source<'_> {
    pub async fn read(&self, wanted: Wanted) -> Past {
        let mut fillings = Vec::new();
        let mut last: Option<Span> = None;
        for (name, length_ms) in wanted.windows {
            let does = last.as_ref().is_some_and(|span| span.name == name && span.reach_ms >= length_ms);
            if !does {
                last = Some(self.span(&name, length_ms).await);
            }
            let items = last.as_ref().map_or(&[][..], |span| &span.items);
            fillings.push(Filling { samples: self.samples(items, length_ms), name, length_ms });
        }
        let mut items = Vec::new();
        for (name, reach_ms) in wanted.followed {
            items.extend(self.span(&name, reach_ms).await.items.into_iter().map(|item| (name.clone(), item)));
        }
        Past { fillings, records: records(items) }
    }

    /// Those that a window of this length would have taken as they came.
    fn samples(&self, items: &[HistoryItem], length_ms: i64) -> Vec<(Timestamp, Value)> {
        let mut in_order: Vec<&HistoryItem> = items.iter().collect();
        in_order.sort_by_key(|item| (item.received_at, item.at));
        let (mut samples, mut newest) = (Vec::new(), Timestamp::MIN);
        for item in in_order {
            let is_late = item.at < newest.minus(self.late_max);
            newest = newest.max(item.at);
            if !is_late && self.newest.as_millis() - item.at.as_millis() < length_ms {
                samples.push((item.at, item.value.clone()));
            }
        }
        samples
    }

    /// A store that cannot be read costs the past, not the twin: its windows begin empty, which is counted.
    async fn span(&self, name: &Name, reach_ms: i64) -> Span {
        match self.read_span(name, reach_ms).await {
            Ok(span) => span,
            Err(error) => {
                tracing::warn!(twin = %self.twin, %name, %error, "the past of a rule's window cannot be read; it begins empty");
                metrics::counter!("twinfold_rule_windows_lost_total").increment(1);
                Span { name: name.clone(), reach_ms, items: Vec::new() }
            }
        }
    }

    /// As much of the span up to the newest record as one window can hold.
    async fn read_span(&self, name: &Name, mut reach_ms: i64) -> Result<Span, Error> {
        loop {
            let query = HistoryQuery {
                twin: self.twin.clone(),
                after_seq: self.after_seq,
                name: name.clone(),
                from: Some(Timestamp::from_millis_clamped(self.newest.as_millis().saturating_sub(reach_ms))),
                to: None,
                limit: WINDOW_SAMPLES_MAX,
                cursor: None,
            };
            let page = self.store.history(query).await?;
            if page.cursor.is_none() || reach_ms <= SHORTER {
                return Ok(Span { name: name.clone(), reach_ms, items: telemetry(page.items) });
            }
            reach_ms /= SHORTER;
        }
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
