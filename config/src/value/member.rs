//! The members of a list of peers.

use std::fmt;
use std::str::FromStr;

use super::{PeerAddress, PeerName, Text, ValueError};

/// A member of a list of peers: a configured peer, or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A configured peer, by its name.
    Peer(PeerName),
    /// An address; without a port, any port when receiving and the default port when sending.
    Address(PeerAddress),
}

impl FromStr for Member {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address = text.parse().map(Self::Address);
        // The name of a peer cannot contain these characters, so the text must be an address.
        let is_address = text.contains([':', '[', '%']);
        if address.is_ok() || is_address { address } else { text.parse().map(Self::Peer) }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Text for Member {
    const EXPECTED: &str = "a peer's name or an address as text";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_an_address_or_a_name() {
        for text in ["10.0.0.9", "10.0.0.9:80", "[fe80::1%eth0]:80", "::1"] {
            assert!(matches!(text.parse(), Ok(Member::Address(_))), "{text}");
        }
        for text in ["bob", "小明", "7", "node.lan"] {
            assert!(matches!(text.parse(), Ok(Member::Peer(_))), "{text}");
        }
        for text in ["", "a b", "bob:80", "10.0.0.9:0", "a,b"] {
            assert!(text.parse::<Member>().is_err(), "{text}");
        }
    }
}
