//! The client: one connection to the daemon, with any number of requests in flight and the entries of a subscription.
//!
//! The daemon answers the requests of a connection strictly in their order. While the client waits for an answer, it also
//! writes bytes that the kernel did not accept before: otherwise a client that only writes and a daemon that only answers would
//! block each other as soon as the buffers between them are full.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::call::{Call, ENTRY_NOTIFICATION, PeersAnswer, PeersParams};
use crate::entry::Entry;
use crate::error::{ANSWER_TIMEOUT_SECONDS, ClientError};
use crate::limits::MAX_LINE_BYTES;
use crate::line::{LineReader, to_line};
use crate::rpc::{ErrorObject, Request, Version, present};
use crate::socket::{self, Connection, ReadHalf, WriteHalf};

/// One connection to the daemon.
///
/// Dropping a future of any method loses nothing that the daemon wrote: the next call reads on.
#[derive(Debug)]
pub struct Client {
    /// The socket.
    path: PathBuf,
    reader: LineReader<ReadHalf>,
    writer: WriteHalf,
    /// Requests; the kernel has taken the first `written` bytes.
    outgoing: Vec<u8>,
    written: usize,
    /// Whether writing has failed. The daemon closes the connection, and may have written why before.
    broken: bool,
    /// Why the daemon closed the connection, if it gave a reason.
    farewell: Option<ErrorObject>,
    last_requested: u64,
    last_answered: u64,
    /// Entries of the subscription that came before an answer.
    entries: VecDeque<Entry>,
}

/// A line of the daemon, as [`crate::rpc::Reply`] but with the result parsed straight into its type.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Reply<'a, T> {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(default = "none")]
    result: Option<T>,
    #[serde(default)]
    error: Option<ErrorObject>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

fn none<T>() -> Option<T> {
    None
}

