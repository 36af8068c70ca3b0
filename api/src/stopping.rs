//! The word that the server takes no more requests, and why: for those who would otherwise go on for ever (live streams), and for those
//! who tell others (the readiness probe, and every other route of a server that stands aside).

use std::time::Duration;

use actix_web::{dev::ServiceRequest, web::Data};
use tokio::sync::watch;

use crate::problem::{self, Problem};

/// What still answers on a server that stands aside.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];
/// How long a caller should stay away from a server that another has taken the place of.
const RETRY_ELSEWHERE: Duration = Duration::from_secs(5);

/// Why there is no more to be had here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The process ends.
    Stops,
    /// Another process has taken the store over; this one waits for somebody to end it.
    StandsAside,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<Option<Reason>>);

impl Stopping {
    /// The word, and the one who says it.
    pub fn new() -> (watch::Sender<Option<Reason>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    pub fn reason(&self) -> Option<Reason> {
        *self.0.borrow()
    }

    /// Returns when the server stops or stands aside.
    pub async fn begun(&mut self) {
        if self.0.wait_for(|reason| reason.is_some()).await.is_err() {
            // Whoever could say it is gone without a word, and the server goes on.
            std::future::pending::<()>().await;
        }
    }
}

/// What a server that stands aside says to everybody, but to those who ask after its health.
pub fn refusal(request: &ServiceRequest) -> Option<Problem> {
    let stands_aside = request.app_data::<Data<Stopping>>()?.reason() == Some(Reason::StandsAside);
    (stands_aside && !PROBES.contains(&request.path())).then(taken_over)
}

pub fn taken_over() -> Problem {
    let detail = "another server has taken the store over; this one serves no more and wants to be stopped";
    Problem::new(problem::TAKEN_OVER, detail).retry_after(RETRY_ELSEWHERE)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn a_server_whose_handle_is_dropped_goes_on() {
        let (sender, mut stopping) = Stopping::new();
        drop(sender);
        assert_eq!(stopping.reason(), None);
        assert!(futures_util::FutureExt::now_or_never(stopping.begun()).is_none());
    }

    #[actix_web::test]
    async fn the_word_reaches_every_listener() {
        let (sender, mut stopping) = Stopping::new();
        let mut other = stopping.clone();
        sender.send(Some(Reason::Stops)).unwrap();
        stopping.begun().await;
        other.begun().await;
        assert_eq!(other.reason(), Some(Reason::Stops));
    }

    #[actix_web::test]
    async fn who_stands_aside_answers_after_its_health_alone() {
        let (sender, stopping) = Stopping::new();
        let refused = |path: &str| refusal(&TestRequest::with_uri(path).app_data(Data::new(stopping.clone())).to_srv_request());
        for (reason, refuses) in [(None, false), (Some(Reason::Stops), false), (Some(Reason::StandsAside), true)] {
            sender.send_replace(reason);
            assert_eq!(refused("/api/v1/twins").is_some(), refuses, "{reason:?}");
            assert!(PROBES.iter().all(|path| refused(path).is_none()), "{reason:?}");
        }
        assert_eq!(refused("/readyz/").map(|problem| problem.kind()), Some(problem::TAKEN_OVER));
    }
}
