//! Checks the bytes of captures against the standards, independently of the code that wrote them.

use crate::command::export::pcap::*;
use udpchat_api::{EncodingBy, Gap, Raw};

fn message(direction: Direction, peer: &str, local: Option<&str>, payload: &[u8]) -> Message {
    Message {
        id: 1,
        at: "2026-11-22T14:03:05.123456Z".parse().unwrap(),
        direction,
        peer: peer.parse().unwrap(),
        name: None,
        local: local.map(|local| local.parse().unwrap()),
        text: String::new(),
        encoding: "utf-8".to_owned(),
        encoding_by: EncodingBy::Detected,
        encoding_is_default: false,
        bytes: payload.len(),
        raw: Raw(payload.to_vec()),
        error: None,
        by: None,
        delivery: None,
        answer: None,
        bounce: None,
        held_seconds: None,
    }
}

/// The sum of RFC 1071 over 16-bit words in ones' complement; right over anything whose checksum is right: `ffff`.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut bytes = parts.concat();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Takes an IPv4 packet apart; fails if a length or a checksum is wrong.
fn check_v4(packet: &[u8]) -> (String, String, &[u8]) {
    assert_eq!(packet[0], 0x45);
    assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
    assert_eq!((packet[8], packet[9]), (64, 17));
    assert_eq!(sum(&[&packet[..20]]), 0xffff);
    let udp = &packet[20..];
    let length = u16::try_from(udp.len()).unwrap().to_be_bytes();
    assert_eq!(udp[4..6], length);
    assert_ne!(udp[6..8], [0, 0]);
    assert_eq!(sum(&[&packet[12..20], &[0, 17], &length, udp]), 0xffff);
    let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    (format!("{}:{}", ip(12), port(0)), format!("{}:{}", ip(16), port(2)), &udp[8..])
}

/// Takes an IPv6 packet apart; fails if a length or a checksum is wrong.
fn check_v6(packet: &[u8]) -> (String, String, &[u8]) {
    assert_eq!(packet[0] >> 4, 6);
    assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len() - 40);
    assert_eq!((packet[6], packet[7]), (17, 64));
    let udp = &packet[40..];
    let length = u16::try_from(udp.len()).unwrap().to_be_bytes();
    assert_eq!(udp[4..6], length);
    assert_ne!(udp[6..8], [0, 0]);
    assert_eq!(sum(&[&packet[8..40], &[0, 0], &length, &[0, 0, 0, 17], udp]), 0xffff);
    let ip = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    (format!("[{}]:{}", ip(8), port(0)), format!("[{}]:{}", ip(24), port(2)), &udp[8..])
}

#[test]
fn the_header_declares_nanoseconds_and_raw_ip() {
    let header = file_header();
    assert_eq!(header.len(), 24);
    assert_eq!(header[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(header[8..16], [0; 8]);
    assert_eq!(header[16..], [0, 0, 4, 0, 101, 0, 0, 0]);
}

#[test]
fn a_record_has_the_time_and_both_lengths() {
    let record = record(&message(Direction::In, "10.0.0.1:1", Some("10.0.0.2:2"), b"abc"), 0).unwrap();
    let number = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(4)), (1_795_356_185, 123_456_000));
    assert_eq!((number(8), number(12), record.len()), (31, 31, 16 + 31));
}

#[test]
fn packets_go_from_the_sender_to_the_receiver() {
    for payload in [&b""[..], b"a", b"ab", &[0; 7], &[0xff; 100], &[0xab; 65_507]] {
        let received =
            packet(&message(Direction::In, "10.0.0.1:8080", Some("10.0.0.2:7788"), payload), 1).unwrap();
        assert_eq!(check_v4(&received), ("10.0.0.1:8080".to_owned(), "10.0.0.2:7788".to_owned(), payload));
        let sent =
            packet(&message(Direction::Out, "[fd00::1]:8080", Some("[fd00::2]:7788"), payload), 1).unwrap();
        assert_eq!(check_v6(&sent), ("[fd00::2]:7788".to_owned(), "[fd00::1]:8080".to_owned(), payload));
    }
}

#[test]
fn an_unknown_address_is_unspecified() {
    let v4 = packet(&message(Direction::In, "10.0.0.1:8080", None, b"x"), 7788).unwrap();
    assert_eq!(check_v4(&v4).1, "0.0.0.0:7788");
    let v6 = packet(&message(Direction::Out, "[fd00::1]:8080", None, b"x"), 0).unwrap();
    assert_eq!(check_v6(&v6).0, "[::]:0");
}

#[test]
fn mixed_families_are_written_as_ipv6() {
    let mixed = packet(&message(Direction::In, "10.0.0.1:8080", Some("[::]:7788"), b"x"), 0).unwrap();
    assert_eq!(check_v6(&mixed).0, "[::ffff:10.0.0.1]:8080");
}

/// A payload for which the checksum comes to 0, which in UDP means that there is none.
#[test]
fn a_checksum_of_zero_is_written_as_ones() {
    let found = (0..=u16::MAX).find(|word| {
        let message = message(Direction::In, "10.0.0.1:1", Some("10.0.0.2:2"), &word.to_be_bytes());
        let packet = packet(&message, 0).unwrap();
        check_v4(&packet);
        packet[26..28] == [0xff, 0xff]
    });
    assert!(found.is_some());
}

#[test]
fn the_longest_messages_fit_and_longer_ones_are_left_out() {
    let mut capture = Capture::new(None);
    let mut out = Vec::new();
    let mut add = |peer, local, bytes| {
        let message = message(Direction::In, peer, Some(local), &vec![b'x'; bytes]);
        capture.add(&Entry::Message(message), &mut out);
    };
    add("10.0.0.1:1", "10.0.0.2:2", 65_507);
    add("[fd00::1]:1", "[fd00::2]:2", 65_527);
    add("10.0.0.1:1", "10.0.0.2:2", 65_508);
    add("[fd00::1]:1", "[fd00::2]:2", 65_528);
    assert_eq!((capture.packets, capture.unfit), (2, 2));
    assert_eq!(out.len(), 16 + 65_535 + 16 + 40 + 65_535);
}

#[test]
fn entries_without_a_packet_are_counted() {
    let mut capture = Capture::new(None);
    let mut out = Vec::new();
    let one = message(Direction::Out, "10.0.0.1:1", None, b"x");
    assert!(!capture.has_left_out());
    let gap = Gap {
        id: 1,
        at: one.at,
        lost: 3,
        reason: "queue_full".to_owned(),
        first_id: None,
        peer: None,
        name: None,
    };
    capture.add(&Entry::Gap(gap), &mut out);
    let refused = Message { error: Some("no route".to_owned()), ..one.clone() };
    capture.add(&Entry::Message(refused), &mut out);
    for at in ["1969-12-31T23:59:59Z", "2106-02-07T06:28:16Z"] {
        capture.add(&Entry::Message(Message { at: at.parse().unwrap(), ..one.clone() }), &mut out);
    }
    assert!(out.is_empty() && capture.has_left_out());
    capture.add(&Entry::Message(one), &mut out);
    assert_eq!(
        capture.summary(),
        "1 packet; 1 gap left out; 1 message left out that the kernel refused to send; \
         2 messages left out that do not fit into a packet"
    );
}
