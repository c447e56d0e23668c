//! Tests of the model with a simulated daemon.

mod delivery;
mod peers;
mod scrolling;

use udpchat_api::call::Sent;
use udpchat_api::{Direction, EncodingBy, Entry, Raw};

use super::peer_list::MAX_UNNAMED;
use crate::command::chat::keys::Action;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat, ZHANG};
use crate::command::send::Payload;

/// The ids of the items that are loaded.
fn ids(chat: &TestChat) -> Vec<u64> {
    chat.model.conversation.as_ref().unwrap().items.iter().map(|item| item.sort_key.id).collect()
}

fn unread(chat: &TestChat, name: &str) -> u64 {
    chat.model.peers.get(&PeerKey::Named(name.to_owned())).unwrap().unread
}

#[test]
fn the_named_peer_is_opened_while_others_send() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.model.update(Update::Online { after: 0, is_gapless: false, unread: 0 });
    chat.receive(STRANGER, "before the list of peers");
    chat.answer_requests();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("bob".to_owned())));
}

#[test]
fn a_reconnection_continues_from_the_cursor() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "one");
    chat.connect();
    chat.model.update(Update::Offline("gone".to_owned()));
    chat.answer_requests();
    chat.model.update(Update::Online { after: 1, is_gapless: true, unread: 0 });
    // An entry that arrives twice is shown once.
    chat.receive(BOB, "two");
    let again = chat.log.last().unwrap().clone();
    chat.model.update(Update::Arrived(Box::new(again)));
    chat.answer_requests();
    assert_eq!(chat.texts(), ["one", "two"]);
}

#[test]
fn a_long_absence_reopens_the_conversation() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "one");
    chat.connect();
    chat.model.update(Update::Offline("gone".to_owned()));
    (0..500).for_each(|number| chat.record_received(BOB, &number.to_string()));
    chat.connect();
    assert_eq!(chat.texts().last(), Some(&"499"));
    (0..50).for_each(|_| chat.key(Action::PageUp));
    assert_eq!(chat.texts().len(), 501);
    // Messages that were on the screen stay read when the list of peers arrives later.
    (0..10).for_each(|_| chat.record_received(BOB, "more"));
    chat.model.update(Update::Online { after: 511, is_gapless: false, unread: 511 });
    chat.answer_requests_except(|request| matches!(request, Request::Peers));
    chat.model.act(Action::PageUp);
    let mut peers = chat.peers();
    peers.peers[0].unread = 511;
    chat.model.update(Update::Peers(Ok(peers)));
    assert_eq!(unread(&chat, "bob"), 0);
}

#[test]
fn messages_after_an_older_inbox_was_restored_are_counted() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "one");
    chat.connect();
    (0..5).for_each(|_| chat.receive(ZHANG, "lost"));
    chat.answer_requests();
    assert_eq!(unread(&chat, "张三"), 5);
    chat.model.update(Update::Offline("gone".to_owned()));
    chat.log.truncate(1);
    chat.connect();
    let before = unread(&chat, "张三");
    chat.receive(ZHANG, "new");
    assert_eq!(unread(&chat, "张三"), before + 1);
}

#[test]
fn a_text_that_common_buffers_cut_has_a_notice() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for (bytes, is_noted) in [(1_024, false), (1_025, true)] {
        chat.write(&"x".repeat(bytes));
        chat.key(Action::Submit);
        chat.answer(None);
        let notice = chat.model.notice.as_deref().unwrap_or_default();
        assert_eq!(notice.contains("in one datagram of 1,025 bytes"), is_noted, "{notice}");
    }
}

#[test]
fn a_failed_list_of_peers_is_over_when_it_arrives() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.model.update(Update::Offline("gone".to_owned()));
    chat.model.update(Update::Peers(Err("no daemon was found".to_owned())));
    assert!(chat.model.notice.as_ref().unwrap().contains("no daemon was found"));
    chat.connect();
    assert_eq!(chat.model.notice, None);
}

#[test]
fn the_read_mark_moves_only_without_unread_messages() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(ZHANG, "在吗");
    chat.connect();
    chat.receive(BOB, "hello");
    chat.answer_requests();
    assert_eq!((unread(&chat, "bob"), unread(&chat, "张三"), chat.acked_id), (0, 1, 0));
    chat.key(Action::NextUnread);
    assert_eq!((unread(&chat, "张三"), chat.acked_id), (0, 2));
    // On a scrolled screen, new messages stay unread.
    (0..40).for_each(|_| chat.receive(ZHANG, "x"));
    chat.answer_requests();
    assert_eq!(chat.acked_id, 42);
    chat.key(Action::PageUp);
    chat.receive(ZHANG, "y");
    chat.answer_requests();
    assert_eq!((unread(&chat, "张三"), chat.acked_id), (1, 42));
    chat.key(Action::Cancel);
    assert_eq!(chat.acked_id, 43);
}

