//! `send` and `reply`: arguments, pipes and files are sent unchanged to the right peer, and recorded.

use encoding_rs::{GBK, SHIFT_JIS, UTF_8};
use nix::unistd::{User, geteuid};
use serde_json::{Value, json};

use crate::support::{Completed, Daemon, Peer, id, raw, texts};

/// A daemon and a peer to send to.
struct Line {
    daemon: Daemon,
    peer: Peer,
}

impl Line {
    fn new() -> Self {
        Self { daemon: Daemon::start(), peer: Peer::new() }
    }

    /// Runs `udpchatctl send` to the peer.
    fn run(&self, args: &[&str], input: &[u8]) -> Completed {
        let to = self.peer.name();
        self.daemon.ctl_with_input(&[&["send", &to], args].concat(), input)
    }

    /// Checks that exactly these datagrams arrive, in this order.
    #[track_caller]
    fn delivers(&self, args: &[&str], input: &[u8], datagrams: &[&[u8]]) {
        // A text in the default encoding has a note.
        let ran = self.run(args, input);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for datagram in datagrams {
            assert_eq!(self.peer.receive(), (datagram.to_vec(), self.daemon.address()), "{args:?}");
        }
    }

    /// Checks that exactly this number of datagrams has been sent.
    #[track_caller]
    fn sent(&self, datagrams: usize) {
        let sent = &self.daemon.status()["sent"];
        assert_eq!((&sent["datagrams"], &sent["failed"]), (&json!(datagrams), &json!(0)));
    }

    /// Writes a file for `--file`, and returns its path.
    fn file(&self, content: &[u8]) -> String {
        let path = self.daemon.path("file");
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn words_are_joined_by_a_space() {
    let line = Line::new();
    line.delivers(&["hello"], b"", &[b"hello"]);
    line.delivers(&["hello", "big   world"], b"", &[b"hello big   world"]);
    line.delivers(&["你好", "world"], b"", &["你好 world".as_bytes()]);
    line.delivers(&[r"no \n escape"], b"", &[br"no \n escape"]);
    line.delivers(&["--", "--lines", "-"], b"not read", &[b"--lines -"]);
    line.delivers(&["-273"], b"", &[b"-273"]);
    line.sent(6);
}

#[test]
fn standard_input_is_one_unchanged_message() {
    let line = Line::new();
    line.delivers(&[], b"two\nlines\n", &[b"two\nlines\n"]);
    line.delivers(&["-"], b" \r\n\t\0", &[b" \r\n\t\0"]);
    line.delivers(&["-"], "\u{feff}你好".as_bytes(), &["\u{feff}你好".as_bytes()]);
    line.run(&[], b"ab\xff").fails(2, &["not UTF-8: invalid byte at position 3", "--file -"]);
    line.sent(3);
}

#[test]
fn a_file_goes_out_byte_for_byte() {
    let line = Line::new();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let file = line.file(&all_bytes);
    line.delivers(&["--file", &file], b"", &[&all_bytes]);
    line.delivers(&["--file", "-"], b"\xff\0\r\n", &[b"\xff\0\r\n"]);
    line.run(&["--file", "/no/such/file"], b"").fails(1, &["/no/such/file"]);
    line.sent(2);
}

#[test]
fn every_notation_of_hex_is_sent_as_bytes() {
    let line = Line::new();
    for digits in ["c4e3bac3", "C4 E3 BA C3", "c4:e3:ba:c3", "0xc4, 0xe3, 0xba, 0xc3", "c4-e3-ba-c3"] {
        line.delivers(&["--hex", digits], b"", &[b"\xc4\xe3\xba\xc3"]);
    }
    line.delivers(&["--hex", "c4", "e3"], b"", &[b"\xc4\xe3"]);
    line.delivers(&["--hex"], b"00\nff\n", &[b"\0\xff"]);
    line.run(&["--hex", "c4 e"], b"").fails(2, &["odd number of hex digits before position"]);
    line.run(&["--hex", "c4 g3"], b"").fails(2, &["'g'", "position 4"]);
    line.sent(7);
}

#[test]
fn escapes_are_decoded_on_request() {
    let line = Line::new();
    let bytes = b"a\tb\r\n\0\\\x1b\xff\xe4\xbd\xa0";
    line.delivers(&["--escape", r"a\tb\r\n\0\\\x1b\xff\u{4f60}"], b"", &[bytes]);
    line.delivers(&["--escape", "-e", "gbk", r"\u{4f60}好\xff"], b"", &[b"\xc4\xe3\xba\xc3\xff"]);
    line.run(&["--escape", r"a\q"], b"").fails(2, &[r"\q", r"\xHH"]);
    line.sent(2);
}

#[test]
fn each_line_is_sent_when_it_arrives() {
    let line = Line::new();
    let mut sender = line.daemon.ctl_running(&["-q", "send", &line.peer.name(), "--lines"]);
    for text in ["one", "two  words", "三"] {
        sender.type_in(&format!("{text}\n"));
        // The next line is typed only after this one has arrived.
        assert_eq!(line.peer.receive().0, text.as_bytes());
    }
    sender.type_in("crlf\r\nno end");
    sender.end_input();
    assert_eq!([line.peer.receive().0, line.peer.receive().0], [&b"crlf"[..], b"no end"]);
    assert!(sender.wait().success());
}

#[test]
fn empty_lines_are_skipped_with_a_note() {
    let line = Line::new();
    let ran = line.run(&["--lines"], b"one\n\n\r\ntwo\n");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2));
    assert_eq!(ran.stderr, "note: 2 empty lines were skipped; `--allow-empty` sends empty datagrams\n");
    line.delivers(&["--lines", "--allow-empty"], b"three\n\n", &[b"one", b"two", b"three", b""]);
    line.sent(4);
}

