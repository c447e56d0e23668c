//! The JSON-RPC 2.0 envelope: requests, answers, notifications, and the errors with their codes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client writes.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// Comes back with the answer; a request without one is a notification and gets no answer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// The method's name.
    pub method: String,
    /// The parameters, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// Tells `"id": null` (present) from no id at all.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What the daemon writes: an answer to a request, or a notification.
#[derive(Debug, Deserialize, Serialize)]
pub struct Reply {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The id of the request that is answered; none in a notification.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// The result, if the request succeeded.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// The method of a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The parameters of a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// The protocol mark `"2.0"`; anything else does not parse.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub enum Version {
    /// JSON-RPC 2.0.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorObject {
    /// The code: a standard one, or one of the application's own.
    pub code: i64,
    /// What happened, to what; for people.
    pub message: String,
    /// What happened and what to do next; for programs.
    pub data: ErrorData,
}

/// The details of an error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ErrorData {
    /// The kind, stable for programs.
    pub kind: ErrorKind,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of the entry that records the failure, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

impl ErrorObject {
    /// Makes an error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { code: kind.code(), message: message.into(), data: ErrorData { kind, hint: None, entry: None } }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }

    /// Adds what to do next, where that is known.
    #[must_use]
    pub fn hint_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Names the entry that records the failure.
    #[must_use]
    pub fn entry(mut self, id: u64) -> Self {
        self.data.entry = Some(id);
        self
    }
}

/// Defines the kinds with their codes once, for the enum, the codes and the list.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $code:literal,)+) => {
        /// The kinds of errors. Programs that read them must expect new ones.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $kind,)+
            /// A kind that this version does not know.
            #[serde(other)]
            Other,
        }

        impl ErrorKind {
            /// Lists every kind that the daemon may answer with.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Returns the kind's code.
            pub fn code(self) -> i64 {
                match self {
                    $(Self::$kind => $code,)+
                    Self::Other => -32603,
                }
            }
        }
    };
}

kinds! {
    /// The line is not JSON, not UTF-8, too deep or too long.
    Malformed = -32700,
    /// The line is JSON but no request of JSON-RPC 2.0.
    InvalidRequest = -32600,
    /// No method has this name.
    UnknownMethod = -32601,
    /// A parameter is missing, unknown, of a wrong type or out of range.
    InvalidParams = -32602,
    /// A fault in the daemon itself.
    Internal = -32603,
    /// No peer is configured under this name, and no host has it.
    UnknownPeer = -32001,
    /// The host's name does not resolve.
    Unresolvable = -32002,
    /// No listening socket can send to that family of addresses.
    NoSocket = -32003,
    /// The encoding cannot hold a character of the text.
    NotEncodable = -32004,
    /// The message is empty and nobody said that it may be.
    EmptyMessage = -32005,
    /// The message does not fit into a datagram.
    TooLong = -32006,
    /// The kernel refused to send.
    SendFailed = -32007,
    /// It was sent, but it could not be recorded.
    NotRecorded = -32008,
    /// No entry has this id.
    NoSuchEntry = -32009,
    /// The inbox cannot be read or written now.
    InboxUnavailable = -32010,
    /// The configuration was refused; the running one stays.
    BadConfiguration = -32011,
    /// Too many connections.
    Busy = -32012,
    /// A request was begun and not finished in time.
    TimedOut = -32013,
    /// The connection has a subscription already, or none to end.
    Subscription = -32014,
    /// The caller has not the role that this takes, or none at all.
    NotPermitted = -32015,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_codes_of_their_own() {
        for (at, kind) in ErrorKind::ALL.iter().enumerate() {
            assert!(ErrorKind::ALL[at + 1..].iter().all(|other| other.code() != kind.code()), "{kind:?}");
        }
    }

    #[test]
    fn an_id_of_null_is_not_a_missing_id() {
        let with: Request = serde_json::from_str(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#).unwrap();
        let without: Request = serde_json::from_str(r#"{"jsonrpc":"2.0","method":"m"}"#).unwrap();
        assert_eq!((with.id, without.id), (Some(Value::Null), None));
    }

    #[test]
    fn a_kind_from_a_newer_daemon_is_readable() {
        let data: ErrorData = serde_json::from_str(r#"{"kind":"from_the_future"}"#).unwrap();
        assert_eq!(data.kind, ErrorKind::Other);
    }
}
