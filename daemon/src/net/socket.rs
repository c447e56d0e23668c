//! Listening sockets: bound here with the configured receive buffer, or taken over from a service manager, which holds them
//! open while no daemon runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use udpchat_config::{ListenAddress, Origin, Settings};

use super::drops::KernelDrops;
use super::platform::{RECEIVE_BUFFER_FACTOR, force_receive_buffer, only_joined_groups, queue_errors};
use super::reports::{Bounce, Bound, Reports, SendReports};
use super::route::Route;

/// A bound socket, through which any thread may receive and send.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: UdpSocket,
    /// The bound address, with the port that the system chose where 0 was asked for.
    pub(crate) local: SocketAddr,
    /// The granted receive buffer, in bytes.
    pub(crate) granted_bytes: u64,
    /// Datagrams that found no room in that buffer.
    pub(crate) drops: KernelDrops,
    /// What the network reports about datagrams that were sent.
    pub(crate) reports: Reports,
}

/// A socket that cannot be bound or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on UDP {address}")]
    Socket {
        address: SocketAddr,
        source: io::Error,
        /// Whether an inherited socket has that port.
        inherited: bool,
    },
    #[error("cannot listen on UDP {address}: this machine has no interface `{interface}` now")]
    NoInterface { address: ListenAddress, interface: String },
}

impl ListenError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let (address, source, inherited) = match self {
            Self::Socket { address, source, inherited } => (address, source, *inherited),
            Self::NoInterface { .. } => {
                return Some(
                    "`ip link` lists the interfaces; start again once it is there, as systemd does by itself"
                        .to_owned(),
                );
            }
        };
        let port = address.port();
        match source.kind() {
            io::ErrorKind::AddrInUse if inherited => Some(format!(
                "the service manager passes port {port} with another address: set `listen` to that address, or the socket unit \
                 to this one (`systemctl edit udpchatd.socket`, ListenDatagram=)"
            )),
            io::ErrorKind::AddrInUse => Some(format!(
                "another program uses port {port}: `ss -lunp 'sport = :{port}'` names it; choose another with `--listen`"
            )),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need privileges; choose another with `--listen`".to_owned())
            }
            io::ErrorKind::AddrNotAvailable => {
                Some(format!("this machine has no address {}; `ip address` lists them", address.ip()))
            }
            io::ErrorKind::InvalidInput if is_link_local(address.ip()) => Some(format!(
                "a link-local address needs its interface: `[{}%eth0]:{port}`; `ip link` lists the interfaces",
                address.ip()
            )),
            _ => None,
        }
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Takes over the inherited sockets, and binds the other addresses of the configuration.
pub(crate) fn open_all(
    settings: &Settings,
    inherited: Vec<UdpSocket>,
) -> Result<Vec<Arc<Listener>>, ListenError> {
    let buffer_bytes = usize::try_from(settings.receive_buffer.bytes()).unwrap_or(usize::MAX);
    let mut listeners = Vec::new();
    for socket in inherited {
        listeners.push(Arc::new(Listener::take_over(socket, buffer_bytes)?));
    }
    let bound: Vec<_> = listeners.iter().map(|listener| listener.local).collect();
    let wanted = without_included(addresses_to_bind(settings, &bound), &listeners, &settings.listen);
    let wanted = wanted.iter().map(with_its_interface).collect::<Result<Vec<_>, _>>()?;
    for address in &wanted {
        // Where 0.0.0.0 has the same port, [::] must leave IPv4 to it.
        let has_ipv4 = |other: &&SocketAddr| other.is_ipv4() && other.port() == address.port();
        let ipv6_only = bound.iter().any(|other| has_ipv4(&other))
            || wanted.iter().filter(has_ipv4).any(|other| other.ip().is_unspecified());
        let opened = Listener::open_or_without_ipv6(*address, buffer_bytes, ipv6_only);
        listeners.push(Arc::new(opened.map_err(|source| ListenError::Socket {
            address: *address,
            source,
            inherited: bound.iter().any(|other| other.port() == address.port()),
        })?));
    }
    Ok(listeners)
}

/// Returns the address to bind, with the number that its interface has now.
fn with_its_interface(address: &ListenAddress) -> Result<SocketAddr, ListenError> {
    address.socket_address().ok_or_else(|| ListenError::NoInterface {
        interface: address.interface().map(ToString::to_string).unwrap_or_default(),
        address: address.clone(),
    })
}

