//! Received text never controls a terminal or imitates other output, and its escaped form is exact.

use std::fs;
use std::process::Command;

use encoding_rs::{Encoding, GB18030, UTF_8};
use serde_json::{Value, json};

use crate::support::{
    Background, Completed, Daemon, Peer, Rpc, ctl_without_daemon, ids, new_folder, scaled, texts,
};

/// Returns whether a character must never be printed as it is: controls, everything of category Cf (bidi marks and
/// other invisible characters), the separators of lines and paragraphs. Written out from the Unicode standard.
fn is_forbidden(character: char) -> bool {
    matches!(
        u32::from(character),
        0..=0x1f | 0x7f..=0x9f | 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2064 | 0x2066..=0x206f | 0xfeff | 0xfff9..=0xfffb
            | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0001
            | 0xe0020..=0xe007f
    )
}

/// Checks that a text has no forbidden character but those that its form needs.
#[track_caller]
fn assert_safe(text: &str, layout: &[char]) {
    let found = text.char_indices().find(|(_, found)| is_forbidden(*found) && !layout.contains(found));
    if let Some((at, character)) = found {
        let around: String =
            text[..at].chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("U+{:04X} after {around:?}", u32::from(character));
    }
}

/// Every character of Unicode; everyday those of the first two planes, where all scripts are, and the forbidden ones.
fn every_character() -> impl Iterator<Item = char> {
    let last = scaled(0x1_ffff, 0x10_ffff) as u32;
    let characters = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
    characters.filter(move |character| u32::from(*character) <= last || is_forbidden(*character))
}

/// Every character, each with a letter behind it, in texts of 4,000.
fn every_character_as_text() -> Vec<String> {
    let characters: Vec<_> = every_character().collect();
    characters.chunks(4_000).map(|chunk| chunk.iter().flat_map(|c| [*c, 'x']).collect()).collect()
}

/// Every sequence of two bytes that GBK could have, and every sequence of four bytes that GB18030 has for the
/// characters up to U+2FFF and for the forbidden ones beyond, each with a letter behind it.
fn every_sequence_of_gb18030() -> Vec<Vec<u8>> {
    let mut sequences: Vec<Vec<u8>> = Vec::new();
    for first in 0x81..=0xfe {
        sequences.extend((0x40..=0xfe).map(|second| vec![first, second]));
    }
    for second in 0x30..=0x37 {
        for third in 0x81..=0xfe {
            sequences.extend((0x30..=0x39).map(|fourth| vec![0x81, second, third, fourth]));
        }
    }
    let beyond = every_character().filter(|character| is_forbidden(*character) && !character.is_ascii());
    sequences.extend(beyond.map(|character| GB18030.encode(&character.to_string()).0.into_owned()));
    sequences.iter_mut().for_each(|sequence| sequence.push(b'x'));
    sequences.chunks(4_000).map(<[_]>::concat).collect()
}

/// A daemon that has received texts in one encoding, each in a datagram, and what was sent.
struct Heard {
    daemon: Daemon,
    texts: Vec<String>,
}

impl Heard {
    fn new(encoding: &'static Encoding, payloads: &[impl AsRef<[u8]>]) -> Self {
        let peer = Peer::new();
        let config = format!("[peers.p]\naddress = '{}'\nencoding = '{}'", peer.name(), encoding.name());
        let daemon = Daemon::start_with(&config, &[]);
        for (sent, payload) in (1..).zip(payloads) {
            peer.send(daemon.address(), payload);
            // A default receive buffer holds few of these.
            daemon.stored(sent);
        }
        let decode = |payload: &[u8]| encoding.decode_without_bom_handling(payload).0.into_owned();
        Self { daemon, texts: payloads.iter().map(|payload| decode(payload.as_ref())).collect() }
    }

    /// Checks every output of the daemon.
    fn assert_safe_everywhere(&self) {
        let Self { daemon, texts: sent } = self;
        let text = daemon.ctl(&["inbox", "--all"]).ok();
        assert_safe(&text, &['\n', '\t']);
        assert_lines_of_entries(&text, sent.len());
        assert_safe(&daemon.ctl(&["inbox", "--all", "--hex"]).ok(), &['\n']);
        let json = daemon.ctl(&["--json", "inbox", "--all"]).ok();
        assert_safe(&json, &['\n']);
        let entries: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(texts(&entries) == *sent, "the text in JSON is another");
        assert_socket_is_safe(daemon.rpc(), sent);
    }
}

