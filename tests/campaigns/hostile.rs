//! Hostile datagrams at a live socket, and fuzzed requests at a live control socket.
//!
//! Of datagrams: each is stored or counted, a follower and a reader go on, the index keeps up. Of requests: each has one answer or
//! closes the connection, and none is an internal error. Of both: no crash, and memory and descriptors stay flat.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use encoding_rs::Encoding;
use serde_json::{Value, json};

use crate::client::Client;
use crate::counters::Counters;
use crate::random::{Random, seed};
use crate::support::{DEADLINE, Daemon, Peer, eventually_within, id, scaled};
use crate::watch::{Watch, Watched, descriptors, memory};

/// How many datagrams and requests there are, in the short and in the full size.
const DATAGRAMS: (usize, usize) = (100_000, 10_000_000);
const REQUESTS: (usize, usize) = (10_000, 1_000_000);

/// How many datagrams are sent before they are counted, and how many bytes of them, so that the kernel's buffer holds them.
const WINDOW: u64 = 1_000;
const WINDOW_BYTES: usize = 512 * 1_024;

/// Retention works meanwhile.
const CONFIG: &str = "inbox.max_size = '64MiB'\nlog.messages_per_second = 50";

/// How much more memory, in KiB, a daemon may use in the end than after the first third.
const MEMORY_GROWTH: u64 = 8 * 1_024;

// Datagrams.

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
    let status = eventually_within(INDEXED_WITHIN, "the index", || {
        client.status().filter(|status| status["index"]["behind"] == 0)
    });
    daemon.receive_from(&Peer::new(), [LAST]);
    let mut wrong = follower.join().unwrap();
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

fn settle(client: &mut Client, sent: u64) -> Counters {
    eventually_within(DEADLINE, "the counters to settle", || {
        Some(Counters::of(&client.status()?)).filter(|counters| counters.is_settled(sent))
    })
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

/// Returns lines with characters that are unsafe to show.
fn unsafe_lines(lines: &[String]) -> Vec<String> {
    let is_unsafe = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
    };
    let lines = lines.iter().filter(|line| line.trim_end_matches('\n').contains(is_unsafe));
    lines.map(|line| format!("unsafe: {line:?}")).collect()
}

/// Returns whether memory or descriptors grew.
fn growth(watched: &Watched) -> Option<String> {
    let (before, after) = (watched.medians(1), watched.medians(2));
    eprintln!("memory in KiB and descriptors: {:?}, {before:?}, {after:?}", watched.medians(0));
    let grew = after.0 > before.0 + MEMORY_GROWTH || after.1 > before.1 + 2;
    grew.then(|| format!("memory in KiB and descriptors grew from {before:?} to {after:?}"))
}

// Requests.

/// Requests that are written before their answers are read.
const PIPELINED: usize = 40;

/// After how many of these pipelines a new connection is opened.
const PIPELINES: usize = 20;

#[test]
fn fuzzed_requests_have_one_answer_each() {
    let (seed, number) = (seed(), scaled(REQUESTS.0, REQUESTS.1));
    let mut daemon = Daemon::start_with(CONFIG, &[]);
    let sink = Peer::new();
    daemon.receive_from(&sink, ["one", "two", "three"]);
    let mut fuzzer = Fuzzer { random: Random(seed), to: sink.name(), kinds: Kinds::new() };
    let (pid, began) = (daemon.pid(), Instant::now());
    fuzzer.run(&daemon, number / 3);
    let (before, files) = (memory(pid), descriptors(pid));
    let watch = Watch::start(&daemon);
    let mut wrong = fuzzer.run(&daemon, number - number / 3);
    let watched = watch.end();
    let time = began.elapsed();
    wrong.extend(watched.wrong);
    let mut client = Client::new(daemon.socket(), DEADLINE);
    let idle = eventually_within(DEADLINE, "the end of the connections", || {
        (descriptors(pid) <= files + 2).then(|| memory(pid))
    });
    if idle > before + MEMORY_GROWTH {
        wrong.push(format!("memory grew from {before} to {idle} KiB"));
    }
    wrong.extend(settle(&mut client, 3).check_settled(3).err());
    wrong.extend(unsafe_lines(&daemon.log()));
    eprintln!(
        "fuzzed requests: seed {seed}, {number} in {time:?}, memory {before} and {idle} KiB, slowest status {:?}, {} wrong, {:?}",
        watched.slowest,
        wrong.len(),
        fuzzer.kinds
    );
    assert_eq!(json!(wrong), json!([]));
}

/// How many answers there were of each kind.
type Kinds = BTreeMap<String, u64>;

/// Makes requests, and counts the kinds of answers.
struct Fuzzer {
    random: Random,
    to: String,
    kinds: Kinds,
}

