//! Messages and work in flight of one connection, answered in the order they came (MQTT 4.6).
//!
//! Most messages are *posted*: the twin has taken them when they are queued here, and what becomes of them comes back with
//! their ticket, which is their number in this queue. That costs a slot and no future. What has to wait for something on
//! its way is *work*: a boxed future, polled at once where it stands in the stream, so that twins see messages in order,
//! and then whenever the connection's task runs.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use hierarchy_models::TwinId;

use super::{ending::End, verdict::Receipt};
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

/// A message that its twin has, and nobody has heard of yet.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) receipt: Receipt,
    /// A gateway's child; `None`: the session's own twin.
    pub(crate) child: Option<TwinId>,
    /// As [`hierarchy_models::DeviceMessage::kind`] names it.
    pub(crate) kind: &'static str,
    /// Size of its packet.
    pub(crate) bytes: usize,
}

enum Slot {
    Done(Answer),
    Posted(Posted),
    Working(Work, usize),
}

/// In order of arrival.
#[derive(Default)]
pub(crate) struct Answers {
    queue: VecDeque<Slot>,
    /// The front's number; each that follows has one more.
    front: u64,
    bytes: usize,
    working: usize,
}

impl Answers {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of the packets that are not answered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether something is on its way that a posted message would overtake.
    pub(crate) fn is_working(&self) -> bool {
        self.working > 0
    }

    /// Queues a message that is about to be posted, and gives its ticket.
    pub(crate) fn post(&mut self, posted: Posted) -> u64 {
        self.bytes += posted.bytes;
        self.queue.push_back(Slot::Posted(posted));
        self.front + self.queue.len() as u64 - 1
    }

    fn slot(&mut self, ticket: u64) -> Option<&mut Slot> {
        self.queue.get_mut(usize::try_from(ticket.checked_sub(self.front)?).ok()?)
    }

    /// The posted message of a ticket, if it still is that.
    pub(crate) fn posted(&mut self, ticket: u64) -> Option<&Posted> {
        match self.slot(ticket) {
            Some(Slot::Posted(posted)) => Some(posted),
            _ => None,
        }
    }

    /// A posted message has its answer.
    pub(crate) fn settle(&mut self, ticket: u64, answer: Answer) {
        if let Some(bytes) = self.posted(ticket).map(|posted| posted.bytes) {
            self.bytes -= bytes;
            if let Some(slot) = self.slot(ticket) {
                *slot = Slot::Done(answer);
            }
        }
    }

    /// A message could not be posted, or came back: it is work now, in its place.
    pub(crate) fn work_on(&mut self, ticket: u64, work: impl Future<Output = Answer> + 'static, cx: &mut Context<'_>) {
        let Some(bytes) = self.posted(ticket).map(|posted| posted.bytes) else { return };
        let mut work: Work = Box::pin(work);
        match work.as_mut().poll(cx) {
            Poll::Ready(answer) => self.settle(ticket, answer),
            Poll::Pending => {
                self.working += 1;
                if let Some(slot) = self.slot(ticket) {
                    *slot = Slot::Working(work, bytes);
                }
            }
        }
    }

    /// Polls `work` once, now, and queues it.
    pub(crate) fn push(&mut self, work: impl Future<Output = Answer> + 'static, bytes: usize, cx: &mut Context<'_>) {
        let mut work: Work = Box::pin(work);
        let slot = match work.as_mut().poll(cx) {
            Poll::Ready(answer) => Slot::Done(answer),
            Poll::Pending => {
                self.bytes += bytes;
                self.working += 1;
                Slot::Working(work, bytes)
            }
        };
        self.queue.push_back(slot);
    }

    /// Lets all work go on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if self.working == 0 {
            return;
        }
        for slot in &mut self.queue {
            if let Slot::Working(work, bytes) = slot
                && let Poll::Ready(answer) = work.as_mut().poll(cx)
            {
                self.bytes -= *bytes;
                self.working -= 1;
                *slot = Slot::Done(answer);
            }
        }
    }

    /// The front's answer, once it has one.
    pub(crate) fn next(&mut self) -> Option<Answer> {
        if !matches!(self.queue.front(), Some(Slot::Done(_))) {
            return None;
        }
        self.front += 1;
        match self.queue.pop_front() {
            Some(Slot::Done(answer)) => Some(answer),
            _ => None,
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

    #[test]
    fn posted_messages_are_answered_in_their_places() {
        let cx = &mut Context::from_waker(noop_waker_ref());
        let mut answers = Answers::default();
        let receipt = |id| Receipt { version: crate::wire::Version::V3, qos: 1, id };
        let post = |answers: &mut Answers, id| answers.post(Posted { receipt: receipt(id), child: None, kind: "telemetry", bytes: 5 });
        let (first, second, third) = (post(&mut answers, 1), post(&mut answers, 2), post(&mut answers, 3));
        let said = |id| Answer::Send(Outbound::PubComp { id, known: true });
        answers.settle(second, said(2));
        assert_eq!(id(answers.next()), None, "the first is not answered");
        let (done, rx) = oneshot::channel();
        answers.work_on(first, work(rx), cx);
        assert!(answers.is_working() && answers.posted(first).is_none());
        done.send(1).unwrap();
        answers.poll(cx);
        assert_eq!((id(answers.next()), id(answers.next()), id(answers.next())), (Some(1), Some(2), None));
        answers.settle(second, said(9));
        answers.settle(third, said(3));
        assert_eq!(id(answers.next()), Some(3), "tickets stay with their slots while the queue moves on");
        assert!(answers.len() == 0 && answers.bytes() == 0 && !answers.is_working());
    }
}
