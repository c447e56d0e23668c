//! The forms of a socket address: as it is shown, compared and stored, and as a dual-stack socket takes it.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Returns the one form in which an address is shown, compared and stored: IPv4 seen through a dual-stack socket is
/// IPv4, and the flow label is left out.
pub(crate) fn normalized(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
        },
    }
}

/// Returns an address in the family of the socket bound to `local`: an IPv6 socket takes IPv4 as IPv4-mapped IPv6.
pub(super) fn in_family_of(local: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (local, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(normalized("[::ffff:1.2.3.4]:5".parse().unwrap()), "1.2.3.4:5".parse().unwrap());
    }
}
