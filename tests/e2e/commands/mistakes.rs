//! Wrong use of `udpchatctl`: each mistake is explained, with the documented exit code, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use udpchat_api::safe::is_unsafe;

use crate::support::{
    Completed, Daemon, OtherUser, Peer, Tmux, ctl_without_daemon, eventually, new_folder, texts,
};

/// Checks that a run fails with this code and these texts and prints nothing on standard output, and reports the same as
/// one JSON object with `--json`.
#[track_caller]
fn assert_fails(daemon: &Daemon, args: &[&str], code: i32, texts: &[&str]) {
    let ran = daemon.ctl(args);
    assert_eq!(ran.stdout, "", "{args:?}");
    assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
    ran.fails(code, texts);
    assert_one_object(&daemon.ctl(&[&["--json"], args].concat()), code);
}

#[track_caller]
fn assert_one_object(ran: &Completed, code: i32) -> Value {
    assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{ran:#?}");
    let mut object: Value = serde_json::from_str(&ran.stderr).unwrap();
    let error = object["error"].take();
    assert_eq!((ran.code, &error["exit"]), (Some(code), &json!(code)), "{ran:#?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{ran:#?}");
    assert!(error["kind"].as_str().is_some_and(|kind| !kind.is_empty()), "{ran:#?}");
    error
}

#[test]
fn sending_to_an_unknown_peer_or_host_fails() {
    let daemon = Daemon::start();
    assert_fails(&daemon, &["send", "nobody-of-this-name", "hi"], 5, &["`nobody-of-this-name`", "hint: "]);
    assert_fails(&daemon, &["send", "nosuch.invalid", "hi"], 5, &["`nosuch.invalid`", "hint: "]);
    assert_fails(&daemon, &["send", "nosuch.invalid:8080", "hi"], 5, &["`nosuch.invalid`", "hint: "]);
    let named = Daemon::start_with("[peers.board-of-this-name]\naddress = \"127.0.0.8:4000\"\n", &[]);
    let hint = "`board-of-this-name` is the name of a peer and takes no port; write `127.0.0.8:9000` to send";
    assert_fails(&named, &["send", "board-of-this-name:9000", "hi"], 5, &[hint]);
    for all in ["broadcast", "所有人"] {
        assert_fails(&daemon, &["send", all, "hi"], 5, &["hint: 255.255.255.255 reaches every host"]);
    }
    // The destination behind the text.
    for text in [&["127.0.0.1:9"][..], &["my", "127.0.0.1:9"]] {
        let args = [&["send", "nobody-of-this-name"], text].concat();
        assert_fails(&daemon, &args, 5, &["before the text: `udpchatctl send 127.0.0.1:9 TEXT`"]);
    }
    assert!(daemon.entries().is_empty(), "nothing was sent");
}

#[test]
fn an_invalid_message_is_refused_before_sending() {
    let daemon = Daemon::start();
    let to = &*Peer::new().name();
    for (args, texts) in [
        (&["send", "127.0.0.1:0", "hi"][..], &["port 0 is out of range, 1 to 65535"][..]),
        (&["send", "127.0.0.1:70000", "hi"], &["port 70000 is out of range, 1 to 65535"]),
        (&["send", "127.0.0.1:http", "hi"], &["`http` is not a port number", "hint: "]),
        (&["send", "127.0.0.1 : 80", "hi"], &["`127.0.0.1 : 80` has a space", "hint: write `127.0.0.1:80`"]),
        (&["inbox", "--where", "t == nan"], &["`nan` is not a number such as 30, -1.5 or 0xaa55"]),
        (&["send", "a b", "hi"], &["`a b` is not a peer, host or address", "hint: "]),
        (&["send", to, ""], &["the message is empty", "--allow-empty"]),
        (&["send", to], &["the message is empty", "--allow-empty"]),
        (&["send", to, "-e", "gkb", "hi"], &["unknown encoding `gkb`", "did you mean `gbk`?"]),
        (&["send", to, "-e", r"get\n"], &[r"unknown encoding `get\n`"]),
        (&["send", to, "-q", "1", "get"], &["-q takes no value", "hint: leave 1 out"]),
        (&["send", to, "--append", "nmea", "PMTK220"], &["begins with `$` or `!`", "hint: in double quotes"]),
        (
            &["send", to, "--split", "--every", "5ms", "x"],
            &["--every sends all of the message", "hint: `-c N`"],
        ),
        (&["send", to, "-e", "gbkk", "hi"], &["unknown encoding `gbkk`", "did you mean `gbk`?"]),
        (&["send", to, "--hex", "c4 zz"], &["'z' at position 4", "hint: "]),
        (&["send", to, "--hex", "c4e"], &["odd number of hex digits (3)", "c40e"]),
        (&["send", to, "--escape", r"a\q"], &[r"`\q`", r"\xHH"]),
        (&["send", to, "--escape", r"a\x1"], &[r"`\x1`"]),
        (&["send", to, "--hex", "2 4"], &["odd number of hex digits before position 2", "02"]),
        (&["send", to, "--split", "1000", "hi"], &["`--split 1000`", "`--split=1000`"]),
        (&["send", to, "--split=", "hi"], &["'--split", "16 to 65507 bytes", "`--split` without `=`"]),
        (&["send", "127.0.0.1", "9000", "hi"], &["127.0.0.1:9000", "in quotes"]),
        (&["ask", "::1", "9000", "hi"], &["[::1]:9000", "in quotes"]),
        (&["send", "[::1]", "9000", "hi"], &["udpchatctl send [::1]:9000"]),
        (&["send", "localhost", "9000", "hi"], &["localhost:9000", "in quotes"]),
        (
            &["send", "127.0.0.1,9000", "hi"],
            &["is not an address and a port", "hint: write `127.0.0.1:9000`"],
        ),
        (&["send", "::1:27851", "hi"], &["is not an IPv6 address", "hint: write `[::1]:27851`"]),
        (&["inbox", "--from", "::1:27851"], &["is not an IPv6 address", "hint: write `[::1]:27851`"]),
        (
            &["send", "fe80::1%toolongname12345", "hi"],
            &["`toolongname12345` is not a name of an interface", "at most 15 bytes"],
        ),
        (&["send", "127.0.0.010", "hi"], &["`127.0.0.010` is not an IPv4 address", "127.0.0.10"]),
        (&["send", "127.1:9000", "hi"], &["`127.1` is not an IPv4 address", "four numbers"]),
        (&["send", "127.0.0.1：9000", "hi"], &["full-width character `：`", "write `127.0.0.1:9000`"]),
        (&["send", "127.0.0.1:９０００", "hi"], &["full-width character `９`", "write `127.0.0.1:9000`"]),
        (&["ask", "127。0。0。1", "hi"], &["full-width character `。`", "write `127.0.0.1`"]),
        (&["wait", "--from", "127.0.0.1：9"], &["full-width character `：`"]),
        (&["send", "*", "hi"], &["255.255.255.255"]),
        (&["broadcast", "hi"], &["255.255.255.255"]),
        (&["send", to, "--no-such", "hi"], &["'--no-such'", "`udpchatctl send --help` lists the options"]),
        (&["send", to, "-x", "hi"], &["'-x'", "`udpchatctl send --help` lists the options"]),
        (&["send", to, "-=-", "hi"], &["use '-- -='"]),
        (&["reply", "abc", "hi"], &["'abc'", "812"]),
        (
            &["send", "127.0.0.8:4000:1", "hi"],
            &["`127.0.0.8:4000:1` has two ports", "write `127.0.0.8:4000`"],
        ),
        (&["ask", "--hex", "01 03", "board8"], &["`udpchatctl ask board8 --hex '01 03'`"]),
        (&["send", "board8,", "board9", "X"], &["no space after the comma", "send board8,board9 TEXT`"]),
        (&["send", "board8 hi"], &["no peer is called `board8 hi`"]),
        (&["send", to, "hi", "--when-seen", "--for", "0"], &["a number alone is seconds"]),
        (&["send", to, "hi", "--crlf"], &["`--eol crlf`"]),
        (&["send", to, "hi", "--eol", "nl"], &["`crlf`, `lf`, `cr` or `none`"]),
        (&["reply", "1", "hi", "--crlf"], &["`--eol crlf`"]),
        (&["reply", "1", "hi", "--crc"], &["`--append SUM`"]),
        (&["export", "--hex"], &["--json inbox -a --hex"]),
        (&["export", "--csv"], &["`--format csv`"]),
        (&["inbox", "--tail", "3"], &["`-n N`"]),
        (&["inbox", "--last"], &["`-n N`"]),
        (&["inbox", "--text"], &["`--grep RE`"]),
        (&["inbox", "--bounced"], &["`--delivery bounced`"]),
        (&["hold", "bob", "hi"], &["--when-seen"]),
        (&["search", "x"], &["`udpchatctl inbox --grep RE`"]),
        (&["replay", "cap.jsonl", "--to", to], &["`--file cap.jsonl`"]),
        (
            &["replay", "--file", "cap.jsonl", "--from", "bob", "--to", to],
            &["`udpchatctl export --from PEER`"],
        ),
        (&["send"], &["<TO>"]),
    ] {
        assert_fails(&daemon, args, 2, texts);
    }
    assert_fails(
        &daemon,
        &["send", to, "-e", "hex", "你好"],
        5,
        &["`你` is no byte", "the encoding `hex` takes"],
    );
    assert_fails(&daemon, &["send", to, "-e", "gbk", "a😀"], 5, &["`😀` (U+1F600)", "gb18030"]);
    let long = "x".repeat(65_508);
    assert_fails(&daemon, &["send", to, &long], 5, &["65508", "65507", "--split"]);
    assert!(daemon.entries().is_empty(), "nothing was sent");
}

#[test]
fn a_misspelt_name_is_suggested() {
    let config = "[peers.bob]\naddress = '127.0.0.1:9'\n[peers.'node.lan']\naddress = '127.0.0.1:8'\n";
    let daemon = Daemon::start_with(config, &[]);
    for (args, code) in [
        (&["send", "BOB", "hi"][..], 5),
        (&["ask", "bbo", "hi"], 5),
        (&["inbox", "--from", "BOB"], 2),
        (&["wait", "--from", "Bob"], 2),
        (&["export", "--from", "boob"], 2),
    ] {
        assert_fails(&daemon, args, code, &["did you mean `bob`?"]);
    }
    assert_fails(&daemon, &["send", "node.lam", "hi"], 5, &["did you mean `node.lan`?"]);
    assert_fails(&daemon, &["send", "ff02::1%LO", "hi"], 2, &["no interface `LO`", "did you mean `lo`?"]);
    let found = daemon.ctl(&["--json", "doctor", "BOB"]);
    assert!(found.stdout.contains("did you mean `bob`?"), "{found:?}");
}

#[test]
fn allow_empty_sends_an_empty_message() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let _receipt = daemon.ctl(&["send", "--allow-empty", &peer.name(), ""]).ok();
    assert_eq!(peer.receive().0, b"");
}