/// Returns the configured addresses that no inherited socket has.
fn addresses_to_bind(settings: &Settings, inherited: &[SocketAddr]) -> Vec<ListenAddress> {
    let listen = &settings.listen;
    // The socket unit says where to receive, so the default address does not apply.
    if !inherited.is_empty() && listen.origin == Origin::Default {
        return Vec::new();
    }
    let configured: Vec<_> = listen.iter().filter_map(ListenAddress::socket_address).collect();
    // Every inherited socket is read: messages to an unread one would be lost without being counted.
    for extra in inherited.iter().filter(|address| !configured.contains(address)) {
        tracing::info!(
            "also listening on {extra}: the service manager passes this socket, which is not in `listen`"
        );
    }
    let is_inherited =
        |wanted: &ListenAddress| wanted.socket_address().is_some_and(|address| inherited.contains(&address));
    listen.iter().filter(|wanted| !is_inherited(wanted)).cloned().collect()
}

/// Leaves out the addresses that an inherited socket, or a wildcard address among them, serves as well. The kernel gives them
/// no socket of their own (EADDRINUSE), and answers leave from the address that a message was sent to in any case.
fn without_included(
    wanted: Vec<ListenAddress>,
    inherited: &[Arc<Listener>],
    configured: &[ListenAddress],
) -> Vec<ListenAddress> {
    let wildcard_of = |address: &ListenAddress| {
        // `[::]` serves both families.
        let serves = |other: &SocketAddr| {
            other.ip().is_unspecified()
                && other.port() == address.port()
                && (other.is_ipv6() || address.ip().is_ipv4())
        };
        let is_of_its_family =
            |listener: &&Arc<Listener>| listener.can_send_to(SocketAddr::new(address.ip(), address.port()));
        let sockets = inherited.iter().filter(is_of_its_family).map(|listener| listener.local);
        sockets.chain(wanted.iter().filter_map(ListenAddress::socket_address)).find(serves)
    };
    let needs_a_socket = |address: &&ListenAddress| {
        if address.ip().is_unspecified() || address.port() == 0 {
            return true;
        }
        let wildcard = wildcard_of(address);
        match wildcard {
            Some(wildcard) if is_restriction(configured, wildcard) => tracing::warn!(
                "`listen` names {address}, but the service manager passes {wildcard}, which receives on every address: to \
                 restrict it, change ListenDatagram= of the socket unit (`systemctl edit udpchatd.socket`)"
            ),
            Some(wildcard) => {
                tracing::info!("{address} has no socket of its own: {wildcard} receives what is sent to it");
            }
            None => {}
        }
        wildcard.is_none()
    };
    wanted.iter().filter(needs_a_socket).cloned().collect()
}

/// Returns whether `listen` does not name the wildcard address that is bound, so that an address of it was to receive alone.
fn is_restriction(configured: &[ListenAddress], wildcard: SocketAddr) -> bool {
    !configured.iter().any(|address| address.ip().is_unspecified() && address.port() == wildcard.port())
}

/// Returns whether an error means that the host has no IPv6 at all.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

/// Requests a receive buffer and returns the granted size, in bytes.
fn ask_for_buffer(socket: &Socket, asked_bytes: usize) -> io::Result<u64> {
    // The kernel lowers the size without an error (socket(7)), so it is read back.
    socket.set_recv_buffer_size(asked_bytes)?;
    if granted_buffer(socket)? < asked_bytes {
        force_receive_buffer(socket, asked_bytes);
    }
    Ok(granted_buffer(socket)? as u64)
}

/// Enlarges the buffer of an inherited socket, which may be larger already than this process could make it.
fn enlarge_buffer(socket: &Socket, asked_bytes: usize) -> io::Result<u64> {
    let current = granted_buffer(socket)?;
    if current >= asked_bytes {
        return Ok(current as u64);
    }
    force_receive_buffer(socket, asked_bytes);
    // Asking could also shrink the buffer, so a trial socket shows what would be granted.
    let trial = Socket::new(socket.local_addr()?.domain(), Type::DGRAM, Some(Protocol::UDP))?;
    trial.set_recv_buffer_size(asked_bytes)?;
    if granted_buffer(&trial)? > granted_buffer(socket)? {
        socket.set_recv_buffer_size(asked_bytes)?;
    }
    Ok(granted_buffer(socket)? as u64)
}

