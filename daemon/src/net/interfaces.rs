//! The network interfaces of this host: which can join a multicast group, and which addresses are local.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;
use parking_lot::RwLock;
use udpchat_config::Interface as InterfaceName;

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Its number. An interface that is removed and created again gets another one.
    pub(crate) index: u32,
    pub(crate) is_up: bool,
    pub(crate) supports_multicast: bool,
    pub(crate) has_ipv4: bool,
    pub(crate) has_ipv6: bool,
}

/// All interfaces at one moment, and the local addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interfaces {
    pub(crate) list: Vec<Interface>,
    pub(crate) local: LocalAddresses,
}

/// The number of removed interfaces that are listed; with more, any interface may have been removed.
const MAX_REMOVED: usize = 256;

/// What has changed in the interfaces of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The numbers of removed interfaces. Their memberships are gone, even where a new interface has the same number.
    pub(crate) removed: BTreeSet<u32>,
    /// Whether the kernel could not report everything, so that any interface may have been removed.
    pub(crate) is_unclear: bool,
}

impl Changes {
    /// Adds later changes.
    pub(crate) fn add(&mut self, later: Self) {
        self.is_unclear |= later.is_unclear;
        for index in later.removed {
            self.remove(index);
        }
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.removed.insert(index);
        self.is_unclear |= self.removed.len() > MAX_REMOVED;
        if self.is_unclear {
            self.removed.clear();
        }
    }
}

/// The addresses of this host.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalAddresses {
    addresses: BTreeSet<IpAddr>,
    /// The broadcast addresses of the networks that this host is in.
    broadcasts: BTreeSet<Ipv4Addr>,
    networks: Vec<LocalNetwork>,
}

/// A network that this host is in, through one of its addresses.
#[derive(Clone, Copy, Debug)]
struct LocalNetwork {
    /// The number of the interface; 0 if it was removed meanwhile.
    interface: u32,
    /// Whether the interface can send: up, and with a link.
    is_running: bool,
    address: IpAddr,
    mask: IpAddr,
}

/// The addresses of this host, which change while the daemon runs.
#[derive(Debug, Default)]
pub(crate) struct CurrentAddresses(RwLock<Arc<LocalAddresses>>);

impl CurrentAddresses {
    /// Returns the current addresses.
    pub(crate) fn get(&self) -> Arc<LocalAddresses> {
        Arc::clone(&self.0.read())
    }

    /// Replaces the addresses.
    pub(crate) fn set(&self, addresses: LocalAddresses) {
        *self.0.write() = Arc::new(addresses);
    }
}

impl LocalAddresses {
    /// Returns whether an address belongs to this host.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
    }

    /// Returns whether an address is a multicast group or a broadcast address.
    pub(crate) fn is_multicast_or_broadcast(&self, ip: IpAddr) -> bool {
        let is_broadcast = |ip: Ipv4Addr| ip.is_broadcast() || self.broadcasts.contains(&ip);
        ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if is_broadcast(ip))
    }

    /// Returns whether a peer is in a network of this host that a message to `all`, a group or a broadcast address, can reach
    /// through an interface; 0 is any but loopback.
    pub(crate) fn is_reached(&self, peer: SocketAddr, all: IpAddr, interface: u32) -> bool {
        let is_usable = |network: &LocalNetwork| match interface {
            0 => network.contains(all) || !network.address.is_loopback(),
            interface => network.interface == interface,
        };
        // The broadcast address of one network reaches no other.
        let is_of_one_network = self.networks.iter().any(|network| network.contains(all));
        let mut networks = self.networks.iter().filter(|network| is_usable(network));
        networks.any(|network| network.has(peer) && (!is_of_one_network || network.contains(all)))
    }

    /// Returns the interface for an answer from the local address `source`: where several interfaces are in a network of
    /// the peer (169.254.0.0/16, or two machine networks with the same numbers), a route would choose one of them for all
    /// peers. Returns 0 where the route decides.
    pub(crate) fn interface_of_answer(&self, source: IpAddr, peer: SocketAddr) -> u32 {
        let near = || self.networks.iter().filter(|network| network.is_running && network.has(peer));
        let Some(own) = near().find(|network| network.address == source) else { return 0 };
        if near().any(|other| other.interface != own.interface) { own.interface } else { 0 }
    }
}

