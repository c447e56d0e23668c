//! Numbers at places of the payload, which binary frames have: `@6:i16/10` wherever a name of a number is taken.

use serde_json::json;

use crate::support::{Daemon, Peer, Tmux, texts};

/// Frames of a sensor: 4 bytes of a head, a temperature in tenths, a pressure as a float with the least significant byte first,
/// and a checksum in the same order at the end.
const FRAMES: [&[u8]; 3] = [
    &[0x01, 0x03, 0xaa, 0x55, 0x00, 0xd7, 0x33, 0x33, 0xab, 0x41, 0x34, 0x12],
    &[0x01, 0x03, 0xaa, 0x55, 0xff, 0xce, 0x00, 0x00, 0xc0, 0x7f, 0x35, 0x12],
    &[0x01, 0x83, 0x02, 0x36, 0x12],
];

/// `温度=21.5` in GBK.
const IN_GBK: &[u8] = b"\xce\xc2\xb6\xc8=21.5";

/// Starts a daemon with a peer that has sent frames, and with one that has sent text in GBK.
fn measured() -> (Daemon, [Peer; 2]) {
    let (plc, text) = (Peer::new(), Peer::new());
    let config = format!(
        "[peers.plc]\naddress = '{}'\nencoding = 'hex'\n[peers.text]\naddress = '{}'\nencoding = 'gbk'\n",
        plc.name(),
        text.name()
    );
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&plc, FRAMES);
    daemon.receive_from(&text, [IN_GBK]);
    (daemon, [plc, text])
}

