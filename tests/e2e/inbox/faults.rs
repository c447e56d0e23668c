//! Faults around the daemon: the inbox cannot be written, its file disappears, the log is not read.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Background, Daemon, OtherUser, Peer, Rpc, available, can_mount, command_in, eventually, new_folder, texts,
};

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
    let request = |id: u32, method: &str, params: Value| {
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
fn a_new_reader_gets_the_entries_though_its_mark_cannot_be_stored() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..300).map(|number| format!("text {number}")));
    let holder = hold_lock(&daemon);
    for consumer in ["default", "new"] {
        let ran = daemon.ctl(&["inbox", "--consumer", consumer]);
        assert_eq!(ran.stdout.lines().filter(|line| line.contains("text ")).count(), 300, "{ran:?}");
        ran.fails(1, &["the read mark cannot be stored now; what was printed stays unread"]);
    }
    let error = daemon.ctl(&["--json", "inbox"]).stderr;
    assert_eq!(serde_json::from_str::<Value>(&error).unwrap()["error"]["kind"], "inbox_unavailable");
    drop(holder);
    eventually("the inbox to be writable", || (daemon.status()["state"] == "ok").then_some(()));
    assert_eq!(daemon.ctl(&["inbox", "--consumer", "new"]).stdout.lines().count(), 300);
    assert_eq!(daemon.ctl(&["inbox", "--consumer", "new"]).ok(), "");
}

#[test]
fn clients_learn_soon_that_nothing_can_be_recorded() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["stored"]);
    let _holder = hold_lock(&daemon);
    let send = json!({ "to": peer.name(), "text": "x" });
    assert_eq!(daemon.rpc().error("send", send.clone())["data"]["kind"], "not_recorded");
    assert!(problem(&daemon).contains("cannot be written"));
    // Each would wait for ten seconds.
    let began = Instant::now();
    daemon.rpc().error("ack", json!({ "id": 0 }));
    daemon
        .rpc()
        .error("recode", json!({ "as": "gbk", "direction": "in", "from": [peer.name()], "remember": true }));
    let split = json!({ "to": peer.name(), "raw": "AAAA".repeat(40), "split": 16 });
    assert_eq!(daemon.rpc().error("send", split)["data"]["kind"], "not_recorded");
    daemon.ctl(&["ask", &peer.name(), "x", "--timeout", "300ms"]).fails(1, &["not recorded"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn an_unrecorded_send_is_not_reported_as_done() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let _holder = hold_lock(&daemon);
    let error = daemon.rpc().error("send", json!({ "to": peer.name(), "text": "hello" }));
    assert_eq!(error["data"]["kind"], "not_recorded");
    assert_eq!(peer.receive().0, b"hello", "it went out all the same, and the error says so");
    let (to, other) = (peer.name(), Peer::new());
    let both = format!("{to},{}", other.name());
    let unrecorded = ["is not recorded", "2 of 2 messages were sent, but are not recorded"];
    daemon.ctl(&["send", &to, "x"]).fails(1, &["the message was sent, but is not recorded"]);
    daemon.ctl(&["send", &both, "x"]).fails(1, &unrecorded);
    daemon.ctl_with_input(&["send", &to, "--lines"], b"x\nx\n").fails(1, &unrecorded);
    daemon.ctl_with_input(&["send", &both, "--lines"], b"x\n").fails(1, &unrecorded);
    let repeated = daemon.ctl(&["--json", "send", &to, "x", "--every", "1ms", "-c", "2"]);
    let summary: Value = serde_json::from_str(&repeated.stdout).unwrap();
    repeated.fails(1, &["not_recorded", unrecorded[1]]);
    assert_eq!([&summary["sent"], &summary["unrecorded"], &summary["failed"]], [2, 2, 0]);
    let recorded =
        json!({ "type": "message", "id": 1, "at": "2026-11-26T22:03:05Z", "direction": "in", "raw": "eA==" });
    let replayed = format!("{recorded}\n{recorded}\n");
    daemon.ctl_with_input(&["replay", "--file", "-", "--to", &to], replayed.as_bytes()).fails(1, &unrecorded);
    assert!((0..8).all(|_| peer.receive().0 == b"x") && (0..2).all(|_| other.receive().0 == b"x"));
}

#[test]
fn stopping_with_an_unwritable_inbox_reports_the_loss() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    peer.send(daemon.address(), "before");
    let _status = daemon.stored(1);
    let holder = hold_lock(&daemon);
    for _ in 0..5 {
        peer.send(daemon.address(), "lost");
    }
    eventually("messages to be queued", || (daemon.status()["queued"] == 5).then_some(()));
    assert!(problem(&daemon).contains("cannot be written"), "{}", daemon.status());
    let refused = ["5 messages in memory cannot be stored now and would be lost", "udpchatctl status"];
    daemon.ctl(&["stop", "--unless-losing"]).fails(1, &refused);
    daemon.ctl_in_chinese(&["stop", "--unless-losing"]).fails(1, &["内存中有 5 条消息"]);
    assert_eq!(daemon.ctl(&["stop"]).ok(), "stopped; 5 messages in memory could not be stored\n");
    let queued = daemon.log_line(
        "the inbox cannot be written: the queued messages are lost unless it can be within seconds",
    );
    assert_eq!((&queued["level"], &queued["queued"]), (&json!("ERROR"), &json!(5)));
    assert_eq!(daemon.wait().code(), Some(1));
    let last = "5 entries could not be stored and are lost: the inbox could not be written up to the end";
    assert_eq!(daemon.log_line(last)["level"], "ERROR");
    drop(holder);
    let daemon = daemon.start_again();
    eventually("the next daemon to report them", || {
        let lost = daemon.entries().iter().filter_map(|entry| entry["lost"].as_u64()).sum::<u64>();
        (lost == 5).then_some(())
    });
}