/// The methods with their parameters. `stop` ends the daemon if it has none, so it always gets one.
const METHODS: [(&str, &[&str]); 15] = [
    ("version", &[]),
    ("send", &["to", "reply_to", "text", "raw", "encoding", "escape", "split", "allow_empty"]),
    (
        "inbox",
        &[
            "after",
            "before",
            "limit",
            "consumer",
            "from",
            "direction",
            "since",
            "until",
            "grep",
            "order",
            "gaps",
        ],
    ),
    ("ack", &["consumer", "id"]),
    (
        "recode",
        &["as", "after", "before", "from", "direction", "since", "until", "grep", "remember", "dry_run"],
    ),
    ("subscribe", &["after", "from", "direction", "since", "until", "grep", "gaps"]),
    ("unsubscribe", &[]),
    ("peers", &["window"]),
    ("talkers", &["after", "limit"]),
    ("status", &[]),
    ("self_test", &[]),
    ("acknowledge", &[]),
    ("reload", &[]),
    ("stop", &["now"]),
    ("\u{0}\u{202e}method", &["x"]),
];

/// Bytes that mean something in JSON, or must not occur.
const SYNTAX: &[u8] = b"{}[]\",:\\\0\xff0-e.";

impl Fuzzer {
    /// Sends requests; returns what was wrong.
    fn run(&mut self, daemon: &Daemon, number: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut done = 0;
        while done < number {
            let mut connection = Connection::open(daemon);
            for _ in 0..PIPELINES {
                let lines: Vec<_> = (0..PIPELINED.min(number - done)).map(|_| self.line()).collect();
                done += lines.len();
                let (is_open, found) = connection.exchange(&lines, &mut self.kinds);
                wrong.extend(found);
                if !is_open || done >= number {
                    break;
                }
            }
            // Without a line end, the last line has its answer, too.
            done += 1;
            wrong.extend(connection.end(&self.line(), &mut self.kinds));
        }
        wrong
    }

    /// Makes a line without its end.
    fn line(&mut self) -> Vec<u8> {
        let mut line = self.request();
        match self.random.below(12) {
            // As it is.
            0..=5 => {}
            6 => self.change(&mut line),
            7 => line.truncate(self.random.below(line.len())),
            8 => {
                let length = self.random.below(60);
                line = (0..length).map(|_| self.random.next() as u8).collect();
            }
            9 => line = self.deep(),
            10 => line = self.repeated(&line),
            _ => match self.random.below(60) {
                // Too long, or nearly.
                0 => line.resize(500_000 + self.random.below(60_000), b' '),
                1..=5 => line.resize(4_000 + self.random.below(10_000), b'x'),
                _ => line = vec![b' '; self.random.below(4)],
            },
        }
        // A line end within it would make two.
        line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        line
    }

    /// Makes a request whose parameters have the right and the wrong types.
    fn request(&mut self) -> Vec<u8> {
        let (method, names) = METHODS[self.random.below(METHODS.len())];
        let mut params = serde_json::Map::new();
        for _ in 0..self.random.below(4) {
            if let Some(name) = names.get(self.random.below(names.len())) {
                params.insert((*name).to_owned(), self.value(name));
            }
        }
        if method == "stop" {
            params.insert("now".to_owned(), self.any());
        }
        // Only one that does something is worth its time.
        if method == "send" && self.random.below(2) == 0 {
            params.remove("reply_to");
            params.insert("to".to_owned(), json!(self.to));
            params.insert("text".to_owned(), self.value("text"));
        }
        let request = json!({ "jsonrpc": "2.0", "id": self.id(), "method": method, "params": params });
        serde_json::to_vec(&request).unwrap()
    }

    fn id(&mut self) -> Value {
        match self.random.below(6) {
            0 => self.any(),
            _ => json!(self.random.below(1_000)),
        }
    }

    /// Returns a value that fits a parameter, or any.
    fn value(&mut self, name: &str) -> Value {
        if self.random.below(3) == 0 {
            return self.any();
        }
        let values: &[Value] = &match name {
            // No names of hosts: looking them up takes long, and asks others.
            "to" | "from" => {
                vec![json!(self.to), json!("127.0.0.1:0"), json!("[::1]:9"), json!("[ff02::1%lo]:9")]
            }
            "text" => vec![
                json!("hi"),
                json!(""),
                json!("\u{0}\u{1b}"),
                json!("x".repeat(3_000)),
                json!("\\x1b\\u{d800}"),
            ],
            "raw" => vec![json!("AAEC"), json!("AAE"), json!(""), json!("AAAA".repeat(2_000))],
            "encoding" | "as" => vec![json!("gbk"), json!("auto"), json!("utf-16"), json!("x-user-defined")],
            "split" => vec![json!(true), json!(16), json!(0), json!(65_508)],
            "direction" => vec![json!("in"), json!("out"), json!("both")],
            "order" => vec![json!("asc"), json!("desc")],
            "since" | "until" => vec![
                json!("2026-11-22T06:03:05Z"),
                json!("9999-12-31T23:59:59Z"),
                json!("-009999-01-01T00:00:00Z"),
                json!("2026-11-22"),
            ],
            "grep" => vec![
                json!("o"),
                json!("(?i)\\w{40}"),
                json!("("),
                json!("(x+x+)+y"),
                json!("\\PL".repeat(300)),
            ],
            "consumer" => vec![json!("a"), json!("default"), json!(" "), json!("x".repeat(65))],
            _ => vec![
                json!(0),
                json!(1),
                json!(2),
                json!(1_000),
                json!(u64::MAX),
                json!(i64::MAX),
                json!(true),
            ],
        };
        values[self.random.below(values.len())].clone()
    }

