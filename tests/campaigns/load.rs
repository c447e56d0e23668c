//! The load of a daemon that is killed: a peer, a follower, a sender and a consumer, which keep what they were shown and
//! answered.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::random::Random;
use crate::support::{DEADLINE, Daemon, Peer, id, new_folder};

/// The configuration of a daemon whose disk is small: without `max_size`, a tenth of it would limit the inbox.
pub(crate) const CONFIG: &str = "log.messages_per_second = 0\ninbox.max_size = '1GiB'\n";

/// How many datagrams the peer sends at once, and how long it then waits: some thousand a second.
const BURST: u64 = 8;
const PAUSE: Duration = Duration::from_millis(2);

/// The consumer whose read mark is moved.
pub(crate) const CONSUMER: &str = "campaign";

/// What a daemon has answered for.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The entries that a follower was shown, and those of answered sends, by id.
    entries: BTreeMap<u64, Value>,
    /// The newest read mark that was answered.
    mark: u64,
}

impl Acknowledged {
    /// Returns how many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the newest id.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.entries.keys().next_back().copied()
    }

    /// Adds what a later daemon has answered for; returns which ids were used again for something else.
    pub(crate) fn add(&mut self, later: Self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, entry) in later.entries {
            if let Some(before) = self.entries.insert(id, entry.clone()).filter(|before| *before != entry) {
                wrong.push(format!("#{id} was {before} and is {entry}"));
            }
        }
        self.mark = self.mark.max(later.mark);
        wrong
    }

    /// Compares it with the entries that a daemon has now; returns what is missing or different.
    pub(crate) fn missing_in(&self, daemon: &Daemon, entries: &[Value]) -> Vec<String> {
        let there: BTreeMap<_, _> = entries.iter().map(|entry| (id(entry), entry)).collect();
        let mut lost = self.entries.iter().filter(|(id, entry)| there.get(id) != Some(entry));
        let mut wrong = Vec::new();
        if let Some((id, entry)) = lost.next() {
            let (more, last) = (lost.clone().count(), lost.next_back().map_or(id, |(id, _)| id));
            let now = there.get(id);
            let first = there.keys().next();
            wrong.push(format!(
                "{entry:.300} is {now:?}, and {more} more up to #{last}; the oldest is {first:?}"
            ));
        }
        // The first unread message is behind the mark.
        let page = daemon.rpc().call("inbox", json!({ "consumer": CONSUMER, "limit": 1 }));
        if let Some(first) = page["entries"].get(0).map(id).filter(|first| *first <= self.mark) {
            wrong.push(format!("the read mark was {} and is below {first}", self.mark));
        }
        wrong
    }
}

/// The datagrams of a load, as the next daemon accounts for them.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// How many datagrams neither are in the inbox nor have a gap.
    pub(crate) residual: u64,
    /// How many datagrams have a gap.
    pub(crate) lost: u64,
}

/// Compares the entries since the beginning of a load with the numbers that were sent. Returns what is wrong.
pub(crate) fn account(entries: &[Value], sent: Range<u64>) -> Result<Account, String> {
    let (mut next, mut stored, mut lost) = (sent.start, 0, 0);
    for entry in entries {
        if let Some(number) = number_of(entry) {
            if number < next {
                return Err(format!("datagram {number} is there twice, or behind {next}"));
            }
            (next, stored) = (number + 1, stored + 1);
        }
        lost += entry["lost"].as_u64().unwrap_or(0);
    }
    let missing = sent.end - sent.start - stored;
    match missing.checked_sub(lost) {
        Some(residual) => Ok(Account { residual, lost }),
        None => Err(format!("{lost} datagrams are reported lost, and {missing} are missing")),
    }
}

/// Checks a copy of the files of an inbox that no daemon uses.
pub(crate) fn check_integrity(data: &Path) -> Result<(), String> {
    let copy = new_folder();
    for name in ["inbox.db", "inbox.db-wal"] {
        // There is no log before the first transaction.
        let _none = fs::copy(data.join(name), copy.path().join(name));
    }
    let inbox = Connection::open(copy.path().join("inbox.db")).unwrap();
    match inbox.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)) {
        Ok(verdict) if verdict == "ok" => Ok(()),
        verdict => Err(format!("integrity_check: {verdict:?}")),
    }
}

/// The load, until the daemon ends.
pub(crate) struct Load {
    sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    peer: JoinHandle<()>,
    clients: Vec<JoinHandle<Acknowledged>>,
}

