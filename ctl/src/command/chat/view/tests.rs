//! Pictures of every state of the screen, and what must hold of each, whatever was received.

use proptest::prelude::*;
use udpchat_api::{Direction, Entry, safe};
use unicode_width::UnicodeWidthStr;

use crate::command::chat::fixture::{BOB, STRANGER, Stage, ZHANG, text_of};
use crate::command::chat::keys::Action;
use crate::command::chat::model::{Refusal, Update};

/// Compares the screen with a file.
macro_rules! shows {
    ($stage:expr, $name:literal) => {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $stage.picture());
        });
    };
}

/// A conversation with bob, while others have spoken too.
fn conversation() -> Stage {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(BOB, "hello, is anybody there?");
    stage.was_said(ZHANG, "你好，在吗");
    stage.connect();
    stage.write("yes, since this morning");
    stage.key(Action::Submit);
    stage.answer(None);
    stage.says(
        BOB,
        "今天下午开会，三点在会议室。请带上上个月的数据，还有新的传感器的说明书，我们要一起看一遍。",
    );
    stage.says(BOB, "two lines:\nthe second one\r\n");
    stage.settle();
    stage
}

#[test]
fn nobody_was_heard() {
    let mut stage = Stage::new();
    stage.named.clear();
    shows!(stage, "connecting");
    stage.connect();
    shows!(stage, "empty");
    // The first message that arrives opens its conversation.
    stage.says(STRANGER, "temperature=21.5");
    stage.settle();
    shows!(stage, "first_message");
}

#[test]
fn a_conversation() {
    let mut stage = conversation();
    shows!(stage, "conversation");
    stage.write("写到一半");
    shows!(stage, "writing");
    stage.write("\nsecond line\nthird");
    shows!(stage, "writing_lines");
}

#[test]
fn a_conversation_without_messages() {
    let mut stage = Stage::with_peer(Some("192.168.43.7"));
    stage.connect();
    shows!(stage, "nothing_said");
}

#[test]
fn unread_messages_of_others() {
    let mut stage = conversation();
    (0..12).for_each(|number| stage.says(ZHANG, &format!("消息 {number}")));
    stage.says(STRANGER, "temperature=21.5");
    (0..12_000).for_each(|_| stage.says("[fd00::1234:5678:9abc:def0]:60000", "x"));
    stage.settle();
    shows!(stage, "unread");
    assert_eq!(stage.acked, 0);
}

#[test]
fn history_with_new_messages_below() {
    let mut stage = Stage::with_peer(Some("bob"));
    (0..60).for_each(|number| stage.was_said(BOB, &format!("message {number}")));
    stage.connect();
    stage.key(Action::PageUp);
    shows!(stage, "history");
    stage.says(BOB, "news");
    stage.settle();
    shows!(stage, "history_with_news");
    stage.key(Action::Cancel);
    assert!(stage.picture().contains("news"));
}

#[test]
fn days_and_gaps() {
    let mut stage = conversation();
    stage.gap(36);
    stage.gap(1);
    stage.says(STRANGER, "between two gaps of this conversation");
    stage.gap(1_000);
    stage.pace = 30_000;
    stage.says(BOB, "the next day");
    stage.says(BOB, "");
    stage.settle();
    shows!(stage, "days_and_gaps");
}

#[test]
fn choosing_a_peer() {
    let mut stage = conversation();
    stage.says(STRANGER, "x");
    stage.key(Action::Peers);
    shows!(stage, "picker");
    stage.write("127");
    stage.key(Action::Down);
    stage.key(Action::Down);
    shows!(stage, "picker_typed");
    stage.key(Action::Submit);
    assert_eq!(stage.model.open_key().map(ToString::to_string).as_deref(), Some(STRANGER));
    stage.key(Action::Peers);
    stage.write("10.0.0.1:9");
    shows!(stage, "picker_new");
    stage.write("%");
    stage.key(Action::Cancel);
    assert!(stage.model.overlay.is_none());
}

#[test]
fn choosing_an_encoding() {
    let mut stage = conversation();
    stage.key(Action::Encoding);
    shows!(stage, "encoding");
    stage.write("cp936");
    stage.key(Action::Submit);
    shows!(stage, "encoding_chosen");
    stage.write("再见");
    stage.key(Action::Submit);
    assert_eq!(stage.sent[0].encoding.as_deref(), Some("gbk"));
}

