//! Of fuzzed requests each has one answer or closes the connection, and none is an internal error.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::{CONFIG, MEMORY_GROWTH, settle, unsafe_lines};
use crate::client::Client;
use crate::random::{Random, seed};
use crate::support::{DEADLINE, Daemon, Peer, eventually_within, scaled};
use crate::watch::{Watch, descriptors, memory};

/// How many requests there are, in the short and in the full size.
const REQUESTS: (usize, usize) = (10_000, 1_000_000);

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
const METHODS: [(&str, &[&str]); 21] = [
    ("version", &[]),
    (
        "send",
        &[
            "to",
            "reply_to",
            "text",
            "raw",
            "encoding",
            "escape",
            "split",
            "allow_empty",
            "when_seen",
            "for_seconds",
        ],
    ),
    ("held", &["after", "to"]),
    ("cancel", &["held"]),
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
            "contains",
            "order",
            "gaps",
            "notices",
            "not_from",
            "only",
            "delivery",
        ],
    ),
    ("ack", &["consumer", "id"]),
    ("consumers", &[]),
    ("set_mark", &["consumer", "id"]),
    ("remove_mark", &["consumer"]),
    (
        "recode",
        &[
            "as",
            "after",
            "before",
            "from",
            "direction",
            "since",
            "until",
            "grep",
            "contains",
            "remember",
            "dry_run",
        ],
    ),
    (
        "subscribe",
        &[
            "after",
            "from",
            "direction",
            "since",
            "until",
            "grep",
            "contains",
            "gaps",
            "notices",
            "not_from",
            "only",
            "delivery",
        ],
    ),
    ("unsubscribe", &[]),
    ("peers", &["window", "after"]),
    ("talkers", &["after", "limit"]),
    ("targets", &["to"]),
    ("status", &[]),
    ("self_test", &[]),
    ("acknowledge", &[]),
    ("reload", &[]),
    ("stop", &["now", "unless_losing"]),
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
            "raw" | "contains" => vec![json!("AAEC"), json!("AAE"), json!(""), json!("AAAA".repeat(2_000))],
            "encoding" | "as" => {
                vec![json!("gbk"), json!("auto"), json!("hex"), json!("utf-16"), json!("x-user-defined")]
            }
            "split" => vec![json!(true), json!(16), json!(0), json!(65_508)],
            "direction" => vec![json!("in"), json!("out"), json!("both")],
            "order" => vec![json!("asc"), json!("desc")],
            "since" | "until" => vec![
                json!("2026-11-22T06:03:05Z"),
                json!("9999-12-31T23:59:59Z"),
                json!("-009999-01-01T00:00:00Z"),
                json!("2026-11-22"),
                json!("2h"),
                json!("22:00"),
                json!("9999999y"),
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