impl Load {
    /// Starts it. The peer numbers its datagrams from `sent` on.
    pub(crate) fn start(daemon: &Daemon, sent: u64, mut random: Random) -> Self {
        let (sent, is_over) = (Arc::new(AtomicU64::new(sent)), Arc::new(AtomicBool::new(false)));
        let (to, socket, other) = (daemon.address(), daemon.socket(), Peer::new());
        let newest = daemon.status()["inbox"]["newest_id"].as_u64().unwrap();
        let peer = thread::spawn({
            let (sent, is_over) = (Arc::clone(&sent), Arc::clone(&is_over));
            move || {
                let peer = Peer::new();
                while !is_over.load(Ordering::SeqCst) {
                    for _ in 0..BURST {
                        let number = sent.fetch_add(1, Ordering::SeqCst);
                        peer.send(to, text(number, random.below(1_200)));
                    }
                    thread::sleep(PAUSE);
                }
            }
        });
        let clients = vec![
            client(&socket, move |session| follow(session, newest)),
            client(&socket, move |session| send(session, &other)),
            client(&socket, mark),
        ];
        Self { sent, is_over, peer, clients }
    }

    /// Ends what the peer sends; the clients go on. Returns the number of the next datagram.
    pub(crate) fn end_datagrams(&self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        while !self.peer.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits for the ends of the clients of a daemon that has ended; returns what they were shown and answered, and the number of
    /// the next datagram.
    pub(crate) fn end(self) -> (Acknowledged, u64) {
        self.is_over.store(true, Ordering::SeqCst);
        self.peer.join().unwrap();
        let mut all = Acknowledged::default();
        for client in self.clients {
            let wrong = all.add(client.join().unwrap());
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        (all, self.sent.load(Ordering::SeqCst))
    }
}

/// Returns the text of a datagram.
fn text(number: u64, filler: usize) -> String {
    format!("{number} {}", "x".repeat(filler))
}

/// Returns the number of a datagram of the peer; none for other entries.
pub(crate) fn number_of(entry: &Value) -> Option<u64> {
    let text = entry["text"].as_str().filter(|_| entry["direction"] == "in")?;
    text.split(' ').next()?.parse().ok()
}

fn client(
    socket: &Path,
    work: impl FnOnce(&mut Session) -> Acknowledged + Send + 'static,
) -> JoinHandle<Acknowledged> {
    let mut session = Session::new(socket);
    thread::spawn(move || work(&mut session))
}

/// A connection that the end of the daemon may cut at any byte.
struct Session {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Session {
    fn new(socket: &Path) -> Self {
        let writer = UnixStream::connect(socket).unwrap();
        writer.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { reader: BufReader::new(writer.try_clone().unwrap()), writer }
    }

    /// Returns the next whole line; none at the end.
    fn line(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        let _length = self.reader.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| serde_json::from_slice(&line).unwrap())
    }

    fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.writer.write_all(format!("{request}\n").as_bytes()).ok()?;
        self.line()
    }
}

fn follow(session: &mut Session, after: u64) -> Acknowledged {
    let mut all = Acknowledged::default();
    let _subscribed = session.call("subscribe", &json!({ "after": after }));
    while let Some(mut line) = session.line() {
        let entry = line["params"].take();
        all.entries.insert(id(&entry), entry);
    }
    all
}

fn send(session: &mut Session, to: &Peer) -> Acknowledged {
    let mut all = Acknowledged::default();
    for number in 0.. {
        let params = json!({ "to": to.name(), "text": format!("answer {number}") });
        let Some(mut reply) = session.call("send", &params) else { break };
        // A send that is refused is not answered for.
        if let Some(entry) = as_stored(reply["result"].take()) {
            all.entries.insert(id(&entry), entry);
        }
    }
    all
}

/// Returns the answer of `send` as the inbox shows the entry; none if the answer is no entry.
pub(crate) fn as_stored(mut answer: Value) -> Option<Value> {
    // Only the sender is told that nothing determined the encoding.
    answer.as_object_mut()?.remove("encoding_is_default");
    Some(answer)
}

fn mark(session: &mut Session) -> Acknowledged {
    let mut all = Acknowledged::default();
    loop {
        let page = session.call("inbox", &json!({ "order": "desc", "limit": 1 }));
        let Some(page) = page else { break };
        let Some(newest) = page["result"]["entries"].get(0).map(id) else { continue };
        let Some(reply) = session.call("ack", &json!({ "consumer": CONSUMER, "id": newest })) else { break };
        if reply.get("error").is_none() {
            all.mark = newest;
        }
        thread::sleep(PAUSE);
    }
    all
}
