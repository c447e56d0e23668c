//! What is remembered of a peer rests on proof: damaged, framed and foreign text changes nothing, and a person's choice stands.

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK, KOI8_R, SHIFT_JIS, WINDOWS_874, WINDOWS_1251};
use serde_json::Value;

use crate::support::{Daemon, Peer, texts};

const WEATHER: &str = "今天天气很好，温度二十五度";

/// What follows a text that a small buffer has cut.
const TAILS: [&[u8]; 7] = [b"", b"\n", b"\r\n", b"\"}", b"...", b"\x1b[0m\n", b" [truncated]"];

fn encoded(text: &str, encoding: &'static Encoding) -> Vec<u8> {
    encoding.encode(text).0.into_owned()
}

/// Has a peer send bytes, and returns the text, the encoding, and what chose it.
fn received(daemon: &Daemon, peer: &Peer, payload: impl AsRef<[u8]>) -> (String, String, String) {
    daemon.receive_from(peer, [payload]);
    reading(&daemon.entries().pop().unwrap())
}

fn reading(entry: &Value) -> (String, String, String) {
    let field = |name: &str| entry[name].as_str().unwrap().to_owned();
    (field("text"), field("encoding"), field("encoding_by"))
}

fn read_as(text: &str, encoding: &str, by: &str) -> (String, String, String) {
    (text.to_owned(), encoding.to_owned(), by.to_owned())
}

#[test]
fn cut_utf_8_is_read_whatever_follows_the_cut() {
    let daemon = Daemon::start();
    let known = Peer::new();
    received(&daemon, &known, WEATHER);
    let begin: String = WEATHER.chars().take(12).collect();
    for tail in TAILS {
        let cut = [&WEATHER.as_bytes()[..WEATHER.len() - 1], tail].concat();
        for peer in [&known, &Peer::new()] {
            let (text, encoding, _) = received(&daemon, peer, &cut);
            let shown = String::from_utf8_lossy(tail);
            assert_eq!((text, encoding.as_str()), (format!("{begin}\u{fffd}{shown}"), "utf-8"));
        }
    }
    let (text, ..) = received(&daemon, &Peer::new(), &WEATHER.as_bytes()[2..]);
    assert_eq!(text, format!("\u{fffd}{}", &WEATHER[3..]));
    // Variants of other programs are read as their characters.
    let (text, ..) = received(&daemon, &known, b"a\xc0\x80b \xed\xa0\xbd\xed\xb8\x80");
    assert_eq!(text, "a\0b 😀");
}

#[test]
fn a_cut_datagram_teaches_nothing_wrong() {
    for (fallback, first, long, next) in [
        ("windows-1251", "Привет, как дела", "Температура в норме, давление", "Всё хорошо"),
        ("windows-1252", "température à l'été", "température élevée à l'é", "déjà vu"),
        ("shift_jis", "é", "温度は正常です、湿度も", "ок"),
        ("gb18030", "é", WEATHER, "ок"),
    ] {
        let daemon = Daemon::start_with(&format!("[text]\nfallback = \"{fallback}\"\n"), &[]);
        let peer = Peer::new();
        let cut = &long.as_bytes()[..long.len() - 1];
        daemon.receive_from(&peer, [first.as_bytes(), cut, next.as_bytes()]);
        let entries = daemon.entries();
        assert_eq!([&entries[0]["text"], &entries[2]["text"]], [first, next], "{fallback}");
        assert_eq!(entries[1]["encoding"], "utf-8", "{fallback}");
        daemon.ctl(&["-q", "send", &peer.name(), next]).ok();
        assert_eq!(peer.receive().0, next.as_bytes(), "{fallback}");
    }
}

#[test]
fn foreign_text_is_not_remembered_as_chinese() {
    let daemon = Daemon::start();
    let speakers = [
        (EUC_KR, ["온도 정상", "설비 가동 시작"]),
        (EUC_JP, ["湿度も正常", "東京都千代田区"]),
        (SHIFT_JIS, ["ｴﾗｰ ﾎﾟﾝﾌﾟ", "警報"]),
        (KOI8_R, ["привет всем", "ДАТЧИК"]),
        (WINDOWS_1251, ["ПРИВЕТ", "АВАРИЯ НАСОСА"]),
        (WINDOWS_874, ["อุณหภูมิปกติ", "ความชื้น"]),
    ];
    for (number, (encoding, lines)) in speakers.into_iter().enumerate() {
        // Each on a host of its own, which has proven nothing else.
        let peer = Peer::at(&format!("127.0.1.{}:0", number + 1));
        daemon.receive_from(&peer, lines.map(|line| encoded(line, encoding)));
        // 一 in GBK, and һ in UTF-8: Chinese only for a peer that is known to speak it.
        let (_, as_encoding, _) = received(&daemon, &peer, b"\xd2\xbb");
        assert_ne!(as_encoding, "gb18030", "{}", encoding.name());
    }
}

#[test]
fn controls_around_text_prevent_no_learning() {
    let text = encoded("温度正常，设备启动完成", GBK);
    for (before, behind) in
        [("\x02", "\x03"), ("\x0b", "\x1c\r"), ("\x1b[31;1m", "\x1b[0m"), ("\x07", ""), ("", "\0")]
    {
        let daemon = Daemon::start();
        let peer = Peer::new();
        received(&daemon, &peer, [before.as_bytes(), &text, behind.as_bytes()].concat());
        assert_eq!(
            received(&daemon, &peer, b"\xd2\xbb"),
            read_as("一", "gb18030", "remembered"),
            "{before:?}"
        );
    }
    let daemon = Daemon::start();
    let peer = Peer::new();
    received(
        &daemon,
        &peer,
        [b"\x01\x00\x00\x10\x05\x00\x7f\x01", &encoded("设备", GBK)[..], b"\x00\x01\x02"].concat(),
    );
    assert_eq!(received(&daemon, &peer, b"\xd2\xbb").0, "һ", "binary data proves nothing");
}

