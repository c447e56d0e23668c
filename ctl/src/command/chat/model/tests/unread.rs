//! Connections: which conversation opens, which messages count as unread, and when entries are acknowledged.

use super::super::peer_list::MAX_UNNAMED;
use super::unread;
use crate::command::chat::keys::Action;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat, ZHANG};

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
fn without_a_peer_the_newest_sender_opens() {
    let mut chat = TestChat::new();
    chat.record_received(BOB, "x");
    chat.record_received(STRANGER, "y");
    chat.record_received(ZHANG, "z");
    chat.connect();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("张三".to_owned())));
}
