//! A `udpchatd` in a folder of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Guard, Process};
use super::rpc::Rpc;

/// So long everything is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running daemon. Dropping it kills it and removes its folder.
pub(crate) struct Daemon {
    folder: TempDir,
    child: Guard,
    rpc: Rpc,
    address: SocketAddr,
}

/// How soon a daemon answered after its start.
pub(crate) struct Answered {
    pub(crate) version: Duration,
    pub(crate) inbox: Duration,
}

/// The counters of a daemon, read in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) queued: u64,
    /// What the kernel had no room for.
    pub(crate) kernel_drops: u64,
    /// What the inbox could not keep up with.
    pub(crate) queue_full: u64,
    /// All that was received and given up, for whatever reason.
    pub(crate) dropped: u64,
}

impl Books {
    fn of(status: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap();
        Self {
            received: number(&status["received"]["datagrams"]),
            stored: number(&status["stored"]),
            queued: number(&status["queued"]),
            kernel_drops: number(&status["kernel_drops"]),
            queue_full: number(&status["dropped"]["queue_full"]),
            dropped: status["dropped"].as_object().unwrap().values().map(number).sum(),
        }
    }

    /// Returns how many datagrams were sent to the daemon, as far as it knows.
    pub(crate) fn arrived(self) -> u64 {
        self.received + self.kernel_drops
    }

    /// Returns how many datagrams are not stored and never will be.
    pub(crate) fn lost(self) -> u64 {
        self.kernel_drops + self.dropped
    }
}

impl Daemon {
    /// Starts a daemon with a configuration, on 127.0.0.1 at any port.
    pub(crate) fn start(config: &str) -> Self {
        let folder = new_folder();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        Self::start_in(folder)
    }

    /// Starts a daemon in the folder of one that was stopped.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        let mut child = Guard::start(&mut Self::command(&folder));
        let mut rpc = eventually("the control socket", || {
            assert!(child.runs(), "{}", log(&folder));
            Rpc::connect(&folder.path().join("s"))
        });
        let address = address(&mut rpc);
        Self { folder, child, rpc, address }
    }

    /// Starts a daemon in the folder of one that was stopped, and measures how soon it answers.
    pub(crate) fn start_timed(folder: TempDir) -> (Self, Answered) {
        let began = Instant::now();
        let child = Guard::start(&mut Self::command(&folder));
        let mut rpc = loop {
            if let Some(rpc) = Rpc::connect(&folder.path().join("s")) {
                break rpc;
            }
            assert!(began.elapsed() < PATIENCE, "{}", log(&folder));
            thread::sleep(Duration::from_micros(200));
        };
        rpc.call("version", json!({}));
        let version = began.elapsed();
        rpc.call("inbox", json!({ "order": "desc", "limit": 20 }));
        let inbox = began.elapsed();
        let address = address(&mut rpc);
        (Self { folder, child, rpc, address }, Answered { version, inbox })
    }

    /// Prepares a daemon in a folder.
    pub(crate) fn command(folder: &TempDir) -> Command {
        let path = |name: &str| folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
        command.env_clear().env("HOME", folder.path());
        command.args(["--listen", "127.0.0.1:0", "--config"]).arg(path("config.toml"));
        command.arg("--data-dir").arg(path("data")).arg("--socket").arg(path("s"));
        command.stdin(Stdio::null()).stderr(File::create(path("log")).unwrap());
        command
    }

    /// Stops it, and keeps its folder.
    pub(crate) fn stop(self) -> TempDir {
        let Self { folder, mut child, rpc, .. } = self;
        drop(rpc);
        child.process().signal(Signal::SIGTERM);
        let ended = child.wait();
        assert!(ended.success(), "{ended}: {}", log(&folder));
        folder
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn process(&self) -> Process {
        self.child.process()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Prepares `udpchatctl` against it.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Command {
        ctl(&self.socket(), arguments)
    }

    /// Opens one more connection to it.
    pub(crate) fn connect(&self) -> Rpc {
        Rpc::connect(&self.socket()).unwrap()
    }

    pub(crate) fn status(&mut self) -> Value {
        self.rpc.call("status", json!({}))
    }

    pub(crate) fn books(&mut self) -> Books {
        Books::of(&self.status())
    }

    /// Returns the receive buffer that the kernel granted, in bytes.
    pub(crate) fn granted(&mut self) -> u64 {
        self.status()["receive_buffer"]["granted"].as_u64().unwrap()
    }

    /// Waits until all that was sent has arrived and is stored or given up, or until nothing has changed for half a
    /// second.
    pub(crate) fn settle(&mut self, sent: u64) -> Books {
        const QUIET: Duration = Duration::from_millis(500);
        let (mut last, mut since) = (Books::default(), Instant::now());
        eventually("a quiet daemon", || {
            let books = self.books();
            if books != last {
                (last, since) = (books, Instant::now());
            }
            let done = books.queued == 0 && (books.arrived() == sent || since.elapsed() > QUIET);
            done.then_some(books)
        })
    }

    /// Waits until the index, if the daemon has one, covers everything; returns how long that took.
    pub(crate) fn index(&mut self) -> Duration {
        let began = Instant::now();
        eventually("the index", || {
            let status = self.status();
            let behind = &status["index"]["behind"];
            if behind.as_u64().unwrap_or(0) == 0 {
                return Some(());
            }
            thread::sleep(Duration::from_millis(50));
            None
        });
        began.elapsed()
    }
}

/// Makes a folder whose name is short: the path of a Unix socket has 107 bytes at most.
pub(crate) fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("ub").rand_bytes(5).tempdir().unwrap()
}

/// Prepares `udpchatctl` against the daemon that listens on a control socket.
pub(crate) fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatctl"));
    command.env_clear().env("TZ", "UTC").arg("--socket").arg(socket).args(arguments).stdin(Stdio::null());
    command
}

/// Waits for what must come, looking every few milliseconds.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn address(rpc: &mut Rpc) -> SocketAddr {
    let status = rpc.call("status", json!({}));
    status["listen"][0].as_str().unwrap().parse().unwrap()
}

fn log(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}
