//! Entries of the inbox as clients see them: messages in and out, and gaps where messages are missing.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One entry of the log. Ids rise without holes and are never used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A datagram that came in or went out.
    Message(Message),
    /// Messages that are missing here.
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

/// A datagram, with its text as it reads at the time of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The entry's id.
    pub id: u64,
    /// When the kernel received it, or when it was sent; microseconds, UTC.
    pub at: Timestamp,
    /// Whether it came in or went out.
    pub direction: Direction,
    /// The other side. Anyone can forge it; an IPv4 address on a dual-stack socket is shown as IPv4.
    pub peer: SocketAddr,
    /// The peer's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address that the datagram was sent to (or from), where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// The payload as text; what does not decode is U+FFFD.
    pub text: String,
    /// The encoding that `text` was decoded with.
    pub encoding: String,
    /// What chose that encoding.
    pub encoding_by: EncodingBy,
    /// The length of the payload, in bytes.
    pub bytes: usize,
    /// The payload itself.
    pub raw: Raw,
    /// For a message that the kernel refused to send: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For a sent message: the name of the user who had it sent, or the number of one without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Returns how many bytes an entry takes on the wire at most, given those of its text in JSON and of its payload.
pub fn most_entry_bytes(text_json_bytes: usize, payload_bytes: usize) -> usize {
    /// All the other fields, with the longest name and addresses there can be.
    const FIELDS_BYTES: usize = 1024;
    FIELDS_BYTES + text_json_bytes + payload_bytes.div_ceil(3) * 4
}

/// Messages that were sent to us and are missing at this place of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The entry's id.
    pub id: u64,
    /// When the loss was seen; microseconds, UTC.
    pub at: Timestamp,
    /// How many datagrams are missing.
    pub lost: u64,
    /// Why: `receive_buffer_full`, `queue_full` or `daemon_ended`.
    pub reason: String,
}

/// Whether a message came in or went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// What chose the encoding of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodingBy {
    /// The request named it.
    Given,
    /// The configuration names it, for the peer or as `text.encoding`.
    Configured,
    /// The peer is known to speak it.
    Remembered,
    /// The bytes themselves tell.
    Detected,
    /// Nothing told; `text.fallback`.
    Fallback,
}

/// Bytes, in JSON as base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Raw(pub Vec<u8>);

impl std::fmt::Debug for Raw {
    /// Shows the length only: payloads do not belong in logs of the programs themselves.
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

    /// The two lines of the published interface, read and written back without a difference.
    #[test]
    fn the_published_entries_are_what_is_written() {
        let message = r#"{"type":"message","id":812,"at":"2026-11-22T06:03:05.123456Z","direction":"in","peer":"192.168.43.159:8080","name":"bob","local":"192.168.43.7:7788","text":"你好","encoding":"gb18030","encoding_by":"remembered","bytes":4,"raw":"xOO6ww=="}"#;
        let gap =
            r#"{"type":"gap","id":813,"at":"2026-11-22T06:03:06Z","lost":37,"reason":"receive_buffer_full"}"#;
        for line in [message, gap] {
            let entry: Entry = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), line);
        }
    }

    #[test]
    fn raw_that_is_not_base64_is_refused_by_name() {
        let error = serde_json::from_str::<Raw>("\"x*\"").unwrap_err().to_string();
        assert!(error.contains("`raw` is not base64"), "{error}");
    }
}
