//! The control socket: who may open it, whose place it never takes, and that no client can harm it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use udpchat_api::MAX_LINE_BYTES;

use crate::support::{Background, DEADLINE, Daemon, Peer, Refused, Rpc, eventually, new_folder, scaled};

// The file.

/// Looks at a path again and again, once more after it is told to end, and returns every mode it has seen there.
fn watch_modes(path: PathBuf, end: Arc<AtomicBool>) -> JoinHandle<BTreeSet<u32>> {
    thread::spawn(move || {
        let mut seen = BTreeSet::new();
        loop {
            let last = end.load(Ordering::SeqCst);
            seen.extend(fs::symlink_metadata(&path).map(|metadata| metadata.mode() & 0o7777));
            if last {
                return seen;
            }
        }
    })
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Starts a daemon under a umask and with groups that may read, with places that it has to make, and checks every mode.
#[track_caller]
fn assert_modes_under(umask: &str, readers: &[u32], socket_mode: u32, directory_mode: u32) {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), format!("control.read = {readers:?}")).unwrap();
    let (socket, data) = (folder.path().join("run/here/s"), folder.path().join("var/data"));
    let end = Arc::new(AtomicBool::new(false));
    let modes = watch_modes(socket.clone(), Arc::clone(&end));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!(r#"umask {umask}; exec "$0" "$@""#), env!("CARGO_BIN_EXE_udpchatd")]);
    shell.env("HOME", folder.path()).args(["--listen", "127.0.0.1:0"]);
    shell.arg("--config").arg(folder.path().join("config.toml"));
    let mut daemon = Background::start(shell.arg("--socket").arg(&socket).arg("--data-dir").arg(&data));
    daemon.line_with("ready");
    end.store(true, Ordering::SeqCst);
    assert_eq!(modes.join().unwrap(), BTreeSet::from([socket_mode]), "umask {umask}");
    for (directory, wanted) in
        [("run", directory_mode), ("run/here", directory_mode), ("var", 0o700), ("var/data", 0o700)]
    {
        assert_eq!(mode(&folder.path().join(directory)), wanted, "umask {umask}: {directory}");
    }
    let files = [data.as_path(), socket.parent().unwrap()].map(|folder| fs::read_dir(folder).unwrap());
    for file in files.into_iter().flatten().map(|file| file.unwrap().path()).filter(|file| *file != socket) {
        assert_eq!(mode(&file), 0o600, "umask {umask}: {}", file.display());
    }
}

#[test]
fn socket_and_inbox_are_private_from_the_first_moment_whatever_the_umask() {
    for _ in 0..scaled(8, 50) {
        for umask in ["000", "022", "077"] {
            assert_modes_under(umask, &[], 0o600, 0o700);
        }
    }
}

#[test]
fn a_socket_for_groups_is_as_open_as_they_need_from_the_first_moment_whatever_the_umask() {
    let (own, another) = (nix::unistd::getegid().as_raw(), 4_000_000_001);
    for _ in 0..scaled(6, 50) {
        for umask in ["000", "022", "077"] {
            assert_modes_under(umask, &[own], 0o660, 0o755);
            assert_modes_under(umask, &[own, another], 0o666, 0o755);
        }
    }
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let daemon = Daemon::start();
    let (folder, flags) = daemon.into_folder();
    let left = fs::symlink_metadata(folder.path().join("s")).unwrap();
    assert!(left.file_type().is_socket());
    let daemon = Daemon::start_in(folder, flags);
    assert_eq!(daemon.status()["pid"], daemon.pid());
    assert_eq!(mode(&daemon.socket()), 0o600);
}

/// Puts something in the place of the socket, and checks that a daemon refuses to start there.
#[track_caller]
fn assert_refuses_the_place(put: impl FnOnce(&Path), texts: &[&str]) -> tempfile::TempDir {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    put(&folder.path().join("s"));
    let Refused { code, stderr } = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(folder.path().join("s").to_str().unwrap()), "{stderr}");
    assert!(texts.iter().all(|text| stderr.contains(text)), "{stderr}");
    folder
}

#[test]
fn a_file_in_the_place_of_the_socket_is_refused_and_kept() {
    let put = |path: &Path| fs::write(path, "precious").unwrap();
    let folder = assert_refuses_the_place(put, &["not a socket", "hint: ", "--socket"]);
    assert_eq!(fs::read(folder.path().join("s")).unwrap(), b"precious");
}

