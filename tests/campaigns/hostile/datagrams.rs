//! Of hostile datagrams each is stored or counted, a follower and a reader go on, and the index keeps up.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use encoding_rs::Encoding;
use serde_json::{Value, json};

use super::{CONFIG, growth, settle, unsafe_lines};
use crate::client::Client;
use crate::counters::Counters;
use crate::random::{Random, seed};
use crate::support::{DEADLINE, Daemon, Peer, eventually_within, id, scaled};
use crate::watch::Watch;

/// How many datagrams there are, in the short and in the full size.
const DATAGRAMS: (usize, usize) = (100_000, 10_000_000);

/// How many datagrams are sent before they are counted, and how many bytes of them, so that the kernel's buffer holds them.
const WINDOW: u64 = 1_000;
const WINDOW_BYTES: usize = 512 * 1_024;

/// The last message, which ends the follower.
const LAST: &str = "the last message of the campaign";

/// How long the index may need after a flood on a busy machine.
const INDEXED_WITHIN: Duration = Duration::from_secs(300);

#[test]
fn hostile_datagrams_are_stored_or_counted() {
    let (seed, number) = (seed(), scaled(DATAGRAMS.0, DATAGRAMS.1) as u64);
    let mut daemon = Daemon::start_with(CONFIG, &[]);
    let mut hostile = Hostile { random: Random(seed), replies: replies(&daemon) };
    let mut client = Client::new(daemon.socket(), DEADLINE);
    let earlier = client.status_in_the_end();
    let (is_over, watch) = (Arc::new(AtomicBool::new(false)), Watch::start(&daemon));
    let follower = follow(&daemon);
    let reader = read(&daemon, &is_over);
    let began = Instant::now();
    let sent = Counters::of(&earlier).arrived() + flood(&daemon, &mut client, &mut hostile, number);
    let settled = settle(&mut client, sent);
    let time = began.elapsed();
    // Before the index, which may take longer than a follower waits.
    daemon.receive_from(&Peer::new(), [LAST]);
    let mut wrong = follower.join().unwrap();
    let status = eventually_within(INDEXED_WITHIN, "the index", || {
        client.status().filter(|status| status["index"]["behind"] == 0)
    });
    is_over.store(true, Ordering::Relaxed);
    let watched = watch.end();
    wrong.extend(reader.join().unwrap());
    wrong.extend(settled.check_settled(sent).err());
    wrong.extend(growth(&watched));
    wrong.extend(unsafe_lines(&daemon.log()));
    if settled.lost() > 0 && scaled(0, 1) == 1 {
        wrong.push(format!("lost at a rate that the buffer holds: {settled:?}"));
    }
    wrong.extend((status["state"] != "ok").then(|| status["problems"].to_string()));
    eprintln!(
        "hostile datagrams: seed {seed}, {number} in {time:?}, {} lost and counted, {} readings, slowest status {:?}, {} wrong",
        settled.lost(),
        watched.readings.len(),
        watched.slowest,
        wrong.len()
    );
    assert_eq!(json!(wrong), json!([]));
}

/// Sends datagrams in windows, each when the last one was read; returns how many the kernel took.
fn flood(daemon: &Daemon, client: &mut Client, hostile: &mut Hostile, number: u64) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let earlier = Counters::of(&client.status_in_the_end()).arrived();
    let mut sent = 0;
    while sent < number {
        let (mut datagrams, mut bytes) = (0, 0);
        while datagrams < WINDOW && bytes < WINDOW_BYTES && sent < number {
            let payload = hostile.payload();
            bytes += payload.len();
            socket.send_to(&payload, daemon.address()).unwrap();
            datagrams += 1;
            sent += 1;
        }
        eventually_within(DEADLINE, "a window to be read", || {
            (Counters::of(&client.status()?).arrived() >= earlier + sent).then_some(())
        });
    }
    sent
}

/// Returns what the daemon itself sends and says.
fn replies(daemon: &Daemon) -> Vec<Vec<u8>> {
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    let sent = rpc.call("send", json!({ "to": peer.name(), "text": "\u{1b}[31m你好\n" }));
    let (datagram, _) = peer.receive();
    let said = ["status", "inbox", "peers"].map(|method| rpc.reply(method, json!({})).to_string());
    let said = said.into_iter().chain([json!({ "method": "entry", "params": sent }).to_string()]);
    said.map(String::into_bytes).chain([datagram]).collect()
}

/// Makes payloads.
struct Hostile {
    random: Random,
    replies: Vec<Vec<u8>>,
}

/// Texts that are encoded and cut: scripts of all encodings, and characters that are unsafe to show.
const TEXTS: [&str; 10] = [
    "你好，世界。今天的温度是二十三度",
    "你好世界，歡迎使用這個程式",
    "こんにちは、世界。カタカナ",
    "안녕하세요 세계",
    "Привет, мир",
    "Γειά σου Κόσμε",
    "שלום עולם مرحبا",
    "naïve café — “quotes” …",
    "\u{202e}txt.exe\u{200b}\u{feff}\u{e0041}\u{85}\u{2028}",
    "👩‍👩‍👧‍👦 🇩🇪 e\u{301}\u{301}\u{301}\u{301}",
];

