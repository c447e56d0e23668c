//! What is sent is read as it was meant: in the encoding that was asked for, by its narrow name, and by every receiver of a
//! broadcast.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use encoding_rs::{BIG5, Encoding, GBK, SHIFT_JIS, UTF_8};
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, finish, raw};

/// Sends a text to a peer in an encoding; returns the entry.
#[track_caller]
fn sent(daemon: &Daemon, to: &str, args: &[&str]) -> Value {
    daemon.ctl(&[&["--json", "send", to], args].concat()).json().remove(0)
}

#[test]
fn characters_that_would_be_replaced_are_refused() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    for (encoding, text, hint) in [
        ("shift_jis", "¥100", "-e utf-8"),
        ("shift_jis", "a‾b", "-e utf-8"),
        ("shift_jis", "10−5", "-e utf-8"),
        ("euc-jp", "¥100", "-e utf-8"),
        ("euc-jp", "10−5", "-e utf-8"),
        ("iso-2022-jp", "ｱｲｳ", "-e utf-8"),
        ("gb18030", "\u{e78d}", "-e utf-8"),
    ] {
        daemon
            .ctl(&["send", &peer.name(), "-e", encoding, text])
            .fails(5, &[&format!("{encoding} cannot hold `"), hint]);
    }
    assert!(daemon.entries().is_empty());
    for (encoding, text) in [("shift_jis", "ｱｲｳ 天気"), ("iso-2022-jp", "¥100 天気"), ("gb18030", "€ 😀")]
    {
        assert_eq!(sent(&daemon, &peer.name(), &["-e", encoding, text])["text"], text, "{encoding}");
    }
}

#[test]
fn characters_that_other_programs_misread_are_refused() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    for (encoding, text, hint) in [
        ("gbk", "价格5€", "-e gb18030"),
        ("shift_jis", "①", "-e cp932"),
        ("shift_jis", "～", "-e cp932"),
        ("euc-kr", "똠", "-e cp949"),
        ("big5", "恒", "-e cp950"),
    ] {
        let refused = daemon.ctl(&["send", &peer.name(), "-e", encoding, text]);
        refused.fails(5, &[&format!("{encoding} cannot hold `"), hint]);
    }
    for (encoding, text, bytes) in [
        ("gb18030", "5€", &b"5\xa2\xe3"[..]),
        ("cp932", "①～", b"\x87\x40\x81\x60"),
        ("cp949", "똠", b"\x8c\x63"),
        ("cp950", "恒", b"\xf9\xda"),
    ] {
        let entry = sent(&daemon, &peer.name(), &["-e", encoding, text]);
        assert_eq!((&entry["text"], &entry["encoding"]), (&json!(text), &json!(encoding)));
        assert_eq!((raw(&entry).as_slice(), peer.receive().0.as_slice()), (bytes, bytes), "{encoding}");
    }
}

#[test]
fn a_text_that_some_members_cannot_get_is_sent_to_none() {
    let peers = [Peer::new(), Peer::new(), Peer::new()];
    let encodings = ["gbk", "utf-8", "gbk"];
    let tables = peers.iter().zip(encodings).enumerate().map(|(number, (peer, encoding))| {
        format!("[peers.p{number}]\naddress = '{}'\nencoding = '{encoding}'\n", peer.name())
    });
    let config = tables.collect::<String>()
        + "[peers.all]\nmembers = ['p0', 'p1', 'p2']\n[peers.plc]\naddress = '127.0.0.1:9'\nencoding = 'hex'\n";
    let daemon = Daemon::start_with(&config, &[]);
    let refused = daemon.ctl(&["send", "all", "work 😀"]);
    refused.fails(
        5,
        &["(U+1F600), for p0, p2; nothing was sent\nhint: `udpchatctl send PEER -e utf-8 TEXT` sends it to one"],
    );
    // What `-e` sets is for all.
    daemon.ctl(&["send", "p0,p1", "😀"]).fails(
        5,
        &["(U+1F600), for p0; nothing was sent", "`udpchatctl send p0 -e utf-8 TEXT` sends it to one"],
    );
    daemon.ctl(&["send", "p0,p1", "-e", "gbk", "😀"]).fails(5, &["`-e utf-8` holds every character"]);
    daemon.ctl(&["send", "p1,plc", "01 0z"]).fails(
        5,
        &["`z` is no byte in hexadecimal digits, which the encoding of this peer takes, for plc; nothing was sent"],
    );
    daemon.ctl(&["send", "all,plc", "01 😀"]).fails(
        5,
        &[
            "(U+1F600), for p0, p2; `😀` is no byte in hexadecimal digits",
            "takes, for plc; nothing was sent\n",
        ],
    );
    assert!(daemon.entries().is_empty());
    daemon.ctl(&["send", "all,plc", "01 0a"]).ok();
    daemon.ctl(&["send", "all", "work"]).ok();
    daemon.ctl(&["send", "all", "😀", "-e", "utf-8"]).ok();
}