#[test]
fn invalid_filters_are_refused() {
    let daemon = Daemon::start();
    for (args, texts) in [
        (&["inbox", "--grep", "a("][..], &["`grep`: invalid regular expression", "unclosed group"][..]),
        (&["inbox", "--since", "whenever"], &["invalid time 'whenever'", "yesterday"]),
        (&["inbox", "--until", "2026-13-01"], &["invalid time '2026-13-01'", "yesterday"]),
        (&["inbox", "--from", "no one"], &["`no one`", "udpchatctl peers"]),
        (&["inbox", "--consumer", "a b"], &["`consumer` must be 1 to 64"]),
        (&["inbox", "-n", "many"], &["'many'"]),
        (&["inbox", "--peek", "--all"], &["--peek", "--all"]),
    ] {
        assert_fails(&daemon, args, 2, texts);
    }
}

#[test]
fn a_wrong_command_line_suggests_the_nearest() {
    let daemon = Daemon::start();
    assert_fails(&daemon, &["status", "--frobnicate"], 2, &["'--frobnicate'", "--help"]);
    let unknown = daemon.ctl(&["inbox", "--frobnicate", "x"]);
    assert!(!unknown.stderr.contains("-- --frobnicate"), "{unknown:?}");
    unknown.fails(2, &["hint: `udpchatctl inbox --help` lists the options\n"]);
    daemon
        .ctl(&["send", "bob", "--frobnicate"])
        .fails(2, &["'-- --frobnicate'; `udpchatctl send --help` lists"]);
    assert_fails(&daemon, &["statsu"], 2, &["'statsu'", "'status'"]);
    assert_fails(&daemon, &["history"], 2, &["'history'", "udpchatctl inbox --all"]);
    assert_fails(&daemon, &["tail"], 2, &["'tail'", "udpchatctl inbox --follow"]);
    assert_fails(&daemon, &["--port", "9000", "send", "bob", "hi"], 2, &["'--port'", "HOST:PORT"]);
    assert_fails(&daemon, &["send", "--host", "bob", "hi"], 2, &["'--host'", "send HOST:PORT TEXT`"]);
    assert_fails(&daemon, &["inbox", "--folow"], 2, &["'--folow'", "--follow"]);
    assert_fails(&daemon, &[], 2, &["command", "--help"]);
    ctl_without_daemon(&[], &[]).fails(2, &["missing command", "--help"]);
}

