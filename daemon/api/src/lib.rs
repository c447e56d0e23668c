//! The control protocol of udpchat, between `udpchatd` and its clients, over a local socket.
//!
//! JSON-RPC 2.0, one object a line, UTF-8. `PROTOCOL.md` in the folder of this crate specifies the protocol; a test runs
//! its examples.
//!
//! | module | contents |
//! |---|---|
//! | [`call`] | the methods, with their parameters and results |
//! | [`entry`], [`raw`] | entries of the log: parsed, and as unparsed JSON |
//! | [`rpc`] | the JSON-RPC envelope and its errors |
//! | [`mod@line`], [`safe`] | lines of limited length, and text and JSON that are safe to show on a terminal |
//! | [`socket`] | the local socket: listening, accepting, connecting |
//! | [`client`], [`error`] | the client, and its errors |
//! | [`mod@numbers`] | the numbers in the text of a message |
//! | [`metrics`] | a status in the formats of Prometheus and OpenMetrics |
//! | [`limits`] | limits and defaults that both sides share |
//!
//! Belongs here: what both programs must agree on, and the client. Does not belong here: a UDP socket, a file other than the control
//! socket, configuration, output for people. `udpchat-daemon` and `udpchat-ctl` depend on this crate; it depends on no
//! other crate of the project.

mod address;
pub mod call;
pub mod client;
pub mod entry;
pub mod error;
pub mod limits;
pub mod line;
pub mod metrics;
pub mod numbers;
pub mod raw;
pub mod rpc;
pub mod safe;
pub mod socket;
mod time;

pub use client::Client;
pub use entry::{Bounce, Delivery, Direction, EncodingBy, Entry, Gap, Message, Notice, Raw};
pub use error::ClientError;
pub use jiff::Timestamp;
pub use limits::{DEFAULT_CONSUMER, DEFAULT_SPLIT_BYTES, MAX_DATAGRAM_BYTES, MAX_LINE_BYTES, PROTOCOL};
pub use metrics::MetricsFormat;
pub use raw::{EntryLines, RawInboxAnswer};
pub use rpc::{ErrorKind, ErrorObject};