fn granted_buffer(socket: &Socket) -> io::Result<usize> {
    let bytes = socket.recv_buffer_size()?;
    Ok(bytes / RECEIVE_BUFFER_FACTOR)
}

impl Listener {
    /// Binds an address; `[::]` serves IPv4 too.
    #[cfg(test)]
    pub(crate) fn open(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        Self::open_as(address, buffer_bytes, false)
    }

    /// Binds an address; `[::]` becomes `0.0.0.0` where the host has no IPv6.
    fn open_or_without_ipv6(address: SocketAddr, buffer_bytes: usize, ipv6_only: bool) -> io::Result<Self> {
        match Self::open_as(address, buffer_bytes, ipv6_only) {
            Err(error) if lacks_ipv6(&error) && address.ip().is_unspecified() => {
                let instead = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                tracing::info!("this host has no IPv6: listening on {instead} instead of {address}");
                Self::open_as(instead, buffer_bytes, false)
            }
            opened => opened,
        }
    }

    /// Takes over a bound socket.
    fn take_over(socket: UdpSocket, buffer_bytes: usize) -> Result<Self, ListenError> {
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let local = socket.local_addr().unwrap_or(unknown);
        let failed = |source| ListenError::Socket { address: local, source, inherited: true };
        let adopt = || {
            let socket = Socket::from(socket);
            socket.set_broadcast(true)?;
            only_joined_groups(&socket, local)?;
            let socket = UdpSocket::from(socket);
            // A daemon that was killed may have left it on, with errors that belong to no message of this one.
            queue_errors(&socket, local, false)?;
            let socket = Socket::from(socket);
            let granted_bytes = enlarge_buffer(&socket, buffer_bytes)?;
            Self::new(socket, granted_bytes)
        };
        adopt().map_err(failed)
    }

