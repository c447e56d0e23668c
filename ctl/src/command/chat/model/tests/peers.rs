//! Tests of the list of peers: lists of the configuration, names after a reload, silent peers.

use udpchat_api::{Direction, Entry, Notice};

use crate::command::chat::keys::Action;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat, ZHANG, notice};

/// Returns the names of the list of peers.
fn names(chat: &TestChat) -> Vec<String> {
    chat.model.peers.iter().map(|(key, _)| key.to_string()).collect()
}

/// Chooses the first match in the list of F2.
fn choose(chat: &mut TestChat, text: &str) {
    chat.key(Action::ChoosePeer);
    chat.write(text);
    chat.key(Action::Submit);
}

#[test]
fn a_list_of_peers_is_refused_with_what_to_do() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ChoosePeer);
    chat.write("lab");
    assert!(chat.rendered().contains("a list of peers"), "{}", chat.rendered());
    chat.key(Action::Submit);
    assert_eq!(
        chat.model.notice.as_deref(),
        Some(
            "`lab` is a list of peers; a chat has one peer; `udpchatctl send lab TEXT` sends to each member; \
             `udpchatctl peers` shows them"
        )
    );
    assert_eq!(names(&chat), ["bob", "张三"]);
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("bob".to_owned())));
}

#[test]
fn a_listed_peer_comes_before_a_host_that_is_a_part_of_its_address() {
    let mut chat = TestChat::with_peer(Some("张三"));
    chat.connect();
    choose(&mut chat, BOB.rsplit_once('.').unwrap().0);
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("bob".to_owned())));
    assert_eq!(names(&chat), ["bob", "张三"]);
}

#[test]
fn a_wrong_address_opens_no_conversation() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for (typed, why) in [
        ("10.0.0.7:99999", "port 99999 is out of range"),
        ("１０.0.0.7", "write `10.0.0.7`"),
        ("lab.example:0", "a peer cannot have port 0"),
    ] {
        choose(&mut chat, typed);
        let notice = chat.model.notice.clone().unwrap_or_default();
        assert!(notice.contains(why), "{typed}: {notice}");
        assert_eq!(names(&chat), ["bob", "张三"]);
        assert!(chat.model.overlay.is_some(), "it can be corrected");
        chat.key(Action::Cancel);
    }
}

#[test]
fn a_host_comes_before_a_listed_peer_whose_name_begins_with_it() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.named = vec![("bob", BOB), ("lab.example.org", ZHANG), ("six", "[2001:db8::1]:9")];
    chat.connect();
    choose(&mut chat, "lab.example");
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Host("lab.example".to_owned())));
    for (beginning, expected) in [("[2001:db8:", "six"), ("127.0.0.", "bob")] {
        choose(&mut chat, beginning);
        assert_eq!(chat.model.open_key(), Some(&PeerKey::Named(expected.to_owned())), "{beginning}");
    }
}

#[test]
fn a_renamed_peer_keeps_its_conversation() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "hello");
    chat.connect();
    chat.key(Action::ChangeLineEnd);
    chat.key(Action::ToggleHolding);
    chat.write("half a text");
    chat.named[0].0 = "robert";
    // Nobody has sent anything: looking at the list is enough.
    chat.key(Action::ChoosePeer);
    chat.key(Action::Cancel);
    assert_eq!(names(&chat), ["robert", "张三"]);
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("robert".to_owned())));
    assert_eq!((chat.model.input.text(), chat.model.is_holding), ("half a text", true));
    assert_eq!(chat.model.line_end().label(), Some(r"+\r\n"));
    // The next name becomes known by a message.
    chat.named[0].0 = "bobby";
    chat.receive(BOB, "again");
    chat.answer_requests();
    assert_eq!(names(&chat), ["bobby", "张三"]);
    assert_eq!(chat.model.input.text(), "half a text");
}

#[test]
fn a_message_to_a_renamed_peer_stays_on_the_screen() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.named[0].0 = "robert";
    chat.write("hello");
    chat.key(Action::Submit);
    let reason = "no peer is called `bob`".to_owned();
    chat.sent[0].to = BOB.to_owned();
    chat.answer(Some(SendFailure { reason, is_recorded: false, is_uncertain: false }));
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("robert".to_owned())));
    assert_eq!(chat.texts(), ["hello"]);
    chat.write("hello again");
    chat.key(Action::Submit);
    assert_eq!(chat.sent[0].to, "robert");
}

#[test]
fn an_address_gets_and_loses_its_name() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(STRANGER, "hello");
    chat.connect();
    choose(&mut chat, STRANGER);
    chat.named.push(("board", STRANGER));
    for entry in &mut chat.log {
        let Entry::Message(message) = entry else { continue };
        message.name = Some("board".to_owned());
    }
    chat.receive(STRANGER, "named");
    chat.answer_requests();
    assert_eq!(names(&chat), ["bob", "张三", "board"]);
    assert_eq!(chat.texts(), ["hello", "named"]);
    assert_eq!(chat.model.peers.unread(), 0);
    chat.named.pop();
    for entry in &mut chat.log {
        let Entry::Message(message) = entry else { continue };
        message.name = None;
    }
    let sent = chat.message(STRANGER, Direction::Out, "from elsewhere");
    chat.arrive(Entry::Message(sent));
    chat.answer_requests();
    assert_eq!(names(&chat), ["bob", "张三", STRANGER]);
    assert_eq!(chat.texts(), ["hello", "named", "from elsewhere"]);
    assert_eq!(chat.model.peers.unread(), 0);
}