#[test]
fn a_line_end_is_added_to_lines_and_for_each_destination() {
    let line = Line::new();
    line.delivers(&["--lines", "--eol", "crlf"], b"one\n\ntwo\r\n", &[b"one\r\n", b"\r\n", b"two\r\n"]);
    line.delivers(&["--eol", "lf", ""], b"", &[b"\n"]);
    line.delivers(&[r"AT\r\n", "--escape", "--eol", "crlf"], b"", &[b"AT\r\n"]);
    line.sent(5);
    let other = Peer::new();
    let both = format!("{},{}", line.peer.name(), other.name());
    line.daemon.ctl(&["send", &both, "x\n", "--eol", "cr"]).ok();
    assert_eq!([line.peer.receive().0, other.receive().0], [b"x\r", b"x\r"]);
    // Without a line end, an empty message is one.
    line.run(&["", "--eol", "none"], b"").fails(2, &["the message is empty"]);
}

#[test]
fn a_failed_line_does_not_stop_the_others() {
    let line = Line::new();
    let ran = line.run(&["--lines", "-e", "gbk"], "一\n😀\n二\n".as_bytes());
    ran.fails(5, &["line 2", "😀", "1 of 3 lines could not be sent"]);
    assert_eq!([line.peer.receive().0, line.peer.receive().0], [b"\xd2\xbb", b"\xb6\xfe"]);
    line.sent(2);
}

#[test]
fn lines_work_with_files_and_hex() {
    let line = Line::new();
    let file = line.file(b"one\ntwo\n");
    line.delivers(&["--lines", "--file", &file], b"", &[b"one", b"two"]);
    line.delivers(&["--lines", "--hex"], b"ff 00\n01\n", &[b"\xff\0", b"\x01"]);
    line.sent(4);
}

/// Cuts a long text of one and two bytes a character, and returns the parts as they arrive.
fn parts_of(text: &str, split: &str, parts: usize) -> Vec<Vec<u8>> {
    let line = Line::new();
    let ran = line.run(&[split, "-e", "gbk"], text.as_bytes()).ok();
    assert_eq!(ran.lines().count(), parts);
    line.sent(parts);
    let stored = line.daemon.entries();
    let arrived: Vec<_> = (0..parts).map(|_| line.peer.receive().0).collect();
    assert_eq!(stored.iter().map(raw).collect::<Vec<_>>(), arrived);
    arrived
}

