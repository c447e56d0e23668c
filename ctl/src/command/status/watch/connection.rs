//! Requests the state and the top senders of the daemon.

use std::path::PathBuf;
use std::time::Instant;

use udpchat_api::ErrorKind;
use udpchat_api::call::{Status, StatusParams, TalkersAnswer, TalkersParams};

use crate::error::{CtlError, Exit, Result};
use crate::reconnect::{CallError, ReconnectingClient};

/// The number of senders to request: more than a screen shows, so that sums over several answers are right.
const MAX_TALKERS: u32 = 50;

/// The state of the daemon at a time.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) talkers: Talkers,
}

/// The senders since the previous answer.
#[derive(Clone, Debug)]
pub(super) enum Talkers {
    /// The daemon does not support the method, or does not permit it.
    Unavailable,
    /// The senders of the entries above this id.
    Since(u64, TalkersAnswer),
}

/// Queries the state of the daemon repeatedly.
#[derive(Debug)]
pub(super) struct StatusQuery {
    client: ReconnectingClient,
    /// The entry up to which senders were counted; none before the first answer.
    counted_id: Option<u64>,
    has_talkers: bool,
}

/// Returns whether no later request can succeed: a user without a role gets none by waiting.
pub(super) fn is_final(error: &CtlError) -> bool {
    error.exit() == Exit::NotPermitted
}

impl StatusQuery {
    /// Creates a query that is not connected yet; `socket` is the one given by `--socket`.
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        Self { client: ReconnectingClient::new(socket), counted_id: None, has_talkers: true }
    }

    /// Requests the state, after connecting if necessary.
    ///
    /// # Errors
    /// The daemon does not answer. The next call connects again.
    pub(super) async fn ask(&mut self) -> Result<Answer> {
        match self.ask_once().await {
            // A daemon that takes a role away closes the connection; another one may have what is left.
            Err(error) if error.is_lost() || error.is_refusal(ErrorKind::NotPermitted) => {
                self.client.disconnect();
                self.client.find_again().await?;
                Ok(self.ask_once().await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn ask_once(&mut self) -> Result<Answer, CallError> {
        // A daemon of another version may answer after a reconnection.
        self.has_talkers |= !self.client.is_connected();
        let status = self.client.call(&StatusParams {}).await?;
        let talkers = self.talkers(&status).await?;
        Ok(Answer { at: Instant::now(), status, talkers })
    }

    async fn talkers(&mut self, status: &Status) -> Result<Talkers, CallError> {
        if !self.has_talkers {
            return Ok(Talkers::Unavailable);
        }
        let after = self.counted_id.unwrap_or(status.inbox.newest_id);
        match self.client.call(&TalkersParams { after: Some(after), limit: Some(MAX_TALKERS) }).await {
            Ok(answer) => {
                self.counted_id = Some(answer.next);
                Ok(Talkers::Since(after, answer))
            }
            Err(error)
                if error.is_refusal(ErrorKind::UnknownMethod)
                    || error.is_refusal(ErrorKind::NotPermitted) =>
            {
                self.has_talkers = false;
                Ok(Talkers::Unavailable)
            }
            Err(error) => Err(error),
        }
    }
}