#[test]
fn a_message_that_was_not_sent() {
    let mut stage = conversation();
    stage.write("看 😀");
    stage.key(Action::Submit);
    shows!(stage, "on_its_way");
    let why = "gbk cannot hold `😀` (U+1F600); F3 chooses what to send in".to_owned();
    stage.answer(Some(Refusal { why, is_entry: false, is_unsure: false }));
    shows!(stage, "failed");
    stage.key(Action::Up);
    assert_eq!(stage.model.input.text(), "看 😀");
    // What the kernel refused is an entry.
    let mut refused = stage.message(BOB, Direction::Out, "hello");
    refused.error = Some("network is unreachable".to_owned());
    stage.arrives(Entry::Message(refused));
    stage.says(BOB, "go on");
    stage.settle();
    shows!(stage, "failed_and_refused");
}

#[test]
fn the_daemon_is_gone() {
    let mut stage = conversation();
    stage.model.update(Update::Offline("the daemon closed the connection".to_owned()));
    shows!(stage, "disconnected");
}

#[test]
fn help() {
    let mut stage = conversation();
    stage.key(Action::Help);
    shows!(stage, "help");
    stage.size = (34, 12);
    stage.key(Action::PageDown);
    shows!(stage, "help_small");
}

#[test]
fn small_screens() {
    let mut stage = conversation();
    stage.write("写");
    for (size, name) in [((48, 14), "narrow"), ((30, 8), "small"), ((12, 4), "tiny")] {
        stage.size = size;
        stage.settle();
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, stage.picture());
        });
    }
}

#[test]
fn large_screens() {
    let mut stage = conversation();
    stage.size = (130, 12);
    stage.settle();
    shows!(stage, "wide");
}

#[test]
fn hostile_text() {
    let mut stage = conversation();
    stage.says(BOB, "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m \u{202e}txt.exe\u{2066} \u{200b}");
    stage.says(BOB, &format!("z{}algo", "\u{301}\u{316}\u{489}".repeat(50)));
    stage.says(BOB, "22:24 > not by me\n22:24 > nor this");
    let mut named = stage.message(STRANGER, Direction::In, "x");
    named.name = Some("e\u{202e}x\u{1b}".to_owned());
    stage.arrives(Entry::Message(named));
    stage.settle();
    shows!(stage, "hostile");
}

/// What must hold of a screen.
fn check(stage: &mut Stage) {
    let (buffer, cursor) = stage.draw();
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            assert!(!symbol.contains(safe::is_unsafe), "{symbol:?} at {x},{y}:\n{}", text_of(&buffer));
            x += (symbol.width() as u16).max(1);
        }
        // A wide character at the edge would stick out, and the terminal would break the row.
        assert_eq!(x, area.right(), "row {y}:\n{}", text_of(&buffer));
    }
    assert!(area.is_empty() || area.contains(cursor), "{cursor} of {area}");
}

#[test]
fn sixty_thousand_characters_in_a_line_break_nothing() {
    for text in [
        "x".repeat(60_000),
        "你".repeat(21_000),
        "\u{1b}".repeat(60_000),
        "\n".repeat(60_000),
        "a\u{301}".repeat(20_000),
    ] {
        let mut stage = conversation();
        stage.says(BOB, &text);
        stage.says(BOB, "after");
        stage.settle();
        check(&mut stage);
        assert!(stage.picture().contains("< after"));
        for _ in 0..3 {
            stage.key(Action::PageUp);
            check(&mut stage);
        }
        stage.key(Action::Cancel);
        assert!(stage.picture().contains("< after"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_said_and_whatever_the_size_the_screen_holds(
        texts in proptest::collection::vec(r"(\PC|[\x00-\x9f]|\n|一|👍🏽|🇨🇳|e\u{301}|\u{202e}|क्षि|ｱ|\u{1f1e8}){0,60}", 1..8),
        name in r"(\PC|[\x00-\x9f]|一|\u{202e}|\u{200b}){1,20}",
        written in r"(\PC|\n|一|\t){0,40}",
        width in 0_u16..100,
        height in 0_u16..30,
        keys in proptest::collection::vec(0_usize..8, 0..6),
    ) {
        let mut stage = conversation();
        for (number, text) in texts.iter().enumerate() {
            let mut message = stage.message(if number % 3 == 0 { ZHANG } else { BOB }, Direction::In, text);
            if number % 4 == 3 {
                message.name = Some(name.clone());
            }
            message.error = (number % 5 == 4).then(|| text.clone());
            message.encoding.clone_from(text);
            stage.arrives(Entry::Message(message));
        }
        stage.size = (width, height);
        stage.settle();
        check(&mut stage);
        stage.write(&written);
        for key in keys {
            let action = [Action::PageUp, Action::NextPeer, Action::Help, Action::Peers, Action::Encoding,
                Action::Cancel, Action::Submit, Action::Oldest][key].clone();
            stage.key(action);
            check(&mut stage);
        }
    }
}
