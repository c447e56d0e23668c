//! Entries of the inbox in the protocol: received and sent messages, and gaps where messages are missing.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One entry of the log. Ids increase by one and are never reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A received or sent datagram.
    Message(Message),
    /// A number of missing messages.
    Gap(Gap),
}

impl Entry {
    /// Returns the entry's id.
    pub fn id(&self) -> u64 {
        match self {
            Self::Message(message) => message.id,
            Self::Gap(gap) => gap.id,
        }
    }
}

/// A datagram, with its text as decoded at the time of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The entry's id.
    pub id: u64,
    /// The time when the kernel received it, or when it was sent; UTC, microseconds.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
    /// Whether it was received or sent.
    pub direction: Direction,
    /// The address of the other side, which can be forged. An IPv4 address on a dual-stack socket is shown as IPv4.
    pub peer: SocketAddr,
    /// The peer's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of this host that the datagram was sent to or from, if the platform reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// The payload as text; bytes that cannot be decoded become U+FFFD.
    pub text: String,
    /// The encoding with which `text` was decoded.
    pub encoding: String,
    /// Why this encoding was chosen.
    pub encoding_by: EncodingBy,
    /// The length of the payload, in bytes.
    pub bytes: usize,
    /// The payload.
    pub raw: Raw,
    /// The reason, if the kernel refused to send the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The name of the user who sent the message, or the uid if there is no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Returns the maximum size of an entry in JSON, given the sizes of its text in JSON and of its payload, all in bytes.
pub fn max_entry_bytes(text_json_bytes: usize, payload_bytes: usize) -> usize {
    /// The size of all other fields, with the longest possible name and addresses.
    const FIELDS_BYTES: usize = 1024;
    FIELDS_BYTES + text_json_bytes + payload_bytes.div_ceil(3) * 4
}

/// Messages that were sent to this host and are missing at this position of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The entry's id.
    pub id: u64,
    /// The time when the loss was noticed; UTC, microseconds.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
    /// The number of missing datagrams.
    pub lost: u64,
    /// The reason: `receive_buffer_full`, `queue_full`, `daemon_ended`, `limited`, `damaged` or `retention`.
    pub reason: String,
    /// With the reason `damaged`, the first id of the entries that are missing; `id` is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_id: Option<u64>,
    /// With the reason `limited`, whose datagrams are missing: an address, a /64 of IPv6, or the address of a configured peer
    /// with its port. Absent if they came from several sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// Whether a message was received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// Why the encoding of a message was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodingBy {
    /// The request named it, when the message was sent or by `recode`.
    Given,
    /// The configuration names it, for the peer or as `text.encoding`.
    Configured,
    /// It is known of the peer: learned from its messages or its host's, or chosen by a person with `recode`.
    Remembered,
    /// It was detected from the bytes of the message.
    Detected,
    /// It is `text.fallback` of the configuration, in the absence of all others.
    Fallback,
}

/// Bytes, which JSON has as base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl std::fmt::Debug for Raw {
    /// Shows only the length, because payloads must not get into the logs of the programs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Raw({} bytes)", self.0.len())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64
            .decode(text)
            .map(Self)
            .map_err(|error| de::Error::custom(format_args!("`raw` is not base64: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_entries_survive_a_round_trip() {
        let message = r#"{"type":"message","id":812,"at":"2026-11-22T06:03:05.123456Z","direction":"in","peer":"192.168.43.159:8080","name":"bob","local":"192.168.43.7:7788","text":"你好","encoding":"gb18030","encoding_by":"remembered","bytes":4,"raw":"xOO6ww=="}"#;
        let gap = r#"{"type":"gap","id":813,"at":"2026-11-22T06:03:06.000000Z","lost":37,"reason":"receive_buffer_full"}"#;
        let limited = r#"{"type":"gap","id":814,"at":"2026-11-22T06:03:07.000000Z","lost":5120,"reason":"limited","peer":"10.0.0.5"}"#;
        for line in [message, gap, limited] {
            let entry: Entry = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), line);
        }
    }

    #[test]
    fn invalid_base64_is_an_error_about_raw() {
        let error = serde_json::from_str::<Raw>("\"x*\"").unwrap_err().to_string();
        assert!(error.contains("`raw` is not base64"), "{error}");
    }
}
