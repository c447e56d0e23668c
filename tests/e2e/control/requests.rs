//! The lines of the control socket: no input and no unread output of a client does harm.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use serde_json::{Value, json};
use udpchat_api::MAX_LINE_BYTES;

use crate::support::{DEADLINE, Daemon, Peer, Rpc, ctl_without_daemon, eventually, new_folder, scaled};

/// Checks a reply that must be an error.
#[track_caller]
fn assert_error(reply: &Value, id: &Value, code: i64, kind: &str, texts: &[&str]) {
    assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), id), "{reply}");
    assert!(reply.get("result").is_none(), "{reply}");
    let error = &reply["error"];
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(code), &json!(kind)), "{reply}");
    let message = error["message"].as_str().unwrap();
    assert!(!message.is_empty() && texts.iter().all(|text| message.contains(text)), "{reply}");
}

/// Checks that a connection still answers.
#[track_caller]
fn assert_usable(rpc: &mut Rpc) {
    assert_eq!(rpc.call("version", json!({}))["protocol"], udpchat_api::PROTOCOL);
}

/// A wrong line, and the id, the code, the kind and the texts of its error.
type Wrong<'a> = (&'a [u8], Value, i64, &'a str, &'a [&'a str]);

/// Writes lines that each get one error, on one connection that stays usable.
#[track_caller]
fn assert_errors(lines: &[Wrong<'_>]) {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    for (line, id, code, kind, texts) in lines {
        rpc.write(&[line, &b"\n"[..]].concat());
        let reply = rpc.line().expect("a reply");
        assert_error(&reply, id, *code, kind, texts);
        assert_usable(&mut rpc);
    }
}

#[test]
fn invalid_json_gets_one_error_and_keeps_the_connection() {
    let deep =
        |levels: usize| format!(r#"{{"jsonrpc":"2.0","id":1,"method":{}"#, "[".repeat(levels)).into_bytes();
    let no_json: [&[u8]; 9] = [
        b"{",
        b"hello",
        b"{'jsonrpc':'2.0'}",
        br#"{"jsonrpc":"2.0","id":1,"method":"version"} {}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"version",}"#,
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
        b"\0",
        &deep(200),
        &deep(100_000),
    ];
    assert_errors(&no_json.map(|line| (line, Value::Null, -32700, "malformed", &["not JSON"][..])));
}

#[test]
fn json_without_a_request_gets_one_error() {
    let kind = "invalid_request";
    let nested = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    assert_errors(&[
        (b"[]", Value::Null, -32600, kind, &["object"]),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"version"}]"#, Value::Null, -32600, kind, &["batches"]),
        (b"1", Value::Null, -32600, kind, &["object"]),
        (b"null", Value::Null, -32600, kind, &["object"]),
        (br#""version""#, Value::Null, -32600, kind, &["object"]),
        (b"{}", Value::Null, -32600, kind, &["jsonrpc"]),
        (br#"{"id":1,"method":"version"}"#, json!(1), -32600, kind, &["jsonrpc"]),
        (br#"{"jsonrpc":"1.0","id":1,"method":"version"}"#, json!(1), -32600, kind, &["1.0"]),
        (br#"{"jsonrpc":2.0,"id":1,"method":"version"}"#, json!(1), -32600, kind, &[]),
        (br#"{"jsonrpc":"2.0","id":1}"#, json!(1), -32600, kind, &["method"]),
        (br#"{"jsonrpc":"2.0","id":1,"method":5}"#, json!(1), -32600, kind, &[]),
        (br#"{"jsonrpc":"2.0","id":"a","method":"version","more":1}"#, json!("a"), -32600, kind, &["more"]),
        (br#"{"jsonrpc":"2.0","id":{},"method":"version"}"#, Value::Null, -32600, kind, &["`id`"]),
        (br#"{"jsonrpc":"2.0","id":[1],"method":"version"}"#, Value::Null, -32600, kind, &["`id`"]),
        (br#"{"jsonrpc":"2.0","id":true,"method":"version"}"#, Value::Null, -32600, kind, &["`id`"]),
        (nested.as_bytes(), json!(1), -32600, kind, &[]),
    ]);
}

#[test]
fn times_in_requests_are_those_of_the_command_line() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["now"]);
    let mut rpc = daemon.rpc();
    for (filters, found) in [
        (json!({ "since": "2h" }), 1),
        (json!({ "since": "2020-01-01 7:00" }), 1),
        (json!({ "since": "2020-01-01", "until": "now" }), 1),
        (json!({ "since": "3d", "until": "2h" }), 0),
        (json!({ "until": "2020-01-01T00:00:00+08:00" }), 0),
    ] {
        assert_eq!(rpc.entries(filters.clone()).len(), found, "{filters}");
    }
    assert_errors(&[(
        br#"{"jsonrpc":"2.0","id":1,"method":"inbox","params":{"until":"tomorrow"}}"#,
        json!(1),
        -32602,
        "invalid_params",
        &["`until`: invalid time `tomorrow`"],
    )]);
}

#[test]
fn a_wrong_method_or_parameter_is_named() {
    let lines = [
        ("frobnicate", "{}", -32601, "unknown_method", &["`frobnicate`"][..]),
        ("Version", "{}", -32601, "unknown_method", &["`Version`"]),
        ("", "{}", -32601, "unknown_method", &[]),
        ("version", r#"{"frob":1}"#, -32602, "invalid_params", &["`frob`"]),
        ("inbox", r#"{"limit":5,"frob":1}"#, -32602, "invalid_params", &["`frob`"]),
        ("subscribe", r#"{"frob":1}"#, -32602, "invalid_params", &["`frob`"]),
        ("inbox", r#"{"limit":"many"}"#, -32602, "invalid_params", &["`limit`", "many"]),
        ("inbox", r#"{"after":-1}"#, -32602, "invalid_params", &["`after`", "-1"]),
        ("inbox", r#"{"order":"up"}"#, -32602, "invalid_params", &["`up`", "asc"]),
        ("inbox", r#"{"since":"whenever"}"#, -32602, "invalid_params", &["`since`"]),
        ("inbox", "[5]", -32602, "invalid_params", &["by name"]),
        ("inbox", "5", -32602, "invalid_params", &["by name"]),
        ("ack", "{}", -32602, "invalid_params", &["`id`"]),
        ("ack", r#"{"id":1}"#, -32602, "invalid_params", &["newest"]),
        ("send", "{}", -32602, "invalid_params", &["`to`"]),
        ("send", r#"{"to":"127.0.0.1:9"}"#, -32602, "invalid_params", &["`text`", "`raw`"]),
        ("send", r#"{"to":"127.0.0.1:9","text":"a","raw":"YQ=="}"#, -32602, "invalid_params", &["`raw`"]),
        ("send", r#"{"to":"127.0.0.1:9","raw":"*"}"#, -32602, "invalid_params", &["base64"]),
        ("send", r#"{"to":"127.0.0.1:9","text":""}"#, -32005, "empty_message", &["empty"]),
        ("send", r#"{"reply_to":9,"text":"a"}"#, -32009, "no_such_entry", &["9"]),
        ("unsubscribe", "{}", -32014, "subscription", &["no subscription"]),
    ];
    let lines = lines.map(|(method, params, code, kind, texts)| {
        let line = format!(r#"{{"jsonrpc":"2.0","id":"x","method":"{method}","params":{params}}}"#);
        (line, code, kind, texts)
    });
    let wanted =
        lines.each_ref().map(|(line, code, kind, texts)| (line.as_bytes(), json!("x"), *code, *kind, *texts));
    assert_errors(&wanted);
}

#[test]
fn every_kind_of_id_is_echoed() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    for id in [json!(1), json!(-5), json!(1.5), json!(u64::MAX), json!("a\u{202e}\n"), json!(""), Value::Null]
    {
        rpc.write(format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "version" })).as_bytes());
        let reply = rpc.line().unwrap();
        assert_eq!(reply.get("id"), Some(&id));
        assert!(reply.get("result").is_some(), "{reply}");
    }
}

#[test]
fn a_notification_is_executed_and_never_answered() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    daemon.receive_from(&Peer::new(), ["x"]);
    for line in
        [r#""method":"ack","params":{"id":1}"#, r#""method":"nosuch""#, r#""method":"ack","params":[]"#]
    {
        rpc.write(format!("{{\"jsonrpc\":\"2.0\",{line}}}\n").as_bytes());
    }
    assert_eq!(rpc.call("inbox", json!({}))["unread"], 0);
}

#[test]
fn both_line_endings_and_empty_lines_are_accepted() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(b"\r\n\n  \n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}\r\n");
    assert_eq!(rpc.line().unwrap()["id"], 1);
    assert_usable(&mut rpc);
}

fn request(id: usize) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"version\"}}\n")
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write((0..1_000).map(request).collect::<String>().as_bytes());
    for id in 0..1_000 {
        assert_eq!(rpc.line().unwrap()["id"], id);
    }
}

#[test]
fn a_request_in_pieces_is_answered() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    for byte in request(5).bytes() {
        rpc.write(&[byte]);
    }
    assert_eq!(rpc.line().unwrap()["id"], 5);
}

/// Returns a request of this length, line end included.
fn request_of_length(length: usize) -> Vec<u8> {
    let request = request(5);
    let blanks = " ".repeat(length - request.len());
    format!("{}{blanks}\n", request.trim_end()).into_bytes()
}

#[test]
fn a_line_of_exactly_the_limit_is_answered() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(&request_of_length(MAX_LINE_BYTES));
    assert_eq!(rpc.line().unwrap()["id"], 5);
    assert_usable(&mut rpc);
}

#[test]
fn a_longer_line_gets_an_error_and_a_disconnect() {
    let daemon = Daemon::start();
    for line in [request_of_length(MAX_LINE_BYTES + 1), vec![b'x'; MAX_LINE_BYTES + 1]] {
        let mut rpc = daemon.rpc();
        rpc.write(&line);
        let reply = rpc.line().expect("an error");
        assert_error(&reply, &Value::Null, -32700, "malformed", &["longer than 524288 bytes"]);
        assert_eq!(rpc.line(), None);
    }
    assert_usable(&mut daemon.rpc());
}

#[test]
fn an_endless_line_is_not_buffered_without_limit() {
    let daemon = Daemon::start();
    let mut client = UnixStream::connect(daemon.socket()).unwrap();
    client.set_write_timeout(Some(DEADLINE)).unwrap();
    let piece = [b'x'; 65_536];
    let failed = (0..1_000).find_map(|_| client.write_all(&piece).err()).expect("the connection ends");
    let ended = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(ended.contains(&failed.kind()), "{failed}");
    assert_usable(&mut daemon.rpc());
}

#[test]
fn the_last_line_needs_no_newline() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(request(5).trim_end().as_bytes());
    rpc.end_writing();
    assert_eq!(rpc.line().unwrap()["id"], 5);
    assert_eq!(rpc.line(), None);
}

#[test]
fn a_truncated_last_line_is_harmless() {
    let daemon = Daemon::start();
    let half = &request(5)[..20];
    let mut rpc = daemon.rpc();
    rpc.write(half.as_bytes());
    rpc.end_writing();
    assert_error(&rpc.line().unwrap(), &Value::Null, -32700, "malformed", &["not JSON"]);
    for _ in 0..100 {
        daemon.rpc().write(half.as_bytes());
    }
    assert_usable(&mut daemon.rpc());
}

// The connections.

#[test]
fn a_hundred_connections_are_answered_concurrently() {
    let daemon = Daemon::start();
    let mut connections: Vec<_> = (0..100).map(|_| daemon.rpc()).collect();
    for round in 0..3 {
        for (number, rpc) in connections.iter_mut().enumerate() {
            rpc.write(request(round * 1_000 + number).as_bytes());
        }
        for (number, rpc) in connections.iter_mut().enumerate().rev() {
            assert_eq!(rpc.line().unwrap()["id"], round * 1_000 + number);
        }
    }
}

#[test]
fn connections_over_the_limit_are_refused() {
    const MOST: usize = 256;
    let daemon = Daemon::start();
    let connect = || {
        let stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    let mut open: Vec<_> = (0..MOST).map(|_| connect()).collect();
    let refused = Rpc::connect(&daemon.socket()).line().expect("a refusal");
    assert_error(&refused, &Value::Null, -32012, "busy", &["256"]);
    open.pop();
    eventually("room for a connection", || {
        let mut stream = connect();
        // A refused one may be closed before this is written.
        let _refused = stream.write_all(request(5).as_bytes());
        let mut answer = vec![0; 1_000];
        let length = stream.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).contains("result").then_some(())
    });
}

/// Opens connections to a socket that accepts none, until its backlog is full.
fn fill_backlog(socket: &Path) -> Vec<OwnedFd> {
    let address = UnixAddr::new(socket).unwrap();
    let connect = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let client = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        nix::sys::socket::connect(client.as_raw_fd(), &address).map(|()| client)
    };
    let clients: Vec<_> = std::iter::from_fn(|| connect().ok()).take(1_000).collect();
    assert_eq!(connect().err(), Some(nix::errno::Errno::EAGAIN), "{} clients", clients.len());
    clients
}

/// Listens on a socket with a backlog of a few connections, and accepts none.
fn listen_without_accepting(socket: &Path) -> OwnedFd {
    let listener = OwnedFd::from(UnixListener::bind(socket).unwrap());
    nix::sys::socket::listen(&listener, Backlog::new(4).unwrap()).unwrap();
    listener
}

#[test]
fn a_full_backlog_is_an_error_and_no_hang() {
    let folder = new_folder();
    let socket = folder.path().join("s");
    let _listener = listen_without_accepting(&socket);
    let _clients = fill_backlog(&socket);
    let began = Instant::now();
    let path = socket.to_str().unwrap();
    let ran = ctl_without_daemon(&["--socket", path, "--json", "version"], &[]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], ran.code), (&json!("busy"), Some(1)), "{error}");
    let expected = format!(
        "error: the daemon at {path} accepts no connection\n\
         \x20 caused by: too many clients are waiting for the daemon to accept them\n\
         hint: try again; if this lasts, the daemon hangs: see its log, and restart it\n"
    );
    for command in ["version", "status"] {
        let ran = ctl_without_daemon(&["--socket", path, command], &[]);
        assert_eq!((ran.code, &ran.stderr), (Some(1), &expected), "{command}");
    }
    assert!(began.elapsed() < DEADLINE);
}

#[test]
fn a_daemon_refuses_a_socket_whose_backlog_is_full() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let socket = folder.path().join("s");
    let _listener = listen_without_accepting(&socket);
    let _clients = fill_backlog(&socket);
    let refused = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("another program listens"), "{}", refused.stderr);
}

#[test]
fn a_client_that_never_reads_is_harmless() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, vec![[b'x'; 1_000]; 1_000]);
    let mut follower = daemon.rpc();
    follower.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"after\":0}}\n");
    let mut asker = UnixStream::connect(daemon.socket()).unwrap();
    asker.set_nonblocking(true).unwrap();
    let question =
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"inbox\",\"params\":{\"after\":0,\"limit\":1000}}\n";
    // Until the daemon, which cannot answer, stops reading.
    while asker.write_all(question).is_ok() {}
    assert_usable(&mut daemon.rpc());
    daemon.receive_from(&peer, ["still here"]);
    assert_eq!(daemon.entries().last().unwrap()["text"], "still here");
    assert_eq!(daemon.status()["state"], "ok");
}

// All at once.

/// Pseudo-random numbers (xorshift), the same at each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Makes a line of a request by changing, dropping, doubling and moving some of its bytes.
    fn mangled(&mut self, request: &str) -> Vec<u8> {
        let mut line = request.as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            let (at, to) = (self.below(line.len()), self.below(line.len()));
            match self.below(6) {
                0 => line[at] = self.below(256) as u8,
                1 => drop(line.remove(at)),
                2 => line.insert(at, br#"{}[]",:\0-e"#[self.below(11)]),
                3 => line.swap(at, to),
                4 => line.extend_from_within(at.min(to)..at.max(to)),
                _ => line.truncate(at.max(1)),
            }
            if line.is_empty() {
                line.push(b' ');
            }
        }
        line.retain(|byte| *byte != b'\n');
        line
    }
}

/// The expected response to a line: an error, none, or any.
fn assert_fits(line: &[u8], reply: Option<&Value>) {
    let shown = String::from_utf8_lossy(line);
    let is_blank = line.iter().all(u8::is_ascii_whitespace);
    match serde_json::from_slice::<Value>(line) {
        Err(_) if is_blank => assert_eq!(reply, None, "{shown}"),
        Err(_) => assert_error(reply.expect(&shown), &Value::Null, -32700, "malformed", &[]),
        Ok(value) if value.get("id").is_some() => {
            let reply = reply.expect(&shown);
            assert!(reply.get("result").is_some() != reply.get("error").is_some(), "{shown}: {reply}");
        }
        // A notification, or no request at all.
        Ok(_) => assert!(reply.is_none_or(|reply| reply["error"]["code"] == -32600), "{shown}: {reply:?}"),
    }
}

#[test]
fn thousands_of_mangled_requests_get_one_answer_each() {
    let requests = [
        r#"{"jsonrpc":"2.0","id":1,"method":"version"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"inbox","params":{"after":0,"limit":5,"order":"desc"}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"inbox","params":{"grep":"(a|b)*","since":"2026-01-01T00:00:00Z"}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"ack","params":{"id":0,"consumer":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"status","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"send","params":{"reply_to":77,"text":"\u4f60"}}"#,
    ];
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["a", "b"]);
    let (mut rpc, mut random) = (daemon.rpc(), Random(0x5eed));
    for number in 0..scaled(3_000, 100_000) {
        let request = requests[random.below(requests.len())];
        let line = random.mangled(request);
        let end = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"end {number}\",\"method\":\"version\"}}\n");
        rpc.write(&[&line, &b"\n"[..], end.as_bytes()].concat());
        let is_end = |reply: &Value| reply["id"] == format!("end {number}");
        let reply = Some(rpc.line().expect("a reply")).filter(|reply| !is_end(reply));
        if reply.is_some() {
            assert!(
                is_end(&rpc.line().unwrap()),
                "more than one answer to {}",
                String::from_utf8_lossy(&line)
            );
        }
        assert_fits(&line, reply.as_ref());
    }
    assert_eq!(daemon.status()["state"], "ok");
}
