//! The word that the server stops, for those who would otherwise go on for ever: live streams and the readiness probe.

use tokio::sync::watch;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The word, and the one who says it by dropping or sending.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when the server stops.
    pub async fn begun(&mut self) {
        // An error means that the one who says it is gone, and so is the server.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_server_that_is_gone_has_stopped() {
        let (sender, mut stopping) = Stopping::new();
        assert!(!stopping.has_begun());
        drop(sender);
        assert!(stopping.has_begun());
        stopping.begun().await;
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
