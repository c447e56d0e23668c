//! Received messages on the screen: scrolling, reconnecting, unread counts.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::proc::status_number;
use crate::support::{Daemon, Peer, Running, eventually, scaled, texts};

use super::Chat;

#[test]
fn a_long_history_scrolls_in_little_memory() {
    let messages = scaled(20_000, 100_000);
    let before = |daemon: &Daemon, bob: &Peer| {
        daemon.receive_from(bob, (0..messages).map(|number| format!("message {number:06}")));
    };
    let Some(chat) = Chat::after(100, 40, before) else { return };
    chat.tmux.shows(&format!("message {:06}", messages - 1));
    // A window of its own size is read first.
    chat.tmux.press_often("PageUp", 80);
    chat.tmux.until("the messages before", |screen| !screen.contains(&format!("{:06}", messages - 1)));
    let early = status_number(chat.pid().cast_unsigned(), "VmRSS:").unwrap();
    let pages = messages / 30;
    let began = Instant::now();
    for _ in 0..pages.div_ceil(100) {
        chat.tmux.press_often("PageUp", 100);
    }
    chat.tmux.shows("message 000000");
    let late = status_number(chat.pid().cast_unsigned(), "VmRSS:").unwrap();
    eprintln!("{messages} messages in {:?}; {early} KiB, then {late} KiB", began.elapsed());
    assert!(late < early + 8 * 1024, "{early} KiB, then {late} KiB");
    chat.tmux.press(&["Escape"]);
    chat.tmux.shows(&format!("message {:06}", messages - 1));
    chat.tmux.press(&["C-Home"]);
    chat.tmux.shows("message 000000");
    chat.tmux.press(&["PageDown"]);
    chat.tmux.until("what follows", |screen| screen.contains("message 000060") && !screen.contains("000000"));
}

#[test]
fn a_reconnected_chat_shows_each_message_once() {
    let Some(mut chat) = Chat::start(80, 40) else { return };
    // Its connection for sending is open when the daemon ends.
    chat.tmux.type_in("first");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "first");
    chat.bob_sends("before");
    chat.tmux.shows("< before");
    let (folder, flags) = chat.daemon.into_folder();
    chat.tmux.shows("trying again");
    // A message written now cannot be sent, and is marked so.
    chat.tmux.type_in("too early");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("[not sent: no daemon answers]");
    chat.daemon = Daemon::start_in(folder, flags);
    (0..10).for_each(|number| chat.bob_sends(&format!("meanwhile {number}")));
    let screen = chat.tmux.shows("< meanwhile 9");
    assert!(!screen.contains("trying again"), "{screen}");
    chat.tmux.press(&["Up"]);
    chat.tmux.shows("> too early");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "too early");
    chat.bob_sends("after");
    let screen = chat.tmux.shows("< after");
    let received: Vec<_> =
        screen.lines().filter_map(|line| line.split_once(" < ")).map(|(_, text)| text).collect();
    let meanwhile: Vec<_> = (0..10).map(|number| format!("meanwhile {number}")).collect();
    let expected: Vec<_> =
        std::iter::once("before").chain(meanwhile.iter().map(String::as_str)).chain(["after"]).collect();
    assert_eq!(received, expected);
}

#[test]
fn every_command_reports_a_gone_daemon_alike() {
    let Some(mut chat) = Chat::start(240, 24) else { return };
    chat.bob_sends("first");
    chat.tmux.shows("< first");
    let waiting = [&["inbox", "--follow", "-n", "1"][..], &["wait", "--after", "0", "-c", "2"]];
    let mut waiting = waiting.map(|args| chat.daemon.ctl_start(args));
    for command in &mut waiting {
        let mut line = String::new();
        BufReader::new(command.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
    }
    let report = chat.tmux.path("report");
    let mut watch = chat.daemon.ctl_command(&["status", "--watch", "--interval", "100ms"]);
    let mut watch = Running::start(watch.stderr(File::create(&report).unwrap()));
    watch.line();
    chat.daemon.signal(Signal::SIGTERM);
    chat.daemon.wait();
    let socket = chat.daemon.socket();
    let what = format!("no daemon found at {} (no such socket)", socket.display());
    let hint = "start one with `udpchatd`; `udpchatctl doctor` finds one that listens elsewhere";
    let sent = chat.daemon.ctl(&["send", "bob", "x"]);
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(3), &*format!("error: {what}\nhint: {hint}\n")));
    for command in &mut waiting {
        let code = command.wait().unwrap().code();
        let stderr = std::io::read_to_string(command.stderr.take().unwrap()).unwrap();
        let lost = format!("error: the daemon closed the connection\n  caused by: {what}\nhint: {hint}\n");
        assert_eq!((code, stderr), (Some(1), lost));
    }
    let reported = eventually("the report of the watch", || {
        fs::read_to_string(&report).ok().filter(|text| text.lines().count() == 2)
    });
    assert_eq!(reported, format!("error: {what}\nhint: {hint}; waiting for it to come back\n"));
    chat.tmux.shows(&format!("trying again: {what}; {hint}"));
}

