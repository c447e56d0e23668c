//! Why a datagram was not delivered, as ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443) report it.

const PORT_UNREACHABLE: &str = "port_unreachable";
const HOST_UNREACHABLE: &str = "host_unreachable";
const NET_UNREACHABLE: &str = "net_unreachable";
const PROHIBITED: &str = "prohibited";
const TOO_BIG: &str = "too_big";
const TTL_EXCEEDED: &str = "ttl_exceeded";
const OTHER: &str = "other";

/// Returns the reason that a message of ICMP has, by its type and code.
pub(crate) fn v4_reason(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (3, 0 | 6 | 11) => NET_UNREACHABLE,
        (3, 1 | 7 | 8 | 12) => HOST_UNREACHABLE,
        (3, 3) => PORT_UNREACHABLE,
        (3, 4) => TOO_BIG,
        (3, 9 | 10 | 13..=15) => PROHIBITED,
        (11, _) => TTL_EXCEEDED,
        _ => OTHER,
    }
}

/// Returns the reason that a message of ICMPv6 has, by its type and code.
pub(crate) fn v6_reason(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (1, 0) => NET_UNREACHABLE,
        (1, 1 | 5 | 6) => PROHIBITED,
        (1, 3) => HOST_UNREACHABLE,
        (1, 4) => PORT_UNREACHABLE,
        (2, _) => TOO_BIG,
        (3, _) => TTL_EXCEEDED,
        _ => OTHER,
    }
}
