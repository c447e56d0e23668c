//! Exporting the inbox: everything that is asked for, as it is, in bounded memory, and never short without a word.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Daemon, Peer, available, ctl_without_daemon, eventually, id, new_folder, raw, scaled};

/// A daemon that has heard and sent every kind of datagram, over both families, and has lost some.
fn with_everything() -> Daemon {
    let daemon = Daemon::start_with("receive_buffer = \"256KiB\"\n", &["--listen", "[::]:0"]);
    let port = daemon.address().port();
    let (v4, v6) = (Peer::new(), Peer::at("[::1]:0"));
    let to_v4 = format!("127.0.0.1:{port}").parse().unwrap();
    let everything: [&[u8]; 8] = [
        b"",
        b"plain\r\n",
        b"\0\0nul\0",
        b"\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7",
        "你好\u{202e}\u{1b}[31m".as_bytes(),
        b"\xff\xfe\x00\x01\x80",
        &[0x1b; 65_507],
        b"\"quoted\\\"",
    ];
    let mut heard = 0;
    for payload in everything {
        v4.send(to_v4, payload);
        v6.send(daemon.address(), payload);
        heard += 2;
        let _status = daemon.stored(heard);
    }
    daemon.ctl(&["-q", "send", &v6.name(), "sent over IPv6"]).ok();
    daemon.ctl(&["-q", "send", &v4.name(), "sent over IPv4"]).ok();
    // The documentation's own addresses lead nowhere from loopback.
    let _refused_or_lost = daemon.ctl(&["send", "[2001:db8::1]:9", "perhaps refused"]);
    lose_some(&daemon);
    daemon
}

/// Lets messages get lost, since a stopped daemon does not fetch them. It may take a moment until all of it stands
/// still, and then one flood is not enough.
fn lose_some(daemon: &Daemon) {
    let peer = Peer::at("[::1]:0");
    eventually("a gap", || {
        daemon.signal(Signal::SIGSTOP);
        (0..500).for_each(|_| peer.send(daemon.address(), [b'x'; 2_000]));
        daemon.signal(Signal::SIGCONT);
        eventually("the queue to be empty", || (daemon.status()["queued"] == 0).then_some(()));
        daemon.entries().iter().any(|entry| entry["type"] == "gap").then_some(())
    });
    // What is still in the kernel's buffer comes too, before anything is compared.
    let mut seen = 0;
    eventually("the end of the flood", || {
        std::thread::sleep(Duration::from_millis(100));
        let before = std::mem::replace(&mut seen, daemon.status()["inbox"]["newest_id"].as_u64().unwrap());
        (seen == before).then_some(())
    });
}

/// A daemon whose inbox holds so many messages of 100 bytes, written into its file while it was not running.
fn with_many(entries: usize) -> Daemon {
    let mut daemon = Daemon::start();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    let (folder, flags) = daemon.into_folder();
    let database = rusqlite::Connection::open(folder.path().join("data/inbox.db")).unwrap();
    let rows = format!(
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {entries})
         INSERT INTO entry (id, at_ns, kind, peer, local, payload)
         SELECT id, 1700000000000000000 + id * 1000000, 0, x'7f0000011f90', x'7f0000011e6c',
                CAST(printf('%0100d', id) AS BLOB) FROM n"
    );
    database.execute_batch(&rows).unwrap();
    database.close().unwrap();
    Daemon::start_in(folder, flags)
}

/// Returns what `udpchatctl` prints, which must be all that it says.
#[track_caller]
fn printed(daemon: &Daemon, args: &[&str]) -> String {
    daemon.ctl(args).ok()
}

