//! Captures (pcap): read by an independent reader and by tshark.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Daemon, Peer, available, id, raw};

use super::{printed, with_everything};

/// A packet as an independent reader parses it.
#[derive(Debug, PartialEq)]
struct Packet {
    at: (u32, u32),
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    payload: Vec<u8>,
}

/// Reads a capture by its specification, independently of the writer.
fn packets(file: &Path) -> Vec<Packet> {
    let bytes = fs::read(file).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(4), number(20)), (0xa1b2_3c4d, 0x0004_0002, 101));
    let mut packets = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let length = number(at + 8) as usize;
        assert_eq!(number(at + 12) as usize, length);
        packets.push(packet((number(at), number(at + 4)), &bytes[at + 16..at + 16 + length]));
        at += 16 + length;
    }
    packets
}

fn packet(at: (u32, u32), bytes: &[u8]) -> Packet {
    let address = |from: usize, length: usize| match length {
        4 => IpAddr::from(<[u8; 4]>::try_from(&bytes[from..from + 4]).unwrap()),
        _ => IpAddr::from(<[u8; 16]>::try_from(&bytes[from..from + 16]).unwrap()),
    };
    let (source, destination, udp) = match bytes[0] >> 4 {
        4 => (address(12, 4), address(16, 4), &bytes[20..]),
        _ => (address(8, 16), address(24, 16), &bytes[40..]),
    };
    let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    assert_eq!(usize::from(port(4)), udp.len());
    Packet { at, source: (source, port(0)), destination: (destination, port(2)), payload: udp[8..].to_vec() }
}

/// Returns the packet that an entry of a daemon must become.
fn expected(entry: &Value, daemon: &Daemon) -> Packet {
    let address = |field: &str| {
        let address: SocketAddr = entry[field].as_str()?.parse().unwrap();
        Some((address.ip(), address.port()))
    };
    let peer = address("peer").unwrap();
    let unspecified = if peer.0.is_ipv4() { "0.0.0.0" } else { "::" };
    let local = address("local").unwrap_or((unspecified.parse().unwrap(), daemon.address().port()));
    let is_in = entry["direction"] == "in";
    let (source, destination) = if is_in { (peer, local) } else { (local, peer) };
    let at: udpchat_api::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
    let at = (u32::try_from(at.as_second()).unwrap(), at.subsec_nanosecond().cast_unsigned());
    Packet { at, source, destination, payload: raw(entry) }
}

/// Exports a capture; returns its file, standard error, and the entries that are packets of it.
fn capture(daemon: &Daemon) -> (std::path::PathBuf, String, Vec<Value>) {
    let file = daemon.path("out.pcap");
    let ran = daemon.ctl(&["export", "--format", "pcap", "-o", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let entries = daemon.entries();
    let sent = entries.into_iter().filter(|entry| entry["type"] == "message" && entry.get("error").is_none());
    (file, ran.stderr, sent.collect())
}

#[test]
fn an_empty_inbox_exports_no_line_and_no_packet() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, &["export"]), "");
    assert_eq!(printed(&daemon, &["export", "-n", "3", "--grep", "x"]), "");
    let file = daemon.path("empty.pcap");
    printed(&daemon, &["export", "--format", "pcap", "-o", file.to_str().unwrap()]);
    assert_eq!(packets(&file).len(), 0);
}

#[test]
fn the_name_of_a_file_chooses_the_format() {
    let daemon = with_everything();
    let (file, ..) = capture(&daemon);
    let by_name = daemon.path("by-name.PCAP");
    let _note = daemon.ctl(&["export", "-o", by_name.to_str().unwrap()]);
    assert_eq!(fs::read(&by_name).unwrap(), fs::read(&file).unwrap());
    daemon.ctl(&["export", "--format", "jsonl", "-o", by_name.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(&by_name).unwrap(), daemon.ctl(&["export"]).ok());
    for spreadsheet in ["by-name.xlsx", "by-name.XLS"] {
        let file = daemon.path(spreadsheet);
        let refused = daemon.ctl(&["export", "-o", file.to_str().unwrap()]);
        refused.fails(2, &["`export` writes no xls", "name it .csv", "--bom"]);
        assert!(!file.exists());
    }
    let nothing = daemon.ctl(&["export", "--grep", "nosuchtext", "-o", by_name.to_str().unwrap()]);
    assert_eq!((nothing.code, nothing.stderr.as_str()), (Some(0), "note: no entry matches\n"));
}

#[test]
fn a_capture_has_every_message_and_notes_omissions() {
    let daemon = with_everything();
    let (file, note, entries) = capture(&daemon);
    let packets = packets(&file);
    assert_eq!(packets.len(), entries.len());
    for (packet, entry) in packets.iter().zip(&entries) {
        assert_eq!(*packet, expected(entry, &daemon), "#{}", id(entry));
    }
    let left_out = daemon.entries().len() - entries.len();
    assert!(left_out > 0 && note.starts_with(&format!("note: {} packets; ", entries.len())), "{note}");
    assert!(note.contains(" left out"), "{note}");
    let quiet = daemon.ctl(&["-q", "export", "--format", "pcap", "-n", "3", "-o", file.to_str().unwrap()]);
    quiet.ok();
}

#[test]
fn a_sent_packet_has_the_source_address_of_its_route() {
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    let (v4, v6) = (Peer::new(), Peer::at("[::1]:0"));
    for peer in [&v4, &v6] {
        daemon.ctl(&["-q", "send", &peer.name(), "to the peer"]).ok();
        let (_, source) = peer.receive();
        let entry = daemon.entries().pop().unwrap();
        assert_eq!(entry["local"], source.to_string(), "{entry}");
    }
    let (file, _, _) = capture(&daemon);
    let sources: Vec<_> = packets(&file).iter().map(|packet| packet.source.0.to_string()).collect();
    assert_eq!(sources, ["127.0.0.1", "::1"]);
}

#[test]
fn tshark_accepts_the_capture_and_its_checksums() {
    if !available("tshark") {
        return;
    }
    let daemon = with_everything();
    let (file, _, entries) = capture(&daemon);
    let fields = [
        "frame.time_epoch",
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "udp.srcport",
        "udp.dstport",
        "ip.checksum.status",
        "udp.checksum.status",
        "udp.payload",
    ];
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-n", "-T", "fields", "-o", "udp.check_checksum:TRUE"]);
    tshark.args(["-o", "ip.check_checksum:TRUE", "-o", "ip.defragment:FALSE"]);
    let output = tshark.args(fields.iter().flat_map(|field| ["-e", field])).output().unwrap();
    let lines: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(lines.len(), entries.len(), "{}", String::from_utf8_lossy(&output.stderr));
    for (line, entry) in lines.into_iter().zip(&entries) {
        assert_eq!(line, as_tshark_shows(&expected(entry, &daemon)), "#{}", id(entry));
    }
}

fn as_tshark_shows(packet: &Packet) -> String {
    let (source, destination) = (packet.source.0, packet.destination.0);
    let hex: String = packet.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    // A status of 1 is "good".
    let (addresses, ip_status) = match source.is_ipv4() {
        true => (format!("{source}\t{destination}\t\t"), "1"),
        false => (format!("\t\t{source}\t{destination}"), ""),
    };
    let ports = format!("{}\t{}", packet.source.1, packet.destination.1);
    format!("{}.{:09}\t{addresses}\t{ports}\t{ip_status}\t1\t{hex}", packet.at.0, packet.at.1)
}
