//! What a command costs: `udpchatctl` as whole processes, beside the smallest program that sends a datagram and what
//! users would type instead. Measured in turns, in one run; the ratios are what counts.
//!
//! `cargo bench --bench commands`, or with a smaller number of rounds `cargo bench --bench commands -- 20`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends at the first fault"
)]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SMALLEST: &str = r#"fn main() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"hi", std::env::args().nth(1).unwrap()).unwrap();
}"#;

/// A command line that is timed.
struct Contender {
    name: &'static str,
    program: String,
    args: Vec<String>,
    times: Vec<Duration>,
}

fn main() {
    let rounds = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(300);
    let folder = tempfile::tempdir().unwrap();
    let smallest = build_smallest(folder.path());
    let (mut daemon, socket) = start_daemon(folder.path());
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = target.local_addr().unwrap();

    let nc = format!("echo hi | nc -u -w0 {} {}", to.ip(), to.port());
    let mut contenders = vec![
        contender("smallest Rust program", &smallest, &[&to.to_string()]),
        ctl("udpchatctl version", &socket, &["version"]),
        ctl("udpchatctl status", &socket, &["status"]),
        ctl("udpchatctl send", &socket, &["send", &to.to_string(), "hi"]),
        contender("sh -c 'echo hi | nc -u -w0'", "sh", &["-c", &nc]),
    ];
    if Command::new("nc").arg("-h").stderr(Stdio::null()).status().is_err() {
        contenders.truncate(4);
    }
    for _ in 0..rounds {
        contenders.iter_mut().for_each(time);
    }
    print(&mut contenders, rounds);
    print_memory(daemon.id());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

fn build_smallest(folder: &Path) -> String {
    let (source, program) = (folder.join("smallest.rs"), folder.join("smallest"));
    fs::write(&source, SMALLEST).unwrap();
    let built = Command::new("rustc").args(["-O", "-o"]).args([&program, &source]).status().unwrap();
    assert!(built.success());
    program.display().to_string()
}

fn start_daemon(folder: &Path) -> (Child, String) {
    let socket = folder.join("s");
    let daemon = Command::new(env!("CARGO_BIN_EXE_udpchatd"))
        .args(["--listen", "127.0.0.1:0", "--log-level", "error", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--socket")
        .arg(&socket)
        .spawn()
        .unwrap();
    while UnixStream::connect(&socket).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    (daemon, socket.display().to_string())
}

fn contender(name: &'static str, program: &str, args: &[&str]) -> Contender {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Contender { name, program: program.to_owned(), args, times: Vec::new() }
}

fn ctl(name: &'static str, socket: &str, args: &[&str]) -> Contender {
    contender(name, env!("CARGO_BIN_EXE_udpchatctl"), &[&["--socket", socket], args].concat())
}

fn time(contender: &mut Contender) {
    let mut command = Command::new(&contender.program);
    command.args(&contender.args).stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    assert!(command.status().unwrap().success(), "{}", contender.name);
    contender.times.push(began.elapsed());
}

fn print(contenders: &mut [Contender], rounds: usize) {
    println!("whole processes, {rounds} rounds in turns");
    println!("{:30} {:>10} {:>10} {:>8}", "command", "median ms", "p90 ms", "ratio");
    let mut base = None;
    for Contender { name, times, .. } in contenders {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        let base = *base.get_or_insert(at(0.5));
        println!("{name:30} {:>10.2} {:>10.2} {:>8.2}", at(0.5), at(0.9), at(0.5) / base);
    }
}

fn print_memory(pid: u32) {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return };
    for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Threads")) {
        println!("udpchatd afterwards: {line}");
    }
}