#[test]
fn a_long_message_is_cut_between_characters() {
    // The odd first byte puts the middle of a character at every limit.
    let text = format!("x{}", "你好，世界。".repeat(400));
    let bytes = GBK.encode(&text).0;
    assert_eq!(bytes.len(), 4_801);
    for (split, most, parts) in [("--split", 1024, 5), ("--split=100", 100, 49)] {
        let arrived = parts_of(&text, split, parts);
        assert!(arrived.iter().all(|part| part.len() <= most));
        let whole = |part: &Vec<u8>| GBK.decode_without_bom_handling_and_without_replacement(part).is_some();
        assert!(arrived.iter().all(whole));
        assert_eq!(arrived.concat(), *bytes);
    }
}

#[test]
fn bytes_are_split_and_short_messages_stay_whole() {
    let line = Line::new();
    let file = line.file(&[7; 2_500]);
    line.delivers(&["--split", "--file", &file], b"", &[&[7; 1024], &[7; 1024], &[7; 452]]);
    line.delivers(&["--split", "short"], b"", &[b"short"]);
    line.sent(4);
}

/// Splits a file for a peer; returns the datagrams.
fn parts_of_file(line: &Line, content: &[u8]) -> Vec<Vec<u8>> {
    let file = line.file(content);
    let ran = line.run(&["--split=100", "--file", &file], b"").ok();
    let parts: Vec<_> = ran.lines().map(|_| line.peer.receive().0).collect();
    assert!(parts.iter().all(|part| part.len() <= 100));
    assert_eq!(parts.concat(), content);
    parts
}

#[test]
fn a_split_file_is_cut_between_characters() {
    let line = Line::new();
    let text = format!("a{}", "今天天気表示予定".repeat(100));
    for encoding in [UTF_8, GBK, SHIFT_JIS] {
        let parts = parts_of_file(&line, &encoding.encode(&text).0);
        let whole =
            |part: &Vec<u8>| encoding.decode_without_bom_handling_and_without_replacement(part).is_some();
        assert!(parts.iter().all(whole), "{}", encoding.name());
    }
    // The encoding of the peer, which the bytes do not show.
    let config = format!("[peers.bob]\naddress = \"{}\"\nencoding = \"utf-16be\"\n", line.peer.name());
    std::fs::write(line.daemon.path("config.toml"), config).unwrap();
    line.daemon.ctl(&["-q", "reload"]).ok();
    let bytes: Vec<u8> = "😀".repeat(100).encode_utf16().flat_map(u16::to_be_bytes).collect();
    // 100 bytes are 25 characters; with an odd one in front, 98.
    let parts = parts_of_file(&line, &[&b"\0a"[..], &bytes].concat());
    assert_eq!(parts[0].len(), 98);
    let any: Vec<u8> = (0..=255).chain(128..=255).collect();
    let sizes: Vec<_> = parts_of_file(&line, &any).iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 100, 84]);
}

#[test]
fn an_empty_message_needs_allow_empty() {
    let line = Line::new();
    for args in [&[""][..], &["--hex", ""], &["-"], &["--file", "-"]] {
        line.run(args, b"").fails(2, &["the message is empty", "--allow-empty"]);
    }
    line.sent(0);
    line.delivers(&["--allow-empty", ""], b"", &[b""]);
    line.delivers(&["--allow-empty"], b"", &[b""]);
    line.sent(2);
}

#[test]
fn an_encoding_can_be_given() {
    let line = Line::new();
    line.delivers(&["-e", "gbk", "你好"], b"", &[b"\xc4\xe3\xba\xc3"]);
    line.delivers(&["--encoding", "utf-16le", "hi"], b"", &[b"h\0i\0"]);
    line.delivers(&["-e", "GB18030", "😀"], b"", &[b"\x94\x39\xfc\x36"]);
    line.run(&["-e", "klingon", "x"], b"").fails(2, &["klingon"]);
    line.sent(3);
}

