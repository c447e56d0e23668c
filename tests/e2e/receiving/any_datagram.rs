//! Any datagram is stored and sent byte for byte, whatever its length and content.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Daemon, Peer, Rpc, raw, scaled, texts};

/// The longest payload that a datagram over IPv4 carries.
const LONGEST: usize = 65_507;

/// The lengths to try: everywhere where something may change, or all there are.
fn lengths() -> Vec<usize> {
    let stride = scaled(1_499, 1);
    let notable = [0..=300, 1_465..=1_475, 2_040..=2_050, 8_185..=8_195, LONGEST - 3..=LONGEST];
    (0..=LONGEST)
        .step_by(stride)
        .chain(notable.into_iter().flatten())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Bytes that look random, always the same for a length (xorshift).
fn payload(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (length as u64 + 1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Divides lengths into batches that fit into the smallest receive buffer.
fn batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for &length in lengths {
        match batches.last_mut() {
            Some(batch) if batch.len() < 100 && batch.iter().sum::<usize>() + length < LONGEST => {
                batch.push(length);
            }
            _ => batches.push(vec![length]),
        }
    }
    batches
}

/// Subscribes to new messages.
fn subscribed(daemon: &Daemon) -> Rpc {
    let mut rpc = daemon.rpc();
    rpc.call("subscribe", json!({}));
    rpc
}

fn is_this(entry: &Value, payload: &[u8]) -> bool {
    entry["bytes"] == payload.len() && raw(entry) == payload
}

/// Checks that received = stored + dropped + queued, and returns the status.
#[track_caller]
fn balanced(status: Value) -> Value {
    let number = |value: &Value| value.as_u64().unwrap();
    let dropped: u64 = status["dropped"].as_object().unwrap().values().map(number).sum();
    let known = number(&status["stored"]) + number(&status["queued"]) + dropped;
    assert_eq!(number(&status["received"]["datagrams"]), known, "{status}");
    status
}

/// Sends datagrams of all lengths, and checks that each is stored exactly.
fn keeps_every_length(listen: &str, peer: &Peer) {
    let daemon = Daemon::start_with("", &["--listen", listen]);
    let mut stored = subscribed(&daemon);
    let lengths = lengths();
    for batch in batches(&lengths) {
        batch.iter().for_each(|length| peer.send(daemon.address(), payload(*length)));
        for length in batch {
            assert!(
                is_this(&stored.entry(), &payload(length)),
                "{length} bytes are not stored as they were sent"
            );
        }
    }
    let status = balanced(daemon.stored(lengths.len() as u64));
    let received = json!({ "datagrams": lengths.len(), "bytes": lengths.iter().sum::<usize>() });
    assert_eq!((&status["received"], &status["kernel_drops"]), (&received, &json!(0)));
}

#[test]
fn every_length_is_kept_byte_for_byte_over_ipv4() {
    keeps_every_length("127.0.0.1:0", &Peer::new());
}

#[test]
fn every_length_is_kept_byte_for_byte_over_ipv6() {
    keeps_every_length("[::1]:0", &Peer::at("[::1]:0"));
}

/// Payloads of careless and hostile peers.
fn awkward() -> Vec<Vec<u8>> {
    let fixed: [&[u8]; 14] = [
        b"",
        b"\0",
        b"hello\0\0\0",
        b"a\0b",
        b"hello\r\n",
        b"hello\n\n",
        b"\r\n",
        b"two\r\nlines\rof\nthree kinds",
        b"\xff\xfe\xfd",
        b"\xc3",
        b"\xe4\xbd",
        b"\x1b[2J\x1b]0;title\x07\x7f\x9b31m",
        b"\x81\x30\x83\x37",
        "\u{202e}cod.exe\u{2066}\u{200b}".as_bytes(),
    ];
    let all_bytes: Vec<u8> = (0..=255).collect();
    let random = (1..40).map(|length| payload(length * 7));
    fixed.iter().map(|bytes| bytes.to_vec()).chain([all_bytes]).chain(random).collect()
}

#[test]
fn any_content_is_kept_and_readable() {
    let daemon = Daemon::start();
    let sent = awkward();
    daemon.receive_from(&Peer::new(), &sent);
    let stored = daemon.entries();
    assert!(stored.len() == sent.len() && stored.iter().zip(&sent).all(|(entry, sent)| is_this(entry, sent)));
    assert_eq!(daemon.ctl(&["--json", "inbox", "--peek"]).json(), stored);

    let text = daemon.ctl(&["inbox", "--peek"]).ok();
    let harmful: Vec<_> = text.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\t')).collect();
    assert!(harmful.is_empty(), "{harmful:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), sent.len());

    assert_eq!(dumped(&daemon.ctl(&["inbox", "--hex"]).ok()), sent);
}

/// Reads the bytes of each message back from canonical dumps.
fn dumped(text: &str) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            messages.push(Vec::new());
        } else if let Some((hex, _)) = line[8..].split_once('|') {
            let bytes = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap());
            messages.last_mut().unwrap().extend(bytes);
        }
    }
    messages
}

