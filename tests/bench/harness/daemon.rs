//! A daemon to measure: its counters, and waiting until it is idle.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::before;
use super::process_stats::ProcessStats;
use super::support::{self, Rpc, eventually_within};

/// The time limit of waiting for an event. Long, because a benchmark loads the machine.
const LIMIT: Duration = Duration::from_secs(600);

/// A running daemon. Dropping it kills it and removes its folder.
pub(crate) struct Daemon {
    daemon: support::Daemon,
    rpc: Rpc,
}

/// How soon a daemon answered after its start.
pub(crate) struct Answered {
    pub(crate) version: Duration,
    pub(crate) inbox: Duration,
}

/// The counters of a daemon, read in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) queued: u64,
    /// Dropped by the kernel because the receive buffer was full.
    pub(crate) kernel_drops: u64,
    /// Dropped by the daemon because its queue was full.
    pub(crate) queue_full: u64,
    /// Dropped by the daemon, for whatever reason.
    pub(crate) dropped: u64,
}

impl Counters {
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

    /// Returns how many datagrams reached the daemon's sockets, including kernel drops.
    pub(crate) fn arrived(self) -> u64 {
        self.received + self.kernel_drops
    }

    /// Returns how many datagrams were dropped.
    pub(crate) fn lost(self) -> u64 {
        self.kernel_drops + self.dropped
    }
}

impl Daemon {
    /// Starts a daemon with a configuration, on 127.0.0.1 at any port.
    pub(crate) fn start(config: &str) -> Self {
        Self::of(support::Daemon::start_with(config, &[]))
    }

    /// Starts a daemon of the other build as [`Self::start`] does.
    pub(crate) fn start_before(config: &str) -> Self {
        let folder = support::new_folder();
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut like = support::command_in(folder.path());
        like.args(flags());
        let mut command = before::program("udpchatd", &like);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self::of(support::Daemon::start_by(folder, &mut command))
    }

    /// Starts a daemon in the folder of one that was stopped.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        Self::of(support::Daemon::start_in(folder, flags()))
    }

    fn of(daemon: support::Daemon) -> Self {
        let rpc = connect(&daemon).unwrap();
        Self { daemon, rpc }
    }

    /// Starts a daemon in the folder of one that was stopped, and measures how soon it answers.
    pub(crate) fn start_timed(folder: TempDir) -> (Self, Answered) {
        let began = Instant::now();
        let mut daemon = support::Daemon::spawn_in(folder, flags());
        let mut rpc = loop {
            if let Ok(rpc) = connect(&daemon) {
                break rpc;
            }
            assert!(began.elapsed() < LIMIT, "{:#?}", daemon.log());
            thread::sleep(Duration::from_micros(200));
        };
        rpc.call("version", json!({}));
        let version = began.elapsed();
        rpc.call("inbox", json!({ "order": "desc", "limit": 20 }));
        let inbox = began.elapsed();
        daemon.wait_until_ready();
        (Self { daemon, rpc }, Answered { version, inbox })
    }

    /// Stops it, and keeps its folder.
    pub(crate) fn stop(self) -> TempDir {
        let Self { mut daemon, rpc } = self;
        drop(rpc);
        daemon.signal(Signal::SIGTERM);
        let ended = daemon.wait();
        assert!(ended.success(), "{ended}: {:#?}", daemon.log());
        daemon.into_folder().0
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    pub(crate) fn process(&self) -> ProcessStats {
        ProcessStats::of(self.daemon.pid())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.daemon.path("data")
    }

    /// Prepares `udpchatctl` against it.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Command {
        self.daemon.ctl_command(arguments)
    }

    /// Opens one more connection to it.
    pub(crate) fn connect(&self) -> Rpc {
        connect(&self.daemon).unwrap()
    }

    pub(crate) fn status(&mut self) -> Value {
        self.rpc.call("status", json!({}))
    }

    pub(crate) fn counters(&mut self) -> Counters {
        Counters::of(&self.status())
    }

    /// Returns the receive buffer that the kernel granted, in bytes.
    pub(crate) fn granted(&mut self) -> u64 {
        self.status()["receive_buffer"]["granted"].as_u64().unwrap()
    }

    /// Waits until all that was sent has arrived and is stored or dropped, or until nothing has changed for half a
    /// second.
    pub(crate) fn wait_until_stored(&mut self, sent: u64) -> Counters {
        const QUIET: Duration = Duration::from_millis(500);
        let (mut last, mut since) = (Counters::default(), Instant::now());
        eventually_within(LIMIT, "all datagrams to be stored or dropped", || {
            let counters = self.counters();
            if counters != last {
                (last, since) = (counters, Instant::now());
            }
            let done = counters.queued == 0 && (counters.arrived() == sent || since.elapsed() > QUIET);
            done.then_some(counters)
        })
    }

    /// Waits until the index, if the daemon has one, covers everything; returns how long that took.
    pub(crate) fn wait_until_indexed(&mut self) -> Duration {
        let began = Instant::now();
        eventually_within(LIMIT, "the index", || {
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

fn connect(daemon: &support::Daemon) -> std::io::Result<Rpc> {
    Rpc::try_connect(&daemon.socket(), LIMIT)
}

fn flags() -> Vec<String> {
    ["--listen", "127.0.0.1:0"].map(str::to_owned).into()
}