    fn any(&mut self) -> Value {
        match self.random.below(12) {
            0 => Value::Null,
            1 => json!(self.random.below(2) == 0),
            2 => json!(u64::MAX),
            3 => json!(i64::MIN),
            4 => json!(1e308),
            5 => json!(-0.5),
            6 => json!(""),
            7 => json!("\u{0}\u{1b}[2J\u{202e}\u{feff}"),
            8 => json!("y".repeat(self.random.below(2_000))),
            9 => json!([]),
            10 => json!({ "a": [{}, null] }),
            _ => json!(self.random.next()),
        }
    }

    /// Changes some bytes: flipped, deleted, inserted.
    fn change(&mut self, line: &mut Vec<u8>) {
        for _ in 0..=self.random.below(3) {
            let at = self.random.below(line.len());
            match self.random.below(4) {
                0 => line[at] ^= 1 << self.random.below(8),
                1 => drop(line.remove(at)),
                2 => line.insert(at, self.random.next() as u8),
                _ => line.insert(at, SYNTAX[self.random.below(SYNTAX.len())]),
            }
            if line.is_empty() {
                line.push(b'{');
            }
        }
    }

    /// Nests values, some deeper than is accepted.
    fn deep(&mut self) -> Vec<u8> {
        let depth = 1 + self.random.below(400);
        let (open, close) = [("[", "]"), ("{\"a\":", "}")][self.random.below(2)];
        let params = open.repeat(depth) + "1" + &close.repeat(depth);
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"inbox\",\"params\":{params}}}").into_bytes()
    }

    /// Repeats keys, or the whole request as a batch.
    fn repeated(&mut self, line: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        match self.random.below(3) {
            0 => text.replacen('{', "{\"id\":1,\"method\":\"version\",", 1).into_bytes(),
            1 => text.replacen("\"params\":{", "\"params\":{\"limit\":1,\"limit\":2,", 1).into_bytes(),
            _ => format!("[{text},{text}]").into_bytes(),
        }
    }
}

/// A connection whose requests are followed by one whose answer is known.
struct Connection {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

/// The id of the request that follows each fuzzed one.
const MARK: &str = "mark";

impl Connection {
    fn open(daemon: &Daemon) -> Self {
        let writer = UnixStream::connect(daemon.socket()).unwrap();
        writer.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { reader: BufReader::new(writer.try_clone().unwrap()), writer }
    }

    /// Writes lines, and reads their answers. Returns whether the connection is still open, and what was wrong.
    fn exchange(&mut self, lines: &[Vec<u8>], kinds: &mut Kinds) -> (bool, Vec<String>) {
        let mut writer = self.writer.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mark = json!({ "jsonrpc": "2.0", "id": MARK, "method": "version" });
                for line in lines {
                    // The daemon may close the connection.
                    let all = [line, &b"\n"[..], mark.to_string().as_bytes(), b"\n"].concat();
                    if writer.write_all(&all).is_err() {
                        return;
                    }
                }
            });
            let mut wrong = Vec::new();
            for line in lines {
                match self.answers(kinds) {
                    (true, 0 | 1) => {}
                    // An error, if it was still sent, and the end.
                    (false, 0 | 1) => {
                        *kinds.entry("closed".to_owned()).or_default() += 1;
                        drop(self.writer.shutdown(std::net::Shutdown::Both));
                        return (false, wrong);
                    }
                    (_, answers) => wrong.push(format!("{answers} answers: {}", show(line))),
                }
                if kinds.contains_key("internal") {
                    wrong.push(format!("an internal error: {}", show(line)));
                    kinds.remove("internal");
                }
            }
            (true, wrong)
        })
    }

    /// Counts the answers before the next mark, or before the end. Returns whether there was a mark.
    fn answers(&mut self, kinds: &mut Kinds) -> (bool, usize) {
        let mut answers = 0;
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(length) if length > 0 => {}
                Ok(_) => return (false, answers),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return (false, answers),
                Err(error) => panic!("no answer: {error}"),
            }
            let reply: Value = serde_json::from_str(&line).unwrap();
            if reply["method"] == "entry" {
                continue;
            }
            if reply["id"] == MARK {
                return (true, answers);
            }
            answers += 1;
            let kind = reply["error"]["data"]["kind"].as_str();
            let kind = kind.unwrap_or(if reply.get("result").is_some() { "result" } else { "neither" });
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }

    /// Writes a line without its end, and reads to the end. Returns what was wrong.
    fn end(mut self, line: &[u8], kinds: &mut Kinds) -> Option<String> {
        // The connection may be closed.
        drop(self.writer.write_all(line));
        drop(self.writer.shutdown(std::net::Shutdown::Write));
        let (is_marked, answers) = self.answers(kinds);
        (is_marked || answers > 1).then(|| format!("{answers} answers at the end: {}", show(line)))
    }
}

fn show(line: &[u8]) -> String {
    format!("{:.2000}", line.escape_ascii().to_string())
}