impl LocalNetwork {
    fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, self.mask, ip) {
            (IpAddr::V4(address), IpAddr::V4(mask), IpAddr::V4(ip)) => address & mask == ip & mask,
            (IpAddr::V6(address), IpAddr::V6(mask), IpAddr::V6(ip)) => address & mask == ip & mask,
            _ => false,
        }
    }

    /// Returns whether a peer is in the network. All interfaces have the same link-local network: the peer's scope decides.
    fn has(&self, peer: SocketAddr) -> bool {
        let scope = match peer {
            SocketAddr::V6(peer) => peer.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        self.contains(peer.ip()) && (scope == 0 || scope == self.interface)
    }
}

impl Interfaces {
    /// Lists the interfaces of the system (getifaddrs(3)).
    pub(crate) fn list() -> io::Result<Self> {
        let mut found: BTreeMap<String, Interface> = BTreeMap::new();
        let mut local = LocalAddresses::default();
        for entry in getifaddrs()? {
            // An IPv4 address may have a label behind a colon.
            let name = entry.interface_name.split(':').next().unwrap_or_default();
            local.add(&entry, found.get(name).map(|known| known.index).or_else(|| if_nametoindex(name).ok()));
            if !found.contains_key(name) {
                // The interface may have been removed meanwhile.
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
        Ok(Self { list: found.into_values().collect(), local })
    }
}

impl LocalAddresses {
    fn add(&mut self, entry: &InterfaceAddress, interface: Option<u32>) {
        let Some(address) = entry.address.as_ref().and_then(ip) else { return };
        self.addresses.insert(address);
        if let Some(mask) = entry.netmask.as_ref().and_then(ip) {
            self.networks.push(LocalNetwork {
                interface: interface.unwrap_or(0),
                is_running: entry.flags.contains(InterfaceFlags::IFF_RUNNING),
                address,
                mask,
            });
        }
        let v4 = |address: Option<&SockaddrStorage>| match address.and_then(ip) {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        };
        if let IpAddr::V4(address) = address {
            let configured = v4(entry.broadcast.as_ref());
            self.broadcasts.extend(broadcasts(address, v4(entry.netmask.as_ref()), configured));
        }
    }
}

/// Returns the broadcast addresses of a network: the configured one, and the last address of the network, which the kernel
/// accepts in any case. Where none is configured, the system reports the interface's address, which is left out.
fn broadcasts(
    address: Ipv4Addr,
    mask: Option<Ipv4Addr>,
    configured: Option<Ipv4Addr>,
) -> impl Iterator<Item = Ipv4Addr> {
    /// Networks of one or two addresses have no broadcast address.
    const LONGEST_PREFIX: u32 = 30;
    let last = mask
        .map(Ipv4Addr::to_bits)
        .filter(|mask| mask.leading_ones() <= LONGEST_PREFIX)
        .map(|mask| Ipv4Addr::from_bits(address.to_bits() | !mask));
    configured.into_iter().chain(last).filter(move |broadcast| *broadcast != address)
}

impl Interface {
    fn add(&mut self, entry: &InterfaceAddress) {
        self.is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
        self.supports_multicast |= entry.flags.contains(InterfaceFlags::IFF_MULTICAST);
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

/// Finds an interface by its name, or else by its number.
pub(crate) fn find<'a>(wanted: &InterfaceName, interfaces: &'a [Interface]) -> Option<&'a Interface> {
    let number_of = |name: &str| Some(interfaces.iter().find(|interface| interface.name == name)?.index);
    let number = wanted.number_by(number_of)?;
    interfaces.iter().find(|interface| interface.index == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(interface: u32, address: &str, mask: &str) -> LocalNetwork {
        let (address, mask) = (address.parse().unwrap(), mask.parse().unwrap());
        LocalNetwork { interface, is_running: true, address, mask }
    }

    #[test]
    fn loopback_is_found_with_its_address() {
        let found = Interfaces::list().unwrap();
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert!(found.local.contains(localhost) && !found.local.is_multicast_or_broadcast(localhost));
        let loopback = found.list.iter().find(|interface| interface.has_ipv4 && interface.index == 1);
        assert!(loopback.is_some_and(|interface| interface.is_up), "{found:?}");
    }

    #[test]
    fn the_last_address_of_a_network_is_a_broadcast() {
        let list = |address: &str, mask: &str, configured: &str| -> Vec<_> {
            let configured = Some(configured.parse().unwrap());
            let found = broadcasts(address.parse().unwrap(), Some(mask.parse().unwrap()), configured);
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
    fn a_broadcast_reaches_the_peers_of_its_network() {
        let networks = vec![
            network(1, "127.0.0.1", "255.0.0.0"),
            network(2, "192.168.7.1", "255.255.255.0"),
            network(3, "10.0.0.1", "255.0.0.0"),
            network(2, "fe80::1", "ffff:ffff:ffff:ffff::"),
            network(3, "fe80::2", "ffff:ffff:ffff:ffff::"),
        ];
        let local = LocalAddresses { networks, ..LocalAddresses::default() };
        for (peer, all, interface, expected) in [
            ("192.168.7.9:1", "192.168.7.255", 0, true),
            ("10.2.3.4:1", "192.168.7.255", 0, false),
            ("10.2.3.4:1", "255.255.255.255", 0, true),
            ("10.2.3.4:1", "255.255.255.255", 2, false),
            ("10.2.3.4:1", "239.1.2.3", 3, true),
            ("8.8.8.8:1", "239.1.2.3", 0, false),
            ("127.0.0.2:1", "255.255.255.255", 0, false),
            ("127.0.0.2:1", "127.255.255.255", 0, true),
            ("[fe80::9%2]:1", "ff02::1", 2, true),
            ("[fe80::9%3]:1", "ff02::1", 2, false),
            ("[fe80::9%3]:1", "ff02::1", 0, true),
            ("10.2.3.4:1", "ff02::1", 3, true),
        ] {
            let reached = local.is_reached(peer.parse().unwrap(), all.parse().unwrap(), interface);
            assert_eq!(reached, expected, "{peer} {all}%{interface}");
        }
    }

    #[test]
    fn an_answer_leaves_by_the_interface_of_its_source() {
        let networks = vec![
            network(2, "169.254.1.1", "255.255.0.0"),
            network(3, "169.254.2.1", "255.255.0.0"),
            network(4, "10.0.0.1", "255.0.0.0"),
            network(2, "fe80::1", "ffff:ffff:ffff:ffff::"),
            network(3, "fe80::2", "ffff:ffff:ffff:ffff::"),
        ];
        let mut local = LocalAddresses { networks, ..LocalAddresses::default() };
        for (source, peer, interface) in [
            ("169.254.1.1", "169.254.9.9:1", 2),
            ("169.254.2.1", "169.254.9.9:1", 3),
            // Only one interface is in the network, the peer is behind a router, the address is gone.
            ("10.0.0.1", "10.2.3.4:1", 0),
            ("10.0.0.1", "8.8.8.8:1", 0),
            ("169.254.3.1", "169.254.9.9:1", 0),
            // The scope of the peer already names the interface.
            ("fe80::1", "[fe80::9%2]:1", 0),
        ] {
            let found = local.interface_of_answer(source.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(found, interface, "{source} {peer}");
        }
        local.networks[1].is_running = false;
        for source in ["169.254.1.1", "169.254.2.1"] {
            let peer = "169.254.9.9:1".parse().unwrap();
            assert_eq!(local.interface_of_answer(source.parse().unwrap(), peer), 0, "only one has a link");
        }
    }

    #[test]
    fn groups_and_broadcasts_are_recognised() {
        let local = LocalAddresses {
            broadcasts: ["192.168.7.255".parse().unwrap()].into(),
            ..LocalAddresses::default()
        };
        for (ip, expected) in [
            ("239.1.2.3", true),
            ("ff02::1", true),
            ("255.255.255.255", true),
            ("192.168.7.255", true),
            ("192.168.8.255", false),
            ("127.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(local.is_multicast_or_broadcast(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
