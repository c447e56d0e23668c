//! Floods: datagrams sent by processes of their own.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::Guard;
use super::texts::Length;
use super::{SENDER, role};

/// The datagrams to send.
#[derive(Clone)]
pub(crate) struct Flood {
    pub(crate) to: SocketAddr,
    pub(crate) datagrams: u64,
    /// How long they are; see [`Self::mixed`].
    pub(crate) length: Length,
    /// How many in a second; 0 for as fast as the kernel takes them.
    pub(crate) rate: u64,
    /// How many source addresses of 127.0.0.0/8 they come from.
    pub(crate) peers: u64,
    /// Whether each address sends one in its turn; otherwise which it is, is up to chance.
    pub(crate) in_turn: bool,
    /// The number of the first one.
    pub(crate) first: u64,
}

/// The result of a flood.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// How many datagrams the kernel took.
    pub(crate) datagrams: u64,
    pub(crate) time: Duration,
}

impl Flood {
    /// Many datagrams of one length, from one peer, as fast as the kernel takes them.
    pub(crate) fn unpaced(to: SocketAddr, datagrams: u64, bytes: usize) -> Self {
        Self { to, datagrams, length: Length::Fixed(bytes), rate: 0, peers: 1, in_turn: false, first: 0 }
    }

    /// Datagrams of one length, from one peer, at a rate a second for some seconds.
    pub(crate) fn paced(to: SocketAddr, rate: u64, seconds: u64, bytes: usize) -> Self {
        Self { rate, ..Self::unpaced(to, rate * seconds, bytes) }
    }

    /// Lines of many lengths and in several encodings, from many peers.
    pub(crate) fn mixed(to: SocketAddr, datagrams: u64, peers: u64) -> Self {
        Self { length: Length::Mixed, peers, ..Self::unpaced(to, datagrams, 0) }
    }

    /// One line from each of a number of addresses.
    pub(crate) fn strangers(to: SocketAddr, addresses: u64) -> Self {
        Self { in_turn: true, ..Self::mixed(to, addresses, addresses) }
    }

    /// Begins to send.
    pub(crate) fn start(&self) -> Sending {
        let mut command = role(SENDER, &self.to_json());
        Sending { process: Guard::start(command.stdin(Stdio::null()).stdout(Stdio::piped())) }
    }

    /// Sends it all.
    pub(crate) fn send(&self) -> Sent {
        self.start().wait()
    }

    fn to_json(&self) -> String {
        let bytes = match self.length {
            Length::Fixed(bytes) => Some(bytes),
            Length::Mixed => None,
        };
        let Self { to, datagrams, rate, peers, in_turn, first, .. } = self;
        json!({
            "to": to, "datagrams": datagrams, "bytes": bytes, "rate": rate, "peers": peers, "in_turn": in_turn,
            "first": first,
        })
        .to_string()
    }

    pub(super) fn from_json(text: &str) -> Self {
        let flood: Value = serde_json::from_str(text).unwrap();
        let number = |name: &str| flood[name].as_u64().unwrap();
        Self {
            to: flood["to"].as_str().unwrap().parse().unwrap(),
            datagrams: number("datagrams"),
            length: flood["bytes"].as_u64().map_or(Length::Mixed, |bytes| Length::Fixed(bytes as usize)),
            rate: number("rate"),
            peers: number("peers"),
            in_turn: flood["in_turn"].as_bool().unwrap(),
            first: number("first"),
        }
    }
}

/// A flood under way. Dropping it ends it.
pub(crate) struct Sending {
    process: Guard,
}

impl Sending {
    /// Waits until all is sent.
    pub(crate) fn wait(mut self) -> Sent {
        let mut text = String::new();
        self.process.pipes().1.unwrap().read_to_string(&mut text).unwrap();
        assert!(self.process.wait().success(), "the sender failed");
        let sent: Value = serde_json::from_str(&text).unwrap();
        Sent {
            datagrams: sent["datagrams"].as_u64().unwrap(),
            time: Duration::from_secs_f64(sent["seconds"].as_f64().unwrap()),
        }
    }
}