#[test]
fn unread_messages_and_drafts_stay_with_a_renamed_peer() {
    let mut chat = TestChat::with_peer(Some("张三"));
    chat.connect();
    chat.write("to zhang");
    choose(&mut chat, "bob");
    chat.receive(ZHANG, "one");
    chat.named[1].0 = "zhang";
    chat.receive(ZHANG, "two");
    chat.answer_requests();
    let row = chat.model.peers.get(&PeerKey::Named("zhang".to_owned())).unwrap();
    assert_eq!((row.unread, row.address.as_str()), (2, ZHANG));
    choose(&mut chat, "zhang");
    assert_eq!(chat.model.input.text(), "to zhang");
}

#[test]
fn unread_messages_and_drafts_of_several_ports_stay_with_their_new_name() {
    let (first, second) = ("127.0.0.7:1", "127.0.0.7:2");
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.receive(first, "seen later");
    (0..3).for_each(|_| chat.receive(second, "not seen"));
    choose(&mut chat, first);
    chat.write("to the board");
    choose(&mut chat, "bob");
    chat.named.push(("board", "127.0.0.7"));
    for entry in &mut chat.log {
        let Entry::Message(message) = entry else { continue };
        message.name = Some("board".to_owned());
    }
    choose(&mut chat, "张三");
    assert_eq!(names(&chat), ["bob", "张三", "board"]);
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (3, 0));
    // The first port was opened after the messages of the second one: its mark says nothing of them.
    chat.connect();
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (3, 0));
    choose(&mut chat, "board");
    assert_eq!(chat.model.input.text(), "to the board");
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (0, 4));
}

#[test]
fn a_peer_without_its_name_stays_if_the_daemon_does_not_list_its_address() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.receive(ZHANG, "hello");
    chat.connect();
    choose(&mut chat, "张三");
    chat.write("to zhang");
    choose(&mut chat, "bob");
    chat.receive(ZHANG, "not seen");
    chat.named.pop();
    // As if both messages were older than those that the daemon scans.
    chat.log.clear();
    choose(&mut chat, STRANGER);
    assert_eq!(names(&chat), ["bob", STRANGER, ZHANG]);
    assert_eq!((chat.model.peers.unread(), chat.acked_id), (1, 1));
    choose(&mut chat, ZHANG);
    assert_eq!(chat.model.input.text(), "to zhang");
}

#[test]
fn rows_that_become_one_keep_line_end_and_drafts() {
    for is_board_open in [false, true] {
        let mut chat = TestChat::with_peer(Some("bob"));
        chat.named.push(("board", "127.0.0.8"));
        chat.connect();
        chat.receive(STRANGER, "hello");
        choose(&mut chat, "board");
        chat.key(Action::ChangeLineEnd);
        chat.write("to the board");
        choose(&mut chat, STRANGER);
        chat.write("to the stranger");
        if is_board_open {
            choose(&mut chat, "board");
        }
        let (open, other) = match is_board_open {
            true => ("to the board", "to the stranger"),
            false => ("to the stranger", "to the board"),
        };
        chat.named[2].1 = "127.0.0.9";
        for entry in &mut chat.log {
            let Entry::Message(message) = entry else { continue };
            message.name = Some("board".to_owned());
        }
        chat.connect();
        assert_eq!(names(&chat), ["bob", "张三", "board"]);
        assert_eq!(chat.model.open_key(), Some(&PeerKey::Named("board".to_owned())));
        assert_eq!(chat.model.input.text(), open);
        assert_eq!(chat.model.line_end().label(), Some(r"+\r\n"));
        assert_eq!(chat.model.history.step(true, false).map(|typed| typed.text).as_deref(), Some(other));
    }
}

#[test]
fn a_peer_is_silent_although_its_last_message_is_no_longer_known() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.receive(ZHANG, "hello");
    chat.silent.push("张三");
    chat.notice(Notice { name: Some("张三".to_owned()), seconds: Some(600), ..notice("silent") });
    let mut list = chat.peers();
    assert!(list.peers[1].silent_since.is_some());
    (list.peers[1].last_id, list.peers[1].last_from) = (None, None);
    chat.model.update(Update::Peers(Ok(list)));
    assert!(chat.model.peers.get(&PeerKey::Named("张三".to_owned())).unwrap().is_silent);
}

#[test]
fn a_silent_peer_is_shown_until_it_is_heard() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    assert!(!chat.rendered().contains("silent"));
    chat.silent.push("张三");
    chat.notice(Notice { name: Some("张三".to_owned()), seconds: Some(600), ..notice("silent") });
    // The notice itself says so: no list is requested.
    assert!(chat.model.take_requests().is_empty());
    assert!(chat.rendered().contains("张三 silent"), "{}", chat.rendered());
    // A list that was made before the message arrived changes nothing.
    let list = chat.peers();
    chat.receive(ZHANG, "here I am");
    assert!(!chat.rendered().contains("silent"), "{}", chat.rendered());
    chat.model.update(Update::Peers(Ok(list)));
    assert!(!chat.rendered().contains("silent"), "{}", chat.rendered());
}