/// The meaning of a line of the daemon for this connection.
enum Incoming<T> {
    /// The answer to the oldest request without one.
    Answer(Result<T, ErrorObject>),
    /// An error about the connection. It counts as the answer to that request, if there is one.
    Connection(ErrorObject),
    /// The next entry of the subscription.
    Entry(Box<Entry>),
    /// A notification of a newer daemon.
    Unknown,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::NotPermitted`], [`ClientError::Busy`] and otherwise [`ClientError::NoDaemon`].
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let connection = socket::connect(path).await.map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path, source },
                io::ErrorKind::ResourceBusy => ClientError::Busy { path, source },
                _ => ClientError::NoDaemon { path, source },
            }
        })?;
        Ok(Self::new(path, connection))
    }

    fn new(path: &Path, connection: Connection) -> Self {
        let (reader, writer) = connection.into_split();
        Self {
            path: path.to_owned(),
            reader: LineReader::new(reader),
            writer,
            outgoing: Vec::new(),
            written: 0,
            broken: false,
            farewell: None,
            last_requested: 0,
            last_answered: 0,
            entries: VecDeque::new(),
        }
    }

    /// Returns the path of the socket at which this client has connected.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls a method and waits for its result, [`ANSWER_TIMEOUT_SECONDS`] at most.
    ///
    /// Discards the answers to earlier requests that are still in flight, such as a call that timed out.
    pub async fn call<C: Call>(&mut self, params: &C) -> Result<C::Answer, ClientError> {
        self.ask(params)?;
        while self.in_flight() > 1 {
            match self.answer::<IgnoredAny>().await {
                Ok(_) | Err(ClientError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.answer().await
    }

    /// Lists all peers, by as many calls of `peers` as their number needs. `window` is that of [`PeersParams`].
    pub async fn peers(&mut self, window: Option<u64>) -> Result<PeersAnswer, ClientError> {
        let mut all = self.call(&PeersParams { window, after: None }).await?;
        while std::mem::take(&mut all.more) {
            let Some(after) = all.peers.last().and_then(|peer| peer.name.clone()) else { break };
            let next = self.call(&PeersParams { window, after: Some(after.clone()) }).await?;
            // Whatever answers, this ends.
            let name = next.peers.last().and_then(|peer| peer.name.as_ref());
            all.more = next.more && name.is_some_and(|name| *name > after);
            all.peers.extend(next.peers);
        }
        Ok(all)
    }

    /// Sends a request without waiting. Bytes that the kernel does not accept now are written while an answer is awaited.
    ///
    /// # Errors
    /// [`ClientError::TooLong`], and [`ClientError::Refused`] if the daemon has given a reason before it closed the connection.
    /// Another failure of the connection is returned by [`Self::answer`].
    pub fn ask<C: Call>(&mut self, params: &C) -> Result<(), ClientError> {
        if let Some(why) = &self.farewell {
            // The daemon reads no more requests, so that this one has certainly no effect.
            return Err(why.clone().into());
        }
        let line = request_line(self.last_requested + 1, params)?;
        self.last_requested += 1;
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
    /// `T` is the `Answer` of the request's [`Call`], or any type that reads the same JSON.
    pub async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        within(ANSWER_TIMEOUT_SECONDS, Duration::from_secs(1), self.read_answer())
            .await
            .unwrap_or(Err(ClientError::Silent))
    }

    /// Returns how many requests have no answer yet.
    pub fn in_flight(&self) -> u64 {
        self.last_requested - self.last_answered
    }

    /// Returns how many bytes of requests the kernel has not taken yet. They are held in memory without a limit.
    pub fn backlog_bytes(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// Waits for the next entry of the subscription; none once the daemon has closed the connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the daemon has given a reason before it closed the connection.
    pub async fn next_entry(&mut self) -> Result<Option<Entry>, ClientError> {
        if let Some(entry) = self.entries.pop_front() {
            return Ok(Some(entry));
        }
        loop {
            match self.read::<IgnoredAny>().await {
                Ok(Incoming::Entry(entry)) => return Ok(Some(*entry)),
                Ok(Incoming::Connection(error)) => return Err(error.into()),
                Ok(Incoming::Answer(_) | Incoming::Unknown) => {}
                Err(ClientError::Closed) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_answer<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        loop {
            match self.read().await? {
                Incoming::Answer(answer) => return answer.map_err(ClientError::from),
                Incoming::Connection(error) => return Err(error.into()),
                Incoming::Entry(entry) => self.entries.push_back(*entry),
                Incoming::Unknown => {}
            }
        }
    }

    /// Reads the next line, and writes meanwhile.
    async fn read<T: DeserializeOwned>(&mut self) -> Result<Incoming<T>, ClientError> {
        loop {
            let Self { reader, writer, outgoing, written, .. } = self;
            let taken = tokio::select! {
                line = reader.next() => {
                    let line = match line.map_err(ClientError::from) {
                        Ok(Some(line)) => line,
                        Ok(None) => return Err(ClientError::Closed),
                        Err(ClientError::Io(error)) if self.broken || is_closed(&error) => {
                            return Err(ClientError::Closed);
                        }
                        Err(error) => return Err(error),
                    };
                    // Once for the whole line: each of its strings would take longer.
                    let line = str::from_utf8(line).map_err(|error| ClientError::Protocol { what: error.to_string() })?;
                    let incoming = incoming(serde_json::from_str(line)?, self.last_answered + 1)?;
                    let is_answer = matches!(incoming, Incoming::Answer(_) | Incoming::Connection(_));
                    if is_answer && self.last_answered < self.last_requested {
                        self.last_answered += 1;
                    }
                    if let Incoming::Connection(why) = &incoming {
                        self.farewell = Some(why.clone());
                    }
                    return Ok(incoming);
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

/// Returns whether a connection failed because the daemon closed it, for example before it had read a request.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Waits for a future, a number of periods at most; none if it takes longer. However long this program is stopped meanwhile,
/// for example by Ctrl-Z, that is one period: what arrived in that time is read afterwards.
async fn within<T>(periods: u64, period: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..periods {
        if let Ok(output) = timeout(period, future.as_mut()).await {
            return Some(output);
        }
    }
    None
}

fn request_line<C: Call>(id: u64, params: &C) -> Result<Vec<u8>, ClientError> {
    let request = Request {
        jsonrpc: Version::V2,
        id: Some(id.into()),
        method: C::METHOD.to_owned(),
        params: Some(serde_json::to_value(params)?),
    };
    let line = to_line(&request)?;
    if line.len() > MAX_LINE_BYTES {
        return Err(ClientError::TooLong { bytes: line.len() });
    }
    Ok(line)
}

/// Classifies a reply, given the id of the oldest request without an answer.
fn incoming<T>(reply: Reply<'_, T>, expected: u64) -> Result<Incoming<T>, ClientError> {
    let is_expected = |id: &Option<Value>| id.as_ref().and_then(Value::as_u64) == Some(expected);
    Ok(match reply {
        Reply { error: Some(error), id: Some(Value::Null), .. } => Incoming::Connection(error),
        Reply { error: Some(error), id, .. } if is_expected(&id) => Incoming::Answer(Err(error)),
        Reply { result: Some(result), id, .. } if is_expected(&id) => Incoming::Answer(Ok(result)),
        Reply { id: Some(id), .. } => {
            let what = format!("it has the id {id} instead of {expected}");
            return Err(ClientError::Protocol { what });
        }
        Reply { method: Some(method), params: Some(params), .. } if method == ENTRY_NOTIFICATION => {
            Incoming::Entry(serde_json::from_str(params.get())?)
        }
        Reply { .. } => Incoming::Unknown,
    })
}

#[cfg(test)]
mod tests;