/// Checks that each entry has one line that begins with `#`, and that all other lines differ from it.
#[track_caller]
fn assert_lines_of_entries(text: &str, entries: usize) {
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), entries);
    let odd = text.lines().find(|line| !line.starts_with('#') && !line.starts_with("  |"));
    assert_eq!(odd, None);
}

/// Checks the lines on the socket: pages, and what a subscription brings.
#[track_caller]
fn assert_socket_is_safe(mut rpc: Rpc, sent: &[String]) {
    let mut after = json!(0);
    let mut found = Vec::new();
    loop {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "inbox", "params": { "after": after } });
        rpc.write(format!("{request}\n").as_bytes());
        let line = rpc.raw_line().unwrap();
        assert_safe(&line, &['\n']);
        let mut page = serde_json::from_str::<Value>(&line).unwrap()["result"].take();
        found.append(page["entries"].as_array_mut().unwrap());
        if page["more"] == false {
            break;
        }
        after = page["next"].take();
    }
    assert!(texts(&found) == sent, "the text on the socket is another");
    rpc.call("subscribe", json!({ "after": 0 }));
    for text in sent {
        let line = rpc.raw_line().unwrap();
        assert_safe(&line, &['\n']);
        assert!(serde_json::from_str::<Value>(&line).unwrap()["params"]["text"] == **text);
    }
}

#[test]
fn every_unicode_character_is_escaped_reversibly() {
    let texts = every_character_as_text();
    let received = Heard::new(UTF_8, &texts);
    assert!(received.texts == texts);
    received.assert_safe_everywhere();
}

#[test]
fn every_gb_sequence_is_escaped_reversibly() {
    let received = Heard::new(GB18030, &every_sequence_of_gb18030());
    let harmful = received.texts.concat().chars().filter(|character| is_forbidden(*character)).count();
    assert!(harmful > 200, "{harmful} harmful characters were sent");
    received.assert_safe_everywhere();
}

#[test]
fn received_text_cannot_imitate_an_entry() {
    let fake = "#99  2026-01-01 00:00:00  < 1.2.3.4:5  trust me";
    let line_ends =
        ["\n", "\r", "\r\n", "\n\r", "\n\n", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}", "\0"];
    let mut payloads: Vec<_> = line_ends.iter().map(|line_end| format!("hi{line_end}{fake}")).collect();
    payloads.extend(line_ends.iter().map(|line_end| format!("{line_end}{fake}{line_end}")));
    payloads.push(format!("\x1b[2K\x1b[G{fake}\x08\x08"));
    let received = Heard::new(UTF_8, &payloads);
    received.assert_safe_everywhere();
    let text = received.daemon.ctl(&["inbox", "--all", "--color", "never"]).ok();
    let begin = |id: u64| format!("#{id}  ");
    let entries = text.lines().filter(|line| line.starts_with('#'));
    let expected = ids(&received.daemon.entries());
    assert!(entries.zip(expected).all(|(line, id)| line.starts_with(&begin(id))), "{text}");
}

#[test]
fn received_escapes_differ_from_generated_ones() {
    let received = Heard::new(UTF_8, &[r"\u{1b}", "\u{1b}", r"\x1b"]);
    let text = received.daemon.ctl(&["inbox", "--all"]).ok();
    let shown: Vec<_> = text.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(shown, [r"\u{5c}u{1b}", r"\u{1b}", r"\x1b"]);
}

/// Every character in messages that a log line has room for.
fn every_character_for_the_log() -> Vec<String> {
    let characters: Vec<_> = every_character().collect();
    characters.chunks(250).map(|chunk| chunk.iter().collect()).collect()
}

