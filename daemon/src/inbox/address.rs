//! Socket addresses as the database holds them.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 4 or 16 | IPv4 or IPv6 address, in network order |
//! | 4 or 16 | 2 | port, in network order |
//! | 18 | 4 | scope id of an IPv6 address, in network order; only where it is not 0 |
//!
//! So an address takes 6, 18 or 22 bytes, and its length decides how it is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A packed address. It needs no allocation, since the hot path packs two for each datagram.
pub(crate) struct Packed {
    bytes: [u8; 22],
    len: usize,
}

impl Packed {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Packs an address.
pub(crate) fn pack(address: SocketAddr) -> Packed {
    let mut packed = Packed { bytes: [0; 22], len: 0 };
    let mut put = |part: &[u8]| {
        packed.bytes[packed.len..packed.len + part.len()].copy_from_slice(part);
        packed.len += part.len();
    };
    match address {
        SocketAddr::V4(v4) => put(&v4.ip().octets()),
        SocketAddr::V6(v6) => put(&v6.ip().octets()),
    }
    put(&address.port().to_be_bytes());
    if let SocketAddr::V6(v6) = address
        && v6.scope_id() != 0
    {
        put(&v6.scope_id().to_be_bytes());
    }
    packed
}

/// Unpacks an address; none if its length is not one of the three.
pub(crate) fn unpack(bytes: &[u8]) -> Option<SocketAddr> {
    let port = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
    match bytes.len() {
        6 => {
            let ip: [u8; 4] = bytes[..4].try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port(&bytes[4..])?))
        }
        18 | 22 => {
            let ip: [u8; 16] = bytes[..16].try_into().ok()?;
            let scope = bytes[18..].try_into().map_or(0, u32::from_be_bytes);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port(&bytes[16..18])?, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_unpack_as_they_were_packed() {
        for text in ["1.2.3.4:5", "[::1]:65535", "[fe80::1%7]:7788", "0.0.0.0:0", "[::]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(unpack(pack(address).as_slice()), Some(address), "{text}");
        }
        assert_eq!(unpack(b"12345"), None);
    }
}