#[test]
fn unlisted_unread_messages_keep_the_read_mark() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "hello");
    // The list holds one unread message; there are two.
    chat.model.update(Update::Online { after: 1, is_gapless: false, unread: 2 });
    chat.answer_requests();
    assert_eq!((unread(&chat, "bob"), chat.acked_id), (0, 0));
}

#[test]
fn messages_before_the_peer_list_are_counted_once() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(ZHANG, "before");
    chat.model.update(Update::Online { after: 1, is_gapless: false, unread: 1 });
    // The list includes the first of these, and arrives after both.
    chat.receive(ZHANG, "listed");
    let peers = Update::Peers(Ok(serde_json::from_value(serde_json::json!({ "peers": [
        { "name": "张三", "address": ZHANG, "encoding": "gbk", "encoding_by": "configured", "last_id": 2,
          "messages": 2, "unread": 2 }
    ] }))
    .unwrap()));
    chat.receive(ZHANG, "not listed");
    chat.model.update(peers);
    assert_eq!(unread(&chat, "张三"), 3);
}

#[test]
fn forged_senders_are_limited() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for number in 0..3_000_u32 {
        let [.., high, low] = number.to_be_bytes();
        chat.receive(&format!("10.9.{high}.{low}:9"), "x");
    }
    chat.answer_requests();
    let peers = &chat.model.peers;
    assert_eq!(peers.iter().len(), MAX_UNNAMED + 2);
    // The unread messages of removed peers still count.
    assert_eq!(peers.unread(), 3_000);
    let newest = PeerKey::Address("10.9.11.183:9".parse().unwrap());
    assert!(
        peers.position(&newest) == Some(2)
            && chat.model.open_key() == Some(&PeerKey::Named("bob".to_owned()))
    );
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
fn a_checksum_is_appended_to_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ToggleHex);
    let modbus = [1, 3, 0, 0x0a, 0, 2, 0xe4, 9].to_vec();
    for text in ["01 03 00 0a 00 02 +crc16-modbus", "0103000a0002＋ crc16-modbus:le "] {
        chat.write(text);
        chat.key(Action::Submit);
        assert_eq!(chat.sent.last().unwrap().payload, Payload::Bytes(modbus.clone()));
        chat.key(Action::Up);
        assert_eq!(chat.model.input.text(), text);
        chat.key(Action::Interrupt);
    }
    let sent = chat.sent.len();
    chat.write("01 +crc16");
    chat.key(Action::Submit);
    assert!(chat.model.notice.as_deref().is_some_and(|why| why.contains("sum8, xor8, lrc")));
    chat.key(Action::Interrupt);
    // There is nothing to append it to.
    chat.write("+sum8");
    chat.key(Action::Submit);
    assert_eq!((chat.sent.len(), chat.model.input.text()), (sent, "+sum8"));
}

#[test]
fn digits_to_a_hex_peer_take_a_checksum() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.bobs_encoding = ("hex", EncodingBy::Configured);
    chat.connect();
    let mut sent = |text: &str| {
        chat.write(text);
        chat.key(Action::Submit);
        chat.key(Action::Interrupt);
        chat.sent.last().unwrap().payload.clone()
    };
    let modbus = Payload::Bytes([1, 3, 0, 0x0a, 0, 2, 0xe4, 9].to_vec());
    assert_eq!(sent("0103,000a 0x00 02 +crc16-modbus"), modbus);
    assert_eq!(sent("aa 55"), Payload::Bytes(vec![0xaa, 0x55]));
    // A text that is none is not taken away.
    chat.write("aa 5");
    chat.key(Action::Submit);
    assert!(chat.model.notice.as_deref().is_some_and(|why| why.contains("odd number of hex digits")));
    assert_eq!((chat.sent.len(), chat.model.input.text()), (2, "aa 5"));
    chat.key(Action::Interrupt);
    chat.key(Action::ChangeLineEnd);
    chat.write("41 +sum8");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[2].payload, Payload::Bytes(b"AA\r\n".to_vec()));
}