#[test]
fn a_target_is_a_name_address_or_host() {
    let (peer, modern) = (Peer::new(), Peer::at("[::1]:0"));
    let config = format!("[peers.bob]\naddress = \"{}\"\n", peer.name());
    let daemon = Daemon::start_with(&config, &["--listen", "[::]:0"]);
    let port = peer.address().port();
    let names =
        [("bob", &peer), (&peer.name(), &peer), (&format!("[::1]:{}", modern.address().port()), &modern)];
    for (to, peer) in names {
        let sent = daemon.ctl(&["--json", "send", to, "hello"]).json();
        assert_eq!(sent[0]["peer"], peer.name());
        assert_eq!(peer.receive().0, b"hello");
    }
    // A host's name may mean ::1 too; a daemon of IPv4 only takes the other.
    let daemon = Daemon::start();
    daemon.ctl(&["-q", "send", &format!("localhost:{port}"), "hello"]).ok();
    assert_eq!(peer.receive(), (b"hello".to_vec(), daemon.address()));
}

#[test]
fn an_unknown_target_is_refused() {
    let daemon = Daemon::start();
    // Longer than a label of a host name may be, so that no name server is queried.
    let nobody = "nobody".repeat(11);
    daemon.ctl(&["send", &nobody, "x"]).fails(5, &[&nobody, "udpchatctl peers"]);
    daemon.ctl(&["send", "127.0.0.1:0", "x"]).fails(2, &["port 0 is out of range"]);
    daemon.ctl(&["send", "127.0.0.1:70000", "x"]).fails(2, &["port 70000 is out of range"]);
    daemon.ctl(&["send", "[::1]:9", "x"]).fails(5, &["IPv6", "listen"]);
    daemon.ctl(&["reply", "1", "x"]).fails(1, &["entry 1 does not exist"]);
    assert!(daemon.entries().is_empty());
}

/// Returns the name of the user who runs the tests.
fn own_name() -> String {
    User::from_uid(geteuid()).unwrap().map_or_else(|| geteuid().to_string(), |user| user.name)
}

#[test]
fn sent_messages_are_stored_and_printed() {
    let peer = Peer::new();
    let config = format!("[peers.bob]\naddress = \"{}\"\nencoding = \"gbk\"\n", peer.name());
    let daemon = Daemon::start_with(&config, &[]);
    let printed = daemon.ctl(&["--json", "send", "bob", "你好"]).json();
    assert_eq!(printed, daemon.entries());
    let expected = json!({
        "type": "message", "id": 1, "at": printed[0]["at"], "direction": "out", "peer": peer.name(), "name": "bob",
        "local": daemon.address(), "text": "你好", "encoding": "gbk", "encoding_by": "configured", "bytes": 4,
        "raw": "xOO6ww==", "by": own_name(), "delivery": "sent",
    });
    assert_eq!(printed, [expected]);
    let receipt = daemon.ctl(&["send", "bob", "你好"]).ok();
    assert_eq!(receipt, format!("#2 > bob {}, 4 bytes, gbk\n", peer.name()));
    assert_eq!(daemon.ctl(&["-q", "send", "bob", "你好"]).ok(), "");
    assert_eq!(texts(&daemon.ctl(&["--json", "inbox", "--direction", "out"]).json()), ["你好"; 3]);
    assert_eq!(daemon.status()["sent"]["datagrams"], 3);
}

#[test]
fn the_reply_of_send_has_the_stored_entries() {
    let line = Line::new();
    let mut rpc = line.daemon.rpc();
    let send = |extra: Value| {
        let mut params = json!({ "to": line.peer.name() });
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        params
    };
    let mut whole = rpc.call("send", send(json!({ "text": "你好" })));
    let is_default = whole.as_object_mut().unwrap().remove("encoding_is_default");
    assert_eq!(is_default, Some(json!(true)), "it is of the result alone");
    let parts = rpc.call("send", send(json!({ "raw": "AAECAwQFBgcICQoLDA0ODxAR", "split": 16 })));
    assert_eq!(
        parts.as_array().unwrap().iter().map(|part| part["bytes"].clone()).collect::<Vec<_>>(),
        [16, 2]
    );
    assert_eq!(line.daemon.entries(), [whole, parts[0].clone(), parts[1].clone()]);
}

