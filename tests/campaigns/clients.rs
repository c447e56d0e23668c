//! Hostile clients in a memory cgroup of 256 MiB, which is that of the unit, while datagrams arrive.
//!
//! Of each crowd of clients: the daemon lives, reception is complete, a live follower misses nothing, another user's `status` and
//! `version` are answered, memory stays below a bar, and memory and descriptors go back when they leave. The short form has a
//! lower rate, and demands no less but that nothing is lost: a busy machine may not keep up.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::client::Client;
use crate::counters::Counters;
use crate::memory_group::MemoryGroup;
use crate::random::{Random, seed};
use crate::support::proc::status_number;
use crate::support::{
    Account, DEADLINE, Daemon, Guard, OtherUser, Peer, Running, available, command_in, eventually_within,
    new_folder, scaled,
};
use crate::traffic::Traffic;
use crate::watch::{Watch, descriptors, memory, sockets};

const MIB: u64 = 1_024;

/// The limit of the group, in bytes.
const GROUP_BYTES: u64 = 256 << 20;

/// How much memory the daemon may have at most, and how much more than before when the clients have left, in KiB.
const MOST_MEMORY: u64 = 96 * MIB;
const MEMORY_LEFT: u64 = 8 * MIB;

/// How many files the idle connections of readers to the inbox and its index keep open.
const FILES_OF_READERS: u64 = 48;

/// Datagrams a second, and how many seconds each crowd stays, in the short and in the full form.
const RATE: (usize, usize) = (5_000, 20_000);
const SECONDS: (usize, usize) = (3, 60);

/// How many seconds of load come before the clients: a flood alone takes memory, too, and keeps some.
const WARM_UP: (usize, usize) = (1, 20);

/// How soon another user is answered on a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A group whose members may read and send, a member who is hostile, one who is not, and a user without a role.
const GROUP: u32 = 54_010;
const HOSTILE: u32 = 54_011;
const PEACEFUL: u32 = 54_012;
const STRANGER: u32 = 54_013;

/// Opens connections as a user, writes to each until the daemon takes no more, reads nothing, and holds them until its input ends.
const HOLD: &str = "
import socket, sys
held = []
for number in range(int(sys.argv[2])):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(sys.argv[1])
        client.setblocking(False)
        line = sys.argv[3 + number % (len(sys.argv) - 3)].encode()
        for _ in range(200):
            client.sendall(line)
    except OSError:
        pass
    held.append(client)
print('ready', flush=True)
sys.stdin.read()
";

/// Connects as a user without a pause.
const CONNECT: &str = "
import socket, sys
print('ready', flush=True)
while True:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(sys.argv[1])
        client.recv(1_000)
    except OSError:
        pass
    client.close()
";

/// What clients hold until they leave.
type Held = Vec<Box<dyn std::any::Any>>;

