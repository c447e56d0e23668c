//! The full-screen conversation, in a real terminal, with real daemons and peers.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use encoding_rs::GBK;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{DEADLINE, Daemon, Peer, Tmux, eventually, scaled, texts};

/// A chat in a terminal, with a daemon that knows bob, and bob.
struct Chat {
    tmux: Tmux,
    daemon: Daemon,
    bob: Peer,
}

impl Chat {
    /// Starts a chat with bob; none where there is no tmux.
    fn start(columns: u16, rows: u16) -> Option<Self> {
        Self::after(columns, rows, |_, _| ())
    }

    /// Starts a chat with bob after something has happened.
    fn after(columns: u16, rows: u16, before: impl FnOnce(&Daemon, &Peer)) -> Option<Self> {
        let tmux = Tmux::start(columns, rows)?;
        let bob = Peer::new();
        let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = '{}'\n", bob.address()), &[]);
        before(&daemon, &bob);
        let chat = Self { tmux, daemon, bob };
        chat.tmux.shell(&format!("{}; echo ended with $?", chat.command("bob")));
        chat.tmux.until("the chat", |screen| screen.contains("(configured)") || columns < 40);
        Some(chat)
    }

    /// Returns the command line of a chat; its process id is left in a file.
    fn command(&self, arguments: &str) -> String {
        let program = env!("CARGO_BIN_EXE_udpchatctl");
        let (socket, pid) = (self.daemon.socket(), self.tmux.path("pid"));
        let (socket, pid) = (socket.display(), pid.display());
        format!("sh -c 'echo $$ > {pid}; exec {program} --socket {socket} chat {arguments}'")
    }

    fn pid(&self) -> i32 {
        fs::read_to_string(self.tmux.path("pid")).unwrap().trim().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Has bob say something.
    fn hears(&self, text: &str) {
        self.bob.send(self.daemon.address(), text);
    }

    /// Waits for the next datagram that bob gets, as text.
    #[track_caller]
    fn bob_gets(&self) -> String {
        String::from_utf8(self.bob.receive().0).unwrap()
    }
}

/// Reads how much memory a process has, in KiB.
fn memory(pid: i32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn chinese_is_typed_sent_and_received_while_one_types() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.type_in("你好，");
    chat.hears("在吗？");
    let screen = chat.tmux.shows("< 在吗？");
    assert!(screen.contains("> 你好，"), "{screen}");
    chat.tmux.type_in("世界");
    // A wide character goes as a whole.
    chat.tmux.type_in("错");
    chat.tmux.press(&["BSpace", "Enter"]);
    assert_eq!(chat.bob_gets(), "你好，世界");
    let screen = chat.tmux.shows("> 你好，世界");
    assert!(screen.find("在吗？") < screen.find("你好，世界"), "{screen}");
}

#[test]
fn lines_that_are_broken_or_pasted_are_one_message() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.type_in("one");
    chat.tmux.press(&["M-Enter"]);
    chat.tmux.type_in("two");
    chat.tmux.press(&["C-j"]);
    chat.tmux.paste("three\nfour\n五");
    chat.tmux.shows("五");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_gets(), "one\ntwo\nthree\nfour\n五");
    chat.tmux.until("all lines", |screen| screen.contains("> one") && screen.contains("│ 五"));
}

#[test]
fn no_key_is_lost_in_a_flood() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let over = AtomicBool::new(false);
    let others = [Peer::new(), Peer::new()];
    let text: String = (0..600).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    let (bob, daemon) = (&chat.bob, chat.daemon.address());
    let said = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let (began, mut sent) = (Instant::now(), 0_u32);
            while !over.load(Ordering::Relaxed) {
                bob.send(daemon, format!("number {sent}"));
                others[(sent / 2 % 2) as usize].send(daemon, "noise");
                sent += 2;
                // A thousand a second.
                thread::sleep(
                    (began + Duration::from_millis(sent.into())).saturating_duration_since(Instant::now()),
                );
            }
            sent - 2
        });
        for piece in text.as_bytes().chunks(20) {
            chat.tmux.type_in(std::str::from_utf8(piece).unwrap());
        }
        chat.tmux.press(&["Enter"]);
        let got = chat.bob_gets();
        over.store(true, Ordering::Relaxed);
        assert_eq!(got, text);
        flood.join().unwrap()
    });
    chat.tmux.shows(&format!("< number {said}"));
}

