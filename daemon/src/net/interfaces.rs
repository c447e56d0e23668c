//! The network interfaces of this host as reception sees them: which can take part in a group, and which addresses
//! are our own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Its number. One that is removed and made anew gets another.
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    pub(crate) does_multicast: bool,
    pub(crate) has_ipv4: bool,
    pub(crate) has_ipv6: bool,
}

/// All interfaces of one moment, and our own addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interfaces {
    pub(crate) list: Vec<Interface>,
    pub(crate) own: Own,
}

/// Which addresses are ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    addresses: BTreeSet<IpAddr>,
    /// The broadcast addresses of our networks.
    broadcasts: BTreeSet<Ipv4Addr>,
}

/// Our own addresses, replaceable while the daemon runs.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses(RwLock<Arc<Own>>);

impl OwnAddresses {
    /// Returns the addresses of now.
    pub(crate) fn now(&self) -> Arc<Own> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what has changed.
    pub(crate) fn set(&self, own: Own) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
    }
}

impl Own {
    /// Tells whether an address is one of ours.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
    }

    /// Tells whether what is sent to an address is for many: a group, or everybody on a network of ours.
    pub(crate) fn is_for_many(&self, ip: IpAddr) -> bool {
        let is_broadcast = |ip: Ipv4Addr| ip.is_broadcast() || self.broadcasts.contains(&ip);
        ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if is_broadcast(ip))
    }
}

impl Interfaces {
    /// Asks the system.
    pub(crate) fn now() -> io::Result<Self> {
        let mut found: BTreeMap<String, Interface> = BTreeMap::new();
        let mut own = Own::default();
        for entry in getifaddrs()? {
            own.add(&entry);
            // An IPv4 address may have a label of its own behind a colon.
            let name = entry.interface_name.split(':').next().unwrap_or_default();
            if !found.contains_key(name) {
                // One that has gone meanwhile is none.
                let Ok(index) = if_nametoindex(name) else { continue };
                found.insert(
                    name.to_owned(),
                    Interface { index, name: name.to_owned(), ..Default::default() },
                );
            }
            if let Some(interface) = found.get_mut(name) {
                interface.add(&entry);
            }
        }
        Ok(Self { list: found.into_values().collect(), own })
    }
}

impl Own {
    fn add(&mut self, entry: &InterfaceAddress) {
        let Some(own) = entry.address.as_ref().and_then(ip) else { return };
        self.addresses.insert(own);
        let v4 = |address: Option<&SockaddrStorage>| match address.and_then(ip) {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        };
        if let IpAddr::V4(own) = own {
            let told = v4(entry.broadcast.as_ref());
            self.broadcasts.extend(broadcasts(own, v4(entry.netmask.as_ref()), told));
        }
    }
}

/// Lists the broadcast addresses of a network: the one that the system tells, and the last one of the network, to which
/// the kernel listens in any case. Where nobody has set one, systems tell the address itself.
fn broadcasts(
    own: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    told: Option<Ipv4Addr>,
) -> impl Iterator<Item = Ipv4Addr> {
    /// A network of two addresses, or of one, has none for everybody.
    const LONGEST_PREFIX: u32 = 30;
    let last = mask
        .map(Ipv4Addr::to_bits)
        .filter(|mask| mask.leading_ones() <= LONGEST_PREFIX)
        .map(|mask| Ipv4Addr::from_bits(own.to_bits() | !mask));
    told.into_iter().chain(last).filter(move |broadcast| *broadcast != own)
}

impl Interface {
    fn add(&mut self, entry: &InterfaceAddress) {
        self.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        self.does_multicast |= entry.flags.contains(InterfaceFlags::IFF_MULTICAST);
        match entry.address.as_ref().and_then(ip) {
            Some(IpAddr::V4(_)) => self.has_ipv4 = true,
            Some(IpAddr::V6(_)) => self.has_ipv6 = true,
            None => {}
        }
    }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from(std::net::SocketAddrV4::from(*v4)).ip());
    }
    address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_with_its_address() {
        let found = Interfaces::now().unwrap();
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert!(found.own.has(localhost) && !found.own.is_for_many(localhost));
        let loopback = found.list.iter().find(|interface| interface.has_ipv4 && interface.index == 1);
        assert!(loopback.is_some_and(|interface| interface.is_up), "{found:?}");
    }

    #[test]
    fn the_broadcast_address_of_a_network_is_known_also_where_nobody_has_set_one() {
        let list = |own: &str, mask: &str, told: &str| -> Vec<_> {
            let told = Some(told.parse().unwrap());
            let found = broadcasts(own.parse().unwrap(), Some(mask.parse().unwrap()), told);
            found.map(|ip| ip.to_string()).collect()
        };
        assert_eq!(list("10.1.0.1", "255.255.255.0", "10.1.0.1"), ["10.1.0.255"]);
        assert_eq!(list("10.1.0.1", "255.255.0.0", "10.1.0.255"), ["10.1.0.255", "10.1.255.255"]);
        assert_eq!(list("10.1.0.1", "255.255.255.252", "10.1.0.1"), ["10.1.0.3"]);
        for mask in ["255.255.255.254", "255.255.255.255"] {
            assert!(list("10.1.0.1", mask, "10.1.0.1").is_empty());
        }
        assert_eq!(list("127.0.0.1", "255.0.0.0", "127.0.0.1"), ["127.255.255.255"]);
    }

    #[test]
    fn groups_and_broadcasts_are_for_many() {
        let own = Own { broadcasts: ["192.168.7.255".parse().unwrap()].into(), ..Own::default() };
        for (ip, is_for_many) in [
            ("239.1.2.3", true),
            ("ff02::1", true),
            ("255.255.255.255", true),
            ("192.168.7.255", true),
            ("192.168.8.255", false),
            ("127.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(own.is_for_many(ip.parse().unwrap()), is_for_many, "{ip}");
        }
    }
}
