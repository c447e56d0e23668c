//! Peers that use UTF-8 and peers that use GBK are decoded and answered correctly, side by side, without any
//! configuration.

use std::net::SocketAddr;

use encoding_rs::{Encoding, GBK, UTF_8, UTF_16BE, UTF_16LE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, scaled, texts};

/// 一 in GBK, and һ in UTF-8.
const AMBIGUOUS: &[u8] = b"\xd2\xbb";

/// Returns how an entry was decoded: text, encoding, and the source of the encoding.
fn reading(entry: &Value) -> (&str, &str, &str) {
    let field = |name: &str| entry[name].as_str().unwrap();
    (field("text"), field("encoding"), field("encoding_by"))
}

/// Has a peer send bytes, and returns the entry.
fn received(daemon: &Daemon, peer: &Peer, payload: impl AsRef<[u8]>) -> Value {
    daemon.receive_from(peer, [payload]);
    daemon.entries().pop().unwrap()
}

/// Makes a peer whose encoding the daemon has learned.
fn peer_with_learned(daemon: &Daemon, encoding: &'static Encoding) -> Peer {
    let peer = Peer::new();
    received(daemon, &peer, encoding.encode("你好").0);
    peer
}

/// Sends text to a peer with `udpchatctl send`, and returns the bytes that arrive.
fn answer_to(daemon: &Daemon, peer: &Peer, args: &[&str]) -> Vec<u8> {
    daemon.ctl(&[&["-q", "send", &peer.name()], args].concat()).ok();
    peer.receive().0
}

fn gbk(text: &str) -> Vec<u8> {
    GBK.encode(text).0.into_owned()
}

#[test]
fn the_same_bytes_decode_by_peer() {
    let daemon = Daemon::start();
    let (chinese, modern, stranger) =
        (peer_with_learned(&daemon, GBK), peer_with_learned(&daemon, UTF_8), Peer::new());
    let expected = [
        (&chinese, ("一", "gb18030", "remembered")),
        (&modern, ("һ", "utf-8", "remembered")),
        (&stranger, ("һ", "utf-8", "detected")),
    ];
    for (peer, as_meant) in expected {
        assert_eq!(reading(&received(&daemon, peer, AMBIGUOUS)), as_meant);
    }
}

#[test]
fn each_peer_is_answered_in_its_encoding() {
    let daemon = Daemon::start();
    let (chinese, modern, stranger) =
        (peer_with_learned(&daemon, GBK), peer_with_learned(&daemon, UTF_8), Peer::new());
    assert_eq!(answer_to(&daemon, &chinese, &["再见"]), gbk("再见"));
    assert_eq!(answer_to(&daemon, &modern, &["再见"]), "再见".as_bytes());
    assert_eq!(answer_to(&daemon, &stranger, &["再见"]), "再见".as_bytes());
}

#[test]
fn a_detected_encoding_is_remembered() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    assert_eq!(reading(&received(&daemon, &peer, gbk("你好"))), ("你好", "gb18030", "detected"));
    assert_eq!(reading(&received(&daemon, &peer, gbk("再见"))), ("再见", "gb18030", "remembered"));
    assert_eq!(texts(&daemon.entries()), ["你好", "再见"]);
}

/// The daemon is stopped while both messages are sent, so that it finds them at once.
#[test]
fn a_detected_encoding_holds_within_a_batch() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.call("subscribe", json!({}));
    for _ in 0..20 {
        let peer = Peer::new();
        daemon.signal(Signal::SIGSTOP);
        peer.send_text(daemon.address(), "你好", GBK);
        peer.send(daemon.address(), AMBIGUOUS);
        daemon.signal(Signal::SIGCONT);
        assert_eq!(reading(&rpc.entry()), ("你好", "gb18030", "detected"));
        assert_eq!(reading(&rpc.entry()), ("一", "gb18030", "remembered"));
    }
}

#[test]
fn a_changed_encoding_is_detected_at_once() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, GBK);
    assert_eq!(reading(&received(&daemon, &peer, "你好")), ("你好", "utf-8", "detected"));
    assert_eq!(reading(&received(&daemon, &peer, AMBIGUOUS)), ("һ", "utf-8", "remembered"));
    assert_eq!(answer_to(&daemon, &peer, &["再见"]), "再见".as_bytes());
    assert_eq!(reading(&received(&daemon, &peer, gbk("你好"))), ("你好", "gb18030", "detected"));
    assert_eq!(answer_to(&daemon, &peer, &["再见"]), gbk("再见"));
}

#[test]
fn utf_16_is_never_guessed() {
    let daemon = Daemon::start();
    for text in ["hi", "你好", "一", "a longer text, in two bytes a character"] {
        for big_endian in [false, true] {
            let units = text.encode_utf16();
            let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let payload: Vec<u8> = units.flat_map(bytes).collect();
            let entry = received(&daemon, &Peer::new(), payload);
            assert!(!is_utf_16(&entry), "{entry}");
        }
    }
}

fn is_utf_16(entry: &Value) -> bool {
    [UTF_16LE, UTF_16BE].iter().any(|encoding| entry["encoding"] == encoding.name().to_lowercase())
}

