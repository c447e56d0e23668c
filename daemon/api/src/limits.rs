//! The numbers of the protocol: its version, and the limits and defaults that both sides share.

/// The number of the control protocol.
///
/// Raised when an existing method, parameter or field changes its meaning or is removed; not raised when something is
/// added. 1: the first.
pub const PROTOCOL: u32 = 1;

/// The longest line either side may write, in bytes, line end included.
///
/// One entry always fits: 65,507 bytes take at most 393,042 as JSON text (six for each), 87,344 in base64, and less than
/// 1,024 for the other fields.
pub const MAX_LINE_BYTES: usize = 512 * 1024;

/// The longest payload of a sent datagram, in bytes: what IPv4 can carry (65,535 less 20 and 8).
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

/// The size of a datagram in bytes if `split` gives none.
///
/// It passes every path without fragmentation (IPv6 guarantees 1,280 bytes, headers included), and peers built on
/// `recvfrom(1024)` read it whole.
pub const DEFAULT_SPLIT_BYTES: usize = 1024;

/// The consumer whose read mark a bare `udpchatctl inbox` moves.
pub const DEFAULT_CONSUMER: &str = "default";
