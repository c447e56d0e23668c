//! A `udpchatd` in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Background, Completed, DEADLINE, Host, Peer, Process, Rpc, Running, ctl, eventually};

/// A running daemon. Dropping it kills it, and prints its log if the test fails.
pub(crate) struct Daemon {
    pub(crate) folder: TempDir,
    flags: Vec<String>,
    process: Process,
    lines: Receiver<String>,
    log: Vec<String>,
    listen: Vec<SocketAddr>,
}

/// A daemon that did not start.
#[must_use]
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Daemon {
    /// Starts a daemon on 127.0.0.1, at any port.
    pub(crate) fn start() -> Self {
        Self::start_with("", &[])
    }

    /// Starts a daemon with a configuration file and more flags. Unless one of them is `--listen`, it listens on
    /// 127.0.0.1 at any port.
    pub(crate) fn start_with(config: &str, flags: &[&str]) -> Self {
        let folder = new_folder();
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        if !flags.iter().any(|flag| flag == "--listen") && !config.contains("listen") {
            flags.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        }
        Self::start_in(folder, flags)
    }

    /// Starts a daemon in a folder that [`Self::into_folder`] has returned.
    pub(crate) fn start_in(folder: TempDir, flags: Vec<String>) -> Self {
        let mut daemon = Self::spawn_in(folder, flags);
        daemon.wait_until_ready();
        daemon
    }

    /// Starts a daemon in a folder that [`Self::into_folder`] has returned, without waiting for anything.
    pub(crate) fn spawn_in(folder: TempDir, flags: Vec<String>) -> Self {
        let process = Process::start(command_in(folder.path()).args(&flags));
        Self::new(folder, flags, process)
    }

    /// Starts a daemon on a host of the test's own. The configuration says where it listens.
    pub(crate) fn start_on(host: &Host, config: &str) -> Self {
        Self::start_on_in(host, new_folder(), config)
    }

    /// Starts a daemon on a host of the test's own, in a folder.
    pub(crate) fn start_on_in(host: &Host, folder: TempDir, config: &str) -> Self {
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let process = Process::start_on(host, &command_in(folder.path()));
        let mut daemon = Self::new(folder, Vec::new(), process);
        daemon.wait_until_ready();
        daemon
    }

    /// Starts a daemon in a folder by a command of the test's own.
    pub(crate) fn start_by(folder: TempDir, command: &mut Command) -> Self {
        let process = Process::start(command);
        let mut daemon = Self::new(folder, Vec::new(), process);
        daemon.wait_until_ready();
        daemon
    }

    fn new(folder: TempDir, flags: Vec<String>, mut process: Process) -> Self {
        let lines = read_lines(process.stderr());
        Self { folder, flags, process, lines, log: Vec::new(), listen: Vec::new() }
    }

    /// Waits until it serves.
    pub(crate) fn wait_until_ready(&mut self) {
        let ready = self.log_line("ready");
        let listen = ready["listen"].as_str().unwrap();
        self.listen = listen.split(' ').map(|address| address.parse().unwrap()).collect();
    }

    /// Runs a daemon that must not start, and returns how it ended.
    pub(crate) fn refused(folder: &Path, flags: &[&str]) -> Refused {
        Self::refused_by(text_command_in(folder).args(flags))
    }

    /// Runs a daemon by a command of the test's own, as [`Self::refused`] does.
    #[track_caller]
    pub(crate) fn refused_by(command: &mut Command) -> Refused {
        // One that starts nevertheless fails the test after a time limit.
        let (ended, lines) = Background::start(command).wait();
        Refused { code: ended.code(), stderr: lines.join("\n") + "\n" }
    }

    /// Runs a daemon that must not start, with these paths.
    #[track_caller]
    pub(crate) fn refused_at(data: &Path, socket: &Path) -> Refused {
        let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
        Self::refused_by(with_paths(command.env_clear(), data, socket))
    }

    /// Starts it again in the same folder; the port is a new one.
    pub(crate) fn start_again(self) -> Self {
        let (folder, flags) = self.into_folder();
        Self::start_in(folder, flags)
    }

    /// Kills it with SIGKILL if it still runs, and keeps its folder.
    pub(crate) fn into_folder(mut self) -> (TempDir, Vec<String>) {
        self.process.kill();
        self.process.wait();
        let folder = std::mem::replace(&mut self.folder, new_folder());
        (folder, std::mem::take(&mut self.flags))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end and returns how it ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let process = &mut self.process;
        eventually("the end of the daemon", || process.try_wait())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Limits the size of the files that it may write, which is a full disk for it. Needs `prlimit`.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &self.pid().to_string(), &format!("--fsize={bytes}:unlimited")]);
        assert!(prlimit.status().unwrap().success());
    }

    /// Returns the address that peers on this machine send to: the first one, with loopback for "any".
    pub(crate) fn address(&self) -> SocketAddr {
        let mut address = self.listen[0];
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            address.set_ip(Ipv6Addr::LOCALHOST.into());
        } else if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    /// Returns the addresses that it reports to listen on.
    pub(crate) fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("s")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("data/inbox.db")
    }

    /// Waits for the next log line with this message, and returns it.
    #[track_caller]
    pub(crate) fn log_line(&mut self, message: &str) -> Value {
        let object = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
        object(&self.next_line(message, |line| object(line)["message"] == message))
    }

    /// Waits for the next log line that holds a text, and returns it as it was written.
    #[track_caller]
    pub(crate) fn log_with(&mut self, text: &str) -> String {
        self.next_line(text, |line| line.contains(text))
    }

    #[track_caller]
    fn next_line(&mut self, wanted: &str, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(DEADLINE) else {
                panic!("the log has no line with `{wanted}`:\n{}", self.log.join("\n"));
            };
            self.log.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Returns all log lines up to now, as they were written.
    pub(crate) fn log(&mut self) -> Vec<String> {
        self.log.extend(self.lines.try_iter());
        self.log.clone()
    }

    /// Runs `udpchatctl` against it.
    pub(crate) fn ctl(&self, args: &[&str]) -> Completed {
        ctl::run(&self.socket(), args, b"")
    }

    /// Runs `udpchatctl` against it, in a Chinese locale.
    pub(crate) fn ctl_in_chinese(&self, args: &[&str]) -> Completed {
        ctl::finish(ctl::command(&self.socket()).env("LC_ALL", "zh_CN.UTF-8").args(args), b"")
    }

    /// Runs `udpchatctl` against it, on a host of the test's own.
    pub(crate) fn ctl_on(&self, host: &Host, args: &[&str]) -> Completed {
        ctl::finish(&mut host.enter(ctl::command(&self.socket()).args(args)), b"")
    }

    /// Runs `udpchatctl` against it, with standard input.
    pub(crate) fn ctl_with_input(&self, args: &[&str], input: &[u8]) -> Completed {
        ctl::run(&self.socket(), args, input)
    }

    /// Prepares `udpchatctl` against it.
    pub(crate) fn ctl_command(&self, args: &[&str]) -> Command {
        let mut command = ctl::command(&self.socket());
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Starts `udpchatctl` against it, with its output piped.
    pub(crate) fn ctl_start(&self, args: &[&str]) -> Child {
        self.ctl_command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts `udpchatctl` against it, to be read line by line while it runs.
    pub(crate) fn ctl_running(&self, args: &[&str]) -> Running {
        Running::start(&mut self.ctl_command(args))
    }

    /// Opens a connection to its control socket.
    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::connect(&self.socket())
    }

    /// Requests its status.
    pub(crate) fn status(&self) -> Value {
        self.rpc().call("status", serde_json::json!({}))
    }

    /// Waits until this number of received messages is stored, and returns the status.
    #[track_caller]
    pub(crate) fn stored(&self, messages: u64) -> Value {
        let mut rpc = self.rpc();
        eventually("messages to be stored", || {
            let status = rpc.call("status", serde_json::json!({}));
            (status["stored"].as_u64() >= Some(messages)).then_some(status)
        })
    }

    /// Sends small datagrams from a peer, never more at once than the smallest receive buffer holds, and waits until they
    /// are stored. No other peer may send meanwhile.
    #[track_caller]
    pub(crate) fn receive_from(&self, peer: &Peer, payloads: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        const AT_ONCE: u64 = 200;
        let mut all = self.status()["received"]["datagrams"].as_u64().unwrap();
        for payload in payloads {
            peer.send(self.address(), payload);
            all += 1;
            if all.is_multiple_of(AT_ONCE) {
                self.stored(all);
            }
        }
        self.stored(all);
    }

    /// Reads the whole inbox through the control socket.
    pub(crate) fn entries(&self) -> Vec<Value> {
        self.rpc().entries(serde_json::json!({ "after": 0 }))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill();
        self.process.wait();
        if thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(50);
            eprintln!("the daemon's log:\n{}", log[from..].join("\n"));
        }
    }
}