/// The kernel refuses to send from 127.0.0.1 to another machine, whatever its routes are.
#[test]
fn a_failed_send_is_reported_recorded_and_counted() {
    let daemon = Daemon::start();
    let refused = daemon.ctl(&["send", "192.0.2.1", "hello"]);
    refused.fails(5, &["cannot send to 192.0.2.1:7788", "listens on 127.0.0.1"]);
    let entries = daemon.entries();
    assert_eq!(texts(&entries), ["hello"]);
    assert_eq!((&entries[0]["direction"], &entries[0]["peer"]), (&json!("out"), &json!("192.0.2.1:7788")));
    let reason = entries[0]["error"].as_str().unwrap();
    assert!(daemon.ctl(&["inbox", "-a"]).ok().ends_with(&format!("hello  [not sent: {reason}]\n")));
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 1, "bounced": 0 }));

    let error = daemon.ctl(&["--json", "send", "192.0.2.1", "again"]);
    assert_eq!((error.code, error.stdout.as_str()), (Some(5), ""));
    let reported: Value = serde_json::from_str(&error.stderr).unwrap();
    let recorded = daemon.entries().pop().unwrap();
    assert_eq!((id(&recorded), &recorded["error"]), (2, &json!(reason)));
    assert!(reported.to_string().contains("send_failed"), "{reported}");

    // Other peers are not affected.
    let peer = Peer::new();
    daemon.ctl(&["-q", "send", &peer.name(), "hello"]).ok();
    assert_eq!(peer.receive().0, b"hello");
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 1, "failed": 2, "bounced": 0 }));
}

/// A port without a receiver, which stays so while the peer holds it: every message causes an ICMP error.
#[test]
fn an_unreachable_peer_affects_no_other() {
    let line = Line::new();
    let gone = format!("127.0.0.200:{}", line.peer.address().port());
    for _ in 0..20 {
        line.daemon.ctl(&["-q", "send", &gone, "hello?"]).ok();
        line.delivers(&["-q", "still there"], b"", &[b"still there"]);
        line.daemon.receive_from(&line.peer, ["yes"]);
    }
    line.sent(40);
}

#[test]
fn a_reply_takes_a_checksum_and_a_line_end() {
    let (board, plc) = (Peer::new(), Peer::new());
    let daemon = Daemon::start_with(
        &format!("peers.plc = {{ address = \"{}\", encoding = \"hex\" }}", plc.name()),
        &[],
    );
    daemon.receive_from(&board, ["one"]);
    daemon.receive_from(&plc, ["two"]);
    for (args, peer, expected) in [
        (&["1", "AT", "--eol", "crlf"][..], &board, &b"AT\r\n"[..]),
        (&["1", "--hex", "01 03", "--append", "sum8"], &board, b"\x01\x03\x04"),
        (&["1", "{{n:02}}", "--fill"], &board, b"01"),
        // The text of this peer is its bytes as digits.
        (&["2", "01 03", "--append", "sum8"], &plc, b"\x01\x03\x04"),
        (&["2", "01 03", "--eol", "lf"], &plc, b"\x01\x03\n"),
        (&["2", "AT", "-e", "ascii", "--eol", "cr"], &plc, b"AT\r"),
    ] {
        let sent = daemon.ctl(&[&["reply"], args].concat());
        assert!(sent.code == Some(0) && sent.stderr.is_empty(), "{args:?}: {sent:?}");
        assert_eq!(peer.receive().0, expected, "{args:?}");
    }
    let lines = ["reply", "1", "--lines", "--eol", "cr"];
    assert_eq!(daemon.ctl_with_input(&lines, b"a\nb\n").code, Some(0));
    assert_eq!((board.receive().0, board.receive().0), (b"a\r".to_vec(), b"b\r".to_vec()));
    daemon.ctl(&["reply", "99", "x", "--eol", "lf"]).fails(1, &["entry 99 does not exist"]);
}
