//! Facts for tests: everything is in order unless a test changes something.

use super::facts::{Configured, Facts, Interface, Newest, Process, Reach, Reached, Running, RunningDaemon};
use super::finding::{Finding, Level};

const STATUS: &str = r#"{
    "version": "VERSION", "pid": 4711, "started": "2026-11-22T10:00:00Z", "state": "ok", "problems": [],
    "listen": ["[::]:7788"], "socket": "/run/s", "data_dir": "/data",
    "receive_buffer": {"asked": 8388608, "granted": 8388608}, "received": {"datagrams": 12, "bytes": 34},
    "stored": 12, "queued": 0, "kernel_drops": 0, "dropped": {"denied": 0, "queue_full": 0, "own": 0},
    "sent": {"datagrams": 0, "failed": 0},
    "inbox": {"entries": 12, "oldest_id": 1, "newest_id": 12, "bytes": 131072, "max_bytes": 4294967296, "unread": 0}
}"#;

/// Returns the facts of a machine without problems.
pub(super) fn facts() -> Facts {
    let status = STATUS.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let reached = Reached {
        status: serde_json::from_str(&status).unwrap(),
        self_tests: Some(Vec::new()),
        self_test_refused: None,
    };
    let loopback = Interface {
        name: "lo".to_owned(),
        is_up: true,
        is_running: true,
        is_loopback: true,
        addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        broadcasts: Vec::new(),
    };
    let addresses = ["192.168.7.5", "2001:db8::5", "fe80::5"].map(|ip| ip.parse().unwrap());
    let eth0 = Interface {
        name: "eth0".to_owned(),
        is_loopback: false,
        addresses: addresses.to_vec(),
        broadcasts: vec!["192.168.7.255".parse().unwrap()],
        ..loopback.clone()
    };
    Facts {
        now: "2026-11-22T12:00:00Z".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
        daemon: Reach::Reached(Box::new(reached)),
        running: Running::default(),
        is_network_foreign: false,
        configured: Ok(Configured::default()),
        sockets: Vec::new(),
        interfaces: vec![loopback, eth0],
        ipv6_disabled: false,
        rmem_max: Some(8 << 20),
        firewalls: Vec::new(),
        clock_synchronised: Some(true),
        disk: None,
        last_received: Newest::Nothing,
        peer: None,
    }
}

/// Returns facts with a changed status of the daemon.
pub(super) fn with_status(change: impl FnOnce(&mut udpchat_api::call::Status)) -> Facts {
    let mut facts = facts();
    if let Reach::Reached(reached) = &mut facts.daemon {
        change(&mut reached.status);
    }
    facts
}

/// Returns facts where the daemon listens on these addresses.
pub(super) fn listening_on(addresses: &[&str]) -> Facts {
    with_status(|status| status.listen = addresses.iter().map(|address| address.parse().unwrap()).collect())
}

/// Returns facts where no daemon runs and one would listen on an address.
pub(super) fn without_daemon(listen: &str) -> Facts {
    let daemon = Reach::NotReached {
        tried: Vec::new(),
        denied: None,
        running: Vec::new(),
        sees_all: true,
        start: "start it",
    };
    let configured = Configured { listen: vec![listen.parse().unwrap()], closed: Vec::new() };
    Facts { daemon, configured: Ok(configured), ..facts() }
}

/// Returns a process of a daemon of another user.
pub(super) fn running(socket: Option<&str>) -> RunningDaemon {
    let process = Process { pid: 7, name: "udpchatd".to_owned(), user: "user bob".to_owned(), is_own: false };
    RunningDaemon { process, socket: socket.map(Into::into) }
}

/// Returns the levels of findings.
pub(super) fn levels(findings: &[Finding]) -> Vec<Level> {
    findings.iter().map(|finding| finding.level).collect()
}

/// Returns the texts of findings, one per line.
pub(super) fn text(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.seen.as_str()).collect::<Vec<_>>().join("\n")
}
