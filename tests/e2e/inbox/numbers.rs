//! Numbers in the text of messages: conditions, forms of a line, and tables for spreadsheets.

use std::io::{BufRead, BufReader};

use crate::support::{Daemon, Peer, Running, texts};

/// Starts a daemon with a peer that has sent measurements, and hostile text.
fn measured() -> (Daemon, Peer) {
    let peer = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.sensor]\naddress = '{}'\n", peer.name()), &[]);
    let said = [
        "temp=31.2 hum=40",
        "temp=29.5 hum=15",
        "{\"temp\":35,\"hum\":10}\n",
        "no numbers",
        "=1+1,\u{1b}[2J\n\"x\"",
    ];
    daemon.receive_from(&peer, said);
    (daemon, peer)
}

#[test]
fn conditions_select_by_the_numbers_in_a_message() {
    let (daemon, _peer) = measured();
    let found = |args: &[&str]| texts(&daemon.ctl(&[&["--json", "inbox"], args].concat()).json()).join("|");
    let hot = "temp=31.2 hum=40|{\"temp\":35,\"hum\":10}\n";
    assert_eq!(found(&["--where", "temp > 30"]), hot);
    assert_eq!(found(&["--where", "temp > 30", "--where", "hum<20"]), "{\"temp\":35,\"hum\":10}\n");
    assert_eq!(found(&["--where", "hum != 0", "-n", "2"]), "temp=29.5 hum=15|{\"temp\":35,\"hum\":10}\n");
    assert_eq!(found(&["--where", "hum >= 15", "-r", "-n", "1"]), "temp=29.5 hum=15");
    assert_eq!(found(&["--where", "pressure > 0"]), "");
    daemon.ctl(&["inbox", "--where", "temp"]).fails(2, &["'temp > 30'"]);
    // Nothing of this was read.
    assert_eq!(daemon.status()["inbox"]["unread"], 5);
}

#[test]
fn an_export_and_a_replay_select_by_numbers() {
    let (daemon, _peer) = measured();
    let exported = |args: &[&str]| texts(&daemon.ctl(&[&["export"], args].concat()).json()).join("|");
    let hot = "temp=31.2 hum=40|{\"temp\":35,\"hum\":10}\n";
    assert_eq!(exported(&["--where", "temp > 30"]), hot);
    assert_eq!(exported(&["--where", "temp > 30", "--where", "hum > 20"]), "temp=31.2 hum=40");
    // The last ones of those that are selected.
    assert_eq!(exported(&["--where", "temp > 30", "-n", "2"]), hot);
    assert_eq!(exported(&["--where", "hum > 10", "-n", "1"]), "temp=29.5 hum=15");
    let table = daemon.ctl(&["export", "--format", "csv", "--fields", "hum", "--where", "temp > 30"]).ok();
    assert_eq!(table.lines().count(), 3, "{table}");
    daemon.ctl(&["export", "--notices", "--where", "temp > 30"]).fails(2, &["--where"]);
    for (command, kinds) in [("export", "notices"), ("export", "received,gaps"), ("inbox", "notices")] {
        let refused = daemon.ctl(&[command, "--only", kinds, "--where", "temp > 30"]);
        refused.fails(2, &["--where selects messages"]);
    }
    let bench = Peer::new();
    let replay = ["--json", "replay", "--to", &bench.name(), "--speed", "max", "--where", "hum < 20"];
    assert_eq!(daemon.ctl(&replay).json()[0]["sent"], 2);
    assert_eq!(
        [bench.receive().0, bench.receive().0],
        [&b"temp=29.5 hum=15"[..], b"{\"temp\":35,\"hum\":10}\n"]
    );
    daemon.ctl(&[&replay[..], &["--file", "x"]].concat()).fails(2, &["--where"]);
}

