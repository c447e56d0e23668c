//! What fuzz targets call of the control socket: the parser of requests, sessions, and patterns.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use udpchat_api::call::{
    AckParams, AcknowledgeParams, Call, CancelParams, ConsumersParams, HeldParams, InboxParams, PeersParams,
    RecodeParams, ReloadParams, RemoveMarkParams, SelfTestParams, SendParams, SetMarkParams, StatusParams,
    StopParams, SubscribeParams, TalkersParams, TargetsParams, UnsubscribeParams, VersionParams,
};
use udpchat_api::rpc::{Id, Request};
use udpchat_api::safe;
use udpchat_api::socket::Connection;
use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::Encoding;
use udpchat_text::{Knowledge, decode};

use super::client::Client;
use super::credentials::Credentials;
use super::memory::Memory;
use super::pattern::{MAX_SEARCH_BYTES, Patterns};
use super::request::{parameters, parse};
use super::response::failure_line;
use super::session;
use super::shared::Control;
use super::users::Users;

/// A request line, parsed.
#[derive(Debug)]
pub struct Line {
    /// The id to respond to; none for a notification.
    pub id: Option<Id>,
    /// The response, if the line or its parameters are not valid.
    pub refusal: Option<Vec<u8>>,
}

/// Parses a request line and its parameters.
pub fn parse_line(line: &[u8]) -> Line {
    match parse(line) {
        Ok(mut request) => {
            let error = invalid_parameters(&mut request);
            let refusal = error.map(|error| failure_line(request.id.clone().unwrap_or(Id::Null), error));
            Line { id: request.id, refusal }
        }
        Err((id, error)) => Line { id: Some(id.clone()), refusal: Some(failure_line(id, error)) },
    }
}

fn invalid_parameters(request: &mut Request) -> Option<ErrorObject> {
    fn of<C: Call + DeserializeOwned>(request: &mut Request) -> Option<ErrorObject> {
        (request.method == C::METHOD).then(|| parameters::<C>(request).err()).flatten()
    }
    let methods = [
        of::<AckParams>,
        of::<AcknowledgeParams>,
        of::<CancelParams>,
        of::<ConsumersParams>,
        of::<HeldParams>,
        of::<InboxParams>,
        of::<PeersParams>,
        of::<RecodeParams>,
        of::<ReloadParams>,
        of::<RemoveMarkParams>,
        of::<SelfTestParams>,
        of::<SendParams>,
        of::<SetMarkParams>,
        of::<StatusParams>,
        of::<StopParams>,
        of::<SubscribeParams>,
        of::<TalkersParams>,
        of::<TargetsParams>,
        of::<UnsubscribeParams>,
        of::<VersionParams>,
    ];
    methods.iter().find_map(|method| method(request))
}

/// Serves a connection of a user, as the listener does.
pub(crate) async fn serve(control: &Arc<Control>, (uid, gid): (u32, u32), stream: Connection) {
    let credentials = Credentials::with_groups(uid, gid, &[]);
    let client = Arc::new(Client::new(credentials, Arc::clone(&control.names)));
    session::run(Arc::clone(control), client, stream).await;
}

/// Returns how much memory clients hold, in bytes.
pub(crate) fn held_bytes(control: &Control) -> usize {
    control.memory.held_bytes()
}

/// Compiles patterns as a connection does, and searches messages.
#[derive(Debug)]
pub struct Grep {
    runtime: tokio::runtime::Runtime,
    patterns: Arc<Patterns>,
    memory: Arc<Memory>,
}

/// The outcome of a search.
#[derive(Debug)]
pub struct Found {
    /// The text that was searched.
    pub text: String,
    /// Whether it has a match.
    pub is_match: bool,
    /// Whether the index would skip a block with this message alone.
    pub is_excluded: bool,
    /// Whether the search took no more memory than was charged for it.
    pub is_within_memory: bool,
}

impl Grep {
    /// Creates an empty cache of patterns, and the memory for two that are large.
    ///
    /// # Panics
    /// If no runtime can be created.
    #[expect(clippy::new_without_default, reason = "it may fail")]
    #[expect(clippy::unwrap_used, reason = "this is a test")]
    pub fn new() -> Self {
        const BYTES: usize = 64 * 1024 * 1024;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, patterns: Arc::default(), memory: Memory::new(Arc::new(Users::new(BYTES))) }
    }

    /// Compiles a pattern, and searches a message without and with the help of the index.
    ///
    /// # Errors
    /// Fails if the pattern is not valid or exceeds a limit.
    pub fn search(&self, pattern: &str, payload: &[u8]) -> Result<Found, ErrorObject> {
        let account = self.memory.open(1_000, false);
        let pattern = self.runtime.block_on(self.patterns.obtain(pattern, &account))?;
        let text = decode(payload, &Knowledge::none(Encoding::GB18030)).text;
        let mut search = pattern.search();
        let is_match = pattern.is_match(&mut search, &safe::as_seen(&text));
        let is_excluded = crate::index::fuzzing::excludes(pattern.predicate(), payload);
        Ok(Found { text, is_match, is_excluded, is_within_memory: search.memory_usage() <= MAX_SEARCH_BYTES })
    }

    /// Returns how much memory is still charged, in bytes, when all searches have ended.
    pub fn held_bytes(&self) -> usize {
        self.memory.held_bytes()
    }
}

/// Returns whether an error says that the daemon has a fault or is not usable.
pub fn is_internal(error: &ErrorObject) -> bool {
    matches!(error.data.kind, ErrorKind::Internal | ErrorKind::InboxUnavailable | ErrorKind::Other)
}
