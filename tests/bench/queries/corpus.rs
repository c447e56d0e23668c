//! The messages to search: like logs, in several encodings, from thousands of peers, and among them a few
//! that the queries search for.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use encoding_rs::GBK;
use serde_json::{Value, json};

use crate::harness::daemon::{Counters, Daemon};
use crate::harness::flood::Flood;

/// Large enough to keep everything, with a large receive buffer, so that nothing is lost.
pub(crate) const CONFIG: &str = "receive_buffer = \"64MiB\"\ninbox.max_size = \"64GiB\"\n";

/// How many peers send, beside the rare one.
pub(crate) const PEERS: u64 = 4000;

/// Texts that are in one message only.
pub(crate) const RARE_ASCII: &str = "overtemperature-shutdown";
pub(crate) const RARE_UTF8: &str = "琥珀";
pub(crate) const RARE_GBK: &str = "鸳鸯";

/// The peer of three early messages.
const RARE_PEER: &str = "127.200.1.1";

/// Datagrams a second: a load that a busy machine can process.
const RATE: u64 = 100_000;

/// Known facts about the messages.
pub(crate) struct Corpus {
    /// The address of the rare peer.
    pub(crate) rare_peer: SocketAddr,
    /// The time when half of them had come, and when nearly all had.
    pub(crate) middle: String,
    pub(crate) near_the_end: String,
}

impl Corpus {
    /// Fills the inbox of a daemon.
    pub(crate) fn fill(daemon: &mut Daemon, entries: u64) -> Self {
        let began = Instant::now();
        let rare = UdpSocket::bind((RARE_PEER, 0)).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut filler = Filler { daemon, sent: 0, numbered: 0 };
        filler.flood(entries / 100);
        for text in ["first light", "second thoughts", "third time lucky"] {
            filler.send_text(&rare, text.as_bytes());
        }
        filler.answer(&rare);
        filler.flood(entries / 4);
        filler.send_text(&other, format!("sensor 7: {RARE_ASCII} after 3 warnings").as_bytes());
        filler.flood(entries / 4);
        let middle = filler.now();
        filler.send_text(&other, format!("仓库里发现一块{RARE_UTF8}，等待登记").as_bytes());
        filler.flood(entries / 4);
        filler.send_text(&other, &GBK.encode(&format!("湖边有{RARE_GBK}在等候消息，请通知管理员")).0);
        filler.flood((entries - filler.numbered).saturating_sub(entries / 1000));
        let near_the_end = filler.now();
        filler.flood(entries / 1000);
        let lost = filler.finish().lost();
        if lost > 0 {
            // The text log is made from the inbox, so the figures stay comparable.
            println!("this machine did not keep up: {lost} messages were lost");
        }
        println!("filled with {} messages in {:.0} s", filler.sent, began.elapsed().as_secs_f64());
        Self { rare_peer: rare.local_addr().unwrap(), middle, near_the_end }
    }
}

struct Filler<'a> {
    daemon: &'a mut Daemon,
    /// All messages, and those of the floods.
    sent: u64,
    numbered: u64,
}

impl Filler<'_> {
    fn flood(&mut self, datagrams: u64) {
        let flood = Flood::mixed(self.daemon.address(), datagrams, PEERS);
        let sent = Flood { rate: RATE, first: self.numbered, ..flood }.send().datagrams;
        self.numbered += sent;
        self.sent += sent;
        self.finish();
    }

    fn send_text(&mut self, peer: &UdpSocket, payload: &[u8]) {
        peer.send_to(payload, self.daemon.address()).unwrap();
        self.sent += 1;
        self.finish();
    }

    /// Waits until all is stored.
    fn finish(&mut self) -> Counters {
        self.daemon.wait_until_stored(self.sent)
    }

    /// Sends some messages, for queries of sent messages.
    fn answer(&mut self, peer: &UdpSocket) {
        let to = peer.local_addr().unwrap().to_string();
        let mut rpc = self.daemon.connect();
        for number in 0..25 {
            rpc.call("send", json!({ "to": to, "text": format!("answer {number}") }));
        }
    }

    /// Returns the time of the newest entry.
    fn now(&mut self) -> String {
        let page: Value = self.daemon.connect().call("inbox", json!({ "order": "desc", "limit": 1 }));
        page["entries"][0]["at"].as_str().unwrap().to_owned()
    }
}
