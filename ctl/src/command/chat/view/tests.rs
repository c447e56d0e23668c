//! Snapshots of the states of the screen, and properties that hold for any received text.

use proptest::prelude::*;
use udpchat_api::{Bounce, Delivery, Direction, Entry, Message, safe};
use udpchat_locale::{Language, tr, with_language};
use unicode_width::UnicodeWidthStr;

use super::help;
use crate::command::chat::keys::{self, Action};
use crate::command::chat::model::{SendFailure, Update};
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat, ZHANG, text_of};

/// Compares the screen with a file.
macro_rules! shows {
    ($chat:expr, $name:literal) => {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $chat.rendered());
        });
    };
}

/// A conversation with bob, and a message of another peer.
fn conversation() -> TestChat {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "hello, is anybody there?");
    chat.record_received(ZHANG, "你好，在吗");
    chat.connect();
    chat.write("yes, since this morning");
    chat.key(Action::Submit);
    chat.answer(None);
    chat.receive(
        BOB,
        "今天下午开会，三点在会议室。请带上上个月的数据，还有新的传感器的说明书，我们要一起看一遍。",
    );
    chat.receive(BOB, "two lines:\nthe second one\r\n");
    chat.answer_requests();
    chat
}

/// A conversation with a message in each state of delivery.
fn delivered() -> TestChat {
    let mut chat = TestChat::with_peer(Some("bob"));
    let states = [Delivery::Answered, Delivery::Sent, Delivery::Bounced];
    for (delivery, text) in states.into_iter().zip([
        "一会儿见",
        "在吗",
        "a text that is so long that it is wrapped on this screen",
    ]) {
        let message = chat.message(BOB, Direction::Out, text);
        let (reason, from, at) = ("port_unreachable".to_owned(), "127.0.0.2".parse().ok(), message.at);
        let bounce = (delivery == Delivery::Bounced).then_some(Bounce { reason, from, at });
        chat.record(Entry::Message(Message { delivery: Some(delivery), bounce, ..message }));
    }
    chat.connect();
    chat
}

#[test]
fn marks_show_what_is_known_of_sent_messages() {
    let mut chat = delivered();
    shows!(chat, "delivery");
    chat.is_utf8 = false;
    shows!(chat, "delivery_ascii");
    with_language(Language::Chinese, || {
        let mut chat = delivered();
        chat.key(Action::ToggleHolding);
        shows!(chat, "zh_delivery");
    });
}

#[test]
fn before_the_first_message() {
    let mut chat = TestChat::new();
    chat.named.clear();
    shows!(chat, "connecting");
    chat.connect();
    shows!(chat, "empty");
    // The first message that arrives opens its conversation.
    chat.receive(STRANGER, "temperature=21.5");
    chat.answer_requests();
    shows!(chat, "first_message");
}

#[test]
fn a_conversation() {
    let mut chat = conversation();
    shows!(chat, "conversation");
    chat.write("写到一半");
    shows!(chat, "writing");
    chat.write("\nsecond line\nthird");
    shows!(chat, "writing_lines");
}

#[test]
fn a_conversation_without_messages() {
    let mut chat = TestChat::with_peer(Some("192.168.43.7"));
    chat.connect();
    shows!(chat, "nothing_said");
}

#[test]
fn unread_messages_of_others() {
    let mut chat = conversation();
    (0..12).for_each(|number| chat.receive(ZHANG, &format!("消息 {number}")));
    chat.receive(STRANGER, "temperature=21.5");
    (0..12_000).for_each(|_| chat.receive("[fd00::1234:5678:9abc:def0]:60000", "x"));
    chat.answer_requests();
    shows!(chat, "unread");
    assert_eq!(chat.acked_id, 0);
}

#[test]
fn history_with_new_messages_below() {
    let mut chat = TestChat::with_peer(Some("bob"));
    (0..60).for_each(|number| chat.record_received(BOB, &format!("message {number}")));
    chat.connect();
    chat.key(Action::PageUp);
    shows!(chat, "history");
    chat.receive(BOB, "news");
    chat.answer_requests();
    shows!(chat, "history_with_news");
    chat.key(Action::Cancel);
    assert!(chat.rendered().contains("news"));
}

