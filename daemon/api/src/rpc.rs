//! The JSON-RPC 2.0 envelope: requests, answers, notifications, and errors with their codes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A line of a client.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The id, which the answer repeats; a request without one is a notification and gets no answer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The method's name.
    pub method: String,
    /// The parameters, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// The id of a request. A number keeps the digits that were written, of which a number in memory may lose some.
#[derive(Clone, Debug)]
pub enum Id {
    /// `null`.
    Null,
    /// A number, as written.
    Number(Box<RawValue>),
    /// A string.
    Text(String),
}

impl Id {
    /// Returns its length in JSON, in bytes; a character that is escaped counts as one.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null => 4,
            Self::Number(digits) => digits.get().len(),
            Self::Text(text) => text.len(),
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        // Digits are JSON.
        RawValue::from_string(number.to_string()).map_or(Self::Null, Self::Number)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Number(digits) => digits.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<RawValue>::deserialize(deserializer)?;
        match written.get().as_bytes().first() {
            Some(b'n') => Ok(Self::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Self::Number(written)),
            Some(b'"') => {
                serde_json::from_str(written.get()).map(Self::Text).map_err(serde::de::Error::custom)
            }
            _ => Err(serde::de::Error::custom("`id` must be a string, a number or null")),
        }
    }
}

/// Distinguishes `"id": null`, which is present, from an absent id.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A line of the daemon: an answer to a request, or a notification.
#[derive(Debug, Deserialize, Serialize)]
pub struct Reply {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The id of the answered request; none in a notification.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The result, if the request succeeded.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The error, if the request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// The method of a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The parameters of a notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// The version `"2.0"` of JSON-RPC, the only one that can be deserialised.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub enum Version {
    /// JSON-RPC 2.0.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// The error of a request.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorObject {
    /// The code: one of the JSON-RPC standard, or one of this protocol.
    pub code: i64,
    /// The message, for people.
    pub message: String,
    /// The details, for programs.
    pub data: ErrorData,
}

/// The details of an error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ErrorData {
    /// The kind, which is stable.
    pub kind: ErrorKind,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of the entry that records the failure, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

impl ErrorObject {
    /// Creates an error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { code: kind.code(), message: message.into(), data: ErrorData { kind, hint: None, entry: None } }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one.
    #[must_use]
    pub fn hint_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// Defines the enum of kinds, their codes and their list in one place.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $code:literal,)+) => {
        /// The kind of an error. Clients must accept unknown kinds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $kind,)+
            /// A kind of a newer daemon.
            #[serde(other)]
            Other,
        }

        impl ErrorKind {
            /// All kinds that the daemon uses.
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
    /// The line is JSON but not a request of JSON-RPC 2.0.
    InvalidRequest = -32600,
    /// There is no method of this name.
    UnknownMethod = -32601,
    /// A parameter is missing, unknown, of a wrong type or out of range.
    InvalidParams = -32602,
    /// An internal error of the daemon.
    Internal = -32603,
    /// Neither a configured peer nor a host has this name.
    UnknownPeer = -32001,
    /// The host name cannot be resolved.
    Unresolvable = -32002,
    /// No listening socket can send over this address family.
    NoSocket = -32003,
    /// The text has a character that the encoding does not have.
    NotEncodable = -32004,
    /// The message is empty, and `allow_empty` is not given.
    EmptyMessage = -32005,
    /// The message does not fit into a datagram.
    TooLong = -32006,
    /// The kernel refused to send.
    SendFailed = -32007,
    /// The message was sent, but could not be stored.
    NotRecorded = -32008,
    /// No entry has this id.
    NoSuchEntry = -32009,
    /// The inbox cannot be read or written at the moment.
    InboxUnavailable = -32010,
    /// The new configuration is invalid; the current one stays in use.
    BadConfiguration = -32011,
    /// There are too many connections, or too many consumers.
    Busy = -32012,
    /// The client began a line and did not finish it in time.
    TimedOut = -32013,
    /// The connection already has a subscription, or has none to end.
    Subscription = -32014,
    /// The client does not have the required role, or has no role.
    NotPermitted = -32015,
    /// The limit on held messages is reached: of the peer or in total.
    HeldFull = -32017,
    /// No held message has this number.
    NoSuchHeld = -32018,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_kinds_are_distinct() {
        for (at, kind) in ErrorKind::ALL.iter().enumerate() {
            assert!(ErrorKind::ALL[at + 1..].iter().all(|other| other.code() != kind.code()), "{kind:?}");
        }
    }

    #[test]
    fn a_null_id_is_not_an_absent_id() {
        let with: Request = serde_json::from_str(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#).unwrap();
        let without: Request = serde_json::from_str(r#"{"jsonrpc":"2.0","method":"m"}"#).unwrap();
        assert!(matches!((with.id, without.id), (Some(Id::Null), None)));
    }

    #[test]
    fn an_unknown_kind_becomes_other() {
        let data: ErrorData = serde_json::from_str(r#"{"kind":"from_the_future"}"#).unwrap();
        assert_eq!(data.kind, ErrorKind::Other);
    }
}