#[test]
fn a_byte_order_mark_selects_no_encoding() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, GBK);
    for mark in [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"] {
        let stranger = received(&daemon, &Peer::new(), [mark, b"h\0i\0"].concat());
        assert!(!is_utf_16(&stranger) && stranger["text"].as_str().unwrap().ends_with("i\0"), "{stranger}");
        let marked = received(&daemon, &peer, [mark, b" ", &gbk("你好")].concat());
        assert!(marked["text"].as_str().unwrap().ends_with(" 你好"), "{marked}");
        assert_eq!(reading(&received(&daemon, &peer, AMBIGUOUS)), ("一", "gb18030", "remembered"));
    }
}

#[test]
fn unencodable_text_is_refused_unsent() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, GBK);
    let refused = daemon.ctl(&["send", &peer.name(), "好的😀"]);
    refused.fails(5, &["gbk cannot hold `😀` (U+1F600)", "-e gb18030"]);
    let status = daemon.status();
    assert_eq!(
        (&status["sent"], daemon.entries().len()),
        (&json!({ "datagrams": 0, "failed": 0, "bounced": 0 }), 1)
    );
    assert_eq!(answer_to(&daemon, &peer, &["-e", "gb18030", "😀"]), b"\x94\x39\xfc\x36");
}

/// The 3,755 characters of GB2312's first level, in its bytes.
fn common_characters() -> Vec<[u8; 2]> {
    let pairs = (0xb0..=0xd7u8).flat_map(|lead| (0xa1..=0xfeu8).map(move |trail| [lead, trail]));
    let all: Vec<_> = pairs.filter(|pair| pair[0] != 0xd7 || pair[1] <= 0xf9).collect();
    assert_eq!(all.len(), 3755);
    all
}

#[test]
fn every_common_character_survives_the_round_trip() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, GBK);
    let characters = common_characters();
    daemon.receive_from(&peer, &characters);
    let entries = daemon.entries();
    assert_eq!(entries.len(), 1 + characters.len());
    for (pair, entry) in characters.iter().zip(&entries[1..]) {
        let (character, _) = GBK.decode_without_bom_handling(pair);
        assert_eq!(reading(entry), (&*character, "gb18030", "remembered"));
    }
    let mut rpc = daemon.rpc();
    for (pair, entry) in characters.iter().zip(&entries[1..]).step_by(scaled(16, 1)) {
        rpc.call("send", json!({ "to": peer.name(), "text": entry["text"] }));
        assert_eq!(peer.receive().0, pair);
    }
}

#[test]
fn a_learned_encoding_survives_a_crash() {
    let daemon = Daemon::start();
    let (chinese, modern) = (peer_with_learned(&daemon, GBK), peer_with_learned(&daemon, UTF_8));
    let daemon = daemon.start_again();
    assert_eq!(answer_to(&daemon, &chinese, &["再见"]), gbk("再见"));
    assert_eq!(reading(&received(&daemon, &chinese, AMBIGUOUS)), ("一", "gb18030", "remembered"));
    assert_eq!(reading(&received(&daemon, &modern, AMBIGUOUS)), ("һ", "utf-8", "remembered"));
}

/// Writes a configuration with one named peer and its encoding, and reloads it.
fn configure(daemon: &Daemon, peer: SocketAddr, encoding: &str) {
    let config = format!("[peers.bob]\naddress = \"{peer}\"\nencoding = \"{encoding}\"\n");
    std::fs::write(daemon.path("config.toml"), config).unwrap();
    daemon.ctl(&["-q", "reload"]).ok();
}

#[test]
fn a_configured_encoding_precedes_a_learned_one() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, UTF_8);
    configure(&daemon, peer.address(), "gbk");
    assert_eq!(reading(&received(&daemon, &peer, AMBIGUOUS)), ("一", "gbk", "configured"));
    let proof_of_utf_8 = received(&daemon, &peer, "你好");
    assert_eq!(reading(&proof_of_utf_8), ("浣犲ソ", "gbk", "configured"));
    assert_eq!(answer_to(&daemon, &peer, &["再见"]), gbk("再见"));
}

#[test]
fn an_explicit_encoding_precedes_all_others() {
    let daemon = Daemon::start();
    let peer = peer_with_learned(&daemon, UTF_8);
    assert_eq!(answer_to(&daemon, &peer, &["-e", "gbk", "再见"]), gbk("再见"));
    configure(&daemon, peer.address(), "gbk");
    let big5 = answer_to(&daemon, &peer, &["-e", "big5", "你好"]);
    assert_eq!(big5, b"\xa7A\xa6n");
    let sent = daemon.entries();
    assert_eq!(reading(&sent[1]), ("再见", "gbk", "given"));
    assert_eq!(reading(&sent[2]), ("你好", "big5", "given"));
}

#[test]
fn the_configuration_decides_for_unknown_peers() {
    let config = "[text]\nencoding = \"gbk\"\nfallback = \"windows-1252\"\n";
    let daemon = Daemon::start_with(config, &[]);
    let peer = Peer::new();
    assert_eq!(answer_to(&daemon, &peer, &["再见"]), gbk("再见"));
    assert_eq!(reading(&received(&daemon, &peer, b"caf\xe9")), ("café", "windows-1252", "fallback"));
    let entries = daemon.entries();
    assert_eq!(reading(&entries[0]), ("再见", "gbk", "configured"));
}
