//! The version of the protocol, and the limits and defaults that both sides share.

/// The version of the control protocol.
///
/// It increases when a method, parameter or field is removed or changes its meaning, not when one is added.
pub const PROTOCOL: u32 = 1;

/// The maximum length of a line in bytes, including the line end.
///
/// One entry always fits: 65,507 bytes take at most 393,042 as JSON text (six for each), 87,344 in base64, and less than
/// 1,024 for the other fields.
pub const MAX_LINE_BYTES: usize = 512 * 1024;

/// The maximum payload of a sent datagram in bytes: that of IPv4 (65,535 less the headers of 20 and 8 bytes).
pub const MAX_DATAGRAM_BYTES: usize = 65_507;

/// The default size of the datagrams of a split message, in bytes.
///
/// Datagrams of this size need no fragmentation (IPv6 guarantees 1,280 bytes, including headers), and peers that call
/// `recvfrom(1024)` receive them whole.
pub const DEFAULT_SPLIT_BYTES: usize = 1024;

/// The consumer whose read mark `udpchatctl inbox` moves by default.
pub const DEFAULT_CONSUMER: &str = "default";
