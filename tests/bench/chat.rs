//! Measures the time from a key to its echo in `udpchatctl chat`, and from a datagram to its line on the screen, which
//! includes the commit. Measured idle, and with a steady stream of messages from other peers, which the list of peers counts.
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

/// The time between two samples: longer than a frame, and not a multiple of it.
const INTERVAL: Duration = Duration::from_millis(21);
/// How long to wait for a sample.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Every sample is a different character that nothing else on the screen contains, because only changed cells are drawn.
const FIRST_SAMPLE: u32 = 0x4e00;
const SAMPLES: usize = 0x5000;
/// After this number of keys the input line is erased.
const KEYS_IN_A_LINE: usize = 20;
const ERASE_LINE: &[u8] = b"\x15";

/// The source of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Key,
    Datagram,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let samples = options.pick(50, 1_500);
    let mut rows = Vec::new();
    for rate in [0, 1_000, 20_000] {
        for source in [Source::Key, Source::Datagram] {
            rows.push(row(source, rate, &measure(source, rate, samples)));
        }
    }
    table("milliseconds to the screen", &["from", "others a second", "samples", "p50", "p99", "max"], &rows);
}

fn row(source: Source, rate: u64, times: &[f64]) -> Vec<String> {
    let figure = |share| format!("{:.2}", part(times, share));
    let from = match source {
        Source::Key => "a key",
        Source::Datagram => "a datagram",
    };
    vec![from.to_owned(), rate.to_string(), times.len().to_string(), figure(0.5), figure(0.99), figure(1.0)]
}

/// Returns how many milliseconds each sample took to reach the screen; all must arrive.
fn measure(source: Source, rate: u64, samples: usize) -> Vec<f64> {
    let bob = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config =
        format!("receive_buffer = \"64MiB\"\n[peers.bob]\naddress = '{}'\n", bob.local_addr().unwrap());
    let daemon = Daemon::start(&config);
    let mut terminal = Terminal::start(&daemon);
    // This sample, which is not measured, shows that the chat is ready.
    bob.send_to(sample(SAMPLES - 1).to_string().as_bytes(), daemon.address()).unwrap();
    terminal.seen(sample(SAMPLES - 1));
    let seconds = (INTERVAL * samples as u32).as_secs() + 2;
    let others = (rate > 0).then(|| Flood::paced(daemon.address(), rate, seconds, 100).start());
    // The flood's process begins to send a little later.
    thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let mut times = Vec::with_capacity(samples);
    for number in 0..samples {
        let due = began + INTERVAL * number as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let text = sample(number).to_string();
        let sent = Instant::now();
        match source {
            Source::Key => terminal.write(text.as_bytes()),
            Source::Datagram => drop(bob.send_to(text.as_bytes(), daemon.address()).unwrap()),
        }
        let seen = terminal.seen(sample(number));
        times.push((seen - sent).as_secs_f64() * 1e3);
        if source == Source::Key && number % KEYS_IN_A_LINE == KEYS_IN_A_LINE - 1 {
            terminal.write(ERASE_LINE);
        }
    }
    if let Some(others) = others {
        others.wait();
    }
    times
}

fn sample(number: usize) -> char {
    char::from_u32(FIRST_SAMPLE + number as u32).unwrap()
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

    /// Waits until a sample is on the screen, and returns when that was.
    #[track_caller]
    fn seen(&mut self, sample: char) -> Instant {
        loop {
            let (shown, at) = self.shown.recv_timeout(MAX_WAIT).expect("a sample on the screen");
            if shown == sample {
                return at;
            }
        }
    }
}

/// Notes when each sample was written to the terminal.
fn watch(mut output: File, shown: &Sender<(char, Instant)>) {
    let mut buffer = [0; 1 << 16];
    let mut kept = 0;
    while let Ok(bytes @ 1..) = output.read(&mut buffer[kept..]) {
        let at = Instant::now();
        let all = kept + bytes;
        let mut place = 0;
        while place + 3 <= all {
            // Three bytes in UTF-8, all samples are.
            let sample =
                std::str::from_utf8(&buffer[place..place + 3]).ok().and_then(|text| text.chars().next());
            match sample.filter(|sample| u32::from(*sample) >= FIRST_SAMPLE) {
                Some(sample) if shown.send((sample, at)).is_err() => return,
                Some(_) => place += 3,
                None => place += 1,
            }
        }
        // A sample may be cut in two.
        buffer.copy_within(place..all, 0);
        kept = all - place;
    }
}
