//! Work in flight of one connection, answered in the order it came (MQTT 4.6).
//!
//! A piece of work is polled at once where it stands in the stream, so that twins see messages in order; later all of
//! it is polled whenever the connection's task runs. That is one box a message and a few polls, for at most
//! `mqtt.receive_max` of them. `FuturesOrdered` would poll only what woke, for two allocations and several atomic
//! operations a message; a task for each message costs more still, and lets messages overtake each other.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::ending::End;
use crate::wire::Outbound;

/// What is to be done when a piece of work's turn has come.
pub(crate) enum Answer {
    Nothing,
    Send(Outbound),
    /// As `Send`, and the message above QoS 0 does not count against the Receive Maximum any more.
    Settle(Outbound),
    /// The subscriptions are settled: deliveries that waited for the SUBACK may go.
    Subscribed(Outbound),
    End(End),
}

type Work = Pin<Box<dyn Future<Output = Answer>>>;

enum Slot {
    Done(Answer),
    Working(Work, usize),
}

/// In order of arrival.
#[derive(Default)]
pub(crate) struct Answers {
    queue: VecDeque<Slot>,
    bytes: usize,
}

impl Answers {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of the packets whose work is not done.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Polls `work` once, now, and queues it.
    pub(crate) fn push(&mut self, work: impl Future<Output = Answer> + 'static, bytes: usize, cx: &mut Context<'_>) {
        let mut work: Work = Box::pin(work);
        let slot = match work.as_mut().poll(cx) {
            Poll::Ready(answer) => Slot::Done(answer),
            Poll::Pending => {
                self.bytes += bytes;
                Slot::Working(work, bytes)
            }
        };
        self.queue.push_back(slot);
    }

    /// Lets all work go on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        for slot in &mut self.queue {
            if let Slot::Working(work, bytes) = slot
                && let Poll::Ready(answer) = work.as_mut().poll(cx)
            {
                self.bytes -= *bytes;
                *slot = Slot::Done(answer);
            }
        }
    }

    /// The front's answer, once it has one.
    pub(crate) fn next(&mut self) -> Option<Answer> {
        match self.queue.pop_front()? {
            Slot::Done(answer) => Some(answer),
            working @ Slot::Working(..) => {
                self.queue.push_front(working);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;
    use tokio::sync::oneshot;

    use super::*;

    async fn work(done: oneshot::Receiver<u16>) -> Answer {
        Answer::Send(Outbound::PubComp { id: done.await.unwrap(), known: true })
    }

    fn id(answer: Option<Answer>) -> Option<u16> {
        match answer? {
            Answer::Send(Outbound::PubComp { id, .. }) => Some(id),
            _ => panic!("another answer"),
        }
    }

    #[test]
    fn answers_leave_in_the_order_their_work_came() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut answers = Answers::default();
        let (first, rx1) = oneshot::channel();
        let (second, rx2) = oneshot::channel();
        answers.push(work(rx1), 10, cx);
        answers.push(work(rx2), 20, cx);
        assert_eq!((answers.len(), answers.bytes()), (2, 30));
        second.send(2).unwrap();
        answers.poll(cx);
        assert_eq!(id(answers.next()), None);
        first.send(1).unwrap();
        answers.poll(cx);
        assert_eq!(id(answers.next()), Some(1));
        assert_eq!(id(answers.next()), Some(2));
        assert!(answers.len() == 0 && answers.bytes() == 0);
    }

    #[test]
    fn work_is_begun_at_once_even_behind_other_work() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut answers = Answers::default();
        let begun = std::rc::Rc::new(std::cell::Cell::new(false));
        let (_hold, never) = oneshot::channel();
        answers.push(work(never), 0, cx);
        let seen = begun.clone();
        let second = async move {
            seen.set(true);
            Answer::Nothing
        };
        answers.push(second, 0, cx);
        assert!(begun.get());
    }
}
