//! `udpchatctl` run by users who lack a role.

use serde_json::Value;

use crate::support::{Account, OtherUser, Peer, available, texts};

use super::{READERS, SENDERS, account, config, mode, reload, start};

#[test]
fn udpchatctl_exits_with_6_and_names_the_group() {
    let Some(other) = OtherUser::get() else { return };
    let (daemon, peer) = (start(&config(), &[]), Peer::new());
    daemon.receive_from(&peer, ["heard"]);
    let (reader, sender) = (account(&[READERS]), account(&[SENDERS]));
    let to = peer.name();
    let reader_hint = format!("usermod -aG {READERS}");
    for (account, args, texts) in [
        (account(&[]), &["status"][..], ["has no role with this daemon", &reader_hint]),
        (account(&[]), &["send", &to, "x"], ["has no role", &reader_hint]),
        // A name is looked up by the daemon first.
        (account(&[]), &["send", "localhost", "x"], ["has no role", &reader_hint]),
        (sender.clone(), &["inbox"], ["`inbox` requires role `read`", &reader_hint]),
        (sender.clone(), &["wait"], ["`wait` requires role `read`", &reader_hint]),
        (sender.clone(), &["ask", &to, "unsent"], ["`ask` requires role `read`", &reader_hint]),
        (sender.clone(), &["export"], ["`export` requires role `read`", &reader_hint]),
        (reader.clone(), &["send", &to, "x"], ["`send` requires role `send`", "usermod"]),
        (reader.clone(), &["recode", "--as", "gbk", "-a"], ["`recode` requires role `admin`", "usermod"]),
        (reader.clone(), &["reload"], ["`reload` requires role `admin`", "usermod"]),
        (
            reader.clone(),
            &["status", "--acknowledge"],
            ["`status --acknowledge` requires role `admin`", "usermod"],
        ),
        (reader.clone(), &["stop"], ["`stop` requires role `admin`", "usermod"]),
    ] {
        let ran = other.ctl(&account, &daemon, args);
        ran.fails(6, &texts);
    }
    assert_eq!(texts(&daemon.entries()), ["heard"], "nothing was sent, the question neither");
    for (account, args) in [(&reader, &["status"][..]), (&sender, &["status"]), (&reader, &["inbox", "-a"])] {
        assert_eq!(other.ctl(account, &daemon, args).code, Some(0), "{args:?}");
    }
    // What a plain reply needs is enough for one with a line end.
    for args in [&["send", &to, "x"][..], &["reply", "1", "x"], &["reply", "1", "x", "--eol", "crlf"]] {
        let ran = other.ctl(&sender, &daemon, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_sender_lists_and_cancels_its_own_held_messages() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = start(&config(), &[]);
    let (reader, sender) = (account(&[READERS]), account(&[SENDERS]));
    let hold = ["send", "127.0.0.1:9", "x", "--when-seen"];
    let _receipt = daemon.ctl(&hold).ok();
    assert_eq!(other.ctl(&sender, &daemon, &hold).code, Some(0));
    let listed = |account| {
        let ran = other.ctl(account, &daemon, &["--json", "held"]).json();
        ran.iter().map(|held| held["held"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((listed(&reader), listed(&sender)), (vec![1, 2], vec![2]));
    // What it does not see, it cannot cancel by its number.
    other
        .ctl(&sender, &daemon, &["held", "--cancel", "1"])
        .fails(1, &["no message is held with the number 1"]);
    assert_eq!(other.ctl(&sender, &daemon, &["held", "--cancel", "all"]).ok(), "1 message cancelled\n");
    assert_eq!((listed(&reader), listed(&sender)), (vec![1], vec![]));
}

#[test]
fn chat_without_permission_fails_before_using_the_screen() {
    let Some(other) = OtherUser::get() else { return };
    if !available("script") {
        return;
    }
    let daemon = start(&config(), &[]);
    let chat = other.command_of(&account(&[SENDERS]), env!("CARGO_BIN_EXE_udpchatctl"));
    let program = chat.get_args().last().unwrap().to_str().unwrap();
    let line = format!("{program} --socket {} chat", daemon.socket().display());
    let mut terminal = account(&[SENDERS]).command("script");
    let ran = terminal.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().unwrap();
    let shown = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(6), "{shown}");
    assert!(shown.contains("requires role `read`") && !shown.contains("\u{1b}[?1049h"), "{shown:?}");
}

#[test]
fn doctor_reports_missing_permissions() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = start(&config(), &[]);
    let finding = |account: &Account, topic: &str| {
        let ran = other.ctl(account, &daemon, &["--json", "doctor"]);
        let findings = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        findings.into_iter().find(|finding| finding["topic"] == topic).unwrap()
    };
    let refused = finding(&account(&[SENDERS]), "self-test");
    assert_eq!(refused["level"], "warning", "{refused}");
    assert!(refused["seen"].as_str().unwrap().contains("requires role `read`"), "{refused}");
    assert_eq!(finding(&account(&[READERS]), "self-test")["level"], "ok");
    let closed = finding(&account(&[]), "daemon");
    assert_eq!(closed["level"], "problem");
    assert!(closed["seen"].as_str().unwrap().contains("has no role with this daemon"), "{closed}");
    assert!(closed["hint"].as_str().unwrap().contains("usermod"), "{closed}");
}

#[test]
fn a_denied_socket_names_the_permitted_group() {
    let Some(other) = OtherUser::get() else { return };
    let group = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    let daemon = start("", &[]);
    std::os::unix::fs::chown(daemon.socket(), None, Some(group.gid.as_raw())).unwrap();
    reload(&daemon, "control.read = ['daemon']");
    assert_eq!(mode(&daemon.socket()), 0o660, "the file has the group by now");
    let ran = other.ctl(&account(&[]), &daemon, &["status"]);
    ran.fails(6, &["not permitted", "user root", "the group daemon may open it", "usermod -aG daemon NAME"]);
    assert_eq!(other.ctl(&account(&[group.gid.as_raw()]), &daemon, &["inbox", "-a"]).code, Some(0));
}
