//! Listening sockets: bound with the receive buffer that was asked for, over IPv4, IPv6 or both.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use udpchat_config::Settings;

use super::{Drops, force_receive_buffer, only_joined_groups};

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

/// Why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on UDP {address}")]
pub(crate) struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

impl ListenError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let port = self.address.port();
        match self.source.kind() {
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

/// Binds every address of the configuration.
pub(crate) fn open_all(settings: &Settings) -> Result<Vec<Arc<Listener>>, ListenError> {
    let addresses = &settings.listen.value;
    let buffer_bytes = usize::try_from(settings.receive_buffer.bytes()).unwrap_or(usize::MAX);
    let open = |address: &SocketAddr| {
        // Where the same port is wanted for 0.0.0.0 too, [::] has to leave IPv4 to it.
        let ipv6_only = addresses.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        let opened = match Listener::open_as(*address, buffer_bytes, ipv6_only) {
            Err(error) if lacks_ipv6(&error) && address.ip().is_unspecified() => {
                let instead = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                tracing::info!("this host has no IPv6: listening on {instead} instead of {address}");
                Listener::open_as(instead, buffer_bytes, false)
            }
            opened => opened,
        };
        opened.map(Arc::new).map_err(|source| ListenError { address: *address, source })
    };
    addresses.iter().map(open).collect()
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

    fn open_as(address: SocketAddr, buffer_bytes: usize, ipv6_only: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(ipv6_only)?;
        }
        socket.set_broadcast(true)?;
        only_joined_groups(&socket, address)?;
        let granted_bytes = ask_for_buffer(&socket, buffer_bytes)?;
        socket.bind(&address.into())?;
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        let drops = Drops::from_now_on(&socket)?;
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
