//! Typing, pasting and sending.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use encoding_rs::{GBK, WINDOWS_1251};

use crate::support::{Daemon, Peer, Tmux};

use super::Chat;

#[test]
fn chinese_is_typed_while_messages_arrive() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.type_in("你好，");
    chat.bob_sends("在吗？");
    let screen = chat.tmux.shows("< 在吗？");
    assert!(screen.contains("> 你好，"), "{screen}");
    chat.tmux.type_in("世界");
    // A wide character goes as a whole.
    chat.tmux.type_in("错");
    chat.tmux.press(&["BSpace", "Enter"]);
    assert_eq!(chat.bob_receives(), "你好，世界");
    let screen = chat.tmux.shows("> 你好，世界");
    assert!(screen.find("在吗？") < screen.find("你好，世界"), "{screen}");
}

#[test]
fn typed_and_pasted_line_breaks_make_one_message() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.type_in("one");
    chat.tmux.press(&["M-Enter"]);
    chat.tmux.type_in("two");
    chat.tmux.press(&["C-j"]);
    chat.tmux.paste("three\nfour\n五");
    chat.tmux.shows("五");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "one\ntwo\nthree\nfour\n五");
    chat.tmux.until("all lines", |screen| screen.contains("> one") && screen.contains("│ 五"));
}

#[test]
fn no_key_is_lost_during_a_flood() {
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
        let got = chat.bob_receives();
        over.store(true, Ordering::Relaxed);
        assert_eq!(got, text);
        flood.join().unwrap()
    });
    chat.tmux.shows(&format!("< number {said}"));
}

#[test]
fn the_encoding_is_selectable_and_failures_show_inline() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["F3"]);
    chat.tmux.shows("Choose an encoding");
    chat.tmux.type_in("gbk");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("The messages of this peer");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("gbk (chosen here)");
    chat.tmux.type_in("你好");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, GBK.encode("你好").0.as_ref());
    chat.tmux.type_in("😀");
    chat.tmux.press(&["Enter"]);
    let screen = chat.tmux.shows("[not sent: gbk cannot hold `😀`");
    assert!(screen.contains("chooses another encoding") && screen.contains("↑ brings it back"), "{screen}");
    chat.tmux.press(&["Up", "Home"]);
    chat.tmux.type_in("a");
    chat.tmux.shows("> a😀");
}

#[test]
fn the_chosen_encoding_is_for_reading_too() {
    let Some(chat) = Chat::start(80, 24) else { return };
    let cyrillic = |text: &str| WINDOWS_1251.encode(text).0.into_owned();
    chat.bob.send(chat.daemon.address(), cyrillic("Привет, мир"));
    // Part of how the fallback reads it.
    chat.tmux.shows("扈");
    chat.tmux.press(&["F3"]);
    chat.tmux.type_in("1251");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("read them in windows-1251, too");
    chat.tmux.press(&["Down", "Enter"]);
    chat.tmux.shows("< Привет, мир");
    // Two letters prove nothing.
    chat.bob.send(chat.daemon.address(), cyrillic("да"));
    chat.tmux.shows("< да");
    chat.tmux.type_in("нет");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, cyrillic("нет"));
}

#[test]
fn a_first_message_is_repaired_on_the_screen() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob.send(chat.daemon.address(), b"\xd2\xbb");
    chat.tmux.shows("< һ");
    chat.bob.send_text(chat.daemon.address(), "你好", GBK);
    chat.tmux
        .until("the first message in GBK", |screen| screen.contains("< 一") && screen.contains("< 你好"));
}

#[test]
fn bytes_are_shown_and_sent_in_hex() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.bob.send(chat.daemon.address(), b"OK\r\n\x00\xff");
    chat.tmux.press(&["F4"]);
    chat.tmux.shows("< 0000  4f 4b 0d 0a 00 ff        |OK....|");
    // The footer names the key, too, but not in the rule.
    chat.tmux.shows(" F4 hex ─");
    chat.tmux.type_in("c4 e3 0x0d,0");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("odd number of hex digits");
    chat.tmux.type_in("a");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, b"\xc4\xe3\r\n");
    chat.tmux.shows("> 0000  c4 e3 0d 0a              |....|");
    chat.tmux.press(&["F4"]);
    chat.tmux.until("text again", |screen| screen.contains("< OK") && !screen.contains("F4 hex ─"));
    // What was sent as bytes comes back as bytes.
    chat.tmux.press(&["Up"]);
    chat.tmux
        .until("bytes again", |screen| screen.contains("# c4 e3 0x0d,0a") && screen.contains(" F4 hex ─"));
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, b"\xc4\xe3\r\n");
}