#[test]
fn a_file_in_another_encoding_than_that_of_its_peer_is_noted() {
    let peer = Peer::new();
    let config = format!("[peers.bob]\naddress = '{}'\nencoding = 'gbk'\n", peer.name());
    let daemon = Daemon::start_with(&config, &[]);
    let file = daemon.path("text");
    for (content, note) in [
        (
            "第一题",
            "note: the file is UTF-8 and is sent as it is, but bob uses gbk; `udpchatctl send bob < FILE` converts",
        ),
        ("plain", ""),
    ] {
        std::fs::write(&file, content).unwrap();
        let sent = daemon.ctl(&["send", "bob", "--file", file.to_str().unwrap()]);
        assert_eq!(peer.receive().0, content.as_bytes());
        assert!(sent.stderr.starts_with(note) && sent.stderr.is_empty() == note.is_empty(), "{sent:?}");
    }
}

#[test]
fn an_argument_in_another_encoding_is_named() {
    let daemon = Daemon::start();
    let text = GBK.encode("收到，老师").0;
    let mut command = daemon.ctl_command(&["send", "127.0.0.1:9"]);
    let sent = finish(command.arg(OsStr::from_bytes(&text)), b"");
    sent.fails(2, &["error: argument 5 is not UTF-8\n", "it looks like gbk: switch the terminal to UTF-8"]);
    let mut command = daemon.ctl_command(&["inbox", "--grep"]);
    let read = finish(command.arg(OsStr::from_bytes(b"\xff")), b"");
    read.fails(2, &["is not UTF-8\nhint: switch the terminal to UTF-8\n"]);
}

#[test]
fn a_narrow_name_keeps_to_its_characters() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    for (name, text, shown, refused, hint) in [
        ("ascii", "plain", "ascii", "é", "-e windows-1252"),
        ("us-ascii", "plain", "ascii", "你", "-e utf-8"),
        ("latin1", "café", "iso-8859-1", "€", "-e windows-1252"),
        ("gb2312", "你好，α", "gb2312", "镕", "-e gb18030"),
    ] {
        let entry = sent(&daemon, &peer.name(), &["-e", name, text]);
        assert_eq!((&entry["text"], &entry["encoding"]), (&json!(text), &json!(shown)));
        let wrong = daemon.ctl(&["send", &peer.name(), "-e", name, refused]);
        wrong.fails(5, &[&format!("{shown} cannot hold `{refused}`"), hint]);
    }
}

#[test]
fn a_configured_narrow_name_limits_only_what_is_sent() {
    let peer = Peer::new();
    let config = format!("[peers.bob]\naddress = '{}'\nencoding = 'gb2312'\n", peer.name());
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&peer, [GBK.encode("朱镕基").0]);
    let received = daemon.entries().remove(0);
    assert_eq!((&received["text"], &received["encoding"]), (&json!("朱镕基"), &json!("gbk")));
    assert_eq!(sent(&daemon, "bob", &["你好"])["encoding"], "gb2312");
    daemon.ctl(&["send", "bob", "朱镕基"]).fails(5, &["gb2312 cannot hold `镕`"]);
}

