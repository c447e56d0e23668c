//! A client that connects when it is needed, and again after its connection failed.
//!
//! It has no timer: the caller's requests determine how often a connection is tried.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use udpchat_api::call::{Call, PeersAnswer};
use udpchat_api::{Client, ClientError, Entry, ErrorKind};

use crate::connect;
use crate::error::CtlError;

/// A client of the daemon that outlives its connections.
#[derive(Debug)]
pub(crate) struct ReconnectingClient {
    /// The socket given by `--socket`.
    socket: Option<PathBuf>,
    client: Option<Client>,
    /// The generation in which `client` connected.
    connected_in: u64,
    /// Counts the daemons that answered: connections of an earlier generation are dead. Shared by related clients.
    generation: Arc<AtomicU64>,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No daemon can be reached; the request was not sent.
    NoDaemon(CtlError),
    Client(ClientError),
}

impl ReconnectingClient {
    /// Creates a client that is not connected yet.
    pub(crate) fn new(socket: Option<PathBuf>) -> Self {
        Self { socket, client: None, connected_in: 0, generation: Arc::default() }
    }

    /// Creates a client that starts with an open connection.
    pub(crate) fn with_client(socket: Option<PathBuf>, client: Client) -> Self {
        Self { client: Some(client), ..Self::new(socket) }
    }

    /// Creates a related client, with a connection of its own.
    pub(crate) fn related(&self) -> Self {
        let (socket, generation) = (self.socket.clone(), Arc::clone(&self.generation));
        Self { socket, client: None, connected_in: 0, generation }
    }

    /// Returns whether the last call left the connection open.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    pub(crate) fn disconnect(&mut self) {
        self.client = None;
    }

    /// Makes the related clients connect again before their next call: their daemon has ended, or a new one may have answered this one.
    pub(crate) fn reconnect_related(&mut self) {
        self.connected_in = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
    }

    /// Calls a method, after connecting if necessary. The connection is closed unless the daemon answered.
    ///
    /// # Errors
    /// The call is not repeated, since that may not be safe.
    pub(crate) async fn call<C: Call>(&mut self, params: &C) -> Result<C::Answer, CallError> {
        let client = self.connected().await.map_err(CallError::NoDaemon)?;
        let answer = client.call(params).await;
        self.done(answer)
    }

    /// Lists all peers, after connecting if necessary, as [`Client::peers`].
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn peers(&mut self, window: Option<u64>) -> Result<PeersAnswer, CallError> {
        let client = self.connected().await.map_err(CallError::NoDaemon)?;
        let answer = client.peers(window).await;
        self.done(answer)
    }

    /// Closes the connection unless the daemon answered.
    fn done<T>(&mut self, answer: Result<T, ClientError>) -> Result<T, CallError> {
        if !matches!(&answer, Ok(_) | Err(ClientError::Refused(_) | ClientError::TooLong { .. })) {
            self.client = None;
        }
        answer.map_err(CallError::Client)
    }

    /// Checks whether a daemon answers after the connection was lost, as [`connect::find_again`].
    pub(crate) async fn find_again(&self) -> Result<(), CtlError> {
        connect::find_again(self.socket.as_deref()).await
    }

    /// Waits for the next entry of the subscription of this connection.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if there is no connection, too: a new one would have no subscription.
    pub(crate) async fn next_entry(&mut self) -> Result<Entry, CallError> {
        let entry = match &mut self.client {
            Some(client) => client.next_entry().await,
            None => Ok(None),
        };
        entry.and_then(|entry| entry.ok_or(ClientError::Closed)).map_err(CallError::Client)
    }

    async fn connected(&mut self) -> Result<&mut Client, CtlError> {
        let generation = self.generation.load(Ordering::Relaxed);
        if self.connected_in != generation {
            self.client = None;
        }
        let client = match self.client.take() {
            Some(client) => client,
            None => connect::connect(self.socket.as_deref()).await?,
        };
        self.connected_in = generation;
        Ok(self.client.insert(client))
    }
}

impl CallError {
    /// Returns whether the connection was lost, so that only a new one shows whether a daemon answers.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_lost())
    }

    /// Returns whether the daemon refused the call with an error of this kind.
    pub(crate) fn is_refusal(&self, kind: ErrorKind) -> bool {
        matches!(self, Self::Client(ClientError::Refused(error)) if error.data.kind == kind)
    }
}

impl From<CallError> for CtlError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoDaemon(error) => error,
            CallError::Client(error) => error.into(),
        }
    }
}