#[test]
fn a_directory_in_the_place_of_the_socket_is_refused_and_kept() {
    let put = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("inside"), "precious").unwrap();
    };
    let folder = assert_refuses_the_place(put, &["not a socket", "hint: "]);
    assert_eq!(fs::read(folder.path().join("s/inside")).unwrap(), b"precious");
}

#[test]
fn a_link_in_the_place_of_the_socket_is_refused_and_kept_with_its_target() {
    let put = |path: &Path| {
        fs::write(path.with_file_name("target"), "precious").unwrap();
        symlink("target", path).unwrap();
    };
    let folder = assert_refuses_the_place(put, &["not a socket", "hint: "]);
    assert_eq!(fs::read(folder.path().join("target")).unwrap(), b"precious");
    assert_eq!(fs::read_link(folder.path().join("s")).unwrap(), Path::new("target"));
    // One that points nowhere must not be followed either.
    let put = |path: &Path| symlink("nowhere", path).unwrap();
    let folder = assert_refuses_the_place(put, &["not a socket"]);
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_program_that_listens_on_the_socket_goes_on_listening() {
    let mut listener = None;
    let put = |path: &Path| listener = Some(UnixListener::bind(path).unwrap());
    let folder = assert_refuses_the_place(put, &["another program listens", "hint: "]);
    let listener = listener.unwrap();
    // Whoever knocked before.
    listener.set_nonblocking(true).unwrap();
    while listener.accept().is_ok() {}
    let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut heard = String::new();
    listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
}

#[test]
fn a_stopping_daemon_leaves_what_stands_in_the_place_of_its_socket() {
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    fs::remove_file(daemon.socket()).unwrap();
    fs::write(daemon.socket(), "precious").unwrap();
    rpc.call("stop", json!({}));
    assert!(daemon.wait().success());
    assert_eq!(fs::read(daemon.socket()).unwrap(), b"precious");
}

// The lines.

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

/// Checks that a connection answers as if nothing had happened.
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
fn a_line_that_is_no_json_gets_one_error_and_does_no_harm() {
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
fn json_that_is_no_request_gets_one_error_and_does_no_harm() {
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
fn every_kind_of_id_comes_back() {
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
fn a_notification_is_obeyed_and_never_answered() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    daemon.hear(&Peer::new(), ["x"]);
    for line in
        [r#""method":"ack","params":{"id":1}"#, r#""method":"nosuch""#, r#""method":"ack","params":[]"#]
    {
        rpc.write(format!("{{\"jsonrpc\":\"2.0\",{line}}}\n").as_bytes());
    }
    assert_eq!(rpc.call("inbox", json!({}))["unread"], 0);
}

#[test]
fn line_ends_of_both_kinds_and_empty_lines_are_fine() {
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
fn requests_in_one_write_are_answered_in_their_order() {
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

/// Makes a request so long, line end included.
fn request_of_length(length: usize) -> Vec<u8> {
    let request = request(5);
    let blanks = " ".repeat(length - request.len());
    format!("{}{blanks}\n", request.trim_end()).into_bytes()
}

#[test]
fn a_line_of_just_the_limit_is_answered() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(&request_of_length(MAX_LINE_BYTES));
    assert_eq!(rpc.line().unwrap()["id"], 5);
    assert_usable(&mut rpc);
}

#[test]
fn a_longer_line_gets_an_error_and_the_end_of_the_connection() {
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
fn a_line_without_an_end_is_not_read_for_ever() {
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
fn the_last_line_needs_no_line_end() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(request(5).trim_end().as_bytes());
    rpc.end_writing();
    assert_eq!(rpc.line().unwrap()["id"], 5);
    assert_eq!(rpc.line(), None);
}

#[test]
fn half_a_line_and_then_the_end_does_no_harm() {
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
fn a_hundred_connections_are_answered_side_by_side() {
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
fn one_connection_too_many_is_refused_until_another_ends() {
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

#[test]
fn a_client_that_never_reads_harms_nobody() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.hear(&peer, vec![[b'x'; 1_000]; 1_000]);
    let mut follower = daemon.rpc();
    follower.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"after\":0}}\n");
    let mut asker = UnixStream::connect(daemon.socket()).unwrap();
    asker.set_nonblocking(true).unwrap();
    let question =
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"inbox\",\"params\":{\"after\":0,\"limit\":1000}}\n";
    // As many as it takes until the daemon, which cannot answer, reads no more.
    while asker.write_all(question).is_ok() {}
    assert_usable(&mut daemon.rpc());
    daemon.hear(&peer, ["still here"]);
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

/// Tells what must come for a line: an error, nothing, or whatever the daemon makes of it.
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
    daemon.hear(&Peer::new(), ["a", "b"]);
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