#[test]
fn a_wait_ends_with_a_message_of_such_a_number() {
    let (daemon, _peer) = measured();
    let wait = |args: &[&str]| daemon.ctl(&[&["--json", "wait", "--after", "0"], args].concat());
    assert_eq!(texts(&wait(&["--where", "temp < 30"]).json()), ["temp=29.5 hum=15"]);
    let short = wait(&["--where", "temp > 99", "--grep", "temp", "--timeout", "200ms"]);
    short.fails(4, &["no message that matches `temp, temp > 99`", "5 messages came that do not match"]);
    wait(&["--notices", "--where", "temp > 30"]).fails(2, &["--where"]);
}

#[test]
fn new_messages_are_followed_by_their_numbers() {
    let (daemon, peer) = measured();
    let args = ["inbox", "-f", "-n", "1", "--where", "temp>30", "-F", "{{name}} {{temp:.1}}"];
    let mut follower = daemon.ctl_running(&args);
    assert_eq!(follower.line(), "sensor 35.0");
    daemon.receive_from(&peer, ["temp=20", "temp=41.25"]);
    assert_eq!(follower.line(), "sensor 41.2");
}

#[test]
fn a_form_makes_one_safe_line_of_each_message() {
    let (daemon, peer) = measured();
    let shown = daemon.ctl(&["inbox", "-F", r"{{id}}\t{{peer}} {{name}} {{bytes}} {{text}} {{hum}}"]).ok();
    let lines: Vec<&str> = shown.lines().collect();
    let peer = peer.name();
    assert_eq!(lines[0], format!("1\t{peer} sensor 16 temp=31.2 hum=40 40"));
    assert_eq!(lines[4], format!("5\t{peer} sensor 13 =1+1,\\u{{1b}}[2J\\u{{a}}\"x\" "));
    assert_eq!(lines.len(), 5);
    // They are read now.
    assert_eq!(daemon.status()["inbox"]["unread"], 0);
    let json = daemon.ctl(&["inbox", "-a", "-n", "1", "-F", "{{json}}"]);
    json.fails(2, &["--all"]);
    let json = daemon.ctl(&["inbox", "-n", "1", "-F", "{{json}}"]).json();
    assert_eq!(json[0]["id"], 5);
    let time = daemon.ctl(&["inbox", "-n", "1", "-F", "{{time:%Y}}"]).ok();
    assert!(time.trim_end().parse::<u32>().is_ok_and(|year| year > 2000), "{time}");
    daemon.ctl(&["inbox", "-F", "{{text"]).fails(2, &["has no `}}`"]);
    daemon.ctl(&["--json", "inbox", "-F", "{{id}}"]).fails(2, &["--json"]);
}

#[test]
fn a_misspelt_number_is_noted_with_those_that_exist() {
    let (daemon, _peer) = measured();
    let ran = daemon.ctl(&["inbox", "-n", "5", "-F", "{{tmp}} {{hum}}"]);
    assert_eq!(ran.stdout.lines().next(), Some(" 40"));
    ran.fails(0, &["note: no message has a number `tmp`; they have temp, hum"]);
    // Conditions, wherever they select.
    let note = "note: no message has a number `tmp`; they have temp, hum\n";
    for args in [
        &["inbox", "--where", "tmp > 1"][..],
        &["inbox", "-n", "2", "--where", "temp > 1", "--where", "tmp > 1"],
        &["inbox", "-r", "--where", "tmp > 1"],
        &["export", "--where", "tmp > 1"],
        &["export", "-n", "2", "--where", "tmp > 1"],
        &["export", "--format", "csv", "--fields", "hum,tmp", "--where", "hum > 0"],
        &["replay", "--to", "127.0.0.1:9", "--where", "tmp > 1"],
    ] {
        let ran = daemon.ctl(args);
        assert_eq!((ran.code, ran.stderr.contains(note)), (Some(0), true), "{args:?}: {ran:?}");
    }
    let known = daemon.ctl(&["inbox", "--where", "temp > 99"]);
    assert_eq!((known.stdout.as_str(), known.stderr.as_str()), ("", ""));
    let wait = ["wait", "--after", "0", "--where", "tmp > 1", "--timeout", "1ms"];
    daemon
        .ctl(&wait)
        .fails(4, &["5 messages came that do not match", "no message has a number `tmp`; they have"]);
    daemon.ctl(&["inbox", "--where", "temp>1 and hum>1"]).fails(2, &["--where may be repeated"]);
    // Conditions in full width.
    assert_eq!(daemon.ctl(&["inbox", "--where", "temp＞３０", "-F", "{{temp}}"]).ok(), "31.2\n35\n");
    // The plot follows what arrives, until its output is closed.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut plot = daemon.ctl_command(&["plot", "tmp", "-S", "1h"]);
    let _plot = Running::start(plot.stderr(writer));
    let mut note = String::new();
    BufReader::new(reader).read_line(&mut note).unwrap();
    assert_eq!(note, "note: no message has a number `tmp`; they have temp, hum\n");
}

