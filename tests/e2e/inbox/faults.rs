//! Faults around the daemon: the inbox cannot be written, its file disappears, the log is not read.

use std::io::Read;
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Daemon, Peer, Rpc, eventually, new_folder};

/// Holds the database's write lock, as another program could.
fn hold_lock(daemon: &Daemon) -> Connection {
    let holder = Connection::open(daemon.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

/// Waits until the status has a problem, and returns it.
fn problem(daemon: &Daemon) -> String {
    eventually("a problem in the status", || daemon.status()["problems"][0].as_str().map(str::to_owned))
}

#[test]
fn pipelined_sends_are_answered_in_order_once_stored() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let lock = hold_lock(&daemon);
    let mut rpc = daemon.rpc();
    let request = |id: u32, method: &str, params: serde_json::Value| {
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
    };
    for id in 1..=3 {
        let params = json!({ "to": peer.name(), "text": id.to_string() });
        rpc.write(request(id, "send", params).as_bytes());
    }
    rpc.write(request(4, "send", json!({ "to": "nobody" })).as_bytes());
    rpc.write(b"no JSON\n");
    rpc.write(request(6, "version", json!({})).as_bytes());
    rpc.end_writing();
    let received: Vec<_> = (0..3).map(|_| peer.receive().0).collect();
    assert_eq!(received, [b"1", b"2", b"3"], "none waits for the record of the one before");
    lock.execute_batch("ROLLBACK").unwrap();
    let answers: Vec<_> = std::iter::from_fn(|| rpc.line()).collect();
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64().unwrap_or(0)).collect();
    assert_eq!(ids, [1, 2, 3, 4, 0, 6], "{answers:?}");
    let sent: Vec<_> = answers[..3].iter().map(|answer| &answer["result"]["text"]).collect();
    assert_eq!(sent, ["1", "2", "3"]);
}

#[test]
fn an_unwritable_inbox_queues_and_acknowledges_nothing() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    peer.send(daemon.address(), "before");
    let _status = daemon.stored(1);
    let holder = hold_lock(&daemon);
    for _ in 0..10 {
        peer.send(daemon.address(), "meanwhile");
    }
    assert!(problem(&daemon).contains("cannot be written"), "{}", daemon.status());
    let status = daemon.status();
    assert_eq!(
        (&status["state"], &status["stored"], &status["queued"]),
        (&json!("degraded"), &json!(1), &json!(10))
    );
    assert_eq!(daemon.entries().len(), 1, "nothing is shown before it is stored");
    let refused = daemon.rpc().error("ack", json!({ "id": 1 }));
    assert_eq!(refused["data"]["kind"], "inbox_unavailable");
    drop(holder);
    let _status = daemon.stored(11);
    eventually("the end of the problem", || (daemon.status()["state"] == "ok").then_some(()));
    assert_eq!(daemon.entries().len(), 11);
}

#[test]
fn an_unrecorded_send_is_not_reported_as_done() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let _holder = hold_lock(&daemon);
    let error = daemon.rpc().error("send", json!({ "to": peer.name(), "text": "hello" }));
    assert_eq!(error["data"]["kind"], "not_recorded");
    assert_eq!(peer.receive().0, b"hello", "it went out all the same, and the error says so");
}

#[test]
fn stopping_with_an_unwritable_inbox_reports_the_loss() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    peer.send(daemon.address(), "before");
    let _status = daemon.stored(1);
    let _holder = hold_lock(&daemon);
    for _ in 0..5 {
        peer.send(daemon.address(), "lost");
    }
    eventually("messages to be queued", || (daemon.status()["queued"] == 5).then_some(()));
    daemon.ctl(&["stop"]).ok();
    assert_eq!(daemon.wait().code(), Some(1));
    let log = eventually("the last words", || {
        let log = daemon.log().join("\n");
        log.contains("could not be stored").then_some(log)
    });
    assert!(log.contains("error: 5 entries could not be stored and are lost"), "{log}");
}

#[test]
fn a_full_queue_leaves_datagrams_in_the_kernel() {
    let daemon = Daemon::start_with("receive_buffer = '1MiB'", &[]);
    let holder = hold_lock(&daemon);
    let peer = Peer::new();
    let mut sent = 0;
    let status = eventually("the kernel to drop what does not fit", || {
        // Few enough to be fetched in time while the queue has room; without room they are dropped here.
        (0..5).for_each(|_| peer.send(daemon.address(), [b'x'; 60_000]));
        sent += 5;
        let status = daemon.status();
        let (drops, queue_full) = (&status["kernel_drops"], &status["dropped"]["queue_full"]);
        (*drops != 0 || *queue_full != 0).then_some(status)
    });
    let drops = status["kernel_drops"].as_u64().unwrap();
    assert_eq!((drops > 0, &status["dropped"]["queue_full"]), (true, &json!(0)));
    holder.execute_batch("ROLLBACK").unwrap();
    let status = daemon.stored(sent - drops);
    assert_eq!((&status["kernel_drops"], &status["dropped"]["queue_full"]), (&json!(drops), &json!(0)));
    eventually("the gaps to account for all of them", || {
        let gaps: u64 = daemon.entries().iter().filter_map(|entry| entry["lost"].as_u64()).sum();
        (gaps == drops).then_some(())
    });
}

#[test]
fn a_deleted_inbox_is_noticed_and_ids_continue() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    peer.send(daemon.address(), "before");
    let _status = daemon.stored(1);
    for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
        std::fs::remove_file(daemon.path("data").join(name)).unwrap();
    }
    // The file is compared with its name once a second at most, before something is stored.
    // Until then a reader that opens it finds no file, which is a problem too.
    eventually("the loss to be noticed", || {
        peer.send(daemon.address(), "after");
        let status = daemon.status();
        let mut problems = status["problems"].as_array().unwrap().iter();
        problems.any(|problem| problem.as_str().unwrap().contains("removed or replaced")).then_some(())
    });
    peer.send(daemon.address(), "last");
    let text = eventually("the last message", || {
        let entries = daemon.entries();
        let last = entries.iter().find(|entry| entry["text"] == "last")?;
        (last["id"].as_u64() > Some(1)).then_some(entries.len())
    });
    let in_file: usize = Connection::open(daemon.database())
        .unwrap()
        .query_row("SELECT count(*) FROM entry", [], |row| row.get(0))
        .unwrap();
    assert_eq!(in_file, text, "what is shown is in the file that the next start will find");
}

#[test]
fn an_unread_log_pipe_blocks_nothing() {
    let folder = new_folder();
    std::fs::write(folder.path().join("config.toml"), "[log]\nmessages_per_second = 100000\n").unwrap();
    let mut command = crate::support::command_in(folder.path());
    let mut child = command.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let socket = folder.path().join("s");
    eventually("the daemon to serve", || std::os::unix::net::UnixStream::connect(&socket).ok());
    let mut rpc = Rpc::connect(&socket);
    let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let peer = Peer::new();
    // Far more than a pipe and the buffer hold, in steps that the receive buffer holds.
    for round in 1..=80 {
        for _ in 0..100 {
            peer.send(address, [b'x'; 300]);
        }
        eventually("the messages to be stored", || {
            (rpc.call("status", json!({}))["stored"] == round * 100).then_some(())
        });
    }
    let lost = eventually("log lines to be lost", || {
        rpc.call("status", json!({}))["log_lines_lost"].as_u64().filter(|lost| *lost > 0)
    });
    assert!(lost < 8_000, "{lost}");
    rpc.call("stop", json!({}));
    // With its reader closed, it ends.
    let mut unread = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut unread).unwrap();
    assert!(child.wait().unwrap().success());
}