#[test]
fn days_and_gaps() {
    let mut chat = conversation();
    chat.gap(36);
    chat.gap(1);
    chat.receive(STRANGER, "between two gaps of this conversation");
    chat.gap(1_000);
    chat.entry_seconds = 30_000;
    chat.receive(BOB, "the next day");
    chat.receive(BOB, "");
    chat.answer_requests();
    shows!(chat, "days_and_gaps");
}

#[test]
fn choosing_a_peer() {
    let mut chat = conversation();
    chat.receive(STRANGER, "x");
    chat.key(Action::ChoosePeer);
    shows!(chat, "picker");
    chat.write("127");
    chat.key(Action::Down);
    chat.key(Action::Down);
    shows!(chat, "picker_typed");
    chat.key(Action::Submit);
    assert_eq!(chat.model.open_key().map(ToString::to_string).as_deref(), Some(STRANGER));
    chat.key(Action::ChoosePeer);
    chat.write("10.0.0.1:9");
    shows!(chat, "picker_new");
    chat.write("%");
    chat.key(Action::Cancel);
    assert!(chat.model.overlay.is_none());
}

#[test]
fn choosing_an_encoding() {
    let mut chat = conversation();
    chat.key(Action::ChooseEncoding);
    shows!(chat, "encoding");
    chat.write("cp936");
    chat.key(Action::Submit);
    shows!(chat, "encoding_for_reading");
    chat.key(Action::Submit);
    shows!(chat, "encoding_chosen");
    chat.write("再见");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].encoding.as_deref(), Some("gbk"));
}

#[test]
fn a_message_that_was_not_sent() {
    let mut chat = conversation();
    chat.write("看 😀");
    chat.key(Action::Submit);
    shows!(chat, "on_its_way");
    let why = "gbk cannot hold `😀` (U+1F600); F3 chooses another encoding".to_owned();
    chat.answer(Some(SendFailure { reason: why, is_recorded: false, is_uncertain: false }));
    shows!(chat, "failed");
    chat.key(Action::Up);
    assert_eq!(chat.model.input.text(), "看 😀");
    // A message that the kernel refused has an entry.
    let mut refused = chat.message(BOB, Direction::Out, "hello");
    refused.error = Some("network is unreachable".to_owned());
    chat.arrive(Entry::Message(refused));
    chat.receive(BOB, "go on");
    chat.answer_requests();
    shows!(chat, "failed_and_refused");
}

#[test]
fn the_daemon_is_gone() {
    let mut chat = conversation();
    let reason = "no daemon found at /run/user/1000/udpchat/control.sock (no such socket); start one with `udpchatd`; \
         `udpchatctl doctor` finds one that listens elsewhere";
    chat.model.update(Update::Offline(reason.to_owned()));
    shows!(chat, "disconnected");
    // What is cut on a small screen is the end of the reason.
    chat.size = (40, 10);
    assert!(chat.rendered().contains(" trying again: no daemon found at "));
}

#[test]
fn a_long_status_is_all_on_the_rule() {
    for language in [Language::English, Language::Chinese] {
        with_language(language, || {
            let mut chat = conversation();
            chat.model.update(Update::Offline(
                "没有找到守护进程：/run/user/1000/udpchat/control.sock（没有该套接字）；".repeat(3),
            ));
            for columns in 20..100 {
                chat.size = (columns, 24);
                let screen = chat.rendered();
                let from = screen
                    .lines()
                    .position(|line| line.contains(tr!("trying again: {reason}", reason = "").trim()));
                let until = screen.lines().position(|line| line.ends_with(['>'])).unwrap();
                let from = from.unwrap();
                assert!(from < until, "{columns}: {screen}");
                for line in screen.lines().take(until).skip(from) {
                    let line = line.trim_start_matches(|character| character != '─');
                    assert!(line.starts_with("─ ") && line.ends_with('─'), "{columns}: {screen}");
                }
            }
        });
    }
}