impl Refused {
    /// Fails the test unless the daemon ended with code 1 and an error with all these texts.
    #[track_caller]
    pub(crate) fn fails(&self, texts: &[&str]) {
        self.fails_with(1, texts);
    }

    /// Fails the test unless the daemon ended with this code and an error with all these texts.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: i32, texts: &[&str]) {
        let all_there = texts.iter().all(|text| self.stderr.contains(text));
        assert!(self.code == Some(code) && all_there, "wanted exit {code} and {texts:?}: {self:#?}");
        assert!(self.stderr.starts_with("error: "), "{self:#?}");
    }
}

/// Adds the paths of a daemon to a command, with any port of loopback.
pub(crate) fn with_paths<'a>(command: &'a mut Command, data: &Path, socket: &Path) -> &'a mut Command {
    let here = ["--listen", "127.0.0.1:0", "--log-level", "error"];
    command.args(here).arg("--data-dir").arg(data).arg("--socket").arg(socket)
}

/// Creates a folder with a short name: the path of a Unix socket has 107 bytes at most.
pub(crate) fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("uc").rand_bytes(5).tempdir().unwrap()
}

/// Prepares a daemon in a folder, with an empty environment. It logs as JSON.
pub(crate) fn command_in(folder: &Path) -> Command {
    let mut command = text_command_in(folder);
    command.args(["--log-format", "json"]);
    command
}

/// Prepares a daemon in a folder, with an empty environment. It logs as text.
pub(crate) fn text_command_in(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command
        .env_clear()
        .env("HOME", folder)
        .arg("--config")
        .arg(folder.join("config.toml"))
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--socket")
        .arg(folder.join("s"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads lines as they arrive, in a separate thread.
pub(crate) fn read_lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The test may be over.
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
