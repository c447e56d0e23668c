//! Clients that come and go, well-behaved and hostile ones, as the seed says.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::random::Random;
use crate::support::{Daemon, Peer};

/// How many clients act at once.
const CLIENTS: u64 = 3;

/// How long a client waits between two acts, and how long one that is stuck holds its connection.
const PAUSE: Duration = Duration::from_millis(20);
const STUCK: Duration = Duration::from_millis(200);

/// How long a client waits for an answer at most.
const ANSWERS_WITHIN: Duration = Duration::from_secs(25);

/// A pattern that fits the limits and is slow.
const SLOW_PATTERN: &str = "(x+x+)+y|(.*)z";

/// The running clients.
pub(crate) struct Churn {
    is_over: Arc<AtomicBool>,
    acts: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Churn {
    /// Starts them.
    pub(crate) fn start(daemon: &Daemon, random: &mut Random) -> Self {
        let (is_over, acts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..CLIENTS).map(|_| {
            let (socket, mut random) = (daemon.socket(), Random(random.next()));
            let (is_over, acts) = (Arc::clone(&is_over), Arc::clone(&acts));
            thread::spawn(move || {
                let (peer, mut wrong) = (Peer::new(), Vec::new());
                while !is_over.load(Ordering::Relaxed) {
                    wrong.extend(act(&socket, &peer, &mut random).err());
                    acts.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE);
                }
                wrong
            })
        });
        let threads = threads.collect();
        Self { is_over, acts, threads }
    }

    /// Ends them; returns how often they have acted, and what was wrong.
    pub(crate) fn end(self) -> (u64, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        let wrong = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (self.acts.load(Ordering::Relaxed), wrong)
    }
}

/// Lets a client do something, and close its connection; returns an answer that is wrong.
fn act(socket: &Path, peer: &Peer, random: &mut Random) -> Result<(), String> {
    // The daemon may be restarting.
    let Some(mut client) = Session::connect(socket) else { return Ok(()) };
    match random.below(12) {
        0 => client.call("version", &json!({})),
        1 => client.call("status", &json!({})),
        2 => client.call("inbox", &json!({ "after": 0, "limit": 1 + random.below(1_000) })),
        3 => client.call("inbox", &json!({ "grep": "1.*7", "order": "desc", "limit": 10 })),
        4 => client.call("inbox", &json!({ "grep": SLOW_PATTERN })),
        5 => client.call("send", &json!({ "to": peer.name(), "text": "x".repeat(1 + random.below(2_000)) })),
        6 => client.call("peers", &json!({ "window": 1_000 })),
        7 => follow(&mut client, random.below(3_000)),
        // A follower that does not read.
        8 => client.write("subscribe", &json!({ "after": 0 }), 1).map_or(Ok(()), |()| stuck()),
        // Pipelined requests whose answers are not read.
        9 => client.write("inbox", &json!({ "after": 0 }), 1 + random.below(50)).map_or(Ok(()), |()| stuck()),
        // Half a request.
        10 => client.writer.write_all(b"{\"jsonrpc\":").map_or(Ok(()), |()| stuck()),
        _ => Ok(()),
    }
}

fn stuck() -> Result<(), String> {
    thread::sleep(STUCK);
    Ok(())
}

/// Reads some entries, each with a higher id than that before.
fn follow(client: &mut Session, entries: usize) -> Result<(), String> {
    client.call("subscribe", &json!({ "after": 0 }))?;
    let mut last = 0;
    for _ in 0..entries {
        // There may be no more.
        if client.reader.buffer().is_empty() && last != 0 && !client.has_more() {
            break;
        }
        let Some(line) = client.line() else { break };
        match line["params"]["id"].as_u64() {
            Some(id) if id > last => last = id,
            _ => return Err(format!("after #{last}: {line}")),
        }
    }
    Ok(())
}

/// A connection that the end of the daemon may cut at any byte.
struct Session {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Session {
    fn connect(socket: &Path) -> Option<Self> {
        let writer = UnixStream::connect(socket).ok()?;
        writer.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        writer.set_write_timeout(Some(ANSWERS_WITHIN)).unwrap();
        Some(Self { reader: BufReader::new(writer.try_clone().unwrap()), writer })
    }

    fn write(&mut self, method: &str, params: &Value, times: usize) -> std::io::Result<()> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.writer.write_all(format!("{request}\n").repeat(times).as_bytes())
    }

    /// Returns the next whole line; none at the end.
    fn line(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        let _length = self.reader.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| serde_json::from_slice(&line).unwrap())
    }

    /// Returns whether something arrives soon.
    fn has_more(&mut self) -> bool {
        self.writer.set_read_timeout(Some(STUCK)).unwrap();
        let has_more = self.reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.writer.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        has_more
    }

    /// Calls a method; returns its reply if that is wrong. The connection may end, and faults of the campaign have errors of
    /// their own.
    fn call(&mut self, method: &str, params: &Value) -> Result<(), String> {
        if self.write(method, params, 1).is_err() {
            return Ok(());
        }
        let Some(reply) = self.line() else { return Ok(()) };
        let is_expected = match reply["error"]["data"]["kind"].as_str() {
            None => reply.get("result").is_some(),
            Some(kind) => ["busy", "inbox_unavailable", "not_recorded", "send_failed"].contains(&kind),
        };
        if is_expected { Ok(()) } else { Err(format!("{method}: {reply}")) }
    }
}