#[test]
fn dashes_of_chinese_keyboards_are_no_options() {
    let daemon = Daemon::start();
    let to = &*Peer::new().name();
    let hint = "write `--every` with hyphens; as a text it stands behind `--`";
    assert_fails(
        &daemon,
        &["send", to, "hello", "——every", "1s"],
        2,
        &["`——every` has a dash that is no hyphen", hint],
    );
    assert_fails(&daemon, &["inbox", "—follow"], 2, &["write `--follow`"]);
    assert!(daemon.entries().is_empty(), "nothing was sent");
    for (arguments, option) in [
        (&["send", to, "好", "—e", "gbk"][..], "-e"),
        (&["inbox", "—n", "3"], "-n"),
        (&["inbox", "–n3"], "-n3"),
        (&["——help"], "--help"),
    ] {
        daemon
            .ctl(arguments)
            .fails(2, &["has a dash that is no hyphen", &format!("write `{option}` with hyphens")]);
    }
    daemon.ctl(&["-q", "send", to, "——完"]).ok();
    daemon.ctl(&["-q", "send", to, "--", "——every"]).ok();
    assert_eq!(texts(&daemon.entries()), ["——完", "——every"]);
}

#[test]
fn flags_of_other_programs_are_explained() {
    for (args, hint) in [
        (&["send", "bob", "x", "--repeat", "3"][..], "`--every 1s -c 10`"),
        (&["send", "bob", "x", "--interval", "1"], "`--every 1s -c 10`"),
        (&["send", "bob", "x", "--crc"], "`--append SUM` adds a checksum"),
        (&["send", "bob", "x", "-w", "1"], "`udpchatctl ask TO TEXT`"),
        (&["ask", "bob", "x", "--every", "1s"], "`udpchatctl send TO --every T`"),
        (&["ask", "bob", "x", "--when-seen"], "`udpchatctl send TO TEXT --when-seen`"),
        (&["reply", "1", "--bytes", "00"], "`--hex '01 e4'` sends bytes"),
        (&["inbox", "-20"], "`-n N` prints the last N entries"),
        (&["inbox", "--peer", "bob"], "`--from PEER`"),
        (&["inbox", "--to", "bob"], "`--direction out --from PEER`"),
        (&["inbox", "--format", "csv"], "`udpchatctl export --format csv`"),
        (&["wait", "bob"], "`--from bob`"),
        (&["held", "bob"], "`--to bob`"),
        (&["peers", "bob"], "`udpchatctl inbox --from bob`"),
        (&["peers", "list"], "`udpchatctl inbox --all`"),
        (&["export", "bob"], "`--from bob`"),
        (&["export", "10.0.0.0/8"], "`--from 10.0.0.0/8`"),
        (&["export", "out.csv"], "`-o out.csv` writes to a file"),
        (&["export", "CSV"], "`--format csv`"),
        (&["wait", "10s"], "`--timeout 10s`"),
        (&["held", "cancel", "3"], "`--cancel NUMBER`"),
        (&["held", "3"], "`--cancel 3`"),
        (&["replay", "--host", "10.0.0.7"], "`--to HOST:PORT` names the destination"),
        (&["replay", "127.0.0.1:9"], "`--to 127.0.0.1:9` names the destination"),
        (&["inbox", "--since", "2026-11-28", "17:58"], "needs quotes: `--since '2026-11-28 17:58'`"),
        (&["export", "-S", "2026-11-28", "7:58"], "needs quotes: `--since '2026-11-28 17:58'`"),
        (&["send", "bob", "--file", "big.txt", "--split", "512"], "a size stands behind `=`: `--split=512`"),
        (&["replay", "old.jsonl"], "`--file old.jsonl` replays a file"),
    ] {
        ctl_without_daemon(args, &[]).fails(2, &["hint: ", hint]);
    }
}

