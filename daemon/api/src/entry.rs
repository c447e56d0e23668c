//! Entries of the inbox in the protocol: received and sent messages, gaps where messages are missing, and notices of what became known.

use std::net::{IpAddr, SocketAddr};

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
    /// What became known about a message or a peer.
    Notice(Notice),
}

impl Entry {
    /// Returns the entry's id.
    pub fn id(&self) -> u64 {
        match self {
            Self::Message(message) => message.id,
            Self::Gap(gap) => gap.id,
            Self::Notice(notice) => notice.id,
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
    #[serde(serialize_with = "crate::address::serialize")]
    pub peer: SocketAddr,
    /// The peer's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of this host that the datagram was sent to or from, if the platform reports it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::address::serialize_optional"
    )]
    pub local: Option<SocketAddr>,
    /// The payload as text; bytes that cannot be decoded become U+FFFD.
    pub text: String,
    /// The encoding with which `text` was decoded.
    pub encoding: String,
    /// Why this encoding was chosen.
    pub encoding_by: EncodingBy,
    /// In the result of `send`, whether `encoding` is `text.encoding` of the configuration, since no other is configured or known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encoding_is_default: bool,
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
    /// Of a sent message, what is known of its delivery; absent if the kernel refused to send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The id of the message with which the peer spoke first, within 60 s after this one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<u64>,
    /// The report that the message was not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounce: Option<Bounce>,
    /// How long the message was held before it was sent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_seconds: Option<u64>,
}

/// What is known of the delivery of a sent message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The kernel took it. Nothing else is known.
    Sent,
    /// The same address and port sent a message within 60 s. It need not have read this one.
    Answered,
    /// An ICMP error reported that it was not delivered.
    Bounced,
    /// A state of a newer daemon.
    #[serde(other)]
    Other,
}

/// The report that a message was not delivered: an ICMP error, which can be forged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounce {
    /// The reason: `port_unreachable`, `host_unreachable`, `net_unreachable`, `prohibited`, `too_big`, `ttl_exceeded` or
    /// `other`.
    pub reason: String,
    /// The address of the host that reported it; absent if this host did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The time of the report; UTC, microseconds.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
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
    /// The name of the configured peer that `peer` belongs to, if it is the only one there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What became known about a message or a peer. Only clients that ask for notices get them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The entry's id.
    pub id: u64,
    /// The time when it became known; UTC, microseconds.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
    /// What became known:
    ///
    /// | value | meaning | fields |
    /// |---|---|---|
    /// | `bounced` | the message `about` was not delivered | `about`, `peer`, `name`, `reason`, `from` |
    /// | `silent` | a peer has sent nothing for its `silent_after` | `name`, `peer`, `last_id`, `seconds` |
    /// | `heard` | a silent peer has sent the message `about` | `name`, `peer`, `about`, `seconds` |
    /// | `expired` | the held message `held` was not sent in time | `held`, `peer`, `name` |
    pub notice: String,
    /// The id of the message that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<u64>,
    /// The address of the peer, with a port if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The peer's name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of `bounced`, the reason, as in [`Bounce`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of `bounced`, the address of the host that reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Of `silent`, the id of the peer's newest message, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<u64>,
    /// Of `silent`, its `silent_after`; of `heard`, how long nothing came from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Of `silent`, whether no message of the peer is known; of `heard`, whether the message is the first one that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// Of `expired`, the number of the held message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// Of `bounced`, the number of notices that were left out before it, because there were more than 10 in a second. If none
    /// follows, the newest one is written at the end of the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
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
        let sent = r#"{"type":"message","id":815,"at":"2026-11-22T06:03:08.000000Z","direction":"out","peer":"192.168.43.159:8080","name":"bob","text":"hi","encoding":"gb18030","encoding_by":"remembered","bytes":2,"raw":"aGk=","by":"ann","delivery":"bounced","bounce":{"reason":"port_unreachable","from":"192.168.43.159","at":"2026-11-22T06:03:08.000100Z"},"held_seconds":60}"#;
        let notice = r#"{"type":"notice","id":816,"at":"2026-11-22T06:03:08.000100Z","notice":"bounced","about":815,"peer":"192.168.43.159:8080","name":"bob","reason":"port_unreachable","from":"192.168.43.159"}"#;
        for line in [message, gap, limited, sent, notice] {
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
