//! The answers that a connection waits for: messages that are sent, and not yet on record.
//!
//! The next message need not wait for the disk to have the one before, only its answer must: so a transaction serves
//! many sends of one connection. Answers leave in the order of their requests.

use std::collections::VecDeque;
use std::pin::Pin;

/// How many answers may be waited for.
const MAX_AHEAD: usize = 64;

/// How long their requests may be together, in bytes, one more or less.
const MAX_AHEAD_BYTES: usize = 256 * 1024;

/// An answer that is on its way; none for a notification.
type Answer = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// The answers of a connection that are waited for.
#[derive(Default)]
pub(super) struct Ahead {
    answers: VecDeque<(Answer, usize)>,
    bytes: usize,
}

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Tells whether an answer must be given before another request is begun.
    pub(super) fn is_full(&self) -> bool {
        self.answers.len() >= MAX_AHEAD || self.bytes >= MAX_AHEAD_BYTES
    }

    /// Adds the answer to a request of so many bytes.
    pub(super) fn push(
        &mut self,
        bytes: usize,
        answer: impl Future<Output = Option<Vec<u8>>> + Send + 'static,
    ) {
        self.answers.push_back((Box::pin(answer), bytes));
        self.bytes += bytes;
    }

    /// Waits for the first answer; there is nothing to write for a notification, nor where none is waited for.
    ///
    /// A wait that is given up loses nothing.
    pub(super) async fn first(&mut self) -> Option<Vec<u8>> {
        let (answer, bytes) = self.answers.front_mut()?;
        let line = answer.await;
        self.bytes -= *bytes;
        self.answers.pop_front();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn answers_leave_in_the_order_of_their_requests() {
        let mut ahead = Ahead::default();
        let (first, waits) = oneshot::channel::<()>();
        ahead.push(10, async {
            waits.await.ok();
            Some(b"first".to_vec())
        });
        ahead.push(10, async { Some(b"second".to_vec()) });
        tokio::select! {
            biased;
            line = ahead.first() => panic!("{line:?} came before the first"),
            () = std::future::ready(()) => {}
        }
        first.send(()).unwrap();
        assert_eq!(ahead.first().await.unwrap(), b"first");
        assert_eq!(ahead.first().await.unwrap(), b"second");
        assert!(ahead.is_empty());
        assert_eq!(ahead.bytes, 0);
    }

    #[test]
    fn there_is_a_limit_in_number_and_in_bytes() {
        let full = |bytes: usize, requests: usize| {
            let mut ahead = Ahead::default();
            (0..requests).for_each(|_| ahead.push(bytes, async { None }));
            ahead.is_full()
        };
        assert!(!full(100, MAX_AHEAD - 1) && full(100, MAX_AHEAD));
        assert!(!full(MAX_AHEAD_BYTES - 1, 1) && full(MAX_AHEAD_BYTES, 1));
    }
}
