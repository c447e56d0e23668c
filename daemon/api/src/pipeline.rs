//! The client with many requests in flight: asks ahead, and takes the answers later, in the order of the requests.
//!
//! The daemon answers a connection's requests strictly in their order, so nothing but patience ties an answer to its
//! request. While an answer is awaited, what could not be written at once is written too: a client that only wrote
//! and a daemon that only answered would wait for each other as soon as the buffers between them are full.

use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::call::Call;
use crate::client::{ANSWER_TIMEOUT_SECONDS, ClientError, protocol, request_line};
use crate::line::LineReader;
use crate::rpc::{ErrorObject, present};

/// One connection to the daemon, with any number of requests in flight.
#[derive(Debug)]
pub struct Pipeline {
    reader: LineReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// What the system has not taken yet of the requests, from `written` on.
    outgoing: Vec<u8>,
    written: usize,
    /// Whether writing has failed: the daemon closes the connection, and may have said why.
    broken: bool,
    last_asked: u64,
    last_answered: u64,
}

/// As [`crate::rpc::Reply`], with the result read straight into its type.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Reply<T> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(default = "none")]
    result: Option<T>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

fn none<T>() -> Option<T> {
    None
}

impl Pipeline {
    pub(crate) fn new(reader: LineReader<OwnedReadHalf>, writer: OwnedWriteHalf, last_id: u64) -> Self {
        let (outgoing, written, broken) = (Vec::new(), 0, false);
        Self { reader, writer, outgoing, written, broken, last_asked: last_id, last_answered: last_id }
    }

    /// Returns how many requests have no answer yet.
    pub fn in_flight(&self) -> u64 {
        self.last_asked - self.last_answered
    }

    /// Returns how many bytes of requests the system has not taken yet: who asks on regardless fills the memory.
    pub fn backlog_bytes(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// Sends a request without waiting for anything. What the system does not take now goes out while an answer is
    /// awaited.
    ///
    /// # Errors
    /// [`ClientError::TooLong`]; what is wrong with the connection shows in the answer.
    pub fn ask<C: Call>(&mut self, params: &C) -> Result<(), ClientError> {
        let line = request_line(self.last_asked + 1, C::METHOD, params)?;
        self.last_asked += 1;
        if self.written > self.backlog_bytes() {
            self.outgoing.drain(..std::mem::take(&mut self.written));
        }
        self.outgoing.extend_from_slice(&line);
        let taken = self.writer.try_write(&self.outgoing[self.written..]);
        self.note_written(taken);
        Ok(())
    }

    /// Waits for the answer to the oldest request without one, [`ANSWER_TIMEOUT_SECONDS`] at most.
    ///
    /// Dropping the waiting future loses nothing: the next call goes on.
    pub async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let answer = timeout(Duration::from_secs(ANSWER_TIMEOUT_SECONDS), self.exchange());
        answer.await.map_err(|_| ClientError::Silent)?
    }

    async fn exchange<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let expected = Value::from(self.last_answered + 1);
        loop {
            match self.reply().await? {
                Reply { error: Some(error), id, .. }
                    if id.as_ref() == Some(&expected) || id == Some(Value::Null) =>
                {
                    self.last_answered += 1;
                    return Err(error.into());
                }
                Reply { result: Some(result), id: Some(id), .. } if id == expected => {
                    self.last_answered += 1;
                    return Ok(result);
                }
                Reply { id: Some(id), .. } => {
                    let what = format!("it is for request {id}, and {expected} is the next");
                    return Err(ClientError::Protocol { what });
                }
                // Notifications of a newer daemon are passed over.
                Reply { id: None, .. } => {}
            }
        }
    }

    /// Reads the next line, and writes meanwhile. Each of both steps can be given up without a loss.
    async fn reply<T: DeserializeOwned>(&mut self) -> Result<Reply<T>, ClientError> {
        loop {
            let Self { reader, writer, outgoing, written, .. } = self;
            let taken = tokio::select! {
                line = reader.next() => {
                    let line = line.map_err(ClientError::from).and_then(|line| line.ok_or(ClientError::Closed));
                    return match line {
                        Ok(line) => serde_json::from_slice(line).map_err(protocol),
                        Err(ClientError::Io(_)) if self.broken => Err(ClientError::Closed),
                        Err(error) => Err(error),
                    };
                }
                taken = writer.write(&outgoing[*written..]), if *written < outgoing.len() => taken,
            };
            self.note_written(taken);
        }
    }

    fn note_written(&mut self, taken: io::Result<usize>) {
        match taken {
            Ok(bytes) => self.written += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.broken = true;
                self.written = self.outgoing.len();
            }
        }
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }
}