#[test]
fn joined_letters_leave_nothing_behind() {
    let Some(chat) = Chat::start(80, 24) else { return };
    for (text, shown) in [
        ("ক্\u{200d}ষ", r"< ক্\u{200d}ষ"),
        ("ی\u{200d}ه", r"< ی\u{200d}ه"),
        ("می\u{200c}خواهم", "< می\u{200c}خواهم"),
        ("👨\u{200d}👩", "< 👨\u{200d}👩"),
    ] {
        chat.bob_sends(text);
        let is_whole = |screen: &str| screen.lines().any(|line| line.trim_end().ends_with(shown));
        chat.tmux.until(shown, is_whole);
        // The bytes take more columns than the text, which is then drawn over them.
        chat.tmux.press(&["F4"]);
        chat.tmux.until("only bytes", |screen| screen.contains("F4 hex ─") && !is_whole(screen));
        chat.tmux.press(&["F4"]);
        chat.tmux.until("text again", |screen| !screen.contains("F4 hex ─") && is_whole(screen));
    }
}

#[test]
fn a_line_end_is_appended_in_the_encoding_of_the_peer() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["F5"]);
    chat.tmux.shows(r"F5 +\r\n");
    chat.tmux.type_in("AT");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "AT\r\n");
    chat.tmux.shows("> AT");
    chat.tmux.press(&["F3"]);
    chat.tmux.type_in("utf-16le");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("The messages of this peer");
    chat.tmux.press(&["Down", "Enter", "M-l", "M-l"]);
    chat.tmux.shows(r"F5 +\r ");
    chat.tmux.type_in("A");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob.receive().0, b"A\0\r\0");
}

#[test]
fn help_opens_without_a_function_key() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["C-g"]);
    chat.tmux.shows("Keys (Esc closes)");
    // The terminal may show a part of the screen first.
    chat.tmux.shows("F1, Ctrl+G, Alt+H");
    chat.tmux.press(&["C-g"]);
    chat.tmux.until("the chat", |screen| !screen.contains("Keys (Esc closes)"));
}

#[test]
fn an_unknown_encoding_is_explained_in_the_list() {
    let Some(chat) = Chat::start(80, 24) else { return };
    chat.tmux.press(&["F3"]);
    chat.tmux.shows("Choose an encoding");
    chat.tmux.type_in("gkb");
    let screen = chat.tmux.shows("did you mean `gbk`?");
    assert!(screen.contains("unknown encoding `gkb`"), "{screen}");
}

#[test]
fn a_written_port_of_a_host_is_the_destination() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let (asked, other) = (Peer::at("127.0.0.51:0"), Peer::at("127.0.0.51:0"));
    let daemon = Daemon::start_with("[peers.board]\naddress = '127.0.0.51'\n", &[]);
    daemon.receive_from(&other, ["hello"]);
    let chat = Chat { tmux, daemon, bob: asked };
    let (asked, heard) = (chat.bob.name(), other.name());
    chat.tmux.shell(&chat.command(&asked));
    chat.tmux.shows("What you type is sent to");
    chat.tmux.type_in("as written");
    chat.tmux.press(&["Enter"]);
    assert_eq!(chat.bob_receives(), "as written");
    // The name is the whole host: the header shows where its last message came from.
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in("board");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows(&format!("board  {heard}"));
    chat.tmux.press(&["F2"]);
    chat.tmux.type_in(&heard);
    chat.tmux.shows("only this port of board");
    chat.tmux.press(&["Enter"]);
    chat.tmux.shows("< hello");
    chat.tmux.type_in("as chosen");
    chat.tmux.press(&["Enter"]);
    assert_eq!(other.receive().0, b"as chosen");
}