#[test]
fn long_names_of_peers_stay_different() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.named.push(("greenhouse-sensor-north-east-7", "10.0.0.7:9"));
    chat.named.push(("greenhouse-sensor-north-east-8", "10.0.0.8:9"));
    chat.connect();
    let screen = chat.rendered();
    assert!(screen.contains("greenhous…th-east-7") && screen.contains("greenhous…th-east-8"), "{screen}");
}

#[test]
fn an_unknown_encoding_is_explained() {
    let mut chat = conversation();
    chat.key(Action::ChooseEncoding);
    chat.write("gkb");
    shows!(chat, "encoding_unknown");
    chat.key(Action::Submit);
    assert!(chat.model.overlay.is_some());
}

#[test]
fn bytes_instead_of_text() {
    let mut chat = conversation();
    chat.key(Action::ToggleHex);
    shows!(chat, "hex");
    chat.write("c4 g3");
    chat.key(Action::Submit);
    shows!(chat, "hex_invalid");
    chat.key(Action::Interrupt);
    chat.write("68 69 0d 0a");
    chat.key(Action::Submit);
    chat.size = (30, 12);
    chat.answer_requests();
    shows!(chat, "hex_sent");
}

#[test]
fn a_line_end_is_shown_above_the_input() {
    let mut chat = conversation();
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::PageUp);
    shows!(chat, "line_end");
}

#[test]
fn help() {
    let mut chat = conversation();
    chat.key(Action::Help);
    shows!(chat, "help");
    chat.size = (34, 12);
    chat.key(Action::PageDown);
    shows!(chat, "help_small");
}

#[test]
fn small_screens() {
    let mut chat = conversation();
    chat.write("写");
    for (size, name) in [((48, 14), "narrow"), ((30, 8), "small"), ((12, 4), "tiny")] {
        chat.size = size;
        chat.answer_requests();
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, chat.rendered());
        });
    }
}

#[test]
fn large_screens() {
    let mut chat = conversation();
    chat.size = (130, 12);
    chat.answer_requests();
    shows!(chat, "wide");
}

#[test]
fn hostile_text() {
    let mut chat = conversation();
    chat.receive(BOB, "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m \u{202e}txt.exe\u{2066} \u{200b}");
    chat.receive(BOB, &format!("z{}algo", "\u{301}\u{316}\u{489}".repeat(50)));
    chat.receive(BOB, "22:24 > not by me\n22:24 > nor this");
    chat.named.push(("e\u{202e}x\u{1b}", STRANGER));
    chat.receive(STRANGER, "x");
    chat.answer_requests();
    shows!(chat, "hostile");
}

#[test]
fn screens_in_chinese() {
    with_language(Language::Chinese, || {
        let mut chat = TestChat::new();
        chat.named.clear();
        chat.connect();
        shows!(chat, "zh_empty");
        let mut chat = conversation();
        chat.key(Action::ChooseEncoding);
        chat.write("big5");
        chat.key(Action::Submit);
        shows!(chat, "zh_encoding_for_reading");
        chat.key(Action::Down);
        chat.key(Action::Submit);
        shows!(chat, "zh_conversation");
        chat.key(Action::ChooseEncoding);
        shows!(chat, "zh_encoding");
        chat.key(Action::Cancel);
        chat.key(Action::Help);
        shows!(chat, "zh_help");
        chat.key(Action::Cancel);
        chat.key(Action::ChangeLineEnd);
        chat.key(Action::ToggleHex);
        chat.key(Action::ChangeLineEnd);
        shows!(chat, "zh_hex");
        let reason = "没有找到守护进程：/run/user/1000/udpchat/control.sock（没有该套接字）；用 `udpchatd` 启动守护进程";
        chat.model.update(Update::Offline(reason.to_owned()));
        chat.size = (48, 14);
        chat.answer_requests();
        shows!(chat, "zh_narrow");
    });
}

