//! Responses as lines, and the errors of storage as those of the protocol.

use serde::Serialize;
use serde_json::Value;
use udpchat_api::line::to_line;
use udpchat_api::rpc::{Reply, Version};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::state::ReadError;

/// Makes the response to a request that succeeded.
pub(super) fn success_line(id: Option<&Value>, result: &impl Serialize) -> Result<Vec<u8>, ErrorObject> {
    /// As [`Reply`], with the result written straight from its type, in the order of its fields.
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: Version,
        id: Option<&'a Value>,
        result: &'a R,
    }
    to_line(&Success { jsonrpc: Version::V2, id, result }).map_err(|error| {
        ErrorObject::new(ErrorKind::Internal, format!("the response cannot be written as JSON: {error}"))
    })
}

/// Makes the response to a request that failed.
pub(super) fn failure_line(id: Value, error: ErrorObject) -> Vec<u8> {
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