#[test]
fn numbers_of_messages_begin_at_one() {
    let daemon = Daemon::start();
    for args in [&["send", "127.0.0.1:9", "x", "--every", "1s"][..], &["wait"], &["ask", "127.0.0.1:9", "x"]]
    {
        assert_fails(&daemon, &[args, &["-c", "0"]].concat(), 2, &["expected a number from 1 on"]);
    }
    let peek = ["inbox", "--peek", "--from", "127.0.0.1"];
    assert_fails(&daemon, &peek, 2, &["hint: without --peek: what selects entries shows history"]);
}

#[test]
fn arguments_are_shown_escaped() {
    let hostile = "x\u{1b}]0;owned\u{7}\u{202e}y\nhint: lie";
    let (flag, path) = (format!("--{hostile}"), format!("/nowhere/{hostile}"));
    let daemon = Daemon::start();
    for args in [
        &[hostile][..],
        &["status", &flag],
        &["status", hostile],
        &["--color", hostile, "status"],
        &["help", hostile],
        &["completions", hostile],
        &["inbox", "--since", hostile],
        &["inbox", "--from", hostile],
        &["inbox", "-n", hostile],
        &["inbox", "--grep", &format!("({hostile}")],
        &["send", hostile, "text"],
        &["send", "127.0.0.1:9", "-e", hostile, "text"],
        &["send", "127.0.0.1:9", "--file", &path],
        &["reply", hostile, "text"],
        &["replay", "--to", "127.0.0.1:9", "--file", &path],
        &["export", "-o", &path],
        &["status", "--format", "prometheus", "-o", &path],
        &["--socket", &path, "status"],
    ] {
        let ran = daemon.ctl(args);
        assert!(ran.code != Some(0) && ran.stdout.is_empty(), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains(|c: char| is_unsafe(c) && c != '\n'), "{args:?}: {ran:?}");
        assert!(!ran.stderr.lines().any(|line| line.starts_with("hint: lie")), "{args:?}: {ran:?}");
    }
    // What is shown is what was given.
    daemon.ctl(&[hostile]).fails(2, &[r"unrecognized subcommand 'x\u{1b}]0;owned\u{7}\u{202e}y\nhint: lie'"]);
    let error = assert_one_object(&daemon.ctl(&["--json", "x\u{1b}]0;y\u{7}"]), 2);
    assert_eq!(error["message"], "unrecognized subcommand 'x\u{1b}]0;y\u{7}'");
}

