//! Responses as lines, and the errors of storage as those of the protocol.

use serde::Serialize;
use udpchat_api::line::to_line;
use udpchat_api::rpc::{Id, Reply, Version};
use udpchat_api::{ErrorKind, ErrorObject};

use super::memory::Charge;
use crate::state::ReadError;

/// How long the message and the hint of an error may be, in characters: some repeat a part of the request.
const MAX_ERROR_CHARACTERS: usize = 1024;

/// A response with the memory that it takes until it is written.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) line: Vec<u8>,
    pub(super) _memory: Option<Charge>,
}

/// Makes the response to a request that succeeded.
pub(super) fn success_line(id: Option<&Id>, result: &impl Serialize) -> Result<Vec<u8>, ErrorObject> {
    /// As [`Reply`], with the result written straight from its type, in the order of its fields.
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: Version,
        id: Option<&'a Id>,
        result: &'a R,
    }
    to_line(&Success { jsonrpc: Version::V2, id, result }).map_err(|error| {
        ErrorObject::new(ErrorKind::Internal, format!("the response cannot be written as JSON: {error}"))
    })
}

/// Shortens the texts of an error.
pub(super) fn shortened(mut error: ErrorObject) -> ErrorObject {
    for text in [Some(&mut error.message), error.data.hint.as_mut()].into_iter().flatten() {
        if let Some((end, _)) = text.char_indices().nth(MAX_ERROR_CHARACTERS) {
            text.truncate(end);
            text.push('…');
            text.shrink_to_fit();
        }
    }
    error
}

/// Makes the response to a request that failed.
pub(super) fn failure_line(id: Id, error: ErrorObject) -> Vec<u8> {
    let error = shortened(error);
    let reply = Reply {
        jsonrpc: Version::V2,
        id: Some(id),
        result: None,
        error: Some(error),
        method: None,
        params: None,
    };
    // Strings and numbers: serialising them cannot fail.
    to_line(&reply).unwrap_or_default()
}

impl From<ReadError> for ErrorObject {
    fn from(error: ReadError) -> Self {
        let text = error.to_string();
        match error {
            ReadError::Inbox(_) => Self::new(ErrorKind::InboxUnavailable, text)
                .hint("`udpchatctl status` and the daemon's log show the details"),
            ReadError::Panicked(_) => Self::new(ErrorKind::Internal, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_shortened() {
        let error = ErrorObject::new(ErrorKind::Internal, "一".repeat(500_000)).hint("x".repeat(500_000));
        assert!(failure_line(Id::Null, error).len() < 8 * 1024);
        let error = ErrorObject::new(ErrorKind::Internal, "一".repeat(MAX_ERROR_CHARACTERS)).hint("x");
        assert_eq!(shortened(error.clone()), error);
    }
}
