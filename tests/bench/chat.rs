//! How long `udpchatctl chat` takes from a key to its echo, and from a datagram to its line on the screen; on its way the
//! message becomes durable. Without anything else to do, and beside a steady stream of messages from others, which the
//! list of peers counts.
//!
//! `cargo bench --bench chat`, or with `-- quick` to see only that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use harness::daemon::Daemon;
use harness::flood::Flood;
use harness::options::Options;
use harness::statistics::part;
use harness::support::Guard;
use harness::table::table;
use nix::pty::{Winsize, openpty};

/// The time between two probes: longer than a frame, and not a multiple of it.
const INTERVAL: Duration = Duration::from_millis(21);
/// How long to wait for a probe.
const PATIENCE: Duration = Duration::from_secs(10);
/// Every probe is a character of its own, which nothing else on the screen is: a screen is drawn by what has changed.
const FIRST_PROBE: u32 = 0x4e00;
const PROBES: usize = 0x5000;
/// After this number of keys the input line is erased.
const KEYS_IN_A_LINE: usize = 20;
const ERASE_LINE: &[u8] = b"\x15";

/// The kind of a probe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Key,
    Datagram,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let probes = options.pick(50, 1_500);
    let mut rows = Vec::new();
    for rate in [0, 1_000, 20_000] {
        for way in [Way::Key, Way::Datagram] {
            rows.push(row(way, rate, &measure(way, rate, probes)));
        }
    }
    table("milliseconds to the screen", &["from", "others a second", "probes", "p50", "p99", "max"], &rows);
}

fn row(way: Way, rate: u64, times: &[f64]) -> Vec<String> {
    let figure = |share| format!("{:.2}", part(times, share));
    let from = match way {
        Way::Key => "a key",
        Way::Datagram => "a datagram",
    };
    vec![from.to_owned(), rate.to_string(), times.len().to_string(), figure(0.5), figure(0.99), figure(1.0)]
}

/// Returns how many milliseconds each probe took to the screen; every one must arrive.
fn measure(way: Way, rate: u64, probes: usize) -> Vec<f64> {
    let bob = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config =
        format!("receive_buffer = \"64MiB\"\n[peers.bob]\naddress = '{}'\n", bob.local_addr().unwrap());
    let daemon = Daemon::start(&config);
    let mut terminal = Terminal::start(&daemon);
    // The last probe beyond those that count shows that the chat is up.
    bob.send_to(probe(PROBES - 1).to_string().as_bytes(), daemon.address()).unwrap();
    terminal.seen(probe(PROBES - 1));
    let seconds = (INTERVAL * probes as u32).as_secs() + 2;
    let others = (rate > 0).then(|| Flood::paced(daemon.address(), rate, seconds, 100).start());
    // The flood's process begins to send a little later.
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let mut times = Vec::with_capacity(probes);
    for number in 0..probes {
        let due = began + INTERVAL * number as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let text = probe(number).to_string();
        let sent = Instant::now();
        match way {
            Way::Key => terminal.write(text.as_bytes()),
            Way::Datagram => drop(bob.send_to(text.as_bytes(), daemon.address()).unwrap()),
        }
        let seen = terminal.seen(probe(number));
        times.push((seen - sent).as_secs_f64() * 1e3);
        if way == Way::Key && number % KEYS_IN_A_LINE == KEYS_IN_A_LINE - 1 {
            terminal.write(ERASE_LINE);
        }
    }
    if let Some(others) = others {
        others.wait();
    }
    times
}

fn probe(number: usize) -> char {
    char::from_u32(FIRST_PROBE + number as u32).unwrap()
}

/// A chat in a terminal of 80x24.
struct Terminal {
    keys: File,
    shown: Receiver<(char, Instant)>,
    _chat: Guard,
}

impl Terminal {
    fn start(daemon: &Daemon) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        let chat = daemon.ctl(&["chat", "bob"]);
        // The terminal becomes that of the chat, not the one that the benchmark runs in.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(chat.get_program()).args(chat.get_args());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm-256color");
        command.stdin(Stdio::from(pair.slave.try_clone().unwrap())).stdout(Stdio::from(pair.slave));
        let chat = Guard::start(&mut command);
        drop(command);
        let keys = File::from(pair.master);
        let output = keys.try_clone().unwrap();
        let (sender, shown) = mpsc::channel();
        thread::spawn(move || watch(output, &sender));
        Self { keys, shown, _chat: chat }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.keys.write_all(bytes).unwrap();
    }

    /// Waits until a probe is on the screen, and returns when that was.
    #[track_caller]
    fn seen(&mut self, probe: char) -> Instant {
        loop {
            let (shown, at) = self.shown.recv_timeout(PATIENCE).expect("a probe on the screen");
            if shown == probe {
                return at;
            }
        }
    }
}

/// Notes when each probe was written to the terminal.
fn watch(mut output: File, shown: &Sender<(char, Instant)>) {
    let mut buffer = [0; 1 << 16];
    let mut kept = 0;
    while let Ok(bytes @ 1..) = output.read(&mut buffer[kept..]) {
        let at = Instant::now();
        let all = kept + bytes;
        let mut place = 0;
        while place + 3 <= all {
            // Three bytes in UTF-8, all probes are.
            let probe =
                std::str::from_utf8(&buffer[place..place + 3]).ok().and_then(|text| text.chars().next());
            match probe.filter(|probe| u32::from(*probe) >= FIRST_PROBE) {
                Some(probe) if shown.send((probe, at)).is_err() => return,
                Some(_) => place += 3,
                None => place += 1,
            }
        }
        // A probe may be cut in two.
        buffer.copy_within(place..all, 0);
        kept = all - place;
    }
}