/// Gathers the clients of a crowd.
type Gather = fn(&mut Crowd<'_>) -> Held;

/// Kinds of clients, all at once in the last.
const CROWDS: [(&str, Gather); 6] = [
    ("64 stuck followers and 64 half requests", |crowd| {
        held([crowd.stuck_followers(60), crowd.stopped_followers(4), crowd.half_requests(64)])
    }),
    ("120 that pipeline and do not read", |crowd| held([crowd.pipelines(120)])),
    ("60 with hostile patterns", |crowd| held([crowd.patterns(60)])),
    ("10,000 connections a minute, and a user without a role", |crowd| {
        held([crowd.connections(), crowd.stranger()])
    }),
    ("one user against another", |crowd| held([crowd.hostile_user(128)])),
    ("250 of all kinds", |crowd| {
        held([
            crowd.hostile_user(100),
            crowd.stuck_followers(40),
            crowd.half_requests(40),
            crowd.pipelines(40),
            crowd.patterns(26),
            crowd.stopped_followers(4),
            crowd.stranger(),
        ])
    }),
];

fn held<const N: usize>(parts: [Held; N]) -> Held {
    parts.into_iter().flatten().collect()
}

#[test]
fn hostile_clients_disturb_nobody() {
    if OtherUser::get().is_none() || !available("python3") {
        return;
    }
    let Some(group) = MemoryGroup::new(GROUP_BYTES) else { return };
    let seed = seed();
    let mut wrong = Vec::new();
    for (number, (name, gather)) in CROWDS.iter().enumerate() {
        let random = Random(seed ^ (number as u64) << 32);
        wrong.extend(run(&group, name, *gather, random).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    eprintln!("clients: seed {seed}, {} crowds, {} wrong", CROWDS.len(), wrong.len());
    assert_eq!(json!(wrong), json!([]));
}

/// Starts a daemon as the unit does, with some messages to search.
fn start(group: &MemoryGroup) -> Daemon {
    let folder = new_folder();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let config = format!("[control]\nread = [{GROUP}]\nsend = [{GROUP}]\n[log]\nmessages_per_second = 0\n");
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = command_in(folder.path());
    command.args(["--listen", "127.0.0.1:0"]);
    let mut inside = group.command(&command);
    let piped = inside.stdin(Stdio::null()).stdout(Stdio::null());
    let daemon = Daemon::start_by(folder, piped);
    let peer = Peer::new();
    daemon.receive_from(&peer, (0..2_000).map(|number| format!("{number} {}", "x".repeat(1_000))));
    daemon
}

/// Runs a crowd; returns what was wrong.
fn run(group: &MemoryGroup, name: &str, gather: Gather, mut random: Random) -> Vec<String> {
    let mut daemon = start(group);
    let pid = daemon.pid();
    let mut client = Client::new(daemon.socket(), DEADLINE);
    let (last, is_over) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
    let earlier = Counters::of(&client.status_in_the_end());
    let follower = follow(&daemon, &last);
    let other = ask(&daemon, &is_over);
    let traffic = Traffic::start(daemon.address(), scaled(RATE.0, RATE.1) as u64);
    // What the load takes anyway is there before anything is measured.
    thread::sleep(Duration::from_secs(scaled(WARM_UP.0, WARM_UP.1) as u64));
    let before = (memory(pid), descriptors(pid), sockets(pid));
    let watch = Watch::start(&daemon);
    let began = Instant::now();
    let crowd = gather(&mut Crowd { daemon: &daemon, random: &mut random });
    thread::sleep(Duration::from_secs(scaled(SECONDS.0, SECONDS.1) as u64).saturating_sub(began.elapsed()));
    let crowded = memory(pid);
    let watched = watch.end();
    let sent = earlier.arrived() + traffic.end();
    let settled = eventually_within(DEADLINE, "the counters to settle", || {
        Some(Counters::of(&client.status()?)).filter(|counters| counters.is_settled(sent))
    });
    drop(crowd);
    last.store(settled.stored - earlier.stored, Ordering::Relaxed);
    let mut wrong = watched.wrong;
    wrong.extend(follower.join().unwrap());
    is_over.store(true, Ordering::Relaxed);
    let (answers, slowest) = other.join().unwrap();
    if slowest > ANSWERS_WITHIN {
        wrong.push(format!("another user waited for {slowest:?}"));
    }
    wrong.extend(settled.check_settled(sent).err());
    if settled.lost() > 0 && scaled(0, 1) == 1 {
        wrong.push(format!("lost: {settled:?}"));
    }
    // The follower and the other user have left, too.
    let most_after = (before.0 + MEMORY_LEFT, before.1 + FILES_OF_READERS, before.2);
    let after = eventually_back(pid, most_after).unwrap_or_else(|after| {
        wrong.push(format!("memory in KiB, descriptors and sockets were {before:?} and are {after:?}"));
        after
    });
    let most = status_number(pid, "VmHWM:").unwrap_or(0);
    if most > MOST_MEMORY {
        wrong.push(format!("{most} KiB resident"));
    }
    if group.kills() > 0 {
        wrong.push("killed for want of memory".to_owned());
    }
    let status = client.status_in_the_end();
    if status["state"] != "ok" {
        wrong.push(format!("{} {:#?}", status["problems"], daemon.log()));
    }
    eprintln!(
        "{name}: {sent} datagrams, {} lost and counted; {} MiB before, {} MiB with the clients, at most {} MiB, {} MiB after; \
         descriptors {} and {}; slowest status {:?}; another user: {answers} answers, slowest {slowest:?}; {} wrong",
        settled.lost(),
        before.0 / MIB,
        crowded / MIB,
        most / MIB,
        after.0 / MIB,
        before.1,
        after.1,
        watched.slowest,
        wrong.len()
    );
    wrong
}

/// Waits until memory, descriptors and sockets are back below these figures; returns the last ones.
fn eventually_back(pid: u32, most: (u64, u64, u64)) -> Result<(u64, u64, u64), (u64, u64, u64)> {
    let began = Instant::now();
    loop {
        let now = (memory(pid), descriptors(pid), sockets(pid));
        if now.0 <= most.0 && now.1 <= most.1 && now.2 <= most.2 {
            return Ok(now);
        }
        if began.elapsed() > DEADLINE {
            return Err(now);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Follows new messages up to a number of them; returns what was wrong.
fn follow(daemon: &Daemon, last: &Arc<AtomicU64>) -> JoinHandle<Option<String>> {
    let (mut rpc, last) = (daemon.rpc(), Arc::clone(last));
    rpc.call("subscribe", json!({ "direction": "in" }));
    thread::spawn(move || {
        let mut read = 0;
        loop {
            // The number becomes known in the end; an entry or nothing may follow.
            if rpc.has_line() {
                let Some(line) = rpc.raw_line() else {
                    return Some(format!("the live follower was closed after {read} messages"));
                };
                read += u64::from(line.contains("\"type\":\"message\""));
            } else {
                thread::sleep(Duration::from_millis(1));
            }
            let last = last.load(Ordering::Relaxed);
            if read >= last {
                return (read > last).then(|| format!("the live follower has {read} of {last} messages"));
            }
        }
    })
}

/// Asks as another user again and again; returns how often, and how long the slowest answer took.
fn ask(daemon: &Daemon, is_over: &Arc<AtomicBool>) -> JoinHandle<(u64, Duration)> {
    let mut other = Account::new(PEACEFUL, &[GROUP]).connect(&daemon.socket());
    let is_over = Arc::clone(is_over);
    assert_eq!(other.reply("version", json!({}))["result"]["protocol"], 1);
    thread::spawn(move || {
        let (mut answers, mut slowest) = (0, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) {
            for method in ["status", "version"] {
                let began = Instant::now();
                let reply = other.reply(method, json!({}));
                assert!(reply.get("result").is_some(), "{reply}");
                slowest = slowest.max(began.elapsed());
                answers += 1;
            }
            thread::sleep(Duration::from_millis(50));
        }
        (answers, slowest)
    })
}

fn request(method: &str, params: &Value) -> String {
    let line = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    format!("{line}\n")
}

/// Opens a connection whose client writes as much as the daemon takes, and reads nothing.
fn pour(socket: &Path, text: &str) -> Option<UnixStream> {
    // There may be too many connections.
    let mut client = UnixStream::connect(socket).ok()?;
    client.set_nonblocking(true).unwrap();
    let _all = client.write_all(text.as_bytes());
    Some(client)
}

/// Prepares the Python of the system for a user: another one may be in a folder that this user cannot enter.
fn python(account: &Account) -> Command {
    let mut command = account.command("python3");
    command.env("PATH", "/usr/bin:/bin");
    command
}

/// A thread that goes on until it, or another with the same end, is dropped.
struct Repeated {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Repeated {
    fn start(is_over: Arc<AtomicBool>, mut act: impl FnMut() + Send + 'static) -> Self {
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                act();
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// Gathers clients.
struct Crowd<'a> {
    daemon: &'a Daemon,
    random: &'a mut Random,
}

/// Patterns that are too large, nested too deeply, and slow.
fn patterns() -> [String; 6] {
    [
        format!("(?i){}", r"\PL".repeat(330)),
        "x".repeat(20_000),
        "(".repeat(400) + &")".repeat(400),
        "(x+x+)+y|(.*)z".to_owned(),
        r"(?i)\w{3,8}@\w{3,8}|now".to_owned(),
        r"(\w+\s*){20}$".to_owned(),
    ]
}

impl Crowd<'_> {
    fn pour(&self, number: usize, text: &str) -> Held {
        let clients = (0..number).filter_map(|_| pour(&self.daemon.socket(), text));
        clients.map(|client| Box::new(client) as Box<dyn std::any::Any>).collect()
    }

    /// Followers that read nothing.
    fn stuck_followers(&mut self, number: usize) -> Held {
        self.pour(number, &request("subscribe", &json!({ "after": 0 })))
    }

    /// Followers that are stopped.
    fn stopped_followers(&mut self, number: usize) -> Held {
        let followers = (0..number).map(|_| {
            let mut command = self.daemon.ctl_command(&["inbox", "--follow"]);
            let follower = Guard::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
            follower.signal(Signal::SIGSTOP);
            Box::new(follower) as Box<dyn std::any::Any>
        });
        followers.collect()
    }

    /// Requests without an end, short and long ones.
    fn half_requests(&mut self, number: usize) -> Held {
        (0..number)
            .flat_map(|_| {
                let length = [10, 3_000, 400_000][self.random.below(3)];
                self.pour(1, &format!("{{\"jsonrpc\":\"2.0\"{}", " ".repeat(length)))
            })
            .collect()
    }

    /// Many requests, whose answers are not read.
    fn pipelines(&mut self, number: usize) -> Held {
        let sink = Peer::new();
        let send = request("send", &json!({ "to": sink.name(), "raw": "AAAA".repeat(20_000) })).repeat(40);
        let inbox = request("inbox", &json!({ "after": 0, "limit": 1_000 })).repeat(40);
        let mut all = self.pour(number / 2, &send);
        all.extend(self.pour(number - number / 2, &inbox));
        all.push(Box::new(sink));
        all
    }

    /// Clients that search with hostile patterns, again and again.
    fn patterns(&mut self, number: usize) -> Held {
        let (patterns, is_over) = (patterns(), Arc::new(AtomicBool::new(false)));
        let clients = (0..number).map(|_| {
            let (socket, patterns) = (self.daemon.socket(), patterns.clone());
            let mut random = Random(self.random.next());
            let mut client = Client::new(socket, DEADLINE);
            let search = move || {
                let pattern = &patterns[random.below(patterns.len())];
                let reply = client.reply("inbox", &json!({ "grep": pattern, "order": "desc" }));
                if reply.is_none_or(|reply| reply["error"]["data"]["kind"] == "busy") {
                    thread::sleep(Duration::from_millis(20));
                }
            };
            Box::new(Repeated::start(Arc::clone(&is_over), search)) as Box<dyn std::any::Any>
        });
        clients.collect()
    }

    /// 10,000 connections a minute.
    fn connections(&mut self) -> Held {
        let (socket, mut number) = (self.daemon.socket(), 0_u64);
        let began = Instant::now();
        vec![Box::new(Repeated::start(Arc::default(), move || {
            // The backlog may be full for a moment.
            if let Ok(mut client) = UnixStream::connect(&socket) {
                let half: &[u8] = if number.is_multiple_of(2) { b"{" } else { b"" };
                let _sent = client.write_all(half);
            }
            number += 1;
            thread::sleep(Duration::from_millis(6 * number).saturating_sub(began.elapsed()));
        }))]
    }

    /// A user without a role who connects in a loop.
    fn stranger(&mut self) -> Held {
        let mut command = python(&Account::new(STRANGER, &[]));
        command.args(["-c", CONNECT]).arg(self.daemon.socket());
        let mut running = Running::start(&mut command);
        assert_eq!(running.line(), "ready");
        vec![Box::new(running)]
    }

    /// A user with many connections of all kinds.
    fn hostile_user(&mut self, number: usize) -> Held {
        let sink = Peer::new();
        let mut command = python(&Account::new(HOSTILE, &[GROUP]));
        command.args(["-c", HOLD]).arg(self.daemon.socket()).arg(number.to_string());
        command.arg(request("subscribe", &json!({ "after": 0 })));
        command.arg(request("send", &json!({ "to": sink.name(), "raw": "AAAA".repeat(20_000) })));
        command.arg(request("inbox", &json!({ "after": 0, "limit": 1_000 })));
        command.arg("{".to_owned() + &" ".repeat(100_000));
        command.args(patterns().map(|pattern| request("inbox", &json!({ "grep": pattern }))));
        let mut running = Running::start(&mut command);
        assert_eq!(running.line(), "ready");
        vec![Box::new(running), Box::new(sink)]
    }
}
