//! Tests of the model with a simulated daemon.

mod delivery;
mod form;
mod peers;
mod scrolling;
mod unread;

use udpchat_api::call::Sent;
use udpchat_api::{Direction, EncodingBy, Entry, Raw};

use crate::command::chat::keys::Action;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat};
use crate::command::send::Payload;

/// The ids of the items that are loaded.
fn ids(chat: &TestChat) -> Vec<u64> {
    chat.model.conversation.as_ref().unwrap().items.iter().map(|item| item.sort_key.id).collect()
}

fn unread(chat: &TestChat, name: &str) -> u64 {
    chat.model.peers.get(&PeerKey::Named(name.to_owned())).unwrap().unread
}

#[test]
fn drafts_stay_with_their_conversation() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.write("to bob");
    chat.key(Action::NextPeer);
    assert_eq!(
        (chat.model.input.text(), chat.model.open_key().unwrap().to_string()),
        ("", "张三".to_owned())
    );
    chat.write("给张三");
    chat.key(Action::PreviousPeer);
    assert_eq!(chat.model.input.text(), "to bob");
    chat.key(Action::PreviousPeer);
    assert_eq!(chat.model.input.text(), "给张三");
}

#[test]
fn a_message_replies_to_the_last_received_one() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "one");
    chat.connect();
    chat.write("x");
    chat.key(Action::Submit);
    chat.receive(BOB, "two");
    chat.write("y");
    chat.key(Action::Submit);
    assert_eq!(chat.sent.iter().map(|sent| sent.reply_to).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert!(chat.sent.iter().all(|sent| sent.to == "bob"));
}

#[test]
fn a_dump_scrolls_through_all_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    let long: String = (0..4_000).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    chat.record_received(BOB, &long);
    chat.record_received(BOB, "after");
    chat.connect();
    chat.key(Action::ToggleHex);
    chat.key(Action::Oldest);
    let mut offsets = Vec::new();
    // A page has more than ten lines of eight bytes.
    for _ in 0..4_000 / 80 {
        let screen = chat.rendered();
        let shown = screen.lines().filter_map(|line| {
            let (_, line) = line.split_once(['│', '<'])?;
            let (_, line) = line.split_once(['│', '<'])?;
            usize::from_str_radix(line.trim().get(..4)?, 16).ok()
        });
        offsets.extend(shown);
        if screen.contains("|after|") {
            break;
        }
        chat.key(Action::PageDown);
    }
    for offset in (0..4_000).step_by(8) {
        assert!(offsets.contains(&offset), "{offset}");
    }
}

#[test]
fn answer_and_entry_show_a_message_once() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for answer_first in [true, false] {
        chat.write("hello");
        chat.key(Action::Submit);
        assert_eq!(chat.texts().last(), Some(&"hello"));
        let before = chat.texts().len();
        let OutgoingMessage { ticket, .. } = chat.sent.remove(0);
        let entry = Entry::Message(chat.message(BOB, Direction::Out, "hello"));
        let answer = Update::Sent { ticket, outcome: Ok(Sent::One(Box::new(entry.clone()))) };
        if answer_first {
            chat.model.update(answer);
            assert_eq!(chat.texts().len(), before);
            chat.arrive(entry);
        } else {
            chat.arrive(entry);
            assert_eq!(chat.texts().len(), before);
            chat.model.update(answer);
        }
        assert_eq!(chat.texts().len(), before);
        assert!(
            chat.model.conversation.as_ref().unwrap().items.iter().all(|item| item.kind == ItemKind::Sent)
        );
    }
}

#[test]
fn an_arriving_entry_resolves_an_uncertain_message() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.write("hello");
    chat.key(Action::Submit);
    let OutgoingMessage { ticket, .. } = chat.sent.remove(0);
    let refusal = SendFailure { reason: "gone".to_owned(), is_recorded: false, is_uncertain: true };
    chat.model.update(Update::Sent { ticket, outcome: Err(refusal) });
    chat.answer_requests();
    let note = |chat: &TestChat| chat.model.conversation.as_ref().unwrap().items[0].note.clone();
    assert_eq!(note(&chat).as_deref(), Some("[it may have been sent: gone]"));
    let entry = Entry::Message(chat.message(BOB, Direction::Out, "hello"));
    chat.arrive(entry);
    assert_eq!((chat.texts(), note(&chat)), (vec!["hello"], None));
}

#[test]
fn the_entry_of_digits_resolves_their_message() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.write("01e4");
    chat.key(Action::Submit);
    let mut message = chat.message(BOB, Direction::Out, "01 e4");
    (message.encoding, message.raw) = ("hex".to_owned(), Raw(vec![0x01, 0xe4]));
    chat.arrive(Entry::Message(message));
    assert_eq!(chat.texts(), ["01 e4"]);
}

