//! The lower bound of the cost of receiving: a process that reads datagrams with `recvmmsg` and discards them.

use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, getsockopt, recvmmsg, setsockopt, sockopt};

use super::process_stats::ProcessStats;
use super::support::Guard;
use super::{RECEIVER, role};

/// The longest datagram that is fetched whole.
const MAX_BYTES: usize = 2048;
/// The requested receive buffer, in bytes: the same as that of the other receivers.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024 * 1024;
/// How long the gathering loop sleeps after a read that did not fill its batch.
const PAUSE: Duration = Duration::from_micros(500);

/// How datagrams are fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 64 at a time, as soon as there is one.
    Eager,
    /// 256 at a time, with a short sleep whenever there were fewer.
    Gathering,
}

impl Manner {
    fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Gathering => "gathering",
        }
    }

    fn batch(self) -> usize {
        match self {
            Self::Eager => 64,
            Self::Gathering => 256,
        }
    }
}

/// The running process.
pub(crate) struct Bare {
    process: Guard,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
    granted: u64,
}

impl Bare {
    pub(crate) fn start(manner: Manner) -> Self {
        let mut command = role(RECEIVER, manner.name());
        let mut process = Guard::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (input, output) = process.pipes();
        let mut output = BufReader::new(output.unwrap());
        let address = line(&mut output).parse().unwrap();
        let granted = line(&mut output).parse().unwrap();
        Self { process, input: input.unwrap(), output, address, granted }
    }

    pub(crate) fn process(&self) -> ProcessStats {
        ProcessStats::of(self.process.pid())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the receive buffer that the kernel granted, in bytes.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// Returns how many datagrams it has fetched.
    pub(crate) fn fetched(&mut self) -> u64 {
        writeln!(self.input).unwrap();
        line(&mut self.output).parse().unwrap()
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Runs as the process itself: prints its address and its receive buffer, then fetches until it is killed, and answers each
/// line with the number of fetched datagrams.
pub(super) fn run(manner: &str) {
    static FETCHED: AtomicU64 = AtomicU64::new(0);
    let manner = if manner == Manner::Eager.name() { Manner::Eager } else { Manner::Gathering };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}\n{}", socket.local_addr().unwrap(), widen(&socket));
    thread::spawn(move || fetch(&socket, manner, &FETCHED));
    for _line in std::io::stdin().lines() {
        println!("{}", FETCHED.load(Ordering::Relaxed));
    }
}

/// Requests a large receive buffer, beyond the system's limit if permitted; returns the granted size.
fn widen(socket: &UdpSocket) -> usize {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES).unwrap();
    }
    // The kernel returns twice the requested size.
    getsockopt(socket, sockopt::RcvBuf).unwrap() / 2
}

fn fetch(socket: &UdpSocket, manner: Manner, fetched: &AtomicU64) {
    let batch = manner.batch();
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(batch, None);
    let mut buffers = vec![0; batch * MAX_BYTES];
    loop {
        let mut slices: Vec<_> =
            buffers.chunks_exact_mut(MAX_BYTES).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let got = recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), flags, None).unwrap().count();
        fetched.fetch_add(got as u64, Ordering::Relaxed);
        if manner == Manner::Gathering && got < batch {
            thread::sleep(PAUSE);
        }
    }
}