#[test]
fn conditions_compare_numbers_of_frames() {
    let (daemon, _peers) = measured();
    let ids = |args: &[&str]| {
        let found = daemon.ctl(&[&["--json"], args].concat()).json();
        found.iter().map(|entry| entry["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for (condition, expected) in [
        ("@4:i16/10 > 20", &[1, 4][..]),
        ("@4:i16/10 < 0", &[2]),
        ("＠4：ｉ16／10＜０", &[2]),
        ("@4:i16 * 0.1 = 21.5", &[1]),
        ("@6:f32le = 21.4", &[1]),
        // A float that is not finite is no number, and a frame that is too short has none.
        ("@6:f32le != 0", &[1]),
        ("@-2:u16le = 4661", &[2]),
        ("@11:u8 > 0", &[1, 2]),
        // The bytes that came, not those of the text in UTF-8.
        ("@0:u16 = 52930", &[4]),
        ("温度 > 20", &[4]),
    ] {
        assert_eq!(ids(&["inbox", "--where", condition]), expected, "{condition}");
        assert_eq!(ids(&["export", "--where", condition]), expected, "{condition}");
    }
    assert_eq!(ids(&["inbox", "--from", "plc", "--where", "@4:i16 != 0", "--where", "@1:u8 = 3"]), [1, 2]);
    let wait = ["--json", "wait", "--after", "0", "--where", "@1:u8 >= 128"];
    assert_eq!(texts(&daemon.ctl(&wait).json()), ["01 83 02 36 12"]);
    let to = Peer::new();
    let replay = ["--json", "replay", "--to", &to.name(), "--speed", "max", "--where", "@1:u8 = 131"];
    assert_eq!(daemon.ctl(&replay).json()[0]["sent"], 1);
    assert_eq!(to.receive().0, FRAMES[2]);
}

#[test]
fn a_plot_has_lines_of_numbers_in_frames() {
    let (daemon, [plc, _text]) = measured();
    let mut plot =
        daemon.ctl_running(&["plot", "temp=@4:i16/10,@-2:u16le，温度", "--from", "plc", "-S", "1h"]);
    let expect = |line: String, expected: &str| assert!(line.ends_with(expected), "{line}");
    for expected in
        ["\tplc\ttemp\t21.5", "\t@-2:u16le\t4660", "\ttemp\t-5", "\t@-2:u16le\t4661", "\t@-2:u16le\t4662"]
    {
        expect(plot.line(), expected);
    }
    daemon.receive_from(&plc, [[1, 3, 0, 0, 0, 1, 2, 0]]);
    expect(plot.line(), "\ttemp\t0.1");
    expect(plot.line(), "\t@-2:u16le\t2");
    let plot = ["--json", "plot", "温度", "t=@4:i16/10", "@0:u16", "--from", "text", "-U", "now"];
    let json = daemon.ctl(&plot).json();
    let found: Vec<_> =
        json.iter().map(|number| (&number["field"], number["value"].as_f64().unwrap())).collect();
    assert_eq!(found, [(&json!("t"), 1566.6), (&json!("@0:u16"), 52_930.0), (&json!("温度"), 21.5)]);
}

#[test]
fn a_plot_names_its_curves_or_says_how_long_messages_are() {
    let (daemon, _peers) = measured();
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let program = env!("CARGO_BIN_EXE_udpchatctl");
    let plot = |args: &str| {
        tmux.shell(&format!("LC_ALL=C.UTF-8 {program} --socket {} plot {args}", daemon.socket().display()));
    };
    plot("--from plc -S 10m temp=@4:i16/10 @-2:u16le");
    tmux.until("the curves", |screen| screen.contains("1:temp -5") && screen.contains("2:@-2:u16le 4662"));
    tmux.type_in("q");
    tmux.until("the shell", |screen| !screen.contains("1:temp"));
    plot("--from plc -S 10m @40:u8");
    tmux.shows("no such number yet; the longest message has 12 bytes");
}

#[test]
fn a_table_has_columns_of_numbers_in_frames() {
    let (daemon, _peers) = measured();
    let table = |fields| {
        let table = daemon.ctl(&["export", "--format", "csv", "--fields", fields]);
        let cells = |row: &str| row.splitn(3, ',').last().unwrap().to_owned();
        (table.stdout.split_terminator("\r\n").map(cells).collect::<Vec<_>>(), table.stderr)
    };
    let (rows, _) = table("temp=@4:i16/10,@6:f32le,@-2:u16le，温度");
    let expected = [
        "name,temp,@6:f32le,@-2:u16le,温度",
        "plc,21.5,21.4,4660,",
        "plc,-5,,4661,",
        "plc,,,4662,",
        "text,1566.6,,13614,21.5",
    ];
    assert_eq!(rows, expected);
    let (rows, note) = table("@11:u8");
    assert_eq!(rows, ["name,@11:u8", "plc,18", "plc,18"]);
    assert!(note.contains("2 lines; no line for 2 messages without these fields"), "{note}");
}

#[test]
fn a_form_has_numbers_of_frames() {
    let (daemon, _peers) = measured();
    let shown =
        daemon.ctl(&["inbox", "-F", "{{name}} {{@4:i16/10:.2}} {{@-2:u16le}} {{@6:f32le}} {{温度}}"]).ok();
    assert_eq!(shown, "plc 21.50 4660 21.4 \nplc -5.00 4661  \nplc  4662  \ntext 1566.60 13614  21.5\n");
    // What shows nothing of its message marks nothing as read.
    daemon.receive_from(&Peer::new(), ["x"]);
    let note = "note: no message has a number at `@4:u16`; the longest has 1 byte\n";
    let ran = daemon.ctl(&["inbox", "-F", "{{@4:u16}}"]);
    assert_eq!((ran.code, ran.stderr.as_str(), ran.stdout.as_str()), (Some(0), note, "\n"));
    assert_eq!(daemon.status()["inbox"]["unread"], 1);
}

#[test]
fn a_place_that_no_message_reaches_is_noted() {
    let (daemon, _peers) = measured();
    let note = "note: no message has a number at `@40:u16le`; the longest has 12 bytes\n";
    for args in [
        &["inbox", "--where", "@40:u16le > 1"][..],
        &["inbox", "-n", "5", "-F", "{{name}} {{@40:u16le/10}}"],
        &["export", "--where", "@40:u16le > 1"],
        &["export", "--format", "csv", "--fields", "t=@4:i16,n=@40:u16le"],
        &["replay", "--to", "127.0.0.1:9", "--where", "@40:u16le > 1"],
        &["plot", "n=@40:u16le", "-U", "now"],
    ] {
        let ran = daemon.ctl(args);
        let is_noted = ran.stderr.replace("le/10`", "le`").contains(note);
        assert_eq!((ran.code, is_noted), (Some(0), true), "{args:?}: {ran:?}");
    }
    let wait = ["wait", "--after", "0", "--where", "@40:u16le > 1", "--timeout", "1ms"];
    daemon.ctl(&wait).fails(4, &["no message has a number at `@40:u16le`; the longest has 12 bytes"]);
    assert_eq!(daemon.ctl(&["inbox", "--where", "@4:i16 > 30000"]).stderr, "");
}

#[test]
fn an_invalid_place_is_refused_with_what_to_write() {
    let (daemon, _peers) = measured();
    for (place, why) in [
        (
            "@6:int",
            "`int` is no type of a number; the types are u8, i8, u16, i16, u32, i32, u64, i64, f32, f64",
        ),
        ("@:u8", "`@:u8` has no valid offset; write the number of bytes before it, for example `@6:u16`"),
        ("@x", "`@x` has no valid offset"),
        ("@6", "`@6` has no type; write for example `@6:u16`"),
        ("@6:u16/0", "invalid scale `/0` of `@6:u16/0`; write for example /10 or *0.1"),
    ] {
        for args in [
            &["inbox", "--where", &format!("{place} > 20")][..],
            &["inbox", "-F", &format!("{{{{{place}}}}}")],
            &["export", "--format", "csv", "--fields", &format!("temp,n={place}")],
            &["plot", place, "-U", "now"],
        ] {
            daemon.ctl(args).fails(2, &[why]);
        }
    }
    let named = ["inbox", "--where", "temp=@4:i16/10 > 20"];
    daemon.ctl(&named).fails(2, &["a condition has no name in front of a place; write '@4:i16/10 > 20'"]);
}