#[test]
fn lines_are_byte_for_byte_what_inbox_prints_as_json() {
    let daemon = with_everything();
    let inbox = printed(&daemon, &["inbox", "--all", "--json"]);
    assert!(inbox.contains(r#""type":"gap""#) && inbox.contains(r#""direction":"out""#));
    assert_eq!(printed(&daemon, &["export"]), inbox);
    assert_eq!(printed(&daemon, &["--json", "export", "--format", "jsonl", "-o", "-"]), inbox);

    let file = daemon.path("out.jsonl");
    fs::write(&file, "what was there before".repeat(100_000)).unwrap();
    assert_eq!(printed(&daemon, &["export", "-o", file.to_str().unwrap()]), "");
    assert_eq!(fs::read_to_string(file).unwrap(), inbox);
    // Nothing of it counts as read.
    assert!(daemon.status()["inbox"]["unread"].as_u64() > Some(16));
}

#[test]
fn filters_select_what_they_select_in_the_inbox() {
    let daemon = with_everything();
    let entries = daemon.entries();
    let at = |number: usize| entries[number].as_object().unwrap()["at"].as_str().unwrap();
    let filters: [&[&str]; 9] = [
        &["--from", "::1"],
        &["--direction", "in"],
        &["--direction", "out"],
        &["--direction", "both"],
        &["--since", at(3)],
        &["-S", at(2), "-U", at(9)],
        &["--grep", "你好"],
        &["--grep", "sent", "--direction", "out", "--from", "127.0.0.1"],
        &["--until", "2h"],
    ];
    for filter in filters {
        let inbox = printed(&daemon, &[&["--json", "inbox", "--all"], filter].concat());
        assert_eq!(printed(&daemon, &[&["export"], filter].concat()), inbox, "{filter:?}");
        for number in ["0", "1", "3", "100000"] {
            let filter = [filter, &["-n", number]].concat();
            let inbox = printed(&daemon, &[&["--json", "inbox"], &filter[..]].concat());
            assert_eq!(printed(&daemon, &[&["export"], &filter[..]].concat()), inbox, "{filter:?}");
        }
    }
    for number in ["0", "1", "7", "100000"] {
        let inbox = printed(&daemon, &["--json", "inbox", "-n", number]);
        assert_eq!(printed(&daemon, &["export", "-n", number]), inbox, "{number}");
    }
}

#[test]
fn the_last_of_many_that_match_are_found_over_several_pages() {
    let daemon = with_many(5_000);
    for number in ["999", "1000", "1001", "2500", "4000"] {
        let args = ["--grep", "[1-5]$", "-n", number];
        let inbox = printed(&daemon, &[&["--json", "inbox"], &args[..]].concat());
        assert_eq!(printed(&daemon, &[&["export"], &args[..]].concat()), inbox, "{number}");
    }
    let inbox = printed(&daemon, &["--json", "inbox", "-n", "3333"]);
    assert_eq!(printed(&daemon, &["export", "-n", "3333"]), inbox);
}

#[test]
fn an_empty_inbox_is_no_line_and_a_capture_without_packets() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, &["export"]), "");
    assert_eq!(printed(&daemon, &["export", "-n", "3", "--grep", "x"]), "");
    let file = daemon.path("empty.pcap");
    printed(&daemon, &["export", "--format", "pcap", "-o", file.to_str().unwrap()]);
    assert_eq!(packets(&file).len(), 0);
}

#[test]
fn pages_that_are_full_of_large_messages_come_in_order_too() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    for number in 0..60 {
        let length = if number % 3 == 0 { 60_000 + number } else { number * 97 };
        daemon.hear(&peer, [vec![b'a' + (number % 26) as u8; length]]);
    }
    daemon.hear(&peer, (0..1_500).map(|number| number.to_string()));
    for number in 0..20 {
        daemon.hear(&peer, [vec![number; 30_000]]);
    }
    assert_eq!(printed(&daemon, &["export"]), printed(&daemon, &["--json", "inbox", "--all"]));
}

/// What arrives meanwhile may or may not be in it, but nothing twice, nothing out of order, and it ends.
#[test]
fn an_export_ends_while_messages_keep_arriving() {
    let daemon = with_many(5_000);
    let (peer, to) = (Peer::new(), daemon.address());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        // Some of it all the time, not a flood that takes the daemon's breath.
        while stopped.recv_timeout(Duration::from_millis(2)).is_err() {
            (0..10).for_each(|_| peer.send(to, "more"));
        }
    });
    let exports: Vec<_> = (0..5).map(|_| printed(&daemon, &["export"])).collect();
    stop.send(()).unwrap();
    sender.join().unwrap();
    let inbox = printed(&daemon, &["--json", "inbox", "--all"]);
    for export in &exports {
        assert!(export.lines().count() >= 5_000 && inbox.starts_with(export));
    }
    assert!(exports.is_sorted_by_key(String::len));
}

