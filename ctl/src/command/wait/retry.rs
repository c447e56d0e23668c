//! A question that is asked again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;
use udpchat_api::call::SendParams;
use udpchat_api::{Client, ClientError, Entry};

use crate::command::send::recent_params_to_last_port;
use crate::error::{CtlError, Result};

/// A question that is asked again, at equal intervals, until an answer arrives.
#[derive(Default)]
pub(in crate::command) struct Retry {
    question: SendParams,
    /// How often it is asked again.
    times: u32,
    /// The destination, if it is asked at its last port, which is looked up each time.
    at_last_port: Option<String>,
    /// The peers that were asked; the last one most recently.
    asked: RefCell<Vec<SocketAddr>>,
}

impl Retry {
    /// Creates it for a question that was sent.
    pub(in crate::command) fn of(
        question: SendParams,
        times: u32,
        at_last_port: Option<String>,
        sent: &[Entry],
    ) -> Self {
        let retry = Self { question, times, at_last_port, ..Self::default() };
        retry.add_asked(sent);
        retry
    }

    /// Returns whether a peer was asked.
    pub(in crate::command) fn has_asked(&self, peer: SocketAddr) -> bool {
        self.asked.borrow().contains(&peer)
    }

    /// Returns the peer that was asked last.
    pub(in crate::command) fn last_asked(&self) -> Option<SocketAddr> {
        self.asked.borrow().last().copied()
    }

    /// Returns when the question is due again, after it was asked again `asked` times; none if it is not, or later than a
    /// clock can tell.
    pub(super) fn due(&self, asked: u32, began: Instant, timeout: Option<Duration>) -> Option<Instant> {
        let interval = timeout? / self.times.saturating_add(1);
        (asked < self.times).then(|| began.checked_add(interval * (asked + 1))).flatten()
    }

    /// Asks again; returns the ids of what was sent. What the kernel refuses now may succeed later.
    pub(super) async fn ask(&self, client: &mut Client) -> Result<Option<Vec<u64>>> {
        let mut question = self.question.clone();
        if let Some(to) = &self.at_last_port {
            match recent_params_to_last_port(client, to).await {
                Ok(target) => question.reply_to = target.reply_to,
                Err(error) if error.is_lost() => return Err(error),
                // It is asked where it was asked before, also if nothing came lately.
                Err(_) => {}
            }
        }
        match client.call(&question).await {
            Ok(sent) => {
                let entries = sent.into_entries();
                self.add_asked(&entries);
                Ok(Some(entries.iter().map(Entry::id).collect()))
            }
            Err(ClientError::Refused(_)) => Ok(None),
            Err(error) => Err(CtlError::of_send(error)),
        }
    }

    fn add_asked(&self, sent: &[Entry]) {
        let mut asked = self.asked.borrow_mut();
        for entry in sent {
            if let Entry::Message(message) = entry {
                asked.retain(|peer| *peer != message.peer);
                asked.push(message.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_due_at_equal_intervals() {
        let began = Instant::now();
        let retry = Retry { times: 1, ..Retry::default() };
        let due = |asked, timeout| retry.due(asked, began, timeout);
        let second = Duration::from_secs(1);
        assert_eq!(due(0, Some(2 * second)), Some(began + second));
        assert_eq!((due(1, Some(2 * second)), due(0, None)), (None, None));
        // No clock reaches these times.
        assert_eq!((due(0, Some(Duration::MAX)), due(1, Some(Duration::MAX))), (None, None));
    }
}