#[test]
fn a_mark_decides_and_is_not_shown() {
    let daemon = Daemon::start_with("[peers.bob]\naddress = \"127.0.0.2\"\nencoding = \"utf-16\"\n", &[]);
    let peer = Peer::new();
    received(&daemon, &peer, encoded("你好，世界", GBK));
    for text in ["status=ok", "ок", "12 °C"] {
        let marked = ["\u{feff}", text].concat();
        assert_eq!(received(&daemon, &peer, marked), read_as(text, "utf-8", "detected"));
    }
    // A mark says nothing about other messages.
    assert_eq!(received(&daemon, &peer, b"\xd2\xbb"), read_as("一", "gb18030", "remembered"));
    let bob = Peer::at("127.0.0.2:0");
    assert_eq!(received(&daemon, &bob, b"\xff\xfe`OY\x7d").0, "\u{4f60}\u{7d59}");
    assert_eq!(received(&daemon, &bob, b"\xfe\xffO`").0, "你");
    assert_eq!(received(&daemon, &bob, b"`O").0, "你");
}

/// Many programs open a socket for each message.
#[test]
fn what_a_host_has_proven_counts_for_its_other_ports() {
    let daemon = Daemon::start();
    for text in ["设备启动完成", "湿度正常", "压力正常"] {
        received(&daemon, &Peer::new(), encoded(text, GBK));
    }
    let some = encoded("一些", GBK);
    assert_eq!(received(&daemon, &Peer::new(), b"\xd2\xbb"), read_as("一", "gb18030", "remembered"));
    let silent = Peer::new();
    daemon.ctl(&["-q", "send", &silent.name(), "你好"]).ok();
    assert_eq!(silent.receive().0, encoded("你好", GBK));
    let daemon = daemon.start_again();
    assert_eq!(received(&daemon, &Peer::new(), &some), read_as("一些", "gb18030", "remembered"));
    // A port that proves otherwise is another program, and then the host as a whole has no encoding.
    let modern = Peer::new();
    received(&daemon, &modern, "设备启动完成");
    assert_eq!(received(&daemon, &modern, b"\xd2\xbb"), read_as("һ", "utf-8", "remembered"));
    assert_eq!(received(&daemon, &Peer::new(), b"\xd2\xbb"), read_as("һ", "utf-8", "detected"));
}

#[test]
fn a_peer_without_port_is_the_whole_host() {
    let daemon = Daemon::start_with("[peers.bob]\naddress = \"127.0.0.1\"\n", &[]);
    received(&daemon, &Peer::new(), "设备启动完成");
    received(&daemon, &Peer::new(), encoded("设备启动完成", GBK));
    assert_eq!(received(&daemon, &Peer::new(), b"\xd2\xbb").0, "一", "the newest counts");
    daemon.ctl(&["-q", "recode", "--as", "windows-1251", "--remember", "2"]).ok();
    let peer = Peer::new();
    assert_eq!(received(&daemon, &peer, encoded("ещё раз", WINDOWS_1251)).0, "ещё раз");
    daemon.ctl(&["-q", "send", &peer.name(), "да"]).ok();
    assert_eq!(peer.receive().0, b"\xe4\xe0");
}

#[test]
fn what_a_person_has_said_stands() {
    for (name, encoding, lines) in [
        ("euc-kr", EUC_KR, ["안녕하세요 세계", "설비 가동 시작", "온도 정상"]),
        ("windows-1251", WINDOWS_1251, ["ПРИВЕТ", "АВАРИЯ НАСОСА", "Всё хорошо"]),
        ("koi8-r", KOI8_R, ["привет всем", "датчик", "температура в норме"]),
        ("euc-jp", EUC_JP, ["設備の起動が完了しました", "温度は正常です", "湿度も正常"]),
        ("windows-874", WINDOWS_874, ["อุณหภูมิปกติ", "เริ่มทำงาน", "ความชื้น"]),
    ] {
        let mut daemon = Daemon::start();
        let peer = Peer::new();
        received(&daemon, &peer, encoded(lines[0], encoding));
        daemon.ctl(&["-q", "recode", "--as", name, "--all", "--remember"]).ok();
        for line in &lines[1..] {
            assert_eq!(received(&daemon, &peer, encoded(line, encoding)), read_as(line, name, "remembered"));
            daemon = daemon.start_again();
        }
        // What is certainly UTF-8, and no text in the encoding, is read so; nothing is forgotten.
        if !encoding.is_single_byte() {
            assert_eq!(received(&daemon, &peer, "好").0, "好");
        }
        assert_eq!(
            received(&daemon, &peer, encoded(lines[1], encoding)),
            read_as(lines[1], name, "remembered")
        );
        assert_eq!(texts(&daemon.entries())[..3], lines);
        daemon.ctl(&["-q", "recode", "--as", "auto", "--all", "--remember"]).ok();
        assert_ne!(received(&daemon, &peer, encoded(lines[1], encoding)).2, "given");
    }
}