/// A packet as an independent reader sees it.
#[derive(Debug, PartialEq)]
struct Packet {
    at: (u32, u32),
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    payload: Vec<u8>,
}

/// Reads a capture by the text of its format, as little as possible like it was written.
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

/// Exports a capture; returns its file, what was said about it, and the entries that are packets of it.
fn capture(daemon: &Daemon) -> (std::path::PathBuf, String, Vec<Value>) {
    let file = daemon.path("out.pcap");
    let ran = daemon.ctl(&["export", "--format", "pcap", "-o", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let entries = daemon.entries();
    let sent = entries.into_iter().filter(|entry| entry["type"] == "message" && entry.get("error").is_none());
    (file, ran.stderr, sent.collect())
}

#[test]
fn a_capture_holds_every_message_and_its_lack_of_others_is_told() {
    let daemon = with_everything();
    let (file, note, entries) = capture(&daemon);
    let packets = packets(&file);
    assert_eq!(packets.len(), entries.len());
    for (packet, entry) in packets.iter().zip(&entries) {
        assert_eq!(*packet, expected(entry, &daemon), "#{}", id(entry));
    }
    let left_out = daemon.entries().len() - entries.len();
    assert!(left_out > 0 && note.starts_with(&format!("note: {} packets, ", entries.len())), "{note}");
    assert!(note.contains(" left out"), "{note}");
    let quiet = daemon.ctl(&["-q", "export", "--format", "pcap", "-n", "3", "-o", file.to_str().unwrap()]);
    quiet.ok();
}

#[test]
fn tshark_reads_the_capture_and_finds_its_checksums_good() {
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

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_asked() {
    let daemon = with_many(10);
    for path in ["/no/such/folder/out", "/"] {
        daemon.ctl(&["export", "-o", path]).fails(1, &[&format!("cannot write {path}"), "caused by: "]);
    }
    let error = daemon.ctl(&["--json", "export", "-o", "/"]).stderr;
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["error"]["exit"], 1);
    // A full disk is told too, and that what is there is not all.
    daemon.ctl(&["export", "-o", "/dev/full"]).fails(1, &["cannot write /dev/full"]);
    daemon.ctl(&["export", "--grep", "("]).fails(2, &["regular expression"]);
    daemon.ctl(&["export", "--from", "nobody"]).fails(2, &["nobody"]);
    daemon.ctl(&["export", "--since", "soon"]).fails(2, &["'soon' is no time"]);
}

#[test]
fn without_a_daemon_a_file_is_left_as_it_was() {
    let folder = new_folder();
    let (file, socket) = (folder.path().join("out"), folder.path().join("s"));
    fs::write(&file, "precious").unwrap();
    let args = ["--socket", socket.to_str().unwrap(), "export", "-o", file.to_str().unwrap()];
    ctl_without_daemon(&args, &[]).fails(3, &["no daemon"]);
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn a_reader_that_closes_its_pipe_early_is_no_failure() {
    let daemon = with_many(20_000);
    for args in [&["export"][..], &["export", "--format", "pcap"], &["export", "--grep", "."]] {
        let mut export = daemon.ctl_start(args);
        let mut pipe = export.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 10]).unwrap();
        drop(pipe);
        let (code, complaint) = end_of(export);
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{args:?}");
    }
}

fn end_of(mut program: Child) -> (Option<i32>, String) {
    let ended = eventually("the end of the export", || program.try_wait().unwrap());
    let mut complaint = String::new();
    program.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    (ended.code(), complaint)
}

#[test]
fn an_export_whose_daemon_dies_says_that_it_is_incomplete() {
    for args in [&["export"][..], &["export", "--grep", "."], &["export", "--format", "pcap"]] {
        let daemon = with_many(50_000);
        let mut export = daemon.ctl_start(args);
        let mut pipe = BufReader::new(export.stdout.take().unwrap());
        // Far more is to come than all the buffers on the way hold.
        pipe.read_exact(&mut [0; 10_000]).unwrap();
        let (_folder, _) = daemon.into_folder();
        let mut rest = Vec::new();
        pipe.read_to_end(&mut rest).unwrap();
        assert!(rest.len() < 50_000 * 116, "{args:?}: {}", rest.len());
        let (code, complaint) = end_of(export);
        assert_eq!(code, Some(1), "{args:?}: {complaint}");
        let wanted = ["error: the export is incomplete: it ends after ", "caused by: ", "hint: "];
        assert!(wanted.iter().all(|wanted| complaint.contains(wanted)), "{args:?}: {complaint}");
    }
}

#[test]
fn entries_that_go_away_meanwhile_are_told() {
    let daemon = with_many(50_000);
    let mut export = daemon.ctl_start(&["export"]);
    let mut pipe = BufReader::new(export.stdout.take().unwrap());
    pipe.read_line(&mut String::new()).unwrap();
    let database = rusqlite::Connection::open(daemon.database()).unwrap();
    database.execute("DELETE FROM entry WHERE id BETWEEN 40001 AND 49000", []).unwrap();
    let rest = pipe.lines().count();
    assert_eq!(rest, 40_999);
    let (code, complaint) = end_of(export);
    assert_eq!(code, Some(0));
    assert!(complaint.starts_with("warning: 9,000 entries of those"), "{complaint}");
}

/// How much memory an export may take, without optimisation, in KiB; less than what it writes.
const MAX_RESIDENT_KIB: u64 = 32 * 1024;

#[test]
fn an_export_takes_the_same_memory_however_much_there_is() {
    let daemon = with_many(scaled(100_000, 1_000_000));
    for args in [&["export"][..], &["export", "--grep", "."], &["export", "--format", "pcap"]] {
        let mut export = daemon.ctl_start(args);
        let mut pipe = export.stdout.take().unwrap();
        let (mut most, mut bytes) = (0, 0);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = pipe.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            most = most.max(peak_kib(export.id()).unwrap_or(0));
        }
        assert_eq!(end_of(export), (Some(0), String::new()), "{args:?}");
        assert!((1..MAX_RESIDENT_KIB).contains(&most), "{args:?}: {most} KiB were resident");
        assert!(args.len() == 3 || bytes as u64 > MAX_RESIDENT_KIB * 1024, "{args:?}: {bytes}");
    }
}