#[test]
fn a_daemon_that_can_store_stops_at_once() {
    let mut daemon = Daemon::start();
    assert_eq!(daemon.ctl(&["--json", "stop"]).ok(), "{\"stopping\":true}\n");
    assert!(daemon.wait().success());
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
    let mut command = command_in(folder.path());
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

#[test]
fn a_removed_data_directory_is_made_again() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before"]);
    std::fs::remove_dir_all(daemon.path("data")).unwrap();
    daemon.receive_from(&peer, ["after 1", "after 2"]);
    let answered = daemon.ctl(&["--json", "send", &peer.name(), "answered for"]);
    assert_eq!(answered.json()[0]["id"], 4, "ids continue");
    let problems = daemon.status()["problems"].to_string();
    assert!(problems.contains("removed or replaced") && problems.contains("up to #1"), "{problems}");
    Daemon::refused_at(&daemon.path("data"), &daemon.path("s2")).fails(&["is in use by"]);
    // The in-flight journal and the lock are there again too.
    assert!(daemon.path("data/books").exists());
    let daemon = daemon.start_again();
    assert_eq!(texts(&daemon.entries()), ["after 1", "after 2", "answered for"]);
}

#[test]
fn a_directory_that_cannot_be_made_again_stores_nothing() {
    let Some(_) = OtherUser::get() else { return };
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before"]);
    std::fs::remove_dir_all(daemon.path("data")).unwrap();
    // Not even root can make a directory there.
    std::fs::write(daemon.path("data"), "in the way").unwrap();
    peer.send(daemon.address(), "held");
    let written = eventually("the problem", || {
        let status = daemon.status();
        let problems = status["problems"].to_string();
        problems.contains("new messages wait in memory").then_some(status)
    });
    assert_eq!((&written["stored"], &written["queued"]), (&json!(1), &json!(1)));
    daemon.ctl(&["send", &peer.name(), "not answered for"]).fails(1, &["not recorded"]);
    std::fs::remove_file(daemon.path("data")).unwrap();
    // It is killed only when both are stored.
    eventually("both messages", || (daemon.entries().len() == 2).then_some(()));
    let daemon = daemon.start_again();
    assert_eq!(texts(&daemon.entries()), ["held", "not answered for"]);
}

