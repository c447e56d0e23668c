//! The connection to the daemon: asks for its state, and connects again when it was gone.

use std::path::PathBuf;
use std::time::Instant;

use udpchat_api::call::{Status, StatusParams, TalkersAnswer, TalkersParams};
use udpchat_api::{Client, ClientError, ErrorKind};

use crate::connect;
use crate::error::Result;

/// How many talkers are asked for: more than a screen shows, so that the sums over several answers are right.
const TALKERS: u32 = 50;

/// What the daemon answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) status: Status,
    pub(crate) talkers: Talkers,
}

/// Who sent since the answer before.
#[derive(Clone, Debug)]
pub(crate) enum Talkers {
    /// The daemon is of a version that does not tell.
    Unknown,
    /// It told, of the entries above this id.
    Since(u64, TalkersAnswer),
}

/// The connection, or none while the daemon is gone.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Option<PathBuf>,
    client: Option<Client>,
    /// Up to which entry the talkers were counted; none before the first answer.
    counted: Option<u64>,
    tells_talkers: bool,
}

impl Link {
    /// Makes a link that is not connected yet, to the socket that the user named, if any.
    pub(crate) fn new(socket: Option<PathBuf>) -> Self {
        Self { socket, client: None, counted: None, tells_talkers: true }
    }

    /// Asks for the state, over the connection of before or a new one.
    ///
    /// # Errors
    /// The daemon is gone or does not answer; the next call tries a new connection.
    pub(crate) async fn ask(&mut self) -> Result<Answer> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                // Another daemon may answer now, of another version.
                self.tells_talkers = true;
                connect::connect(self.socket.as_deref()).await?
            }
        };
        let status = client.call(&StatusParams {}).await?;
        let talkers = self.talkers(&mut client, &status).await?;
        self.client = Some(client);
        Ok(Answer { at: Instant::now(), status, talkers })
    }

    async fn talkers(&mut self, client: &mut Client, status: &Status) -> Result<Talkers> {
        if !self.tells_talkers {
            return Ok(Talkers::Unknown);
        }
        let after = self.counted.unwrap_or(status.inbox.newest_id);
        match client.call(&TalkersParams { after: Some(after), limit: Some(TALKERS) }).await {
            Ok(answer) => {
                self.counted = Some(answer.next);
                Ok(Talkers::Since(after, answer))
            }
            Err(ClientError::Refused(error))
                if matches!(error.data.kind, ErrorKind::UnknownMethod | ErrorKind::NotPermitted) =>
            {
                self.tells_talkers = false;
                Ok(Talkers::Unknown)
            }
            Err(error) => Err(error.into()),
        }
    }
}