#[test]
fn the_longest_datagram_is_sent_whole() {
    for (listen, peer) in [("127.0.0.1:0", Peer::new()), ("[::1]:0", Peer::at("[::1]:0"))] {
        let daemon = Daemon::start_with("", &["--listen", listen]);
        let file = daemon.path("longest");
        std::fs::write(&file, payload(LONGEST)).unwrap();
        daemon.ctl(&["-q", "send", &peer.name(), "--file", file.to_str().unwrap()]).ok();
        assert!(peer.receive().0 == payload(LONGEST));
        let text = "x".repeat(LONGEST);
        daemon.ctl_with_input(&["-q", "send", &peer.name()], text.as_bytes()).ok();
        assert!(peer.receive().0 == text.as_bytes());
    }
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let text = "x".repeat(LONGEST + 1);
    let file = daemon.path("too-long");
    std::fs::write(&file, &text).unwrap();
    let send = ["send", &peer.name()];
    let in_bytes = daemon.ctl(&[&send[..], &["--file", file.to_str().unwrap()]].concat());
    in_bytes.fails(5, &["65,508 bytes", "65,507", "--split"]);
    daemon.ctl_with_input(&send, text.as_bytes()).fails(5, &["65508 bytes", "65507", "--split"]);
    // The length in the peer's encoding counts: 32,754 characters of two bytes are one byte too long.
    let chinese = "中".repeat(LONGEST / 2 + 1);
    let in_gbk = daemon.ctl_with_input(&[&send[..], &["-e", "gbk"]].concat(), chinese.as_bytes());
    in_gbk.fails(5, &["65508 bytes", "65507", "--split"]);
    let error = daemon.rpc().error("send", json!({ "to": peer.name(), "text": text }));
    assert_eq!(error["data"]["kind"], "too_long");
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 0, "bounced": 0 }));
    assert!(texts(&daemon.entries()).is_empty());
}

#[test]
fn the_counters_balance_at_every_moment() {
    const EACH: usize = 5_000;
    let daemon = Daemon::start_with("receive_buffer = \"64KiB\"\n[access]\ndeny = [\"127.0.0.9\"]\n", &[]);
    let peers = [Peer::new(), Peer::at("127.0.0.9:0")];
    let to = daemon.address();
    let flood = std::thread::spawn(move || {
        for number in 0..EACH {
            peers.iter().for_each(|peer| peer.send(to, payload(number % 500)));
        }
    });
    let mut rpc = daemon.rpc();
    while !flood.is_finished() {
        balanced(rpc.call("status", json!({})));
    }
    flood.join().unwrap();
    let status = crate::support::eventually("every datagram to be accounted for", || {
        let status = balanced(rpc.call("status", json!({})));
        let received = status["received"]["datagrams"].as_u64()? + status["kernel_drops"].as_u64()?;
        (received == 2 * EACH as u64 && status["queued"] == 0).then_some(status)
    });
    assert!(status["dropped"]["denied"].as_u64() > Some(0));
    let stored = daemon.entries().iter().filter(|entry| entry["type"] == "message").count();
    assert_eq!(status["stored"], stored);
}