#[test]
fn an_unreadable_directory_is_no_removal() {
    let Some(other) = OtherUser::get() else { return };
    let folder = new_folder();
    let parent = folder.path().join("p");
    std::fs::create_dir(&parent).unwrap();
    for path in [folder.path(), &parent] {
        std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
    }
    let mut command = other.command(env!("CARGO_BIN_EXE_udpchatd"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(parent.join("data"));
    let socket = folder.path().join("s");
    let mut daemon = Background::start(command.arg("--socket").arg(&socket));
    let mut rpc = daemon.answers_on(&socket);
    let status = rpc.call("status", json!({}));
    let address = status["listen"][0].as_str().unwrap().parse().unwrap();
    let inode = || std::fs::metadata(parent.join("data/inbox.db")).unwrap().ino();
    let (before, peer) = (inode(), Peer::new());
    let mode = |mode| std::fs::set_permissions(&parent, std::os::unix::fs::PermissionsExt::from_mode(mode));
    mode(0o000).unwrap();
    for number in 1..=3 {
        peer.send(address, "x");
        eventually("the message", || (rpc.call("status", json!({}))["stored"] == number).then_some(()));
    }
    mode(0o755).unwrap();
    eventually("the state ok", || (rpc.call("status", json!({}))["state"] == "ok").then_some(()));
    assert_eq!(inode(), before);
}

#[test]
fn a_file_size_limit_is_a_full_disk() {
    if !available("prlimit") {
        return;
    }
    let folder = new_folder();
    std::fs::write(folder.path().join("config.toml"), "").unwrap();
    let daemon = command_in(folder.path());
    let mut command = Command::new("prlimit");
    command.arg("--fsize=400000").arg(daemon.get_program()).args(daemon.get_args()).env_clear();
    command.args(["--listen", "127.0.0.1:0"]).env("HOME", folder.path());
    let mut daemon = Daemon::start_by(folder, &mut command);
    let peer = Peer::new();
    let status = eventually("the problem", || {
        peer.send(daemon.address(), [b'x'; 1_400]);
        let status = daemon.status();
        (status["state"] == "degraded").then_some(status)
    });
    let problems = status["problems"].to_string();
    assert!(problems.contains("cannot be written"), "{problems}");
    let limit =
        "at most 400000 bytes: `ulimit -f unlimited` lifts the limit, under systemd `LimitFSIZE=infinity`";
    assert!(problems.contains(limit), "{problems}");
    let warning =
        |line: &String| line.contains("the inbox cannot reach its `max_size`") && line.contains(limit);
    assert!(daemon.log().iter().any(warning), "{:?}", daemon.log());
    peer.send(daemon.address(), "still received");
    eventually("it to be received", || (daemon.status()["queued"].as_u64() > Some(1)).then_some(()));
}

/// Runs a daemon whose folder is a small file system.
const SMALL_DISK: &str = "mount -t tmpfs -o size=2m,mode=700 udpchat \"$1\" && shift && exec \"$@\"";

#[test]
fn a_full_disk_can_be_read() {
    if !can_mount() {
        return;
    }
    let (data, outside) = (new_folder(), new_folder());
    let socket = outside.path().join("s");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", SMALL_DISK, "sh"])
        .arg(data.path())
        .arg(env!("CARGO_BIN_EXE_udpchatd"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path()).arg("--socket").arg(&socket);
    let config = outside.path().join("config.toml");
    std::fs::write(&config, "inbox.max_size = '1GiB'").unwrap();
    let mut daemon = Background::start(command.arg("--config").arg(&config));
    let mut rpc = daemon.answers_on(&socket);
    let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let peer = Peer::new();
    eventually("the disk to be full", || {
        peer.send(address, [b'x'; 1_400]);
        (rpc.call("status", json!({}))["state"] == "degraded").then_some(())
    });
    // Another program takes all that becomes free, while the daemon tries again and again.
    let ballast = format!("/proc/{}/root{}/ballast", daemon.pid(), data.path().display());
    let mut ballast = std::fs::File::create(ballast).unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        while ballast.write(&[0; 4_096]).is_ok() {}
        assert_eq!(rpc.entries(json!({ "after": 0, "limit": 1 }))[0]["id"], 1);
    }
}

/// Runs a daemon whose folder is a file system of its own, mounted read-only; a line on the pipe makes it writable.
const READ_ONLY: &str = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && \
    { (read line && mount -o remount,bind,rw \"$FOLDER\") <\"$PIPE\" & } && exec \"$@\"";

#[test]
fn a_daemon_on_a_read_only_disk_receives() {
    if !can_mount() {
        return;
    }
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before"]);
    let (folder, _) = daemon.into_folder();
    let (data, outside) = (folder.path().join("data"), new_folder());
    let (socket, pipe) = (outside.path().join("s"), outside.path().join("pipe"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", READ_ONLY, "sh"]).arg(&data).env("FOLDER", &data).env("PIPE", &pipe);
    command.arg(env!("CARGO_BIN_EXE_udpchatd")).args(["--listen", "127.0.0.1:0"]);
    let mut daemon = Background::start(command.arg("--data-dir").arg(&data).arg("--socket").arg(&socket));
    let mut rpc = daemon.answers_on(&socket);
    let status = rpc.call("status", json!({}));
    assert_eq!(status["state"], "degraded");
    assert!(status["problems"].to_string().contains("cannot be written"), "{status}");
    let address = status["listen"][0].as_str().unwrap().parse().unwrap();
    peer.send(address, "held");
    eventually("it to be received", || (rpc.call("status", json!({}))["queued"] == 1).then_some(()));
    std::fs::write(&pipe, "go\n").unwrap();
    eventually("it to be stored", || (rpc.call("status", json!({}))["stored"] == 1).then_some(()));
    eventually("the end of the problems", || (rpc.call("status", json!({}))["state"] == "ok").then_some(()));
    assert_eq!(texts(&rpc.entries(json!({ "after": 0 }))), ["before", "held"]);
}

/// Runs a daemon whose folder is a disk of its own; a line on the pipe unmounts it, a second one mounts it again.
const DISK_AWAY: &str = "mount -t tmpfs -o mode=700 udpchat \"$DISK\" && mount --bind \"$DISK\" \"$1\" && shift && \
    { (read line && umount -l \"$FOLDER\" && read line && mount --bind \"$DISK\" \"$FOLDER\") <\"$PIPE\" & } && exec \"$@\"";

#[test]
fn messages_wait_for_a_disk_that_is_not_mounted() {
    if !can_mount() {
        return;
    }
    let (data, disk, outside) = (new_folder(), new_folder(), new_folder());
    let (socket, pipe) = (outside.path().join("s"), outside.path().join("pipe"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", DISK_AWAY, "sh"]).arg(data.path()).env("FOLDER", data.path());
    command.env("DISK", disk.path()).env("PIPE", &pipe);
    command.arg(env!("CARGO_BIN_EXE_udpchatd")).args(["--listen", "127.0.0.1:0"]);
    let mut daemon =
        Background::start(command.arg("--data-dir").arg(data.path()).arg("--socket").arg(&socket));
    let mut rpc = daemon.answers_on(&socket);
    let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let peer = Peer::new();
    peer.send(address, "before");
    eventually("it to be stored", || (rpc.call("status", json!({}))["stored"] == 1).then_some(()));
    let mut pipe = std::fs::File::create(&pipe).unwrap();
    pipe.write_all(b"out\n").unwrap();
    let inbox = format!("/proc/{}/root{}/inbox.db", daemon.pid(), data.path().display());
    eventually("the disk to go", || (!std::path::Path::new(&inbox).exists()).then_some(()));
    peer.send(address, "meanwhile");
    eventually("the problem", || {
        let status = rpc.call("status", json!({}));
        (status["problems"].to_string().contains("another disk") && status["queued"] == 1).then_some(())
    });
    assert!(std::fs::read_dir(data.path()).unwrap().next().is_none(), "something was stored below the disk");
    pipe.write_all(b"in\n").unwrap();
    eventually("it to be stored", || (rpc.call("status", json!({}))["stored"] == 2).then_some(()));
    assert_eq!(texts(&rpc.entries(json!({ "after": 0 }))), ["before", "meanwhile"]);
}