#[test]
fn a_form_that_shows_nothing_of_a_message_marks_nothing_as_read() {
    let (daemon, _peer) = measured();
    daemon.ctl(&["inbox", "--form", "张三"]).fails(2, &["`--from 张三` selects the messages of a peer"]);
    daemon.ctl(&["inbox", "-F", "{time} {text}"]).fails(2, &["`{time}` needs two braces: `{{time}}`"]);
    daemon.ctl(&["inbox", "-F", "{{time:%Q}} {{text}}"]).fails(2, &["invalid form of a time `%Q`"]);
    let of_json = daemon.ctl(&["inbox", "-n", "1", "-F", "{{at}} {{direction}}"]);
    of_json.fails(0, &["no message has a number `at`, `direction`; the other fields are id, time, arrow, "]);
    // A number may have any name, so this is known only at the end.
    daemon.ctl(&["inbox", "-F", "{{时间}}"]).fails(0, &["note: no message has a number `时间`; they have"]);
    let shown = daemon.ctl(&["inbox", "-F", "{{temp}}"]).ok();
    assert!(shown.contains("31.2\n"), "{shown}");
    assert_eq!(daemon.ctl(&["inbox", "-F", "{{temp}}"]).ok(), "");
}

#[test]
fn a_table_is_harmless_in_a_spreadsheet() {
    let (daemon, peer) = measured();
    let table = daemon.ctl(&["export", "--format", "csv"]).ok();
    let rows: Vec<&str> = table.split_terminator("\r\n").collect();
    assert_eq!(rows[0], "id,at,direction,peer,name,bytes,text,delivery,error");
    assert!(
        rows[1].starts_with("1,20")
            && rows[1].ends_with(&format!("Z,in,{},sensor,16,temp=31.2 hum=40,,", peer.name()))
    );
    assert!(rows[5].ends_with(",13,\"'=1+1,\\u{1b}[2J\n\"\"x\"\"\",,"), "{}", rows[5]);
    assert_eq!(rows.len(), 6);
    let raw = daemon.ctl(&["export", "--format", "csv", "--raw"]).ok();
    assert!(raw.ends_with(",13,\"=1+1,\u{1b}[2J\n\"\"x\"\"\",,\r\n"), "{raw}");
    let fields = daemon.ctl(&["export", "--format", "csv", "--fields", "hum,temp", "--from", "sensor"]);
    assert!(fields.stderr.contains("2 messages without these fields"), "{fields:?}");
    let rows: Vec<&str> = fields.stdout.split_terminator("\r\n").collect();
    assert_eq!(rows[0], "at,peer,name,hum,temp");
    let cells: Vec<_> = rows[1..].iter().map(|row| row.split_once(",sensor,").unwrap().1).collect();
    assert_eq!(cells, ["40,31.2", "15,29.5", "10,35"]);
    // Numbers that were sent are not among those that were received.
    daemon.ctl(&["send", &peer.name(), "temp=99"]).ok();
    let rows = |args: &[&str]| {
        let table = daemon.ctl(&[&["export", "--format", "csv", "--fields", "temp"], args].concat());
        table.stdout.lines().skip(1).map(|row| row.rsplit_once(',').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]), ["31.2", "29.5", "35"]);
    assert_eq!(rows(&["--direction", "both"]), ["31.2", "29.5", "35", "99"]);
    assert_eq!(rows(&["--direction", "out"]), ["99"]);
    daemon.ctl(&["export", "--raw"]).fails(2, &["--format csv"]);
    daemon.ctl(&["export", "--bom"]).fails(2, &["--format csv"]);
    // Chinese keyboards make another comma.
    let named = |names| daemon.ctl(&["export", "--format", "csv", "--fields", names]);
    let fields = named("temp， hum");
    assert!(fields.stdout.starts_with("at,peer,name,temp,hum\r\n"), "{fields:?}");
    for empty in ["", "temp,", "temp，，hum"] {
        named(empty).fails(2, &["--fields has an empty name", "`temp,hum`"]);
    }
    let with_mark = daemon.ctl(&["export", "--format", "csv", "--bom"]).ok();
    assert_eq!(with_mark.strip_prefix('\u{feff}'), Some(&*daemon.ctl(&["export", "--format", "csv"]).ok()));
}