#[test]
fn failed_messages_stay_where_they_were_written() {
    let mut chat = TestChat::with_peer(Some("bob"));
    (0..300).for_each(|number| chat.record_received(BOB, &number.to_string()));
    chat.connect();
    chat.write("failed");
    chat.key(Action::Submit);
    chat.answer(Some(SendFailure { reason: "no".to_owned(), is_recorded: false, is_uncertain: false }));
    chat.receive(BOB, "300");
    chat.answer_requests();
    let tail = |chat: &TestChat| {
        chat.texts().iter().rev().take(3).map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tail(&chat), ["300", "failed", "299"]);
    // Also after another conversation was open.
    chat.key(Action::NextPeer);
    assert!(chat.texts().is_empty());
    chat.key(Action::PreviousPeer);
    assert_eq!(tail(&chat), ["300", "failed", "299"]);
}

#[test]
fn history_recalls_texts_and_keeps_a_draft() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for text in ["one", "two"] {
        chat.write(text);
        chat.key(Action::Submit);
    }
    let mut turned = Vec::new();
    for action in [Action::Up, Action::Up, Action::Up, Action::Down, Action::Down] {
        chat.key(action);
        turned.push(chat.model.input.text().to_owned());
    }
    assert_eq!(turned, ["two", "one", "one", "two", ""]);
    chat.write("mine");
    chat.key(Action::Up);
    assert_eq!(chat.model.input.text(), "mine");
}

#[test]
fn history_restores_the_mode_of_each_text() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ToggleHex);
    chat.write("41 42");
    chat.key(Action::Submit);
    chat.key(Action::ToggleHex);
    chat.write("41 42");
    chat.key(Action::Submit);
    let mut steps = Vec::new();
    for action in [Action::Up, Action::Up, Action::Down, Action::Down] {
        chat.key(action);
        steps.push((chat.model.input.text().to_owned(), chat.model.is_hex));
    }
    let expected = [("41 42", false), ("41 42", true), ("41 42", false), ("", false)];
    assert_eq!(steps, expected.map(|(text, is_hex)| (text.to_owned(), is_hex)));
    chat.key(Action::Up);
    chat.key(Action::Up);
    chat.key(Action::Submit);
    assert_eq!(chat.sent.last().unwrap().payload, Payload::Bytes(b"AB".to_vec()));
    // Past the newest text, the mode is the one before the first step.
    chat.key(Action::ToggleHex);
    chat.key(Action::Up);
    assert!(chat.model.is_hex);
    chat.key(Action::Down);
    assert!(!chat.model.is_hex && chat.model.input.is_empty());
}

#[test]
fn bytes_that_were_not_sent_come_back_as_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ToggleHex);
    chat.write("41 42");
    chat.key(Action::Submit);
    chat.answer(Some(SendFailure { reason: "no".to_owned(), is_recorded: false, is_uncertain: false }));
    assert_eq!(chat.model.notice.as_deref(), Some("`41 42` was not sent; ↑ brings it back"));
    chat.key(Action::ToggleHex);
    chat.key(Action::Up);
    assert_eq!((chat.model.input.text(), chat.model.is_hex), ("41 42", true));
}

#[test]
fn a_typed_host_becomes_the_resolved_peer() {
    let mut chat = TestChat::with_peer(Some("sensor.lan"));
    chat.connect();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Host("sensor.lan".to_owned())));
    chat.write("hello");
    chat.key(Action::Submit);
    chat.write("draft");
    let OutgoingMessage { ticket, reply_to, to, .. } = chat.sent.remove(0);
    assert_eq!((reply_to, to.as_str()), (None, "sensor.lan"));
    let entry = Entry::Message(chat.message(STRANGER, Direction::Out, "hello"));
    chat.arrive(entry.clone());
    chat.model.update(Update::Sent { ticket, outcome: Ok(Sent::One(Box::new(entry))) });
    chat.answer_requests();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Address(STRANGER.parse().unwrap())));
    assert_eq!((chat.texts(), chat.model.input.text()), (vec!["hello"], "draft"));
    assert!(chat.model.peers.get(&PeerKey::Host("sensor.lan".to_owned())).is_none());
}

#[test]
fn an_address_finds_its_named_peer() {
    for typed in [BOB, "bob"] {
        let mut chat = TestChat::with_peer(Some(typed));
        chat.connect();
        assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("bob".to_owned())));
    }
}

#[test]
fn quit_keys_do_not_discard_a_draft() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.write("x");
    assert!(!chat.model.act(Action::EndOfInput));
    assert!(!chat.model.act(Action::Interrupt));
    assert!(chat.model.input.is_empty());
    assert!(chat.model.act(Action::Interrupt) && chat.model.act(Action::EndOfInput));
    chat.model.act(Action::Help);
    assert!(!chat.model.act(Action::Interrupt) && chat.model.overlay.is_none());
    assert!(chat.model.act(Action::Quit));
}

#[test]
fn a_learned_encoding_repairs_what_is_on_the_screen() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.receive(BOB, "һ");
    chat.answer_requests();
    // The next message shows which encoding bob uses, and the daemon reads the first one in it, too.
    let Entry::Message(first) = &mut chat.log[0] else { panic!() };
    first.text = "一".to_owned();
    chat.bobs_encoding = ("gbk", EncodingBy::Remembered);
    let mut second = chat.message(BOB, Direction::In, "你好");
    second.encoding = "gb18030".to_owned();
    chat.arrive(Entry::Message(second));
    chat.answer_requests();
    assert_eq!(chat.texts(), ["一", "你好"]);
}
