//! Jobs outlive the process, are cancelled, and do nothing twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::{cell::Cell, rc::Rc};

use actors::{
    NewCommand, Registration, TwinError,
    access::NewPrincipal,
    jobs::{Asker, JOBS_OPEN_PER_PRINCIPAL_MAX, Job, JobState, Line},
};
use hierarchy_models::{Value, event::Status, model};
use persistence::{Documents, Error};
use world::{World, id, map, run};

fn line(number: u64, name: Option<&str>, parent: Option<&str>) -> Line {
    let registration = Registration {
        id: name.map(id),
        model: model::resolve("Device").unwrap(),
        parent: parent.map(id),
        gateway: None,
        metadata: map(r#"{"floor": "3"}"#),
        tags: vec!["new".into()],
        keys: Some([("mine".to_owned(), Some("a-key-that-nobody-sees".to_owned()))].into()),
    };
    Line { number, twin: Ok((registration, Status::Active)) }
}

fn somebody() -> Asker {
    Asker { name: "somebody".into(), ..Asker::default() }
}

fn order(sender: &str) -> NewCommand {
    NewCommand {
        name: "go".into(),
        payload: Value::Null,
        ttl: std::time::Duration::from_secs(3600),
        idempotency_key: None,
        sender: sender.into(),
    }
}

/// As many lines, in parts of a few.
async fn import(w: &World, lines: u64) -> Job {
    let mut spooled = w.twins.begin_import();
    for number in 1..=lines {
        let name = format!("t-{number}");
        spooled.push(line(number, Some(&name).filter(|_| number % 2 == 0).map(String::as_str), None), 20_000).await.unwrap();
    }
    spooled.finish(somebody(), None).await.unwrap()
}

async fn over(w: &World, id: &str) -> Job {
    w.until("the job is over", async |w| w.twins.job(id).ok().filter(|job| job.state.is_end())).await
}

async fn parts(w: &World) -> usize {
    w.store.documents("job-part", None, 1_000).await.unwrap().len()
}

#[test]
fn an_import_goes_on_where_it_was_when_the_process_died() {
    run(async || {
        let w = World::new().await;
        let job = import(&w, 100).await;
        w.until("some lines are worked", async |w| (w.twins.job(&job.id).unwrap().done > 20).then_some(())).await;
        w.store.hold_appends();
        w.held().await;
        let w = w.crash().await;
        let job = over(&w, &job.id).await;
        assert_eq!((job.state, job.failed, job.done + job.unchanged), (JobState::Completed, 0, 100), "{job:?}");
        assert_eq!(w.twins.list(persistence::RegistryQuery { limit: 1_000, ..Default::default() }).await.unwrap().items.len(), 100);
        assert_eq!(parts(&w).await, 0);
    });
}

#[test]
fn an_import_that_is_sent_again_lets_nobody_in_who_was_put_out() {
    run(async || {
        let w = World::new().await;
        import(&w, 2).await;
        w.until("it is registered", async |w| w.twins.get(&id("t-2")).await.ok()).await;
        w.twins.set_status(&id("t-2"), Status::Inactive).await.unwrap();
        let again = import(&w, 2).await;
        let job = over(&w, &again.id).await;
        assert_eq!((job.state, job.unchanged), (JobState::Completed, 1), "{job:?}");
        assert_eq!(w.twins.get(&id("t-2")).await.unwrap().status, Status::Inactive);
    });
}

#[test]
fn what_waits_to_be_imported_is_sealed() {
    run(async || {
        let w = World::new().await;
        w.store.hold_appends();
        import(&w, 30).await;
        let documents = w.store.documents("job-part", None, 100).await.unwrap();
        assert!(documents.len() > 1);
        for document in documents {
            assert!(!document.body.windows(22).any(|text| text == b"a-key-that-nobody-sees"), "{}", document.id);
        }
        w.store.release_appends();
    });
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    run(async || {
        let w = World::new().await;
        let mut spooled = w.twins.begin_import();
        for number in 1..=40 {
            spooled.push(line(number, None, None), 20_000).await.unwrap();
        }
        assert!(parts(&w).await > 1);
        // The process dies in the middle of one.
        let crashed = World::new().await;
        let lost = w.store.documents("job-part", None, 1).await.unwrap().remove(0);
        crashed.store.put_document("job-part", &lost.id, lost.body).await.unwrap();
        let crashed = crashed.crash().await;
        assert_eq!(parts(&crashed).await, 0);
        drop(spooled);
        w.until("its parts are gone", async |w| (parts(w).await == 0).then_some(())).await;
        assert!(w.twins.jobs(None, 10, |_| true).is_empty());
    });
}

#[test]
fn a_cancelled_job_stops_and_stays_cancelled() {
    run(async || {
        let w = World::new().await;
        let job = import(&w, 200).await;
        w.until("some lines are worked", async |w| (w.twins.job(&job.id).unwrap().done > 0).then_some(())).await;
        let cancelled = w.twins.cancel_job(&job.id).await.unwrap().unwrap();
        assert_eq!(cancelled.state, JobState::Cancelled);
        w.until("its lines are gone", async |w| (parts(w).await == 0).then_some(())).await;
        let done = w.twins.job(&job.id).unwrap().done;
        assert!(done < 200, "{done}");
        let w = w.crash().await;
        assert_eq!(w.twins.job(&job.id).unwrap().state, JobState::Cancelled);
        assert_eq!(w.twins.cancel_job(&job.id).await.unwrap(), None);
        assert!(w.twins.job(&job.id).is_err());
    });
}

#[test]
fn a_job_ends_with_its_place_and_one_of_that_name_has_none_of_it() {
    run(async || {
        let w = World::new().await;
        w.register("site", "Site", None).await;
        w.register("other", "Site", None).await;
        w.register("d-other", "Device", Some("other")).await;
        let order = order("somebody");
        // More than work at the same time, so that some wait.
        w.store.hold_appends();
        let mut jobs = Vec::new();
        for site in ["other", "other", "site", "site"] {
            jobs.push(w.twins.command_below(id(site), None, order.clone(), somebody()).await.unwrap().id);
        }
        w.held().await;
        let (twins, removed) = (w.twins.clone(), Rc::new(Cell::new(false)));
        let told = removed.clone();
        tokio::task::spawn_local(async move {
            twins.delete(&id("site"), true, None).await.unwrap();
            told.set(true);
        });
        while jobs[2..].iter().any(|job| w.twins.job(job).unwrap().state != JobState::Cancelled) {
            tokio::task::yield_now().await;
        }
        w.store.release_appends();
        w.until("the place is gone", async |_| removed.get().then_some(())).await;
        w.register("site", "Site", None).await;
        w.register("d-site", "Device", Some("site")).await;
        for (job, state) in jobs.iter().zip([JobState::Completed, JobState::Completed, JobState::Cancelled, JobState::Cancelled]) {
            assert_eq!(over(&w, job).await.state, state);
        }
        assert_eq!((w.commands_of("d-other").await.len(), w.commands_of("d-site").await.len()), (2, 0));
    });
}

#[test]
fn a_line_waits_for_a_parent_that_comes_later_and_not_for_ever() {
    run(async || {
        let w = World::new().await;
        let mut spooled = w.twins.begin_import();
        // A chain, the deepest first, each in a part of its own, and one whose parent never comes.
        spooled.push(line(1, Some("lost"), Some("nowhere")), 300_000).await.unwrap();
        for n in (1..=6).rev() {
            let parent = (n > 1).then(|| format!("c-{}", n - 1));
            spooled.push(line(8 - n, Some(&format!("c-{n}")), parent.as_deref()), 300_000).await.unwrap();
        }
        let job = spooled.finish(somebody(), None).await.unwrap();
        let job = over(&w, &job.id).await;
        assert_eq!((job.state, job.done, job.failed), (JobState::Completed, 6, 1), "{job:?}");
        assert_eq!((job.failures[0].line, job.failures[0].pointer.as_deref()), (Some(1), Some("/parent")));
        assert_eq!(w.twins.entry(&id("c-6")).await.unwrap().path.as_str(), "c-1/c-2/c-3/c-4/c-5/c-6");
    });
}

#[test]
fn a_store_that_is_full_for_a_while_fails_no_line() {
    run(async || {
        let w = World::new().await;
        w.store.fail_appends(Some(Error::Full { doing: "appending", detail: "no room".into() }));
        let job = import(&w, 10).await;
        tokio::task::yield_now().await;
        w.store.fail_appends(None);
        let job = over(&w, &job.id).await;
        assert_eq!((job.state, job.done + job.unchanged, job.failed), (JobState::Completed, 10, 0), "{job:?}");
    });
}

#[test]
fn a_command_to_many_reaches_each_once_though_the_process_dies() {
    run(async || {
        let w = World::new().await;
        w.register("site", "Site", None).await;
        for n in 0..5 {
            w.register(&format!("d-{n}"), "Device", Some("site")).await;
        }
        w.store.hold_appends();
        let order = NewCommand { idempotency_key: Some("k".into()), ..order("somebody") };
        let job = w.twins.command_below(id("site"), Some("model == \"Device\"".into()), order.clone(), somebody()).await.unwrap();
        let again = w.twins.command_below(id("site"), Some("model == \"Device\"".into()), order.clone(), somebody()).await.unwrap();
        assert_eq!(again.id, job.id);
        assert!(w.twins.command_below(id("site"), None, order, somebody()).await.is_err(), "the key was used for another");
        w.held().await;
        w.store.release_one();
        let w = w.crash().await;
        let job = over(&w, &job.id).await;
        assert_eq!((job.done, job.failed), (5, 0), "{job:?}");
        for n in 0..5 {
            assert_eq!(w.commands_of(&format!("d-{n}")).await.len(), 1, "d-{n}");
        }
    });
}

#[test]
fn one_who_asks_for_many_jobs_keeps_nobody_waiting_and_has_a_bound() {
    run(async || {
        let w = World::new().await;
        w.register("site", "Site", None).await;
        w.register("d", "Device", Some("site")).await;
        w.store.hold_appends();
        let ask = async |name: &str, key: usize| {
            let asker = Asker { name: name.into(), ..Asker::default() };
            let order = NewCommand { idempotency_key: Some(format!("{name}-{key}").into()), ..order(name) };
            w.twins.command_below(id("site"), None, order, asker).await
        };
        let mut jobs = Vec::new();
        for key in 0..JOBS_OPEN_PER_PRINCIPAL_MAX {
            jobs.push(ask("greedy", key).await.unwrap().id);
        }
        let refused = ask("greedy", jobs.len()).await.unwrap_err();
        assert!(matches!(refused, TwinError::Limit { limit: "JOBS_OPEN_PER_PRINCIPAL_MAX", .. }), "{refused}");
        let other = ask("other", 0).await.unwrap().id;
        let state = |job: &str| w.twins.job(job).unwrap().state;
        // A tick would wait for what is held back.
        while state(&other) != JobState::Running {
            tokio::task::yield_now().await;
        }
        let running = jobs.iter().filter(|job| state(job) == JobState::Running).count();
        assert_eq!((running, state(&jobs[0])), (1, JobState::Running), "the oldest of each");
        w.store.release_appends();
        for job in jobs.iter().chain([&other]) {
            assert_eq!(over(&w, job).await.state, JobState::Completed);
        }
    });
}

#[test]
fn a_job_goes_no_further_than_who_asked_for_it_may() {
    run(async || {
        let w = World::new().await;
        w.register("site", "Site", None).await;
        w.register("d", "Device", Some("site")).await;
        let desk = async |scope: &str| {
            let new = NewPrincipal {
                name: "desk".into(),
                roles: vec!["operator".into()],
                scope: Some(id(scope)),
                expires_at: None,
                subject: None,
            };
            w.twins.access().create_principal(new, w.now()).await.unwrap().0.id
        };
        let (stays, goes) = (desk("site").await, desk("site").await);
        let order = order("desk");
        w.store.hold_appends();
        let mut jobs = Vec::new();
        for principal in [&stays, &goes] {
            let asker =
                Asker { principal: Some(principal.as_str().into()), name: "desk".into(), scope: Some(vec![id("site")]), by_token: false };
            jobs.push(w.twins.command_below(id("site"), None, order.clone(), asker).await.unwrap().id);
        }
        w.held().await;
        w.twins.access().delete_principal(&goes).await.unwrap();
        let w = w.crash().await;
        let (first, second) = (over(&w, &jobs[0]).await, over(&w, &jobs[1]).await);
        assert_eq!((first.state, first.done), (JobState::Completed, 1), "{first:?}");
        assert_eq!((second.state, second.done), (JobState::Failed, 0), "{second:?}");
        assert!(second.problem.unwrap().contains("may not do this any more"));
        assert_eq!(w.commands_of("d").await.len(), 1);
    });
}
