//! Notes on texts that are sent as they are written, and may be meant otherwise.

use crate::support::{Daemon, Peer};

#[test]
fn fields_that_are_not_filled_have_a_note() {
    let daemon = Daemon::start();
    let to = &*Peer::new().name();
    let note = "note: the fields in double braces are sent as they are; --fill fills them in";
    for (args, has_note) in [
        (&["no {{n}}"][..], true),
        (&["{{time:%H:%M}}", "--every", "1ms", "-c", "2"], true),
        (&["no {{n}}", "--fill"], false),
        (&["{{name}} {{{{n}}"], false),
    ] {
        let sent = daemon.ctl(&[&["send", to], args].concat());
        assert_eq!((sent.code, sent.stderr.contains(note)), (Some(0), has_note), "{args:?}: {sent:?}");
    }
    let nothing = "note: --fill fills nothing in: the text has no field such as `{{n}}`\n";
    assert_eq!(daemon.ctl(&["send", to, "no {n}", "--fill"]).stderr, nothing);
    assert_eq!(
        daemon.ctl_with_input(&["send", to, "--fill"], b"no {n}").stderr,
        "",
        "it may come from anywhere"
    );
}

#[test]
fn escapes_that_are_sent_as_text_have_a_note() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let to = &*peer.name();
    daemon.receive_from(&peer, ["hello"]);
    let note = |escape: &str| {
        format!("note: `{escape}` is sent as it is written; --escape sends the bytes that it stands for\n")
    };
    for command in [&["send", to][..], &["reply", "1"], &["send", to, "--every", "1ms", "-c", "1"]] {
        for (text, escape) in [
            (r"AT\r\n", r"\r\n"),
            (r"AT\n", r"\n"),
            (r"a\r\nb", r"\r\n"),
            (r"\x02read\x03", r"\x02"),
            (r"end\0", r"\0"),
        ] {
            let sent = daemon.ctl(&[command, &[text]].concat());
            assert_eq!((sent.code, sent.stderr), (Some(0), note(escape)), "{command:?} {text}");
        }
        for text in [r"C:\new\readme.txt", r#"{"text":"a\nb"}"#, r"\xyz", r"\x0"] {
            assert_eq!(daemon.ctl(&[command, &[text]].concat()).stderr, "", "{command:?} {text}");
        }
    }
    assert_eq!(daemon.ctl(&["send", to, "--escape", r"AT\r\n"]).stderr, "");
    daemon.ctl(&["ask", to, r"AT\r\n", "--timeout", "1ms"]).fails(4, &[&note(r"\r\n")]);
}
