//! The terminal: its size, its state after each exit, colour, hostile text, and idle cost.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{DEADLINE, Daemon, Tmux, eventually};

use super::Chat;

#[test]
fn the_screen_adapts_to_any_size() {
    let Some(chat) = Chat::start(200, 60) else { return };
    for number in 0..50 {
        chat.bob_sends(&format!("message {number} 你好"));
    }
    chat.tmux.shows("message 49 你好");
    let large = chat.tmux.shows("message 0 你好");
    assert!(large.starts_with("bob"), "{large}");
    chat.tmux.type_in("写到一半");
    for (columns, rows) in [(40, 12), (10, 3), (1, 1), (40, 12)] {
        chat.tmux.resize(columns, rows);
    }
    let small = chat.tmux.until("all in little", |screen| {
        screen.contains("message 49 你好") && screen.contains("> 写到一半") && !screen.contains("message 40 ")
    });
    assert!(small.lines().all(|line| line.chars().count() <= 40), "{small}");
    chat.tmux.resize(200, 60);
    chat.tmux.until("all as before", |screen| {
        screen.contains("message 0 你好") && screen.contains("> 写到一半") && screen.starts_with("bob")
    });
}

#[test]
fn every_exit_restores_the_terminal() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["C-q"]);
    chat.tmux.shows("ended with 0");
    let files = ["before", "after"].map(|name| chat.tmux.path(name));
    let modes = |file: &Path| fs::read_to_string(file).unwrap_or_default();
    let quits: [(&str, &dyn Fn()); 6] = [
        ("Ctrl+Q", &|| chat.tmux.press(&["C-q"])),
        ("Ctrl+C", &|| chat.tmux.press(&["C-c"])),
        ("Ctrl+D", &|| chat.tmux.press(&["C-d"])),
        ("SIGTERM", &|| chat.signal(Signal::SIGTERM)),
        ("SIGHUP", &|| chat.signal(Signal::SIGHUP)),
        ("SIGINT", &|| chat.signal(Signal::SIGINT)),
    ];
    for (name, quit) in quits {
        chat.tmux.shell("clear");
        let [before, after] = &files;
        for file in &files {
            let _gone = fs::remove_file(file);
        }
        chat.tmux.shell(&format!(
            "stty -a > {}; {}; echo $? > {}.code; stty -a > {}",
            before.display(),
            chat.command("bob"),
            after.display(),
            after.display()
        ));
        chat.tmux.shows("Ctrl+G help");
        assert_eq!(chat.tmux.tmux_format("#{alternate_on} #{mouse_any_flag}"), "1 1", "{name}");
        quit();
        eventually(name, || (!modes(after).is_empty()).then_some(()));
        assert_eq!(modes(after), modes(before), "{name}");
        assert_eq!(modes(&after.with_extension("code")), "0\n", "{name}");
        assert_eq!(
            chat.tmux.tmux_format("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"),
            "0 1 0",
            "{name}"
        );
    }
    let screen = chat.tmux.screen();
    assert!(!screen.contains("Ctrl+G help"), "{screen}");
}

#[test]
fn a_suspended_chat_resumes_with_its_draft() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob_sends("before");
    chat.tmux.shows("< before");
    chat.tmux.type_in("draft");
    chat.tmux.shows("> draft");
    chat.tmux.press(&["C-z"]);
    chat.tmux.shows("topped");
    assert_eq!(chat.tmux.tmux_format("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0");
    // The shell works meanwhile.
    chat.tmux.shell("echo $((6 * 7))");
    chat.tmux.shows("42");
    chat.bob_sends("meanwhile");
    chat.daemon.stored(2);
    chat.tmux.shell("fg");
    let screen = chat.tmux.shows("< meanwhile");
    assert!(screen.contains("> draft") && screen.contains("< before"), "{screen}");
    assert_eq!(chat.tmux.tmux_format("#{alternate_on} #{mouse_any_flag}"), "1 1");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "draft");
}

#[test]
fn an_idle_chat_draws_nothing_and_sleeps() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob_sends("the last for some time");
    chat.tmux.shows("< the last for some time");
    let file = chat.tmux.path("written");
    chat.tmux.run(&["pipe-pane", "-O", &format!("cat > {}", file.display())]);
    let written = || fs::metadata(&file).map_or(0, |about| about.len());
    let switches = || {
        let tasks =
            fs::read_dir(format!("/proc/{}/task", chat.pid())).unwrap().map(|task| task.unwrap().path());
        let status = tasks.map(|task| fs::read_to_string(task.join("status")).unwrap());
        let count = |status: String| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse().unwrap()
        };
        status.map(count).sum::<u64>()
    };
    // The pipe works, and what the key made to do is done.
    chat.tmux.type_in("x");
    chat.tmux.shows("> x");
    eventually("the echo in the file", || (written() > 0).then_some(()));
    let mut before = (written(), switches());
    let began = Instant::now();
    eventually("a second in which nothing happens", || {
        thread::sleep(Duration::from_secs(1));
        let now = (written(), switches());
        let is_still = std::mem::replace(&mut before, now) == now;
        assert!(began.elapsed() < DEADLINE);
        is_still.then_some(())
    });
    // And it is still awake.
    chat.bob_sends("again");
    chat.tmux.shows("< again");
    assert!(written() > before.0);
}

