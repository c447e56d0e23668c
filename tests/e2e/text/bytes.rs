//! Peers that send bytes and no text: their messages are hexadecimal digits.

use serde_json::json;

use crate::support::{Daemon, Peer, Tmux, texts};

const FRAME: &[u8] = b"\x01\x03\xe4\x09";

#[test]
fn bytes_of_a_peer_are_digits_in_both_directions() {
    let plc = Peer::new();
    let config = format!("[peers.plc]\naddress = '{}'\nencoding = 'bytes'\n", plc.name());
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&plc, [FRAME, "你好".as_bytes(), b"\xef\xbb\xbfok", b"ascii"]);
    let entries = daemon.entries();
    let expected = ["01 03 e4 09", "e4 bd a0 e5 a5 bd", "ef bb bf 6f 6b", "61 73 63 69 69"];
    assert_eq!(texts(&entries), expected);
    assert_eq!(json!([entries[1]["encoding"], entries[1]["encoding_by"]]), json!(["hex", "configured"]));
    assert_eq!(daemon.ctl(&["--json", "inbox", "--grep", "^01 .*e4 09$"]).json().len(), 1);
    for text in ["01 03 e4 09", "0103E409"] {
        let receipt = daemon.ctl(&["send", "plc", text]).ok();
        assert!(receipt.ends_with(", 4 bytes, hex\n"), "{receipt}");
        assert_eq!(plc.receive().0, FRAME);
    }
    daemon.ctl(&["send", "plc", "--split=16", &"0a".repeat(20)]).ok();
    assert_eq!((plc.receive().0.len(), plc.receive().0.len()), (16, 4));
    daemon.ctl(&["send", "plc", "41", "--eol", "crlf"]).ok();
    assert_eq!(plc.receive().0, b"A\r\n");
    daemon.ctl(&["send", "plc", "hello"]).fails(5, &["`h` is no byte in hexadecimal digits", "-e utf-8"]);
    daemon.ctl(&["send", "plc", "-e", "utf-8", "hello"]).ok();
    assert_eq!(plc.receive().0, b"hello");
}

#[test]
fn bytes_are_searched_in_every_command() {
    let (daemon, plc) = (Daemon::start(), Peer::new());
    daemon.receive_from(&plc, [FRAME, b"\xe4\x01\x09", b"text"]);
    for digits in ["e4 09", "E409", "0xe4,0x09"] {
        for command in [&["inbox"][..], &["inbox", "-n", "9"], &["export"], &["wait", "--after", "0"]] {
            let found = daemon.ctl(&[&["--json"], command, &["--grep-hex", digits]].concat()).json();
            assert_eq!((found.len(), &found[0]["id"]), (1, &json!(1)), "{command:?} {digits}");
        }
    }
    let recoded = daemon.ctl(&["recode", "--as", "hex", "--grep-hex", "09"]).ok();
    assert_eq!(recoded, "2 messages recoded as hex\n");
    daemon.ctl(&["inbox", "--grep-hex", "e4 0"]).fails(2, &["odd number of hex digits"]);
    daemon.ctl(&["inbox", "--grep-hex", ""]).fails(2, &["no bytes are given"]);
    daemon.ctl(&["inbox", "--peek", "--grep-hex", "e4"]).fails(2, &["--peek"]);
    let refused = daemon.rpc().error("inbox", json!({ "contains": "" }));
    assert!(refused["message"].as_str().unwrap().contains("1 to 1024 bytes"), "{refused}");
}

#[test]
fn messages_can_be_recoded_as_digits() {
    let (daemon, plc) = (Daemon::start(), Peer::new());
    daemon.receive_from(&plc, [FRAME]);
    assert_ne!(daemon.entries()[0]["encoding"], "hex");
    daemon.ctl(&["recode", "--as", "hex", "--all", "--remember"]).ok();
    daemon.receive_from(&plc, ["你好，世界".as_bytes()]);
    let daemon = daemon.start_again();
    let entries = daemon.entries();
    assert_eq!(texts(&entries), ["01 03 e4 09", "e4 bd a0 e5 a5 bd ef bc 8c e4 b8 96 e7 95 8c"]);
    daemon.ctl(&["send", &plc.name(), "0a"]).ok();
    assert_eq!(plc.receive().0, b"\n");
    let forgotten = daemon.ctl(&["recode", "--as", "auto", "--all", "--remember"]).ok();
    assert_eq!(forgotten, "1 message recoded by the usual rules; 1 message unchanged; 1 peer forgotten\n");
    assert_eq!(texts(&daemon.entries())[1], "你好，世界");
}

#[test]
fn long_bytes_are_dumped_on_a_terminal() {
    let plc = Peer::new();
    let config = format!("[peers.plc]\naddress = '{}'\nencoding = 'bytes'\n", plc.name());
    let daemon = Daemon::start_with(&config, &[]);
    let long: Vec<u8> = (0..=255).chain(0..44).collect();
    daemon.receive_from(&plc, [FRAME, b"ascii in a frame", &long]);
    let Some(tmux) = Tmux::start(80, 40) else { return };
    let (program, socket) = (env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket());
    tmux.shell(&format!("{program} --socket {} --no-pager inbox -a; echo \"[over\" $?]", socket.display()));
    let screen = tmux.shows("[over 0]");
    let rows: Vec<&str> = screen.lines().map(str::trim_end).filter(|row| row.contains("  ")).collect();
    // What fits stays in its line.
    assert!(rows[0].ends_with(" 01 03 e4 09"), "{screen}");
    assert!(rows[1].ends_with("  16 bytes") && rows[2].ends_with("  |ascii in a frame|"), "{screen}");
    assert!(rows[3].ends_with("  300 bytes") && rows[11].starts_with("00000070  70 71 72"), "{screen}");
    assert_eq!(rows[12], "  | ... 172 more bytes: `udpchatctl inbox 3 --hex` shows all", "{screen}");
    // A program gets one line for each.
    assert_eq!(daemon.ctl(&["inbox", "-a"]).ok().lines().count(), 3);
}