#[test]
fn a_peer_read_by_the_fallback_is_answered_in_its_name() {
    let daemon = Daemon::start_with("[text]\nfallback = 'cp932'\n", &[]);
    let peer = Peer::new();
    daemon.receive_from(&peer, [SHIFT_JIS.encode("今日は天気がいいですね").0]);
    assert_eq!(daemon.entries()[0]["encoding"], "shift_jis");
    let answer = sent(&daemon, &peer.name(), &["①"]);
    assert_eq!((&answer["encoding"], &answer["encoding_by"]), (&json!("cp932"), &json!("remembered")));
}

/// Returns the encoding that `peers` lists for a peer, and what chose it.
fn listed(daemon: &Daemon, peer: &Peer) -> (String, String) {
    let rows = daemon.ctl(&["--json", "peers"]).json();
    let row = rows.iter().find(|row| row["address"] == peer.name()).expect("the peer is listed");
    (row["encoding"].as_str().unwrap().to_owned(), row["encoding_by"].as_str().unwrap().to_owned())
}

#[test]
fn a_peer_that_has_proven_nothing_is_answered_in_the_fallback() {
    let mut daemon = Daemon::start();
    let (peer, silent) = (Peer::new(), Peer::at("127.0.0.2:0"));
    let by = |encoding: &str, by: &str| (encoding.to_owned(), by.to_owned());
    daemon.receive_from(&peer, [b"hello"]);
    assert_eq!(encoding_towards(&daemon, &peer.name()), by("utf-8", "configured"));
    assert_eq!(peer.receive().0, "大家好".as_bytes());
    // What is too short to prove anything, and messages that show no encoding: ASCII and binary data.
    daemon.receive_from(&peer, [&GBK.encode("中").0[..], b"ok", b"\x01\xff\x00\x02"]);
    assert_eq!(daemon.entries()[2]["encoding_by"], "fallback");
    for restarted in [false, true] {
        if restarted {
            daemon = daemon.start_again();
        }
        assert_eq!(listed(&daemon, &peer), by("gbk", "fallback"));
        assert_eq!(encoding_towards(&daemon, &peer.name()), by("gbk", "fallback"));
        assert_eq!(peer.receive().0, GBK.encode("大家好").0.to_vec());
        assert_eq!(encoding_towards(&daemon, &silent.name()), by("utf-8", "configured"));
    }
    // What the fallback cannot read says nothing.
    let russian = Peer::at("127.0.0.3:0");
    daemon.receive_from(&russian, [b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0"]);
    assert_eq!(encoding_towards(&daemon, &russian.name()), by("utf-8", "configured"));
    // What reads far better in another encoding is answered in it, also before it is proven.
    let taiwanese = Peer::at("127.0.0.4:0");
    daemon.receive_from(&taiwanese, [BIG5.encode("繁體中文測試，請回覆老師").0]);
    assert_eq!(daemon.entries().last().unwrap()["encoding_by"], "detected");
    assert_eq!(listed(&daemon, &taiwanese), by("big5", "detected"));
    assert_eq!(encoding_towards(&daemon, &taiwanese.name()), by("big5", "detected"));
    // Its other ports are answered alike; the newest message decides.
    assert_eq!(encoding_towards(&daemon, "127.0.0.1:9"), by("gbk", "fallback"));
    daemon.receive_from(&peer, ["好"]);
    assert_eq!(daemon.entries().last().unwrap()["encoding"], "utf-8");
    assert_eq!(listed(&daemon, &peer).0, "utf-8");
    assert_eq!(encoding_towards(&daemon, &peer.name()).0, "utf-8");
}

#[test]
fn messages_of_a_port_win_over_its_host() {
    let by = |encoding: &str, by: &str| (encoding.to_owned(), by.to_owned());
    for (of_host, answered_first, short, answered) in [
        (UTF_8, by("utf-8", "remembered"), GBK.encode("好的").0, by("gbk", "fallback")),
        (GBK, by("gbk", "remembered"), UTF_8.encode("嗯").0, by("utf-8", "detected")),
    ] {
        let mut daemon = Daemon::start();
        let [classmate, student, silent] = [(); 3].map(|()| Peer::new());
        daemon.receive_from(&classmate, [of_host.encode("设备启动完成，温度正常").0]);
        assert_eq!(encoding_towards(&daemon, &student.name()), answered_first);
        daemon.receive_from(&student, [&short[..]]);
        assert!(["好的", "嗯"].contains(&daemon.entries().pop().unwrap()["text"].as_str().unwrap()));
        for restarted in [false, true] {
            if restarted {
                daemon = daemon.start_again();
            }
            assert_eq!(encoding_towards(&daemon, &student.name()), answered);
            assert_eq!(listed(&daemon, &student), answered);
            assert_eq!(encoding_towards(&daemon, &classmate.name()), answered_first);
            assert_eq!(encoding_towards(&daemon, &silent.name()), answered_first);
        }
    }
}

#[test]
fn further_evidence_changes_no_answer() {
    let daemon = Daemon::start();
    let (classmate, student, silent) = (Peer::new(), Peer::new(), Peer::new());
    daemon.receive_from(&classmate, ["设备启动完成，温度正常"]);
    // Once the ports of the host disagree, its newest message decides about those that have sent nothing.
    for text in ["好的", "设备启动完成，温度正常", "好的"] {
        daemon.receive_from(&student, [GBK.encode(text).0]);
        assert_eq!(encoding_towards(&daemon, &student.name()).0, "gbk", "{text}");
    }
    assert_eq!(encoding_towards(&daemon, &silent.name()).0, "gbk");
    // What a person has chosen for a port is for this port.
    daemon.ctl(&["-q", "recode", "--as", "hex", "--remember", "--from", &student.name(), "--all"]).ok();
    assert_eq!(encoding_towards(&daemon, &silent.name()).0, "utf-8");
}

#[test]
fn the_fallback_answers_by_its_own_name() {
    let daemon = Daemon::start_with("[text]\nfallback = 'windows-1251'\nencoding = 'gbk'\n", &[]);
    let peer = Peer::new();
    daemon.receive_from(&peer, [b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0"]);
    let answer = sent(&daemon, &peer.name(), &["Привет"]);
    assert_eq!((&answer["encoding"], &answer["encoding_by"]), (&json!("windows-1251"), &json!("fallback")));
    assert_eq!(listed(&daemon, &peer), ("windows-1251".to_owned(), "fallback".to_owned()));
}

/// Has a peer at an address send a text that proves its encoding.
fn peer_that_speaks(daemon: &Daemon, address: &str, encoding: &'static Encoding) -> Peer {
    let peer = Peer::at(address);
    daemon.receive_from(&peer, [encoding.encode("你好，世界").0]);
    peer
}

/// Returns the encoding in which a text goes to an address, and what chose it.
fn encoding_towards(daemon: &Daemon, to: &str) -> (String, String) {
    let entry = sent(daemon, to, &["大家好"]);
    let field = |name: &str| entry[name].as_str().unwrap().to_owned();
    (field("encoding"), field("encoding_by"))
}

#[test]
fn a_broadcast_uses_the_encoding_common_to_its_network() {
    let daemon = Daemon::start_with("", &["--listen", "0.0.0.0:0"]);
    // Port 9 (discard) has no receiver.
    let (broadcast, group) = ("127.255.255.255:9", "239.1.2.3%lo:9");
    let by = |encoding: &str, by: &str| (encoding.to_owned(), by.to_owned());
    assert_eq!(encoding_towards(&daemon, broadcast), by("utf-8", "configured"));
    let _first = peer_that_speaks(&daemon, "127.0.0.2:0", GBK);
    let _second = peer_that_speaks(&daemon, "127.0.0.3:0", GBK);
    for to in [broadcast, group] {
        assert_eq!(encoding_towards(&daemon, to), by("gbk", "remembered"), "{to}");
    }
    let _third = peer_that_speaks(&daemon, "127.0.0.4:0", UTF_8);
    for to in [broadcast, group] {
        assert_eq!(encoding_towards(&daemon, to), by("utf-8", "configured"), "{to}");
    }
    // What is configured for the address itself comes first.
    let config = "listen = ['0.0.0.0:0']\n[peers.all]\naddress = '127.255.255.255:9'\nencoding = 'big5'\n";
    std::fs::write(daemon.path("config.toml"), config).unwrap();
    daemon.ctl(&["-q", "reload"]).ok();
    assert_eq!(encoding_towards(&daemon, broadcast), by("big5", "configured"));
}