#[test]
fn excel_needs_a_mark_only_for_a_table_with_other_than_ascii() {
    let peer = Peer::new();
    let daemon = Daemon::start();
    daemon.receive_from(&peer, ["temp=31.2", "温度=29"]);
    let file = daemon.path("table.csv");
    let notes = |args: &[&str]| {
        let ran = daemon.ctl_in_chinese(&[&["export", "-o", file.to_str().unwrap()], args].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stderr.contains("--bom")
    };
    assert!(notes(&[]) && notes(&["--fields", "温度"]), "characters of a text and of a name");
    assert!(!notes(&["--fields", "temp"]) && !notes(&["--bom"]));
}

#[test]
fn bytes_have_no_numbers() {
    let peer = Peer::new();
    let config = format!("[peers.plc]\naddress = '{}'\nencoding = 'hex'\n", peer.name());
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&peer, ["\u{1}\u{3}", "\u{2}"]);
    assert_eq!(texts(&daemon.entries()), ["01 03", "02"]);
    let note = "no message has a number `1`: messages are shown as hex digits (encoding `hex`)";
    let selected = daemon.ctl(&["inbox", "--where", "1 > 0"]);
    assert_eq!(selected.stdout, "");
    selected.fails(0, &[note]);
    daemon.ctl(&["export", "--format", "csv", "--fields", "1"]).fails(0, &["no line for 2 messages", note]);
    daemon.ctl(&["plot", "1", "-S", "1h", "-U", "now"]).fails(0, &[note, "a place such as @6:i16"]);
    daemon.ctl(&["plot", "-S", "1h", "-U", "now"]).fails(0, &["note: messages are shown as hex digits"]);
    let mut plot = daemon.ctl_running(&["plot", "-S", "1h"]);
    let text = Peer::new();
    daemon.receive_from(&text, ["t=5 t=6"]);
    assert!(plot.line().ends_with("\tt\t5") && plot.line().ends_with("\tt\t6"));
    // One of several is enough.
    let found = daemon.ctl(&["--json", "inbox", "--where", "t > 5", "-F", "{{t}}"]);
    found.fails(2, &["--json"]);
    assert_eq!(daemon.ctl(&["inbox", "--where", "t > 5", "-F", "{{t}}"]).ok(), "5\n");
}

#[test]
fn what_matched_is_bold() {
    let (daemon, _peer) = measured();
    let shown = daemon.ctl(&["--color", "always", "inbox", "--grep", "HUM=1.", "-i"]).ok();
    assert!(shown.ends_with("  temp=29.5 \u{1b}[1mhum=15\u{1b}[0m\n"), "{shown:?}");
    let plain = daemon.ctl(&["inbox", "--grep", "hum=1"]).ok();
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}