#[test]
fn a_long_history_is_scrolled_through_in_little_memory() {
    let messages = scaled(20_000, 100_000);
    let before = |daemon: &Daemon, bob: &Peer| {
        daemon.hear(bob, (0..messages).map(|number| format!("message {number:06}")));
    };
    let Some(chat) = Chat::after(100, 40, before) else { return };
    chat.tmux.shows(&format!("message {:06}", messages - 1));
    // A window of its own size is read first.
    chat.tmux.press_often("PageUp", 80);
    chat.tmux.until("the messages before", |screen| !screen.contains(&format!("{:06}", messages - 1)));
    let early = memory(chat.pid(), "VmRSS:");
    let pages = messages / 30;
    let began = Instant::now();
    for _ in 0..pages.div_ceil(100) {
        chat.tmux.press_often("PageUp", 100);
    }
    chat.tmux.shows("message 000000");
    let late = memory(chat.pid(), "VmRSS:");
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
fn the_screen_has_any_size() {
    let Some(chat) = Chat::start(200, 60) else { return };
    for number in 0..50 {
        chat.hears(&format!("message {number} 你好"));
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
fn it_goes_on_when_the_daemon_is_back_without_loss_or_anything_twice() {
    let Some(mut chat) = Chat::start(80, 40) else { return };
    chat.hears("before");
    chat.tmux.shows("< before");
    let (folder, flags) = chat.daemon.into_folder();
    chat.tmux.shows("not connected, trying again");
    // What is written now cannot be sent, and says so.
    chat.tmux.type_in("too early");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("[not sent: no daemon was found]");
    chat.daemon = Daemon::start_in(folder, flags);
    (0..10).for_each(|number| chat.hears(&format!("meanwhile {number}")));
    let screen = chat.tmux.shows("< meanwhile 9");
    assert!(!screen.contains("not connected"), "{screen}");
    chat.tmux.press(&["Up"]);
    chat.tmux.shows("> too early");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_gets(), "too early");
    chat.hears("after");
    let screen = chat.tmux.shows("< after");
    let received: Vec<_> =
        screen.lines().filter_map(|line| line.split_once(" < ")).map(|(_, text)| text).collect();
    let meanwhile: Vec<_> = (0..10).map(|number| format!("meanwhile {number}")).collect();
    let expected: Vec<_> =
        std::iter::once("before").chain(meanwhile.iter().map(String::as_str)).chain(["after"]).collect();
    assert_eq!(received, expected);
}

#[test]
fn who_is_far_behind_goes_on_from_now_and_has_the_rest_as_history() {
    const MESSAGES: u32 = 40_000;
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.hears("before");
    chat.tmux.shows("< before");
    chat.tmux.press(&["C-z"]);
    chat.tmux.shows("topped");
    chat.daemon.hear(&chat.bob, (0..MESSAGES).map(|number| format!("message {number:05}")));
    chat.tmux.shell("fg");
    chat.tmux.shows(&format!("message {:05}", MESSAGES - 1));
    // What was jumped over is there, without a hole.
    (0..15).for_each(|_| chat.tmux.press_often("PageUp", 100));
    let last = MESSAGES - 1_500 * 19;
    let screen = chat.tmux.shows(&format!("message {:05}", last - 10));
    assert!(!screen.contains("new below"), "{screen}");
    let numbers: Vec<u32> =
        screen.lines().filter_map(|line| line.split_once("message ")?.1.parse().ok()).collect();
    assert!(numbers.len() > 15 && numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{screen}");
}

#[test]
fn the_terminal_is_as_before_after_every_end() {
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
        chat.tmux.shows("F1 help");
        assert_eq!(chat.tmux.tells("#{alternate_on} #{mouse_any_flag}"), "1 1", "{name}");
        quit();
        eventually(name, || (!modes(after).is_empty()).then_some(()));
        assert_eq!(modes(after), modes(before), "{name}");
        assert_eq!(modes(&after.with_extension("code")), "0\n", "{name}");
        assert_eq!(chat.tmux.tells("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0", "{name}");
    }
    let screen = chat.tmux.screen();
    assert!(!screen.contains("F1 help"), "{screen}");
}

#[test]
fn it_can_be_suspended_and_comes_back() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.hears("before");
    chat.tmux.shows("< before");
    chat.tmux.type_in("draft");
    chat.tmux.shows("> draft");
    chat.tmux.press(&["C-z"]);
    chat.tmux.shows("topped");
    assert_eq!(chat.tmux.tells("#{alternate_on} #{cursor_flag} #{mouse_any_flag}"), "0 1 0");
    // The shell works meanwhile.
    chat.tmux.shell("echo $((6 * 7))");
    chat.tmux.shows("42");
    chat.hears("meanwhile");
    chat.daemon.stored(2);
    chat.tmux.shell("fg");
    let screen = chat.tmux.shows("< meanwhile");
    assert!(screen.contains("> draft") && screen.contains("< before"), "{screen}");
    assert_eq!(chat.tmux.tells("#{alternate_on} #{mouse_any_flag}"), "1 1");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_gets(), "draft");
}

#[test]
fn what_to_send_in_is_chosen_and_what_fails_is_shown_where_it_was_written() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["F3"]);
    chat.tmux.shows("Send in");
    chat.tmux.type_in("gbk");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("gbk (chosen here)");
    chat.tmux.type_in("你好");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, GBK.encode("你好").0.as_ref());
    chat.tmux.type_in("😀");
    chat.tmux.press(&["Enter"]);
    let screen = chat.tmux.shows("[not sent: gbk cannot hold `😀`");
    assert!(screen.contains("chooses what to send in") && screen.contains("↑ brings it back"), "{screen}");
    chat.tmux.press(&["Up", "Home"]);
    chat.tmux.type_in("a");
    chat.tmux.shows("> a😀");
}

