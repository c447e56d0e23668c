//! Listening sockets: bound with the receive buffer that was asked for, over IPv4, IPv6 or both; or taken over from a service
//! manager, which holds them open while no daemon runs.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use udpchat_config::{Origin, Settings};

use crate::receive::{Drops, force_receive_buffer, only_joined_groups};

/// A bound socket. Messages are received and sent through it, from any thread.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: UdpSocket,
    /// The address it is bound to, with its real port.
    pub(crate) local: SocketAddr,
    /// The receive buffer that the kernel granted, in bytes.
    pub(crate) granted_bytes: u64,
    /// What the kernel has dropped for want of room in that buffer.
    pub(crate) drops: Drops,
}

/// Why a socket cannot be bound, or used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}")]
pub(crate) struct ListenError {
    address: SocketAddr,
    source: io::Error,
    /// Whether a socket that was handed over has that port.
    handed_over: bool,
}

impl ListenError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.source.kind() {
            io::ErrorKind::AddrInUse if self.handed_over => Some(format!(
                "the service manager hands over port {port} with another address: `listen` must name that one, or the \
                 socket unit this one (`systemctl edit udpchatd.socket`, ListenDatagram=)"
            )),
            io::ErrorKind::AddrInUse => Some(format!(
                "another program holds port {port}: `ss -lunp 'sport = :{port}'` names it; `--listen` takes another"
            )),
            io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are for privileged users; `--listen` takes another".to_owned())
            }
            io::ErrorKind::AddrNotAvailable => {
                Some(format!("this machine has no address {}; `ip address` lists them", self.address.ip()))
            }
            _ => None,
        }
    }
}

/// Takes over the sockets that are handed over, and binds what else the configuration names.
pub(crate) fn open_all(
    settings: &Settings,
    handed_over: Vec<UdpSocket>,
) -> Result<Vec<Arc<Listener>>, ListenError> {
    let buffer_bytes = usize::try_from(settings.receive_buffer.bytes()).unwrap_or(usize::MAX);
    let mut listeners = Vec::new();
    for socket in handed_over {
        listeners.push(Arc::new(Listener::take_over(socket, buffer_bytes)?));
    }
    let there: Vec<_> = listeners.iter().map(|listener| listener.local).collect();
    let wanted = still_wanted(settings, &there);
    for address in &wanted {
        // Where the same port is wanted for 0.0.0.0 too, [::] has to leave IPv4 to it.
        let mut others = there.iter().chain(&wanted);
        let ipv6_only = others.any(|other| other.is_ipv4() && other.port() == address.port());
        let opened = Listener::open_or_without_ipv6(*address, buffer_bytes, ipv6_only);
        listeners.push(Arc::new(opened.map_err(|source| ListenError {
            address: *address,
            source,
            handed_over: there.iter().any(|other| other.port() == address.port()),
        })?));
    }
    Ok(listeners)
}

/// Lists which addresses of the configuration are still to be bound.
fn still_wanted(settings: &Settings, there: &[SocketAddr]) -> Vec<SocketAddr> {
    let listen = &settings.listen;
    // Who hands sockets over has said where to receive; the default is not meant beside them.
    if !there.is_empty() && listen.origin == Origin::Default {
        return Vec::new();
    }
    // Whatever is handed over is received on: where nobody reads, messages would vanish uncounted.
    for extra in there.iter().filter(|address| !listen.value.contains(address)) {
        tracing::info!(
            "listening on {extra} too, which `listen` does not name and the service manager hands over"
        );
    }
    listen.value.iter().filter(|address| !there.contains(address)).copied().collect()
}

/// Tells whether an error says that the host knows no IPv6 at all.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

/// Asks for a receive buffer and returns what was granted, in bytes.
fn ask_for_buffer(socket: &Socket, asked_bytes: usize) -> io::Result<u64> {
    // The kernel takes less than was asked for without saying so, so it is read back.
    socket.set_recv_buffer_size(asked_bytes)?;
    if granted_buffer(socket)? < asked_bytes {
        force_receive_buffer(socket, asked_bytes);
    }
    Ok(granted_buffer(socket)? as u64)
}

/// Asks for a larger buffer of a socket that was made elsewhere, which may have more than this process would get.
fn enlarge_buffer(socket: &Socket, asked_bytes: usize) -> io::Result<u64> {
    let there = granted_buffer(socket)?;
    if there >= asked_bytes {
        return Ok(there as u64);
    }
    force_receive_buffer(socket, asked_bytes);
    // The kernel would also take less than there is; what it grants is tried out elsewhere.
    let trial = Socket::new(socket.local_addr()?.domain(), Type::DGRAM, Some(Protocol::UDP))?;
    trial.set_recv_buffer_size(asked_bytes)?;
    if granted_buffer(&trial)? > granted_buffer(socket)? {
        socket.set_recv_buffer_size(asked_bytes)?;
    }
    Ok(granted_buffer(socket)? as u64)
}

fn granted_buffer(socket: &Socket) -> io::Result<usize> {
    let bytes = socket.recv_buffer_size()?;
    // Linux doubles what is asked for, for its own book-keeping, and reports the double (socket(7)).
    Ok(if cfg!(target_os = "linux") { bytes / 2 } else { bytes })
}

impl Listener {
    /// Binds an address; `[::]` takes IPv4 in too.
    #[cfg(test)]
    pub(crate) fn open(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        Self::open_as(address, buffer_bytes, false)
    }

    /// Binds an address; where the host has no IPv6, all of IPv4 instead of all of both.
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
        let failed = |source| ListenError { address: local, source, handed_over: true };
        let adopt = || {
            let socket = Socket::from(socket);
            socket.set_broadcast(true)?;
            only_joined_groups(&socket, local)?;
            let granted_bytes = enlarge_buffer(&socket, buffer_bytes)?;
            Self::of(socket, granted_bytes)
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
        Self::of(socket, granted_bytes)
    }

    fn of(socket: Socket, granted_bytes: u64) -> io::Result<Self> {
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        let drops = Drops::new(&socket)?;
        Ok(Self { socket, local, granted_bytes, drops })
    }

    /// Tells whether messages to a multicast group come to this socket, once it has joined.
    pub(crate) fn takes_group(&self, group: IpAddr) -> bool {
        let bound = self.local.ip();
        (bound.is_unspecified() || bound == group) && self.reaches(SocketAddr::new(group, 0))
    }

    /// Tells whether a message to `peer` can leave through this socket, judged by the family of addresses.
    pub(crate) fn reaches(&self, peer: SocketAddr) -> bool {
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

    fn settings(listen: Option<&[&str]>) -> Settings {
        let mut settings = Settings::default_in("/tmp");
        if let Some(listen) = listen {
            let addresses = listen.iter().map(|address| address.parse().unwrap()).collect();
            settings.listen = Setting::new(addresses, Origin::Flag("--listen"));
        }
        settings
    }

    #[test]
    fn what_is_handed_over_takes_the_place_of_the_default_and_of_its_own_address() {
        let there = ["[::]:9000".parse().unwrap()];
        assert_eq!(still_wanted(&settings(None), &[]).len(), 1);
        assert!(still_wanted(&settings(None), &there).is_empty());
        assert!(still_wanted(&settings(Some(&["[::]:9000"])), &there).is_empty());
        let both = settings(Some(&["[::]:9000", "127.0.0.1:0"]));
        assert_eq!(still_wanted(&both, &there), ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_socket_that_is_taken_over_never_gets_a_smaller_buffer() {
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