    fn open_as(address: SocketAddr, buffer_bytes: usize, ipv6_only: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(ipv6_only)?;
        }
        socket.set_broadcast(true)?;
        only_joined_groups(&socket, address)?;
        let granted_bytes = ask_for_buffer(&socket, buffer_bytes)?;
        socket.bind(&address.into())?;
        Self::new(socket, granted_bytes)
    }

    fn new(socket: Socket, granted_bytes: u64) -> io::Result<Self> {
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        let drops = KernelDrops::new(&socket)?;
        Ok(Self { socket, local, granted_bytes, drops, reports: Reports::default() })
    }

    /// Sends a datagram, without waiting; see [`Reports::send`].
    pub(crate) fn send(
        &self,
        payload: &[u8],
        to: SocketAddr,
        route: Route,
        number: Option<u64>,
        learned: &mut SendReports,
    ) -> io::Result<()> {
        self.reports.send(self.bound(), payload, to, route, number, learned)
    }

    /// Takes what the network has reported; returns the messages that were not delivered, and whether there were any reports.
    pub(crate) fn take_reports(&self) -> (Vec<Bounce>, bool) {
        self.reports.take(self.bound())
    }

    /// Asks for no more reports if the last message is long enough ago; returns the last ones.
    pub(crate) fn end_reports(&self) -> Vec<Bounce> {
        self.reports.end(self.bound())
    }

    /// Asks for no more reports, because the daemon stops.
    pub(crate) fn close_reports(&self) {
        self.reports.close(self.bound());
    }

    fn bound(&self) -> Bound<'_> {
        Bound { socket: &self.socket, local: self.local }
    }

    /// Returns whether this socket receives messages to a multicast group once it has joined it.
    pub(crate) fn can_join(&self, group: IpAddr) -> bool {
        let bound = self.local.ip();
        (bound.is_unspecified() || bound == group) && self.can_send_to(SocketAddr::new(group, 0))
    }

    /// Returns whether this socket can send to the address family of `peer`.
    pub(crate) fn can_send_to(&self, peer: SocketAddr) -> bool {
        match (self.local.ip(), peer.ip()) {
            (IpAddr::V4(_), IpAddr::V4(_)) => true,
            (IpAddr::V6(_), IpAddr::V6(_)) => true,
            (IpAddr::V6(local), IpAddr::V4(_)) => {
                local.is_unspecified() && !socket2::SockRef::from(&self.socket).only_v6().unwrap_or(true)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_config::Setting;

    fn addresses(texts: &[&str]) -> Vec<ListenAddress> {
        texts.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn settings(listen: Option<&[&str]>) -> Settings {
        let mut settings = Settings::default_in("/tmp");
        if let Some(listen) = listen {
            settings.listen = Setting::new(addresses(listen), Origin::Flag("--listen"));
        }
        settings
    }

    #[test]
    fn inherited_sockets_replace_default_and_same_address() {
        let inherited = ["[::]:9000".parse().unwrap()];
        assert_eq!(addresses_to_bind(&settings(None), &[]).len(), 1);
        assert!(addresses_to_bind(&settings(None), &inherited).is_empty());
        assert!(addresses_to_bind(&settings(Some(&["[::]:9000"])), &inherited).is_empty());
        let both = settings(Some(&["[::]:9000", "127.0.0.1:0"]));
        assert_eq!(addresses_to_bind(&both, &inherited), ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_specific_address_beside_its_wildcard_is_not_bound() {
        for (listen, bound) in [
            (&["[::]:9", "10.9.0.1:9"][..], &["[::]:9"][..]),
            (&["10.9.0.1:9", "[::]:9", "[fd00::1]:9"], &["[::]:9"]),
            (&["0.0.0.0:9", "10.9.0.1:9"], &["0.0.0.0:9"]),
            (&["[::]:9", "0.0.0.0:9", "10.9.0.1:9"], &["[::]:9", "0.0.0.0:9"]),
            (&["0.0.0.0:9", "[fd00::1]:9"], &["0.0.0.0:9", "[fd00::1]:9"]),
            (&["[::]:9", "10.9.0.1:8"], &["[::]:9", "10.9.0.1:8"]),
            (&["[::]:9", "[fe80::1%nosuch0]:9"], &["[::]:9"]),
            (&["[::]:0", "127.0.0.1:0"], &["[::]:0", "127.0.0.1:0"]),
        ] {
            let listen = addresses(listen);
            assert_eq!(without_included(listen.clone(), &[], &listen), addresses(bound), "{listen:?}");
        }
    }

    #[test]
    fn an_address_on_a_missing_interface_cannot_be_bound() {
        let listen = addresses(&["[fe80::1%nosuch0]:9"]);
        let error = with_its_interface(&listen[0]).unwrap_err();
        assert!(error.to_string().ends_with("this machine has no interface `nosuch0` now"), "{error}");
        assert!(error.hint().unwrap().contains("`ip link`"));
    }

    #[test]
    fn an_inherited_wildcard_serves_only_its_families() {
        for (ipv6_only, bound) in [(false, false), (true, true)] {
            let any = "[::]:0".parse().unwrap();
            let Ok(listener) = Listener::open_as(any, 8192, ipv6_only) else { return };
            let specific = format!("127.0.0.1:{}", listener.local.port());
            let wanted = addresses(&[&specific]);
            let left = without_included(wanted.clone(), &[Arc::new(listener)], &wanted);
            assert_eq!(!left.is_empty(), bound, "{ipv6_only}");
        }
    }

    #[test]
    fn an_address_without_its_wildcard_is_a_restriction() {
        let wildcard = "[::]:9".parse().unwrap();
        assert!(is_restriction(&addresses(&["10.9.0.1:9", "[::]:8"]), wildcard));
        assert!(!is_restriction(&addresses(&["10.9.0.1:9", "[::]:9"]), wildcard));
        assert!(!is_restriction(&addresses(&["10.9.0.1:9", "0.0.0.0:9"]), wildcard));
    }

    #[test]
    fn an_inherited_buffer_never_shrinks() {
        let buffer = |socket: &UdpSocket| granted_buffer(&socket2::SockRef::from(socket)).unwrap();
        for (had, asked) in [(1 << 20, 8192), (8192, 1 << 17)] {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket2::SockRef::from(&socket).set_recv_buffer_size(had).unwrap();
            let before = buffer(&socket);
            let listener = Listener::take_over(socket, asked).unwrap();
            assert_eq!(listener.granted_bytes, before.max(asked) as u64);
        }
    }
}
