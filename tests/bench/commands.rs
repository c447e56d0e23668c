//! Measures the cost of a command: whole processes of `udpchatctl` in both languages, of another build of it (`before.rs`),
//! of the smallest program that sends a datagram, and of an equivalent shell command. Measured in turns, in one run; compare
//! the ratios.
//!
//! `cargo bench --bench commands`, or with a smaller number of rounds `cargo bench --bench commands -- 20`.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use harness::before;
use harness::daemon::Daemon;
use harness::options::Options;
use harness::process_stats::mebibytes;
use harness::statistics::part;
use harness::support::new_folder;
use harness::table::table;

const SMALLEST: &str = r#"fn main() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"hi", std::env::args().nth(1).unwrap()).unwrap();
}"#;

/// A command line that is timed.
struct Contender {
    name: String,
    command: Command,
    /// In milliseconds.
    times: Vec<f64>,
}

fn main() {
    harness::play_role();
    let rounds = Options::read().number().unwrap_or(300);
    let folder = new_folder();
    let smallest = build_smallest(folder.path());
    let daemon = Daemon::start("log.messages_per_second = 0\n");
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();

    let nc = format!("echo hi | nc -u -w0 {} {}", to.ip(), to.port());
    let mut contenders = vec![contender("smallest Rust program", &smallest, &[&to.to_string()])];
    let to = to.to_string();
    for arguments in [&["version"][..], &["status"], &["inbox", "-n", "20"], &["send", &to, "hi"]] {
        contenders.extend(ctl(&daemon, arguments));
    }
    if Command::new("nc").arg("-h").stderr(Stdio::null()).status().is_ok() {
        contenders.push(contender("sh -c 'echo hi | nc -u -w0'", "sh", &["-c", &nc]));
    }
    for _ in 0..rounds {
        contenders.iter_mut().for_each(time);
    }
    print(&contenders, rounds);
    let process = daemon.process();
    println!("udpchatd afterwards: {}, {} threads", mebibytes(process.memory()), process.threads());
}

fn build_smallest(folder: &Path) -> String {
    let (source, program) = (folder.join("smallest.rs"), folder.join("smallest"));
    fs::write(&source, SMALLEST).unwrap();
    let built = Command::new("rustc").args(["-O", "-o"]).args([&program, &source]).status().unwrap();
    assert!(built.success());
    program.display().to_string()
}

fn contender(name: &str, program: &str, args: &[&str]) -> Contender {
    let mut command = Command::new(program);
    command.args(args);
    Contender { name: name.to_owned(), command, times: Vec::new() }
}

/// Returns a command in English, in Chinese, and of the other build if there is one.
fn ctl(daemon: &Daemon, args: &[&str]) -> Vec<Contender> {
    let english = daemon.ctl(args);
    let mut chinese = daemon.ctl(args);
    chinese.env("LC_ALL", "zh_CN.UTF-8");
    let before = before::folder().map(|_| before::program("udpchatctl", &english));
    let commands = [("", Some(english)), (", in Chinese", Some(chinese)), (", another build", before)];
    let name = format!("udpchatctl {}", args[0]);
    let contender = |(manner, command): (&str, Option<Command>)| {
        Some(Contender { name: format!("{name}{manner}"), command: command?, times: Vec::new() })
    };
    commands.into_iter().filter_map(contender).collect()
}

fn time(contender: &mut Contender) {
    let command = contender.command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    assert!(command.status().unwrap().success(), "{}", contender.name);
    contender.times.push(began.elapsed().as_secs_f64() * 1e3);
}

fn print(contenders: &[Contender], rounds: u64) {
    let base = part(&contenders[0].times, 0.5);
    let row = |contender: &Contender| {
        let [median, p90] = [0.5, 0.9].map(|share| part(&contender.times, share));
        let ratio = format!("{:.2}", median / base);
        vec![contender.name.clone(), format!("{median:.2}"), format!("{p90:.2}"), ratio]
    };
    let rows: Vec<_> = contenders.iter().map(row).collect();
    table(
        &format!("whole processes, {rounds} rounds in turns"),
        &["command", "median ms", "p90 ms", "ratio"],
        &rows,
    );
}
