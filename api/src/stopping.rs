//! The word that the server stops, for those who would otherwise go on for ever: live streams and the readiness probe.

use tokio::sync::watch;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The word, and the one who says it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the server stops.
    pub async fn begun(&mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            // Whoever could say it is gone without a word, and the server goes on.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_server_whose_handle_is_dropped_goes_on() {
        let (sender, mut stopping) = Stopping::new();
        drop(sender);
        assert!(!stopping.has_begun());
        assert!(futures_util::FutureExt::now_or_never(stopping.begun()).is_none());
    }

    #[actix_web::test]
    async fn the_word_reaches_every_listener() {
        let (sender, mut stopping) = Stopping::new();
        let mut other = stopping.clone();
        sender.send(true).unwrap();
        stopping.begun().await;
        other.begun().await;
        assert!(other.has_begun());
    }
}