/// Returns the most memory that a process has taken, in KiB; none once it has ended.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Runs a command line of `udpchatctl` on a terminal; returns what the terminal got.
fn on_a_terminal(daemon: &Daemon, line: &str) -> Option<String> {
    if !available("script") {
        return None;
    }
    let program =
        format!("{} --socket {} {line}", env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket().display());
    let script = ["-qec", &program, "/dev/null"];
    let output = Command::new("script").args(script).stdin(std::process::Stdio::null()).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_capture_is_not_written_to_a_terminal() {
    let daemon = with_many(10);
    let Some(shown) = on_a_terminal(&daemon, "export --format pcap") else { return };
    assert!(shown.contains("a capture is binary data") && shown.contains("-o FILE"), "{shown}");
    let shown = on_a_terminal(&daemon, "export -n 1").unwrap();
    assert!(shown.starts_with(r#"{"type":"message","id":10,"#) && shown.contains("note: 1 entry"), "{shown}");
}

#[test]
fn a_person_who_waits_sees_how_far_it_has_come() {
    let daemon = with_many(50_000);
    let file = daemon.path("out.jsonl");
    let file = file.to_str().unwrap();
    let Some(shown) = on_a_terminal(&daemon, &format!("export -o {file}")) else { return };
    assert!(shown.contains("\r") && shown.contains(" of about 50,000 entries, "), "{shown}");
    assert!(shown.trim_end().ends_with("\rnote: 50,000 entries"), "{shown}");
    let shown = on_a_terminal(&daemon, &format!("-q export -o {file}")).unwrap();
    assert_eq!(shown, "");
}
