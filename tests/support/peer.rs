//! A peer: a UDP socket that sends text in an encoding.

use std::net::{SocketAddr, UdpSocket};

use super::DEADLINE;

/// A peer on loopback.
pub(crate) struct Peer {
    socket: UdpSocket,
}

impl Peer {
    /// Binds a peer to 127.0.0.1 at any port.
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// Binds a peer to an address.
    pub(crate) fn at(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Returns its address as it is written on a command line.
    pub(crate) fn name(&self) -> String {
        self.address().to_string()
    }

    /// Sends bytes.
    pub(crate) fn send(&self, to: SocketAddr, payload: impl AsRef<[u8]>) {
        assert_eq!(self.socket.send_to(payload.as_ref(), to).unwrap(), payload.as_ref().len());
    }

    /// Sends text in an encoding, as `text.encode(...)` of Python does.
    pub(crate) fn send_text(&self, to: SocketAddr, text: &str, encoding: &'static encoding_rs::Encoding) {
        let (bytes, _, unmappable) = encoding.encode(text);
        assert!(!unmappable, "{text} cannot be said in {}", encoding.name());
        self.send(to, bytes);
    }

    /// Waits for the next datagram; returns its bytes and where it came from.
    #[track_caller]
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 65_536];
        let (length, from) = self.socket.recv_from(&mut buffer).expect("a datagram for the peer");
        buffer.truncate(length);
        (buffer, from)
    }
}

/// Returns the address of a closed port of loopback.
///
/// A socket holds the port until this process ends, so no other program can bind it. It is connected to itself and accepts
/// datagrams from there only (connect(2)); the kernel answers all others as at a closed port.
pub(crate) fn closed(ip: &str) -> SocketAddr {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    socket.connect(address).unwrap();
    std::mem::forget(socket);
    address
}