#[test]
fn a_chat_far_behind_skips_to_the_newest_messages() {
    const MESSAGES: u32 = 40_000;
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob_sends("before");
    chat.tmux.shows("< before");
    chat.tmux.press(&["C-z"]);
    chat.tmux.shows("topped");
    chat.daemon.receive_from(&chat.bob, (0..MESSAGES).map(|number| format!("message {number:05}")));
    chat.tmux.shell("fg");
    chat.tmux.shows(&format!("message {:05}", MESSAGES - 1));
    // The skipped messages are in the history, without a hole. A key that is pressed while older ones are read scrolls nothing.
    let numbers = |screen: &str| -> Vec<u32> {
        screen.lines().filter_map(|line| line.split_once("message ")?.1.parse().ok()).collect()
    };
    let screen = eventually("the skipped messages", || {
        chat.tmux.press_often("PageUp", 100);
        let screen = chat.tmux.screen();
        numbers(&screen).first().is_some_and(|first| *first < MESSAGES - 9_000).then_some(screen)
    });
    assert!(!screen.contains("new below"), "{screen}");
    eventually("a screen of messages in their order", || {
        let numbers = numbers(&chat.tmux.screen());
        (numbers.len() > 15 && numbers.windows(2).all(|two| two[0] + 1 == two[1])).then_some(())
    });
}

#[test]
fn messages_of_other_peers_stay_unread_until_shown() {
    let stranger = Peer::new();
    let before = |daemon: &Daemon, bob: &Peer| {
        daemon.receive_from(&stranger, ["from somebody else"]);
        daemon.receive_from(bob, ["from bob"]);
    };
    let Some(chat) = Chat::after(80, 24, before) else { return };
    chat.tmux.shows("< from bob");
    let new = || {
        let entries = chat.daemon.ctl(&["--json", "inbox", "--peek"]).json();
        texts(&entries).len()
    };
    // A later message is shown, so the chat has read bob's message.
    chat.bob_sends("more");
    chat.tmux.shows("< more");
    assert_eq!(new(), 3);
    chat.tmux.press(&["M-a"]);
    chat.tmux.shows("< from somebody else");
    eventually("everything to be read", || (new() == 0).then_some(()));
}

#[test]
fn one_key_marks_all_messages_as_read() {
    let strangers = [Peer::new(), Peer::new()];
    let before = |daemon: &Daemon, _: &Peer| {
        strangers.iter().for_each(|stranger| daemon.receive_from(stranger, ["x"]));
    };
    let Some(chat) = Chat::after(80, 24, before) else { return };
    let new = || texts(&chat.daemon.ctl(&["--json", "inbox", "--peek"]).json()).len();
    chat.tmux.until("two unread messages", |screen| screen.matches(" 1 │").count() == 2);
    assert_eq!(new(), 2);
    chat.tmux.press(&["M-r"]);
    chat.tmux.shows("the messages of all peers are marked as read");
    eventually("everything to be read", || (new() == 0).then_some(()));
    assert!(!chat.tmux.screen().contains(" 1 │"));
}

#[test]
fn joined_letters_and_emoji_are_shown_as_they_are() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob_sends("می\u{200c}خواهم|");
    chat.bob_sends("a\u{200c}b|");
    chat.bob_sends("👨\u{200d}👩|");
    chat.tmux.shows(r"< a\u{200c}b|");
    chat.tmux.shows("می\u{200c}خواهم|");
    let printed = chat.daemon.ctl(&["inbox", "--all"]).ok();
    assert!(printed.contains("می\u{200c}خواهم|") && printed.contains("👨\u{200d}👩|"), "{printed}");
    assert!(printed.contains(r"a\u{200c}b|"), "{printed}");
    let json = chat.daemon.ctl(&["--json", "inbox", "--all"]).ok();
    assert!(json.contains(r"\u200c") && !json.contains(['\u{200c}', '\u{200d}']), "{json}");
}

#[test]
fn typing_selects_a_peer_and_unread_messages_are_counted() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let stranger = Peer::new();
    (0..3).for_each(|number| stranger.send(chat.daemon.address(), format!("reading {number}")));
    chat.tmux.until("three unread messages", |screen| {
        screen.lines().any(|line| line.starts_with(&stranger.name()) && line.contains(" 3 │"))
    });
    chat.tmux.press(&["F2"]);
    chat.tmux.shows("Choose a peer");
    chat.tmux.type_in(&stranger.name()[10..]);
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("< reading 2");
    chat.tmux.type_in("thanks");
    chat.tmux.press(&["Enter"]);
    assert_eq!(stranger.receive().0, b"thanks");
    // A peer that is not configured.
    let other = Peer::new();
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in(&other.name());
    chat.tmux.shows("new peer");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("No messages yet");
    chat.tmux.type_in("hello");
    chat.tmux.press(&["Enter"]);
    assert_eq!(other.receive().0, b"hello");
}