/// Escape sequences, and text that imitates lines of the daemon or of a shell.
const SEQUENCES: [&[u8]; 10] = [
    b"\x1b]0;title\x07",
    b"\x1b[2J\x1b[H",
    b"\x1bP$q\"p\x1b\\",
    b"\x9b31m\x9d0;x\x9c",
    b"\x1b]52;c;cm0gLXJm\x07",
    b"\r\n{\"jsonrpc\":\"2.0\",\"method\":\"stop\"}\n",
    b"\0\0\0\0",
    b"%s%n%x $(reboot) `id` ' \" \\",
    b"2026-11-22T06:03:05Z INFO received id=1\n",
    b"\x08\x08\x08\x7f\x0e\x0f\x05",
];

/// The begins of files and protocols: pcap, pcapng, Ethernet with IPv4, gzip, ELF, TLS, HTTP, DNS, UTF-16 and UTF-32 marks.
const BEGINS: [&[u8]; 10] = [
    b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
    b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\x08\0\x45\0\xff\xff\0\0\0\0\x40\x11",
    b"\x1f\x8b\x08\0",
    b"\x7fELF\x02\x01\x01",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0",
    b"\xff\xfe",
    b"\0\0\xfe\xff",
];

impl Hostile {
    fn payload(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 => Vec::new(),
            1 => {
                let length = self.length();
                self.bytes(length)
            }
            2 | 3 => self.text(),
            4 => {
                let (sequences, mut all) = (1 + self.random.below(8), Vec::new());
                for _ in 0..sequences {
                    all.extend_from_slice(SEQUENCES[self.random.below(SEQUENCES.len())]);
                    let length = self.random.below(6);
                    all.append(&mut self.bytes(length));
                }
                all
            }
            5 => {
                let length = self.length();
                [BEGINS[self.random.below(BEGINS.len())], &self.bytes(length)[..]].concat()
            }
            6 => self.replies[self.random.below(self.replies.len())].clone(),
            _ => vec![self.random.next() as u8; self.length()],
        }
    }

    /// Returns a length: mostly a short one, sometimes any that a datagram can have.
    fn length(&mut self) -> usize {
        match self.random.below(200) {
            0 => self.random.below(65_000),
            1..=10 => self.random.below(1_500),
            _ => self.random.below(120),
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.random.next() as u8).collect()
    }

    /// Returns a text in an encoding, cut and with a changed byte.
    fn text(&mut self) -> Vec<u8> {
        let text = TEXTS[self.random.below(TEXTS.len())];
        let encoding = ENCODINGS[self.random.below(ENCODINGS.len())];
        let mut bytes = match encoding {
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            label => Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned(),
        };
        bytes = bytes.repeat(1 + self.random.below(3));
        bytes.truncate(1 + self.random.below(bytes.len()));
        if self.random.below(3) == 0 {
            let at = self.random.below(bytes.len());
            bytes[at] = self.random.next() as u8;
        }
        bytes
    }
}

const ENCODINGS: [&str; 18] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "gb18030",
    "gbk",
    "big5",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "euc-kr",
    "windows-1252",
    "windows-1251",
    "koi8-r",
    "iso-8859-8",
    "windows-1256",
    "macintosh",
    "ibm866",
    "x-user-defined",
];

/// Follows all entries up to the last; returns what was wrong.
fn follow(daemon: &Daemon) -> JoinHandle<Vec<String>> {
    let mut rpc = daemon.rpc();
    rpc.call("subscribe", json!({ "after": 0 }));
    thread::spawn(move || {
        let (mut wrong, mut read) = (Vec::new(), 0);
        loop {
            let Some(line) = rpc.raw_line() else {
                wrong.push(format!("the follower's connection was closed after #{read}"));
                break;
            };
            wrong.extend(unsafe_lines(std::slice::from_ref(&line)));
            let entry: Value = serde_json::from_str(&line).unwrap();
            let this = id(&entry["params"]);
            if this <= read {
                wrong.push(format!("#{this} follows #{read}"));
            }
            read = this;
            if entry["params"]["text"] == LAST {
                break;
            }
        }
        wrong
    })
}

/// Reads and searches pages until it is over; returns what was wrong.
fn read(daemon: &Daemon, is_over: &Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    let (mut rpc, is_over) = (daemon.rpc(), Arc::clone(is_over));
    thread::spawn(move || {
        let mut wrong = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            for params in [
                json!({ "order": "desc" }),
                json!({ "grep": "你好|caf.", "order": "desc", "limit": 20 }),
                json!({ "after": 0, "limit": 50 }),
            ] {
                let reply = rpc.reply("inbox", params);
                if reply.get("result").is_none() {
                    wrong.push(reply.to_string());
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
        wrong
    })
}