#[test]
fn hostile_text_reaches_the_screen_only_as_text() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let title = chat.tmux.tmux_format("#{pane_title}");
    chat.bob_sends("\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m\u{9b}5n\u{202e}txt\r\nsecond");
    chat.bob_sends(&format!("z{}", "\u{301}".repeat(3_000)));
    chat.bob_sends(&"x".repeat(60_000));
    chat.tmux.until("the end of it", |screen| screen.lines().any(|line| line.ends_with("xxxxx")));
    chat.tmux.type_in("still here");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "still here");
    chat.tmux.press(&["C-Home"]);
    let screen = chat.tmux.shows("\\u{1b}]0;owned\\u{7}\\u{1b}[2J");
    assert!(screen.contains("│ second"), "{screen}");
    assert_eq!(chat.tmux.tmux_format("#{pane_title}"), title);
}

#[test]
fn without_a_terminal_the_error_names_other_commands() {
    let daemon = Daemon::start();
    let hint = "`udpchatctl send` and `udpchatctl inbox --follow` work without one";
    daemon.ctl(&["chat"]).fails(2, &["chat needs a terminal: standard input is not a terminal", hint]);
    daemon.ctl(&["--json", "chat"]).fails(2, &["chat has no JSON output", "inbox --follow"]);
    daemon.ctl(&["chat", "-e", "no-such"]).fails(2, &["unknown encoding"]);
}

#[test]
fn without_a_daemon_it_fails_before_using_the_screen() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let socket = tmux.path("none");
    tmux.shell(&format!(
        "{} --socket {} chat; echo code $?",
        env!("CARGO_BIN_EXE_udpchatctl"),
        socket.display()
    ));
    let screen = tmux.shows("code 3");
    assert!(screen.contains("no daemon found") && screen.contains("start one with"), "{screen}");
}

#[test]
fn what_is_no_single_destination_is_refused() {
    let Some(tmux) = Tmux::start(120, 24) else { return };
    let daemon =
        Daemon::start_with("[peers.bob]\naddress = '10.0.0.1'\n[peers.lab]\nmembers = ['bob']\n", &[]);
    let (program, socket) = (env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket());
    for (peer, error, hint) in [
        ("李磊", "no peer is called `李磊`", "in the configuration gives one"),
        ("bbo", "no peer is called `bbo`", "did you mean `bob`?"),
        ("127.0.0.256", "`127.0.0.256` is not", "hint: "),
        ("a,b", "`a,b` names several destinations; a message has one", "`udpchatctl send` sends to several"),
        ("lab", "`lab` is a list of peers; a chat has one peer", "`udpchatctl send lab TEXT` sends to each"),
    ] {
        tmux.shell(&format!(
            "clear; {program} --socket {} chat {peer}; echo {peer} ended: $?",
            socket.display()
        ));
        let screen = tmux.shows(&format!("{peer} ended: 2"));
        assert!(screen.contains(error) && screen.contains(hint), "{peer}: {screen}");
    }
}

#[test]
fn the_chat_is_chinese_in_a_chinese_locale() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["C-q"]);
    chat.tmux.shows("ended with 0");
    for (locale, help) in [("zh_CN.UTF-8", "Ctrl+G 帮助"), ("en_US.UTF-8", "Ctrl+G help")] {
        chat.tmux.shell(&format!("clear; LC_ALL={locale} {}", chat.command("bob")));
        chat.tmux.shows(help);
        chat.tmux.press(&["C-q"]);
        chat.tmux.until("the shell", |screen| screen.trim_end().ends_with('$'));
    }
}

#[test]
fn colour_obeys_no_color_and_the_flag() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob_sends("hello");
    chat.tmux.shows("< hello");
    // Cyan, as the sixth of 256 colours.
    let colours = || chat.tmux.run(&["capture-pane", "-p", "-e"]).contains("38;5;6m");
    assert!(colours());
    chat.tmux.press(&["C-q"]);
    chat.tmux.shows("ended with 0");
    for (environment, flag, expected) in [
        ("NO_COLOR=1", "", false),
        ("NO_COLOR=", "--color never", false),
        ("NO_COLOR=1", "--color always", true),
    ] {
        chat.tmux.shell(&format!("clear; export {environment}; {}", chat.command(&format!("bob {flag}"))));
        chat.tmux.until("the chat", |screen| screen.contains("< hello") && screen.contains("Ctrl+G help"));
        assert_eq!(colours(), expected, "{environment} {flag}");
        chat.tmux.press(&["C-q"]);
        chat.tmux.until("the shell", |screen| screen.trim_end().ends_with('$'));
    }
}