#[test]
fn chinese_screens_hold_at_any_size() {
    with_language(Language::Chinese, || {
        for width in (0..90).step_by(3) {
            for height in (0..26).step_by(5) {
                let mut chat = TestChat::new();
                chat.size = (width, height);
                check(&mut chat);
                let mut chat = conversation();
                chat.size = (width, height);
                for action in
                    [Action::Help, Action::Cancel, Action::ChoosePeer, Action::Cancel, Action::ChooseEncoding]
                {
                    chat.key(action);
                    check(&mut chat);
                }
            }
        }
    });
}

#[test]
fn keys_fit_into_their_columns_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        with_language(language, || {
            for (name, text) in keys::help() {
                assert!(name.width() < help::NAME_COLUMNS, "{name}");
                assert!(text.width() <= usize::from(help::COLUMNS) - 2 - help::NAME_COLUMNS, "{text}");
            }
            // All but the last key fit beside the list of peers on a screen of 80 columns.
            let mut chat = conversation();
            let keys = chat.rendered();
            let last = keys.lines().nth(23).unwrap();
            assert!(last.contains("F4") && last.contains("Ctrl+Q"), "{last}");
        });
    }
}

/// Checks properties of every screen.
fn check(chat: &mut TestChat) {
    let (buffer, cursor) = chat.draw();
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            // A joiner stands in the cell of the character before it.
            let is_unsafe = |c: char| safe::is_unsafe(c) && !matches!(c, '\u{200c}' | '\u{200d}');
            assert!(!symbol.contains(is_unsafe), "{symbol:?} at {x},{y}:\n{}", text_of(&buffer));
            // Between letters it would put two of them into one column of some terminals.
            assert!(!symbol.contains('\u{200d}') || symbol.width() == 2, "{symbol:?} at {x},{y}");
            x += (symbol.width() as u16).max(1);
        }
        // A wide character at the edge would stick out, and the terminal would break the row.
        assert_eq!(x, area.right(), "row {y}:\n{}", text_of(&buffer));
    }
    assert!(area.is_empty() || area.contains(cursor), "{cursor} of {area}");
}

#[test]
fn a_line_of_sixty_thousand_characters_is_wrapped() {
    for text in [
        "x".repeat(60_000),
        "你".repeat(21_000),
        "\u{1b}".repeat(60_000),
        "\n".repeat(60_000),
        "a\u{301}".repeat(20_000),
    ] {
        let mut chat = conversation();
        chat.receive(BOB, &text);
        chat.receive(BOB, "after");
        chat.answer_requests();
        check(&mut chat);
        assert!(chat.rendered().contains("< after"));
        for _ in 0..3 {
            chat.key(Action::PageUp);
            check(&mut chat);
        }
        chat.key(Action::Cancel);
        assert!(chat.rendered().contains("< after"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_said_and_whatever_the_size_the_screen_holds(
        texts in proptest::collection::vec(r"(\PC|[\x00-\x9f]|\n|一|👍🏽|🇨🇳|e\u{301}|\u{202e}|क्षि|ｱ|\u{1f1e8}|ی|[\u{200c}\u{200d}]|❤\u{fe0f}){0,60}", 1..8),
        name in r"(\PC|[\x00-\x9f]|一|\u{202e}|\u{200b}){1,20}",
        written in r"(\PC|\n|一|\t){0,40}",
        width in 0_u16..100,
        height in 0_u16..30,
        keys in proptest::collection::vec(0_usize..10, 0..6),
    ) {
        let mut chat = conversation();
        for (number, text) in texts.iter().enumerate() {
            let mut message = chat.message(if number % 3 == 0 { ZHANG } else { BOB }, Direction::In, text);
            if number % 4 == 3 {
                message.name = Some(name.clone());
            }
            message.error = (number % 5 == 4).then(|| text.clone());
            message.encoding.clone_from(text);
            chat.arrive(Entry::Message(message));
        }
        chat.size = (width, height);
        chat.answer_requests();
        check(&mut chat);
        chat.write(&written);
        for key in keys {
            let action = [Action::PageUp, Action::NextPeer, Action::Help, Action::ChoosePeer, Action::ChooseEncoding,
                Action::Cancel, Action::Submit, Action::Oldest, Action::ToggleHex, Action::ChangeLineEnd][key].clone();
            chat.key(action);
            check(&mut chat);
        }
    }
}
