//! Facts about the audit log: one chain whoever appends, and what it tells of who changed it.

use persistence::{Audit, MemoryStore};

use super::*;
use crate::clock::ManualClock;

fn entry(action: &str, outcome: Outcome) -> Entry {
    let actor = Some(Actor { id: "1".into(), name: "ann".into() });
    let target = Target { kind: "twin".into(), id: Some("d".into()) };
    Entry { actor, status: Some(200), ..Entry::new("127.0.0.1", action, target, outcome) }
}

/// A log with its writer, on a store.
fn log(store: &MemoryStore) -> (Arc<AuditLog>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let log = Arc::new(AuditLog::new(clock.clone()));
    tokio::task::spawn_local(run(log.clone(), Arc::new(store.clone())));
    (log, clock)
}

async fn on_a_thread<T>(test: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(test).await
}

#[tokio::test]
async fn many_calls_share_an_append_and_all_hang_together() {
    on_a_thread(async {
        let store = MemoryStore::default();
        let (log, _) = log(&store);
        let actions: Vec<String> = (0..700).map(|n| format!("call {n}")).collect();
        let calls = actions.iter().map(|action| log.record(entry(action, Outcome::Done)));
        assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
        let verified = verify(&store, None).await.unwrap();
        assert_eq!(verified.records, 700);
        // It goes on behind a restart.
        let (again, _) = self::log(&store);
        again.record(entry("later", Outcome::Done)).await.unwrap();
        assert_eq!(verify(&store, Some((700, verified.head))).await.unwrap().records, 701);
    })
    .await;
}

#[tokio::test]
async fn a_record_that_was_changed_taken_out_or_cut_off_is_told() {
    on_a_thread(async {
        let store = MemoryStore::default();
        let (log, _) = log(&store);
        for n in 0..5 {
            log.record(entry(&format!("call {n}"), Outcome::Done)).await.unwrap();
        }
        let all = store.audit_after(0, 10).await.unwrap();
        let head = verify(&store, None).await.unwrap().head;
        let broken = |records: Vec<AuditRecord>| async move {
            let store = MemoryStore::default();
            store.append_audit(records).await.unwrap();
            verify(&store, None).await
        };
        let at = |result: Result<Verified, Broken>| match result.unwrap_err() {
            Broken::At { number, .. } => number,
            other => panic!("{other}"),
        };
        let mut changed = all.clone();
        changed[2].body = String::from_utf8(all[2].body.to_vec()).unwrap().replace("ann", "bob").into();
        assert_eq!(at(broken(changed.clone()).await), 3);
        // Made to fit itself, it does not fit what follows.
        changed[2].hash = chain::hash(&changed[1].hash, 3, changed[2].at, &changed[2].body);
        assert_eq!(at(broken(changed).await), 4);
        let mut moved = all.clone();
        moved[3].at = moved[3].at.plus(Duration::from_millis(1));
        assert_eq!(at(broken(moved).await), 4);
        let mut shorter = all.clone();
        shorter.remove(1);
        shorter.iter_mut().zip(1..).for_each(|(record, number)| record.number = number);
        assert_eq!(at(broken(shorter).await), 2);
        let cut = MemoryStore::default();
        cut.append_audit(all[..3].to_vec()).await.unwrap();
        assert!(verify(&cut, None).await.is_ok(), "by itself an end that is gone leaves no trace");
        assert!(matches!(verify(&cut, Some((5, head.clone()))).await, Err(Broken::CutOff { number: 5, last: 3 })));
        assert!(matches!(verify(&store, Some((4, head.clone()))).await, Err(Broken::NotAsWrittenDown { number: 4, .. })));
        assert!(verify(&store, Some((5, head.to_uppercase()))).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_recorded_is_an_error_and_the_chain_goes_on_after_it() {
    on_a_thread(async {
        let store = MemoryStore::default();
        let (log, _) = log(&store);
        log.record(entry("first", Outcome::Done)).await.unwrap();
        store.fail_audit(Some(Error::Full { doing: "a test", detail: "full".into() }));
        assert!(matches!(log.record(entry("lost", Outcome::Done)).await, Err(TwinError::Store(Error::Full { .. }))));
        store.fail_audit(None);
        // Another writer was there meanwhile.
        let (other, _) = self::log(&store);
        other.record(entry("other", Outcome::Done)).await.unwrap();
        log.record(entry("second", Outcome::Done)).await.unwrap();
        other.record(entry("third", Outcome::Done)).await.unwrap();
        assert_eq!(verify(&store, None).await.unwrap().records, 4);
    })
    .await;
}

#[tokio::test]
async fn refusals_are_recorded_with_their_number_before_a_stop() {
    on_a_thread(async {
        let store = MemoryStore::default();
        let (log, _clock) = log(&store);
        for _ in 0..300 {
            log.note(entry("GET /twins", Outcome::Denied));
        }
        log.settle(true).await;
        let counts: Vec<u64> = store
            .audit_after(0, 10)
            .await
            .unwrap()
            .iter()
            .map(|record| serde_json::from_slice::<Entry>(&record.body).unwrap().count)
            .collect();
        assert_eq!(counts, [1, 299]);
    })
    .await;
}

/// What is hashed must not change from one version of the program to the next.
#[test]
fn an_entry_is_written_as_it_was_written_first() {
    let full = Entry {
        path: Some(hierarchy_models::tree::Path::from_stored("site/d")),
        made: Some("/twins/d".into()),
        ..entry("POST /twins", Outcome::Done)
    };
    assert_eq!(
        serde_json::to_string(&full).unwrap(),
        r#"{"actor":{"id":"1","name":"ann"},"from":"127.0.0.1","action":"POST /twins","target":{"kind":"twin","id":"d"},"path":"site/d","outcome":"done","status":200,"made":"/twins/d"}"#
    );
    assert_eq!(
        chain::written(&chain::hash(&AUDIT_BEGINNING, 1, Timestamp::EPOCH, b"x")),
        // printf '%064d%016d%016d78' 0 1 0 | xxd -r -p | sha256sum
        "7406cf19eed5f1b3231f10efeaf71e709de6dc0c23f085b8ea043634e64447e1"
    );
}