#[test]
fn digits_in_a_chosen_encoding_keep_it() {
    let mut chat = TestChat::with_peer(Some("张三"));
    chat.connect();
    chat.key(Action::ChooseEncoding);
    chat.write("hex");
    chat.key(Action::Submit);
    chat.key(Action::Cancel);
    for (text, expected) in [("aa 55", "aa 55"), ("aa55 +sum8", "aa 55 ff")] {
        chat.write(text);
        chat.key(Action::Submit);
        let sent = chat.sent.last().unwrap();
        // The peer's own encoding is gbk; bytes would be stored and shown in it.
        assert_eq!(
            (&sent.payload, sent.encoding.as_deref()),
            (&Payload::Text(expected.to_owned()), Some("hex"))
        );
    }
}

#[test]
fn an_escape_that_is_sent_as_text_has_a_notice() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    let mut notice = |text: &str| {
        chat.write(text);
        chat.key(Action::Submit);
        chat.model.notice.clone().unwrap_or_default()
    };
    assert!(notice(r"AT\r\n").starts_with(r"`\r\n` is sent as it is written; F5 adds"));
    assert!(notice(r"\x02go").contains(r"`\x02`"));
    assert_eq!(notice(r"C:\new\readme.txt"), "");
}

#[test]
fn each_peer_has_its_line_end() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    let texts = ["x\r\n", "x\n", "x\r", "x"];
    for expected in texts {
        chat.key(Action::ChangeLineEnd);
        chat.write("x");
        chat.key(Action::Submit);
        assert_eq!(chat.sent.last().unwrap().payload, Payload::Text(expected.to_owned()));
    }
    // The entry of a message is recognised with its line end, which is not shown.
    for _ in texts {
        chat.answer(None);
    }
    assert_eq!(chat.texts(), ["x"; 4]);
    chat.key(Action::Up);
    assert_eq!(chat.model.input.text(), "x");
    chat.key(Action::Interrupt);
    // Without text only the line end is sent, and nothing without both.
    chat.key(Action::Submit);
    assert!(chat.sent.is_empty());
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("\r\n".to_owned()));
    chat.key(Action::NextPeer);
    chat.write("y");
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("y".to_owned()));
    chat.key(Action::PreviousPeer);
    chat.write("z");
    chat.key(Action::Submit);
    assert_eq!(chat.sent.remove(0).payload, Payload::Text("z\r\n".to_owned()));
}

#[test]
fn hex_digits_are_sent_as_bytes() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::ToggleHex);
    for (invalid, expected) in
        [("4", "odd number of hex digits"), ("zz", "invalid hex digit 'z' at position 1")]
    {
        chat.write(invalid);
        chat.key(Action::Submit);
        assert!(chat.model.notice.as_ref().unwrap().contains(expected), "{:?}", chat.model.notice);
        assert_eq!(chat.model.input.text(), invalid);
        chat.key(Action::Interrupt);
    }
    // No line end is appended to bytes.
    chat.write("ff 00");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].payload, Payload::Bytes(vec![0xff, 0]));
    let raw = |chat: &TestChat| chat.model.conversation.as_ref().unwrap().items[0].raw.clone();
    assert_eq!(raw(&chat), [0xff, 0]);
    chat.answer(None);
    assert_eq!((raw(&chat), chat.texts().len()), (vec![0xff, 0], 1));
    chat.key(Action::Submit);
    assert!(chat.sent.is_empty());
    chat.key(Action::ToggleHex);
    chat.write("ff");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].payload, Payload::Text("ff\r\n".to_owned()));
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
fn all_peers_can_be_marked_as_read() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(ZHANG, "在吗");
    chat.record_received(STRANGER, "x");
    // Three of unlisted peers are unread, too.
    chat.model.act(Action::MarkAllRead);
    assert_eq!(chat.model.notice.as_deref(), Some("the list of peers has not arrived yet"));
    chat.model.update(Update::Online { after: 2, is_gapless: false, unread: 5 });
    chat.answer_requests();
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (5, 0));
    chat.key(Action::MarkAllRead);
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (0, 2));
    chat.key(Action::MarkAllRead);
    assert_eq!(chat.model.notice.as_deref(), Some("no peer has unread messages"));
    chat.receive(ZHANG, "another");
    assert_eq!(unread(&chat, "张三"), 1);
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
fn without_a_peer_the_newest_sender_opens() {
    let mut chat = TestChat::new();
    chat.record_received(BOB, "x");
    chat.record_received(STRANGER, "y");
    chat.record_received(ZHANG, "z");
    chat.connect();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("张三".to_owned())));
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
