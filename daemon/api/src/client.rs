//! The client: one connection to the daemon, requests one after the other, and the entries of a subscription.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::MAX_LINE_BYTES;
use crate::call::{Call, ENTRY_NOTIFICATION};
use crate::entry::Entry;
use crate::line::{LineError, LineReader, to_line};
use crate::pipeline::Pipeline;
use crate::rpc::{ErrorObject, Reply, Request, Version};
use crate::socket::{self, ReadHalf, WriteHalf};

/// How long the daemon may take for an answer. Its own waits end after 10 seconds at most: beyond this it hangs.
pub const ANSWER_TIMEOUT_SECONDS: u64 = 30;

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon answers at {}", .path.display())]
    NoDaemon {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The socket may not be opened by this user.
    #[error("not permitted to open {}", .path.display())]
    NotPermitted {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The daemon does not accept connections as fast as clients make them, or not at all.
    #[error("the daemon at {} accepts no connection", .path.display())]
    Busy {
        /// The socket that was tried.
        path: PathBuf,
        /// Why connecting failed.
        source: io::Error,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Refused(#[from] ErrorObject),
    /// The connection ended in the middle.
    #[error("the daemon closed the connection")]
    Closed,
    /// No answer came.
    #[error("the daemon did not answer within {ANSWER_TIMEOUT_SECONDS} s")]
    Silent,
    /// The request does not fit into a line.
    #[error("the request is {bytes} bytes long, more than the {MAX_LINE_BYTES} that a line may have")]
    TooLong {
        /// The length of the line.
        bytes: usize,
    },
    /// What came back is not this protocol.
    #[error("the answer is not of this protocol: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
    /// Reading or writing failed.
    #[error("the connection to the daemon failed")]
    Io(#[from] io::Error),
}

impl From<LineError> for ClientError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::TooLong => Self::Protocol { what: error.to_string() },
            LineError::Io(error) => Self::Io(error),
        }
    }
}

/// One connection to the daemon.
#[derive(Debug)]
pub struct Client {
    reader: LineReader<ReadHalf>,
    writer: WriteHalf,
    last_id: u64,
    /// Entries of the subscription that came while an answer was awaited.
    entries: VecDeque<Entry>,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] and [`ClientError::NotPermitted`] by what the system says.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = socket::connect(path).await.map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path, source },
                io::ErrorKind::ResourceBusy => ClientError::Busy { path, source },
                _ => ClientError::NoDaemon { path, source },
            }
        })?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: LineReader::new(reader), writer, last_id: 0, entries: VecDeque::new() })
    }

    /// Calls a method and waits for its result, [`ANSWER_TIMEOUT_SECONDS`] at most.
    pub async fn call<C: Call>(&mut self, params: &C) -> Result<C::Answer, ClientError> {
        let result = self.call_raw(C::METHOD, params).await?;
        serde_json::from_value(result).map_err(protocol)
    }

    /// Calls a method by name and returns the result as it came.
    pub async fn call_raw(&mut self, method: &str, params: &impl Serialize) -> Result<Value, ClientError> {
        let answer = timeout(Duration::from_secs(ANSWER_TIMEOUT_SECONDS), self.exchange(method, params));
        answer.await.map_err(|_| ClientError::Silent)?
    }

    /// Turns the connection into one with many requests in flight; it must have no subscription.
    pub fn into_pipeline(self) -> Pipeline {
        Pipeline::new(self.reader, self.writer, self.last_id)
    }

    /// Waits for the next entry of the subscription; none once the daemon has closed the connection.
    ///
    /// Dropping the waiting future loses nothing: what was read stays in the buffer.
    pub async fn next_entry(&mut self) -> Result<Option<Entry>, ClientError> {
        if let Some(entry) = self.entries.pop_front() {
            return Ok(Some(entry));
        }
        loop {
            match self.read().await {
                Ok(reply) => {
                    if let Some(entry) = entry_of(reply)? {
                        return Ok(Some(entry));
                    }
                }
                Err(ClientError::Closed) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    async fn exchange(&mut self, method: &str, params: &impl Serialize) -> Result<Value, ClientError> {
        self.last_id += 1;
        let id = Value::from(self.last_id);
        let line = request_line(self.last_id, method, params)?;
        // A daemon that refuses the connection says why and closes: its words count for more than the failed write.
        let written = self.writer.write_all(&line).await;
        loop {
            let reply = match (self.read().await, &written) {
                (Err(ClientError::Closed | ClientError::Io(_)), Err(_)) => return Err(ClientError::Closed),
                (reply, _) => reply?,
            };
            match reply {
                Reply { error: Some(error), id: of, .. }
                    if of.as_ref() == Some(&id) || of == Some(Value::Null) =>
                {
                    return Err(error.into());
                }
                Reply { result: Some(result), id: Some(of), .. } if of == id => return Ok(result),
                other => self.entries.extend(entry_of(other)?),
            }
        }
    }

    async fn read(&mut self) -> Result<Reply, ClientError> {
        let line = self.reader.next().await?.ok_or(ClientError::Closed)?;
        serde_json::from_slice(line).map_err(protocol)
    }
}

/// Renders a request as a line.
pub(crate) fn request_line(id: u64, method: &str, params: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    let params = serde_json::to_value(params).map_err(protocol)?;
    let request = Request {
        jsonrpc: Version::V2,
        id: Some(Value::from(id)),
        method: method.to_owned(),
        params: Some(params),
    };
    let line = to_line(&request).map_err(protocol)?;
    if line.len() > MAX_LINE_BYTES {
        return Err(ClientError::TooLong { bytes: line.len() });
    }
    Ok(line)
}

fn entry_of(reply: Reply) -> Result<Option<Entry>, ClientError> {
    match (reply.method.as_deref(), reply.params) {
        (Some(ENTRY_NOTIFICATION), Some(params)) => {
            serde_json::from_value(params).map(Some).map_err(protocol)
        }
        // Notifications of a newer daemon are passed over.
        _ => Ok(None),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(crate) fn protocol(error: serde_json::Error) -> ClientError {
    ClientError::Protocol { what: error.to_string() }
}
