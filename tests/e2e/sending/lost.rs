//! A daemon that dies while it handles a message: every command says that the message may have been sent.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Completed, ctl_without_daemon, new_folder};

/// Answers requests for pages with an empty one, and the first `answered` messages; dies at the next one.
fn serve(stream: &UnixStream, answered: usize) {
    let mut sends = 0;
    for line in BufReader::new(stream).lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let result = match request["method"].as_str() {
            Some("send") if sends == answered => return,
            Some("send") => {
                sends += 1;
                json!({
                    "type": "message", "id": sends, "at": "2026-11-22T12:00:00Z", "direction": "out",
                    "peer": "127.0.0.1:9", "text": "x", "encoding": "utf-8", "encoding_by": "fallback", "bytes": 1, "raw": "eA==",
                })
            }
            Some("inbox") => json!({ "entries": [], "next": 0, "more": false, "unread": 0 }),
            // The subscription of `ask`: the daemon dies while the command waits.
            _ => return,
        };
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        let mut stream = stream;
        writeln!(stream, "{answer}").unwrap();
    }
}

/// Runs a command with a daemon that dies at the message after `answered` ones.
fn ctl_of_dying_daemon(folder: &Path, answered: usize, args: &[&str]) -> Completed {
    let socket = folder.join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let path = socket.clone();
    let daemon = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        serve(&stream, answered);
        fs::remove_file(path).unwrap();
        // What the command has sent after that is read, so that it sees the end of the connection and no reset.
        stream.shutdown(Shutdown::Write).unwrap();
        let _rest = io::copy(&mut &stream, &mut io::sink());
    });
    let ran = ctl_without_daemon(&[&["--socket", socket.to_str().unwrap()], args].concat(), &[]);
    daemon.join().unwrap();
    ran
}

/// Returns what a command says whose connection was lost: its message, then why.
fn lost(folder: &Path, message: &str) -> String {
    let socket = folder.join("s");
    format!(
        "error: {message}\n  caused by: no daemon found at {} (no such socket)\n\
         hint: start one with `udpchatd`; `udpchatctl doctor` finds one that listens elsewhere\n",
        socket.display()
    )
}

#[test]
fn a_message_of_a_lost_connection_may_have_been_sent() {
    let folder = new_folder();
    let folder = folder.path();
    let expected = lost(folder, "the daemon closed the connection; the message may have been sent");
    for args in [&["send", "127.0.0.1:9", "x"][..], &["reply", "1", "x"], &["ask", "127.0.0.1:9", "x"]] {
        let ran = ctl_of_dying_daemon(folder, 0, args);
        assert_eq!((ran.code, &ran.stderr), (Some(1), &expected), "{args:?}");
    }
    let ran = ctl_of_dying_daemon(folder, 0, &["--json", "send", "127.0.0.1:9", "x"]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    let error = &error["error"];
    assert_eq!(error["kind"], "closed");
    assert_eq!(error["message"], "the daemon closed the connection; the message may have been sent");
    assert!(error["causes"][0].as_str().unwrap().starts_with("no daemon found at "), "{error}");
    assert!(error["hint"].as_str().unwrap().starts_with("start one with `udpchatd`"), "{error}");
}

#[test]
fn a_lost_connection_of_a_waiting_question_names_its_entry() {
    let folder = new_folder();
    let ran = ctl_of_dying_daemon(folder.path(), 1, &["ask", "127.0.0.1:9", "x"]);
    let expected = lost(folder.path(), "the daemon closed the connection; #1 was sent");
    assert_eq!((ran.code, ran.stderr), (Some(1), expected));
}

#[test]
fn an_interrupted_replay_counts_what_may_have_been_sent() {
    let folder = new_folder();
    let recorded = (1..=3).map(|id| {
        json!({
            "type": "message", "id": id, "at": "2026-11-22T12:00:00Z", "direction": "in", "peer": "127.0.0.1:9",
            "text": "x", "encoding": "utf-8", "encoding_by": "fallback", "bytes": 1, "raw": "eA==",
        })
    });
    let recorded: String = recorded.map(|entry| format!("{entry}\n")).collect();
    let file = folder.path().join("recorded");
    fs::write(&file, recorded).unwrap();
    let args = ["replay", "--speed", "max", "--to", "127.0.0.1:9", "--file", file.to_str().unwrap()];
    // The first message is sent alone.
    let ran = ctl_of_dying_daemon(folder.path(), 0, &args);
    let maybe = "the daemon closed the connection; 1 message without an answer may have been sent";
    assert_eq!((ran.code, ran.stderr), (Some(1), lost(folder.path(), maybe)));
    let ran = ctl_of_dying_daemon(folder.path(), 1, &args);
    let maybe = "the daemon closed the connection; ";
    let incomplete = format!("the replay is incomplete: it ended after 1 message\n  caused by: {maybe}");
    assert!(ran.stderr.starts_with(&format!("error: {incomplete}")), "{}", ran.stderr);
    assert!(ran.stderr.contains(" without an answer may have been sent\n"), "{}", ran.stderr);
}
