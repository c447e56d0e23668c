//! `udpchatctl export`.

mod capture;
mod lines;
mod run;

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Daemon, Peer, eventually};

/// A daemon that has received and sent every kind of datagram, over both families, and has lost some.
fn with_everything() -> Daemon {
    let daemon = Daemon::start_with("receive_buffer = \"256KiB\"\n", &["--listen", "[::]:0"]);
    let port = daemon.address().port();
    let (v4, v6) = (Peer::new(), Peer::at("[::1]:0"));
    let to_v4 = format!("127.0.0.1:{port}").parse().unwrap();
    let everything: [&[u8]; 8] = [
        b"",
        b"plain\r\n",
        b"\0\0nul\0",
        b"\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7",
        "你好\u{202e}\u{1b}[31m".as_bytes(),
        b"\xff\xfe\x00\x01\x80",
        &[0x1b; 65_507],
        b"\"quoted\\\"",
    ];
    let mut received = 0;
    for payload in everything {
        v4.send(to_v4, payload);
        v6.send(daemon.address(), payload);
        received += 2;
        let _status = daemon.stored(received);
    }
    daemon.ctl(&["-q", "send", &v6.name(), "sent over IPv6"]).ok();
    daemon.ctl(&["-q", "send", &v4.name(), "sent over IPv4"]).ok();
    lose_some(&daemon);
    daemon
}

/// Loses messages: a stopped daemon does not fetch them. All its threads may stop only after a moment, and then one flood
/// is not enough.
fn lose_some(daemon: &Daemon) {
    let peer = Peer::at("[::1]:0");
    eventually("a gap", || {
        daemon.signal(Signal::SIGSTOP);
        (0..500).for_each(|_| peer.send(daemon.address(), [b'x'; 2_000]));
        daemon.signal(Signal::SIGCONT);
        eventually("the queue to be empty", || (daemon.status()["queued"] == 0).then_some(()));
        daemon.entries().iter().any(|entry| entry["type"] == "gap").then_some(())
    });
    // Datagrams in the kernel's buffer are stored before anything is compared.
    let mut seen = 0;
    eventually("the end of the flood", || {
        std::thread::sleep(Duration::from_millis(100));
        let before = std::mem::replace(&mut seen, daemon.status()["inbox"]["newest_id"].as_u64().unwrap());
        (seen == before).then_some(())
    });
}

/// A daemon whose inbox holds `entries` messages of 100 bytes, written into its file while it was not running.
fn with_many(entries: usize) -> Daemon {
    let mut daemon = Daemon::start();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    let (folder, flags) = daemon.into_folder();
    let database = rusqlite::Connection::open(folder.path().join("data/inbox.db")).unwrap();
    let rows = format!(
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {entries})
         INSERT INTO entry (id, at_ns, kind, peer, local, payload)
         SELECT id, 1700000000000000000 + id * 1000000, 0, x'7f0000011f90', x'7f0000011e6c',
                CAST(printf('%0100d', id) AS BLOB) FROM n"
    );
    database.execute_batch(&rows).unwrap();
    database.close().unwrap();
    Daemon::start_in(folder, flags)
}

/// Returns the output of `udpchatctl`, which must print nothing on standard error.
#[track_caller]
fn printed(daemon: &Daemon, args: &[&str]) -> String {
    daemon.ctl(args).ok()
}