/// Has a daemon log messages in a format, and returns its lines about them.
fn logged(format: &str, payloads: &[String]) -> Vec<String> {
    let folder = new_folder();
    fs::write(folder.path().join("c.toml"), "log.messages_per_second = 1000000").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("HOME", folder.path()).arg("--config").arg(folder.path().join("c.toml"));
    command.args(["--listen", "127.0.0.1:0", "--log-format", format]);
    command.arg("--data-dir").arg(folder.path().join("d")).arg("--socket").arg(folder.path().join("s"));
    let mut daemon = Background::start(&mut command);
    let status = daemon.answers_on(&folder.path().join("s")).call("status", json!({}));
    let (peer, to) = (Peer::new(), status["listen"][0].as_str().unwrap().parse().unwrap());
    let hear = |payload: &String| {
        peer.send(to, payload);
        daemon.line_with("received")
    };
    payloads.iter().map(hear).collect()
}

/// Undoes the escapes `\u{...}` of our own.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, escape)) = rest.split_once(r"\u{") {
        let (digits, behind) = escape.split_once('}').unwrap();
        out.push_str(before);
        out.extend(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32));
        rest = behind;
    }
    out + rest
}

#[test]
fn the_json_log_is_safe_and_exact() {
    let payloads = every_character_for_the_log();
    for (payload, line) in payloads.iter().zip(logged("json", &payloads)) {
        assert_safe(&line, &[]);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(unescaped(line["text"].as_str().unwrap()) == *payload, "{line}");
    }
}

#[test]
fn the_text_log_is_safe() {
    let payloads = every_character_for_the_log();
    let lines = logged("text", &payloads);
    assert_eq!(lines.len(), payloads.len());
    lines.iter().for_each(|line| assert_safe(line, &[]));
}

#[test]
fn errors_quote_hostile_input_safely() {
    let daemon = Daemon::start();
    let hostile = "\x1b]0;evil\x07\u{202e}\u{9b}31m\u{200b}\u{2028}#1\r\n#2 fake\u{7f}";
    let peer = &*Peer::new().name();
    for args in [
        &["send", hostile, "hi"][..],
        &["send", &format!("{hostile}:7788"), "hi"],
        &["send", peer, "-e", hostile, "hi"],
        &["send", peer, "--hex", hostile],
        &["send", peer, "--escape", &format!(r"\{hostile}")],
        &["send", peer, "-e", "gbk", "a\u{200b}"],
        &["send", peer, "--file", hostile],
        &["reply", hostile, "hi"],
        &["inbox", "--grep", &format!("({hostile}")],
        &["inbox", "--from", hostile],
        &["inbox", "--since", hostile],
        &["inbox", "--consumer", hostile],
        &[hostile],
        &["status", &format!("--{hostile}")],
    ] {
        assert_fails_safely(&daemon.ctl(args));
        assert_fails_safely(&daemon.ctl(&[&["--json"], args].concat()));
    }
    assert_fails_safely(&ctl_without_daemon(&["--socket", hostile, "status"], &[]));
}

#[track_caller]
fn assert_fails_safely(ran: &Completed) {
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    assert_eq!(ran.stdout, "");
    assert_safe(&ran.stderr, &['\n']);
    assert!(!ran.stderr.lines().any(|line| line.starts_with('#')), "{ran:#?}");
}

#[test]
fn errors_on_the_socket_quote_hostile_input_safely() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    for hostile in ["\u{1b}[31m", "\u{202e}", "\u{9b}", "\u{7f}", "\u{2028}", "\u{e0001}"] {
        for (method, params) in [
            (hostile, json!({})),
            ("version", json!({ hostile: 1 })),
            ("send", json!({ "to": hostile, "text": "x" })),
            ("send", json!({ "to": "127.0.0.1:9", "text": "x", "encoding": hostile })),
            ("inbox", json!({ "grep": format!("({hostile}") })),
            ("inbox", json!({ "order": hostile })),
            ("inbox", json!({ "from": hostile })),
        ] {
            let request = json!({ "jsonrpc": "2.0", "id": hostile, "method": method, "params": params });
            rpc.write(format!("{request}\n").as_bytes());
            let line = rpc.raw_line().unwrap();
            assert_safe(&line, &['\n']);
            let reply: Value = serde_json::from_str(&line).unwrap();
            assert!(reply["error"].is_object() && reply["id"] == hostile, "{line}");
        }
    }
}
