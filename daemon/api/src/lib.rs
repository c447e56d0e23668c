//! The control protocol of udpchat: what travels over the local socket between `udpchatd` and everybody who
//! sends and reads through it.
//!
//! JSON-RPC 2.0, one object a line, UTF-8. `PROTOCOL.md` beside this crate is the protocol's text; its examples
//! are run as a test. This crate holds the types ([`entry`], [`call`], [`rpc`]), the framing ([`mod@line`]), a
//! [`client`] and its [`pipeline`], the status as [`metrics`], and the one function that makes received text safe to show
//! ([`safe`]). It opens no UDP socket and knows no file but the socket it is given.

pub mod call;
pub mod client;
pub mod entry;
pub mod line;
pub mod metrics;
pub mod pipeline;
pub mod raw;
pub mod rpc;
pub mod safe;
pub mod socket;

pub use client::{Client, ClientError};
pub use entry::{Direction, EncodingBy, Entry, Gap, Message, Raw};
pub use jiff::Timestamp;
pub use metrics::MetricsFormat;
pub use pipeline::Pipeline;
pub use raw::{EntryLines, RawInboxAnswer};
pub use rpc::{ErrorKind, ErrorObject};

/// The number of the control protocol.
///
/// Raised when an existing method, parameter or field changes its meaning or goes away; not raised when
/// something is added. 1: the first.
pub const PROTOCOL: u32 = 1;

/// The longest line either side may write, in bytes, line end included.
///
/// One entry always fits: 65,507 bytes take at most 393,042 as JSON text (six for each), 87,344 in base64, and
/// less than 1,024 for the rest.
pub const MAX_LINE_BYTES: usize = 512 * 1024;

/// The longest payload of a datagram that is sent, in bytes: what IPv4 can carry (65,535 less 20 and 8).
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

/// Of `split`, the size of a datagram in bytes where none is given.
///
/// It passes every path without being fragmented (IPv6 guarantees 1,280 bytes, headers included), and peers
/// built on `recvfrom(1024)` read it whole.
pub const DEFAULT_SPLIT_BYTES: usize = 1024;

/// The consumer whose read mark a bare `udpchatctl inbox` moves.
pub const DEFAULT_CONSUMER: &str = "default";
