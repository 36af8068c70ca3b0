//! The one fact behind the others: whatever is done to a store and to the model, both answer alike.

use std::time::Duration;

use super::*;
use crate::{BucketQuery, EventQuery, Projections, Registry};

/// A small deterministic source of choices (xorshift), so that a failing round can be had again.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

pub async fn a_store_answers_as_the_model_does(place: &dyn Place) {
    let mut choices = Choices(0x9e37_79b9_7f4a_7c15);
    let model = MemoryStore::new();
    let Opened { mut store, .. } = place.open().await;
    let twins: Vec<_> = (0..4).map(|n| id(&format!("twin-{n}"))).collect();
    let mut seqs = vec![0u64; twins.len()];
    let mut marks = vec![(store.mark(), crate::Journal::mark(&model))];
    for step in 0..400 {
        match choices.below(40) {
            0 => {
                drop(store);
                store = place.open().await.store;
            }
            1..=4 => {
                let (mark, of_model) = marks[choices.below(marks.len() as u64) as usize].clone();
                project_through(&*store, mark).await;
                project_through(&model, of_model).await;
            }
            5 => {
                let before = at(choices.below(200) as i64);
                let gone = store.forget_history(before, usize::MAX).await.unwrap();
                assert_eq!(gone, model.forget_history(before, usize::MAX).await.unwrap(), "step {step}");
            }
            6..=9 => {
                let twin = |n: u64| format!("place-{n}");
                let (child, parent) = (twin(choices.below(8)), twin(choices.below(8)));
                let rows = vec![row(&child, (choices.below(3) > 0).then_some(parent.as_str()), step)];
                if choices.below(5) == 0 {
                    let projection = Projection { registry: rows, deleted: vec![id(&twin(choices.below(8)))], ..Projection::default() };
                    store.project(projection.clone()).await.unwrap();
                    model.project(projection).await.unwrap();
                } else {
                    assert_eq!(store.put_rows(rows.clone()).await.is_ok(), model.put_rows(rows).await.is_ok(), "step {step}");
                }
            }
            _ => {
                let mut batch = Batch::default();
                for _ in 0..=choices.below(4) {
                    let n = choices.below(twins.len() as u64) as usize;
                    seqs[n] += 1;
                    let (received, own) = (step as i64 / 2 + choices.below(3) as i64, choices.below(60) as i64);
                    batch.push(&twins[n], &[measured(seqs[n], received, own, seqs[n] as i64)]);
                }
                store.append(batch.clone()).await.unwrap();
                crate::Journal::append(&model, batch).await.unwrap();
                marks.push((store.mark(), crate::Journal::mark(&model)));
            }
        }
        if step % 5 == 0 {
            answers_agree(&*store, &model, &twins[choices.below(4) as usize], &mut choices, step).await;
        }
    }
}

async fn answers_agree(store: &dyn Store, model: &MemoryStore, twin: &TwinId, choices: &mut Choices, step: u64) {
    let (limit, from, to) = (1 + choices.below(40) as usize, Some(at(choices.below(30) as i64)), Some(at(choices.below(60) as i64)));
    let query = HistoryQuery { from, to, ..history_of(twin, limit) };
    assert_eq!(history(store, query.clone()).await, history(model, query).await, "history at step {step}");
    let query = BucketQuery {
        after_seq: 0,
        twin: twin.clone(),
        name: "t".into(),
        from,
        to: None,
        every: Duration::from_millis(7),
        limit: 1_000,
        cursor: None,
    };
    let (a, b) = (store.buckets(query.clone()).await, crate::History::buckets(model, query).await);
    assert_eq!(a.unwrap(), b.unwrap(), "buckets at step {step}");
    let query = EventQuery { after_seq: 0, twin: twin.clone(), stream: None, from, to: None, limit: 1_000, cursor: None };
    let (a, b) = (store.events(query.clone()).await, crate::History::events(model, query).await);
    assert_eq!(a.unwrap(), b.unwrap(), "events at step {step}");
    assert_eq!(store.tail(twin).await.unwrap(), crate::Journal::tail(model, twin).await.unwrap(), "tail at step {step}");
    let query = crate::RegistryQuery { limit: 100, ..Default::default() };
    assert_eq!(store.list(query.clone()).await.unwrap(), model.list(query).await.unwrap(), "registry at step {step}");
    let top = id(&format!("place-{}", choices.below(8)));
    assert_eq!(store.below(&top).await.unwrap(), model.below(&top).await.unwrap(), "below at step {step}");
    assert_eq!(store.children(&top).await.unwrap(), model.children(&top).await.unwrap(), "children at step {step}");
}
