//! What counts as one source.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An address, or a /64 of IPv6: who has one address of a /64 usually has all of it (RFC 6177).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source(u128);

impl Source {
    /// Returns the source that an address belongs to.
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V6(v6) if !is_one_host(v6) => Self(v6.to_bits() >> 64 << 64),
            ip => Self::exactly(ip),
        }
    }

    /// Returns the source that is one address.
    pub(super) fn exactly(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        })
    }
}

/// Returns whether each address of its /64 is another host: the link-local ones of a network have one /64.
fn is_one_host(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip.is_loopback()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = Ipv6Addr::from_bits(self.0);
        match ip.to_ipv4_mapped() {
            Some(v4) => v4.fmt(f),
            None if is_one_host(ip) => ip.fmt(f),
            None => write!(f, "{ip}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_64() {
        for (address, source) in [
            ("10.0.0.5", "10.0.0.5"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("fe80::7", "fe80::7"),
            ("::1", "::1"),
        ] {
            assert_eq!(Source::of(address.parse().unwrap()).to_string(), source);
        }
        let of = |address: &str| Source::of(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("fe80::1"), of("fe80::2"));
        assert_ne!(of("10.0.0.5"), of("10.0.0.6"));
    }
}
