//! A held message.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::clock;
use crate::inbox::entry::SentDetail;

/// For whom a message is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum To {
    /// A peer of the configuration, whatever address it has.
    Name(String),
    /// An address; port 0 stands for any port.
    Address(SocketAddr),
    /// An address on the interface of this name, whatever number that has; its own scope is 0.
    OnInterface(SocketAddrV6, String),
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) if address.port() != 0 => address.fmt(f),
            Self::OnInterface(address, name) if address.port() != 0 => {
                write!(f, "[{}%{name}]:{}", address.ip(), address.port())
            }
            Self::OnInterface(address, name) => write!(f, "{}%{name}", address.ip()),
            Self::Address(SocketAddr::V6(v6)) if v6.scope_id() != 0 => {
                write!(f, "{}%{}", v6.ip(), v6.scope_id())
            }
            Self::Address(address) => address.ip().fmt(f),
        }
    }
}

impl To {
    /// Returns the IP address, if it is an address.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(address.ip()),
            Self::OnInterface(address, _) => Some((*address.ip()).into()),
        }
    }

    /// Returns this destination with the name of its interface in place of the number, if it has one.
    pub(crate) fn on(self, interface: Option<String>) -> Self {
        match (self, interface) {
            (Self::Address(SocketAddr::V6(v6)), Some(name)) if v6.scope_id() != 0 => {
                Self::OnInterface(SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0), name)
            }
            (to, _) => to,
        }
    }

    /// Returns the destination that has this address in its row, and this interface in its detail.
    pub(super) fn stored(address: SocketAddr, interface: Option<String>) -> Self {
        match (address, interface) {
            (SocketAddr::V6(v6), Some(name)) => Self::OnInterface(v6, name),
            (address, _) => Self::Address(address),
        }
    }

    /// Returns the name of the interface that the address is on.
    pub(crate) fn interface(&self) -> Option<&str> {
        match self {
            Self::OnInterface(_, name) => Some(name),
            Self::Name(_) | Self::Address(_) => None,
        }
    }

    /// Returns all destinations whose messages a message from `peer` releases; `owner` is the configured peer that it belongs to, and
    /// `interface` the name of the interface that its scope is the number of.
    pub(super) fn all_of(peer: SocketAddr, owner: Option<&str>, interface: Option<&str>) -> Vec<Self> {
        let mut all: Vec<_> = owner.map(|name| Self::Name(name.to_owned())).into_iter().collect();
        let mut add = |address: SocketAddr| {
            let mut any_port = address;
            any_port.set_port(0);
            for to in [Self::Address(address), Self::Address(any_port)] {
                let named = to.clone().on(interface.map(str::to_owned));
                all.extend((named != to).then_some(named));
                all.push(to);
            }
        };
        add(peer);
        if let SocketAddr::V6(v6) = peer
            && v6.scope_id() != 0
        {
            // Whoever gave it has named no interface.
            add(SocketAddr::new(peer.ip(), peer.port()));
        }
        all
    }
}

/// A held message: a row of the table `held`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldRow {
    /// Never used again.
    pub(crate) id: u64,
    pub(crate) to: To,
    pub(crate) payload: Vec<u8>,
    pub(crate) detail: SentDetail,
    /// When it was given, in nanoseconds since 1970, UTC.
    pub(crate) at_ns: i64,
    /// When it expires.
    pub(crate) until_ns: i64,
    /// When it expires by [`clock::boottime_ns`]: a step of the system's clock changes nothing while the daemon runs.
    pub(crate) expires_ns: i64,
}

impl HeldRow {
    pub(crate) fn new(
        id: u64,
        to: To,
        payload: Vec<u8>,
        detail: SentDetail,
        (at_ns, until_ns): (i64, i64),
    ) -> Self {
        let expires_ns = clock::boottime_ns().saturating_add(until_ns.saturating_sub(clock::now_ns()));
        Self { id, to, payload, detail, at_ns, until_ns, expires_ns }
    }

    /// Returns for how long it has been held, in seconds.
    pub(crate) fn held_seconds(&self) -> u64 {
        u64::try_from(clock::now_ns().saturating_sub(self.at_ns) / 1_000_000_000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_shown_as_they_can_be_given() {
        for text in ["10.0.0.7:4000", "[fe80::1%7]:9"] {
            assert_eq!(To::Address(text.parse().unwrap()).to_string(), text);
        }
        for (address, text) in
            [("10.0.0.7:0", "10.0.0.7"), ("[fe80::1%7]:0", "fe80::1%7"), ("[fe80::1]:0", "fe80::1")]
        {
            assert_eq!(To::Address(address.parse().unwrap()).to_string(), text);
        }
        for (address, text) in [("[fe80::1%7]:0", "fe80::1%usb0"), ("[fe80::1%7]:9", "[fe80::1%usb0]:9")] {
            let to = To::Address(address.parse().unwrap()).on(Some("usb0".to_owned()));
            assert_eq!((to.to_string().as_str(), to.interface()), (text, Some("usb0")));
        }
        let without = To::Address("10.0.0.7:0".parse().unwrap());
        assert_eq!(without.clone().on(Some("usb0".to_owned())), without);
    }

    #[test]
    fn an_interface_with_another_number_is_the_same() {
        let address = |text: &str| To::Address(text.parse().unwrap());
        let held = address("[fe80::1%21]:0").on(Some("usb0".to_owned()));
        let releases =
            |peer: &str, interface, to: &To| To::all_of(peer.parse().unwrap(), None, interface).contains(to);
        assert!(releases("[fe80::1%23]:4000", Some("usb0"), &held));
        assert!(!releases("[fe80::1%21]:4000", Some("usb1"), &held));
        assert!(!releases("[fe80::1%21]:4000", None, &held));
        for to in ["[fe80::1%23]:0", "[fe80::1%23]:4000", "[fe80::1]:0"] {
            assert!(releases("[fe80::1%23]:4000", Some("usb0"), &address(to)), "{to}");
        }
    }
}
