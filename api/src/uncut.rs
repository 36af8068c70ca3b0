//! Work that must not be cut in half when its caller hangs up.
//!
//! A request's future is dropped when its connection breaks. A registration that had written the identity and not yet
//! the twin would then stand half done, so writes run as tasks of their own and the request only waits for them.

use std::future::Future;

use crate::problem::{self, Problem};

/// Runs `work` to its end, whoever is still waiting for it.
pub async fn uncut<T: 'static>(work: impl Future<Output = Result<T, Problem>> + 'static) -> Result<T, Problem> {
    actix_web::rt::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a write ended without an answer");
        Err(Problem::new(problem::INTERNAL, "the server made an error; whether the change was made is not known"))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[actix_web::test]
    async fn a_write_ends_though_its_caller_is_gone() {
        let (start, started) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let mut waiting = Box::pin(uncut(async move {
            let _ = started.await;
            let _ = end.send(());
            Ok(())
        }));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        start.send(()).unwrap();
        ended.await.unwrap();
    }

    #[actix_web::test]
    async fn a_panic_in_a_write_is_a_problem_and_not_a_hang() {
        let result: Result<(), Problem> = uncut(async { panic!("on purpose") }).await;
        assert_eq!(result.unwrap_err().kind(), problem::INTERNAL);
    }
}
