//! Measures how exactly `udpchatctl send --every` keeps its interval: the time of all messages against the clock, what was left
//! out, and how late each message arrived.
//!
//! `cargo bench --bench interval`, with another number of messages `-- 1000`, or `-- quick` to see that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::net::UdpSocket;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use harness::daemon::Daemon;
use harness::options::Options;
use harness::statistics::part;
use harness::table::table;

/// The intervals.
const INTERVALS: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(10), Duration::from_millis(100)];

/// The longest run; longer intervals send fewer messages.
const LONGEST: Duration = Duration::from_secs(20);

fn main() {
    harness::play_role();
    let options = Options::read();
    let messages = options.number().unwrap_or(options.pick(200, 10_000));
    let daemon = Daemon::start("");
    let rows: Vec<_> = INTERVALS
        .iter()
        .map(|every| {
            let most = LONGEST.as_millis() / every.as_millis();
            row(&daemon, *every, messages.min(u64::try_from(most).unwrap()))
        })
        .collect();
    let columns = ["interval", "messages", "left out", "took", "off the clock", "late p50", "p99", "most"];
    table("send --every", &columns, &rows);
}

/// Sends messages at an interval, and returns the figures.
fn row(daemon: &Daemon, every: Duration, messages: u64) -> Vec<String> {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    sink.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = sink.local_addr().unwrap().to_string();
    let reader = thread::spawn(move || {
        let mut arrived = Vec::new();
        let mut buffer = [0; 64];
        for number in 1..=messages {
            let length = sink.recv(&mut buffer).unwrap();
            arrived.push(Instant::now());
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), number.to_string(), "in their order");
        }
        arrived
    });
    let (every_text, count) = (format!("{}ms", every.as_millis()), messages.to_string());
    let args = ["--json", "send", &to, "{{n}}", "--fill", "--every", &every_text, "-c", &count];
    let sent = daemon.ctl(&args).stdout(Stdio::piped()).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let summary: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    let arrived = reader.join().unwrap();
    let took = arrived[arrived.len() - 1] - arrived[0];
    let expected = every * u32::try_from(messages - 1).unwrap();
    // What is left out moves the later ones, which counts as time but not as lateness.
    let late = arrived.iter().enumerate().map(|(number, at)| {
        let due = arrived[0] + every * u32::try_from(number).unwrap();
        at.saturating_duration_since(due).as_secs_f64() * 1e3
    });
    let late: Vec<f64> = late.collect();
    let milliseconds = |share| format!("{:.2} ms", part(&late, share));
    vec![
        every_text,
        messages.to_string(),
        summary["left_out"].to_string(),
        format!("{:.3} s", took.as_secs_f64()),
        format!("{:+.2} %", (took.as_secs_f64() / expected.as_secs_f64() - 1.0) * 100.0),
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(1.0),
    ]
}
