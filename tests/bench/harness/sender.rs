//! The process that sends a flood: `sendmmsg`, 64 datagrams at a time, as one peer or as many.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use serde_json::json;

use super::flood::Flood;
use super::random::Random;
use super::texts::Texts;

/// How many datagrams one system call hands over.
const BATCH: u64 = 64;
/// How many datagrams one of many peers sends in a row at most.
const BURST: u64 = 8;
/// How long a paced flood sleeps when nothing is due.
const PAUSE: Duration = Duration::from_micros(500);

/// Sends a flood, and prints what was sent.
pub(super) fn run(flood: &str) {
    let flood = Flood::from_json(flood);
    let mut sender = Sender::new(&flood);
    let began = Instant::now();
    let mut sent = 0;
    while sent < flood.datagrams {
        let due = flood.datagrams.min(due(&flood, began));
        if due <= sent {
            thread::sleep(PAUSE);
            continue;
        }
        sent += sender.send(flood.first + sent, (due - sent).min(BATCH));
    }
    println!("{}", json!({ "datagrams": sent, "seconds": began.elapsed().as_secs_f64() }));
}

/// Returns how many datagrams are to be sent by now.
fn due(flood: &Flood, began: Instant) -> u64 {
    match flood.rate {
        0 => u64::MAX,
        rate => (began.elapsed().as_secs_f64() * rate as f64) as u64,
    }
}

struct Sender {
    socket: UdpSocket,
    to: Option<SockaddrIn>,
    peers: u64,
    in_turn: bool,
    random: Random,
    headers: MultiHeaders<SockaddrIn>,
    texts: Texts,
    payloads: Vec<Vec<u8>>,
}

impl Sender {
    fn new(flood: &Flood) -> Self {
        let SocketAddr::V4(to) = flood.to else { panic!("floods go over IPv4") };
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let many = flood.peers > 1;
        if !many {
            // The kernel looks up the route once.
            socket.connect(to).unwrap();
        }
        let control = many.then(|| cmsg_space!(in_pktinfo));
        Self {
            socket,
            to: many.then(|| SockaddrIn::from(to)),
            peers: flood.peers,
            in_turn: flood.in_turn,
            random: Random::new(flood.first),
            headers: MultiHeaders::preallocate(BATCH as usize, control),
            texts: Texts::new(flood.length),
            payloads: vec![Vec::new(); BATCH as usize],
        }
    }

    /// Sends at most `most` datagrams, the first with this number; returns how many the kernel accepted.
    fn send(&mut self, first: u64, most: u64) -> u64 {
        let (source, count) = match self.peers {
            1 => (None, most),
            peers if self.in_turn => (Some(address(first % peers)), 1),
            peers => (Some(chance(&mut self.random, peers)), most.min(1 + self.random.below(BURST))),
        };
        for (number, payload) in (first..first + count).zip(&mut self.payloads) {
            self.texts.write(number, payload);
        }
        let control = source.as_ref().map(ControlMessage::Ipv4PacketInfo);
        let slices: Vec<_> =
            self.payloads[..count as usize].iter().map(|payload| [IoSlice::new(payload)]).collect();
        let to = [self.to; BATCH as usize];
        let socket = self.socket.as_raw_fd();
        let taken = sendmmsg(socket, &mut self.headers, &slices, to, control.as_slice(), MsgFlags::empty());
        match taken {
            Ok(taken) => taken.count() as u64,
            // A port without a receiver, or no memory for a moment: nothing was sent.
            Err(Errno::ECONNREFUSED | Errno::ENOBUFS | Errno::EINTR) => 0,
            Err(error) => panic!("cannot send: {error}"),
        }
    }
}

/// Returns the source of the next datagrams: one of the peers, and every second time one of the most active few.
fn chance(random: &mut Random, peers: u64) -> in_pktinfo {
    let among = if random.below(2) == 0 { peers } else { peers.div_ceil(32) };
    address(random.below(among))
}

/// Returns the address of a peer as the source of datagrams.
fn address(peer: u64) -> in_pktinfo {
    let address = Ipv4Addr::from(0x7F01_0001 + peer as u32);
    let address = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address }
}
