//! The responses that are pending on a connection: to messages that were sent and are not yet committed.
//!
//! Only the response to a message waits for the disk, the next message does not, so one transaction commits many messages
//! of one connection (group commit). Responses leave in the order of their requests.

use std::collections::VecDeque;
use std::pin::Pin;

use super::response::Response;

/// How many responses may be pending.
const MAX_PENDING: usize = 64;

/// How long their requests may be together, in bytes; the last one may exceed it.
const MAX_PENDING_BYTES: usize = 256 * 1024;

/// A response in preparation; it yields nothing for a notification.
type Pending = Pin<Box<dyn Future<Output = Option<Response>> + Send>>;

/// The pending responses of a connection.
#[derive(Default)]
pub(super) struct ResponseQueue {
    pending: VecDeque<(Pending, usize)>,
    bytes: usize,
}

impl ResponseQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns whether a response must leave before another request is started.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_PENDING || self.bytes >= MAX_PENDING_BYTES
    }

    /// Adds the response to a request of this length.
    pub(super) fn push(
        &mut self,
        bytes: usize,
        response: impl Future<Output = Option<Response>> + Send + 'static,
    ) {
        self.pending.push_back((Box::pin(response), bytes));
        self.bytes += bytes;
    }

    /// Waits for the first response; returns none for a notification, and none if nothing is pending.
    ///
    /// Cancel safe.
    pub(super) async fn first(&mut self) -> Option<Response> {
        let (response, bytes) = self.pending.front_mut()?;
        let response = response.await;
        self.bytes -= *bytes;
        self.pending.pop_front();
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn response(line: &[u8]) -> Response {
        Response { line: line.to_vec(), _memory: None }
    }

    #[tokio::test]
    async fn responses_leave_in_request_order() {
        let mut queue = ResponseQueue::default();
        let (first, waits) = oneshot::channel::<()>();
        queue.push(10, async {
            waits.await.ok();
            Some(response(b"first"))
        });
        queue.push(10, async { Some(response(b"second")) });
        tokio::select! {
            biased;
            line = queue.first() => panic!("{line:?} came before the first"),
            () = std::future::ready(()) => {}
        }
        first.send(()).unwrap();
        assert_eq!(queue.first().await.unwrap().line, b"first");
        assert_eq!(queue.first().await.unwrap().line, b"second");
        assert!(queue.is_empty());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn number_and_bytes_are_limited() {
        let is_full = |bytes: usize, requests: usize| {
            let mut queue = ResponseQueue::default();
            (0..requests).for_each(|_| queue.push(bytes, async { None }));
            queue.is_full()
        };
        assert!(!is_full(100, MAX_PENDING - 1) && is_full(100, MAX_PENDING));
        assert!(!is_full(MAX_PENDING_BYTES - 1, 1) && is_full(MAX_PENDING_BYTES, 1));
    }
}