#[test]
fn peers_are_chosen_by_typing_and_unread_messages_are_counted() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let stranger = Peer::new();
    (0..3).for_each(|number| stranger.send(chat.daemon.address(), format!("reading {number}")));
    chat.tmux.until("three unread messages", |screen| {
        screen.lines().any(|line| line.starts_with(&stranger.name()) && line.contains(" 3 │"))
    });
    chat.tmux.press(&["F2"]);
    chat.tmux.shows("Write to");
    chat.tmux.type_in(&stranger.name()[10..]);
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("< reading 2");
    chat.tmux.type_in("thanks");
    chat.tmux.press(&["Enter"]);
    assert_eq!(stranger.receive().0, b"thanks");
    // Somebody whom nobody has heard of.
    let other = Peer::new();
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in(&other.name());
    chat.tmux.shows("somebody new");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("Nothing was said yet");
    chat.tmux.type_in("hello");
    chat.tmux.press(&["Enter"]);
    assert_eq!(other.receive().0, b"hello");
}

#[test]
fn only_when_everything_was_seen_does_it_count_as_read() {
    let stranger = Peer::new();
    let before = |daemon: &Daemon, bob: &Peer| {
        daemon.hear(&stranger, ["from somebody else"]);
        daemon.hear(bob, ["from bob"]);
    };
    let Some(chat) = Chat::after(80, 24, before) else { return };
    chat.tmux.shows("< from bob");
    let new = || {
        let entries = chat.daemon.ctl(&["--json", "inbox", "--peek"]).json();
        texts(&entries).len()
    };
    // The chat has seen to it that bob's message is read: a later one is shown.
    chat.hears("more");
    chat.tmux.shows("< more");
    assert_eq!(new(), 3);
    chat.tmux.press(&["M-a"]);
    chat.tmux.shows("< from somebody else");
    eventually("everything to be read", || (new() == 0).then_some(()));
}

#[test]
fn nothing_is_drawn_and_nothing_is_done_while_nothing_happens() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.hears("the last for some time");
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
    chat.hears("again");
    chat.tmux.shows("< again");
    assert!(written() > before.0);
}

#[test]
fn hostile_text_reaches_the_screen_only_as_text() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let title = chat.tmux.tells("#{pane_title}");
    chat.hears("\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m\u{9b}5n\u{202e}txt\r\nsecond");
    chat.hears(&format!("z{}", "\u{301}".repeat(3_000)));
    chat.hears(&"x".repeat(60_000));
    chat.tmux.until("the end of it", |screen| screen.lines().any(|line| line.ends_with("xxxxx")));
    chat.tmux.type_in("still here");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_gets(), "still here");
    chat.tmux.press(&["C-Home"]);
    let screen = chat.tmux.shows("\\u{1b}]0;owned\\u{7}\\u{1b}[2J");
    assert!(screen.contains("│ second"), "{screen}");
    assert_eq!(chat.tmux.tells("#{pane_title}"), title);
}

#[test]
fn where_there_is_no_terminal_it_says_what_works_there() {
    let daemon = Daemon::start();
    let hint = "`udpchatctl send` and `udpchatctl inbox --follow` work anywhere";
    daemon.ctl(&["chat"]).fails(2, &["chat needs a terminal: standard input is no terminal", hint]);
    daemon.ctl(&["--json", "chat"]).fails(2, &["chat is for people and has no JSON", "inbox --follow"]);
    daemon.ctl(&["chat", "-e", "no-such"]).fails(2, &["unknown encoding"]);
}

#[test]
fn without_a_daemon_it_says_so_before_it_takes_the_terminal() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let socket = tmux.path("none");
    tmux.shell(&format!(
        "{} --socket {} chat; echo code $?",
        env!("CARGO_BIN_EXE_udpchatctl"),
        socket.display()
    ));
    let screen = tmux.shows("code 3");
    assert!(screen.contains("no daemon was found") && screen.contains("start one with"), "{screen}");
}

#[test]
fn colour_obeys_no_color_and_the_flag() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.hears("hello");
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
        chat.tmux.until("the chat", |screen| screen.contains("< hello") && screen.contains("F1 help"));
        assert_eq!(colours(), expected, "{environment} {flag}");
        chat.tmux.press(&["C-q"]);
        chat.tmux.until("the shell", |screen| screen.trim_end().ends_with('$'));
    }
}