#[test]
fn only_a_message_can_be_replied_to() {
    let daemon = Daemon::start_with("receive_buffer = '4KiB'", &[]);
    assert_fails(&daemon, &["reply", "999", "hi"], 1, &["entry 999 does not exist", "hint: "]);
    let gap = make_gap(&daemon);
    assert_fails(&daemon, &["reply", &gap, "hi"], 1, &[&format!("entry {gap} is a gap")]);
}

/// Sends a halted daemon more than its receive buffer holds; returns the id of the gap.
fn make_gap(daemon: &Daemon) -> String {
    daemon.signal(Signal::SIGSTOP);
    let peer = Peer::new();
    (0..500).for_each(|_| peer.send(daemon.address(), "x"));
    daemon.signal(Signal::SIGCONT);
    eventually("a gap", || {
        Some(daemon.entries().iter().find(|entry| entry["type"] == "gap")?["id"].to_string())
    })
}

#[test]
fn without_a_daemon_the_error_lists_tried_sockets() {
    let folder = new_folder();
    let (home, runtime) = (folder.path().join("home"), folder.path().join("run"));
    let environment = [("HOME", &*home), ("XDG_RUNTIME_DIR", &*runtime)];
    let tried = [
        runtime.join("udpchat/control.sock"),
        home.join(".local/share/udpchat/control.sock"),
        PathBuf::from("/run/udpchat/control.sock"),
    ];
    let tried = tried.each_ref().map(|path| path.to_str().unwrap());
    let ran = ctl_without_daemon(&["status"], &environment);
    assert_eq!(ran.stdout, "");
    ran.fails(3, &[&["no daemon found", "udpchatd"], &tried[..]].concat());
    let error = assert_one_object(&ctl_without_daemon(&["--json", "status"], &environment), 3);
    assert_eq!(error["kind"], "no_daemon");
    // One that was named is the only one.
    let named = folder.path().join("named");
    let ran = ctl_without_daemon(&["status"], &[("HOME", &home), ("UDPCHAT_SOCKET", &named)]);
    assert!(!ran.stderr.contains("/run/udpchat"), "{}", ran.stderr);
    ran.fails(3, &[named.to_str().unwrap()]);
}

#[test]
fn a_socket_of_another_user_is_not_permitted() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = Daemon::start();
    fs::set_permissions(daemon.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for json in [false, true] {
        let mut command = other.command(env!("CARGO_BIN_EXE_udpchatctl"));
        command.args(json.then_some("--json")).arg("--socket").arg(daemon.socket()).arg("status");
        let ran = Completed::from(command.output().unwrap());
        if json {
            assert_eq!(assert_one_object(&ran, 6)["kind"], "not_permitted");
        } else {
            ran.fails(6, &[daemon.socket().to_str().unwrap(), "root"]);
        }
    }
    assert_eq!(daemon.status()["state"], "ok");
}

#[test]
fn a_person_at_a_terminal_sees_notes() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["one"]);
    let Some(tmux) = Tmux::start(160, 24) else { return };
    let ctl =
        format!("LC_ALL=C.UTF-8 {} --socket {}", env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket().display());
    tmux.shell(&format!("{ctl} inbox --hex --grep '01 03'"));
    tmux.shows("--grep searches the text, --grep-hex searches the bytes");
    tmux.shell(&format!("{ctl} send {} --every 200s x", peer.name()));
    tmux.shows("every 3m 20s; Ctrl+C ends");
    tmux.press(&["C-c"]);
}
