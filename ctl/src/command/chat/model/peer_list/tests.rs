//! Tests of written ports, hosts and names.

use udpchat_api::{Direction, Entry};

use crate::command::chat::keys::Action;
use crate::command::chat::model::peer::PeerKey;
use crate::command::chat::model::{SendFailure, Update};
use crate::command::chat::test_chat::TestChat;

const BOARD: &str = "127.0.0.51";
const USUAL: &str = "127.0.0.51:28301";
const OTHER: &str = "127.0.0.51:40000";

/// Returns a chat after a peer without a port has sent from another port than 28301.
fn chat_with(peer: Option<&str>) -> TestChat {
    let mut chat = TestChat::with_peer(peer);
    chat.named.push(("board", BOARD));
    chat.record_received(OTHER, "hello");
    chat.connect();
    chat
}

fn send(chat: &mut TestChat) -> (Option<u64>, String) {
    chat.write("x");
    chat.key(Action::Submit);
    let sent = chat.sent.last().unwrap();
    (sent.reply_to, sent.to.clone())
}

#[test]
fn a_written_port_is_the_destination() {
    let mut chat = chat_with(Some(USUAL));
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Address(USUAL.parse().unwrap())));
    assert_eq!(send(&mut chat), (None, USUAL.to_owned()));
    chat.answer(None);
    assert_eq!(chat.texts(), ["x"], "the entry of the message is shown once");
    chat.receive(OTHER, "elsewhere");
    assert_eq!(send(&mut chat), (None, USUAL.to_owned()));
    chat.answer(None);
    chat.receive(USUAL, "here");
    chat.answer_requests();
    assert_eq!(chat.texts(), ["x", "x", "here"]);
    assert_eq!(send(&mut chat).0, Some(chat.newest()));
    assert_eq!(chat.model.encoding().unwrap().0, "utf-8", "it is that of its host");
}

#[test]
fn an_entry_resolves_an_uncertain_message_to_a_port() {
    let mut chat = chat_with(Some(USUAL));
    send(&mut chat);
    let ticket = chat.sent.remove(0).ticket;
    let lost = SendFailure { reason: "gone".to_owned(), is_recorded: false, is_uncertain: true };
    chat.model.update(Update::Sent { ticket, outcome: Err(lost) });
    let entry = Entry::Message(chat.message(USUAL, Direction::Out, "x"));
    chat.arrive(entry);
    assert_eq!(chat.texts(), ["x"]);
}

#[test]
fn a_name_or_host_without_a_port_is_the_whole_host() {
    for typed in ["board", BOARD] {
        let mut chat = chat_with(Some(typed));
        assert_eq!(chat.model.open_row().unwrap().address, OTHER, "where messages go is shown");
        assert_eq!(send(&mut chat).0, Some(1), "{typed}");
        chat.receive(USUAL, "here");
        chat.answer_requests();
        assert_eq!(chat.model.open_row().unwrap().address, USUAL);
        assert_eq!(send(&mut chat).0, Some(chat.newest()), "{typed}");
    }
}

#[test]
fn a_host_without_name_and_port_is_the_port_that_it_was_last_heard_from() {
    let mut chat = TestChat::with_peer(Some(BOARD));
    chat.record_received(USUAL, "first");
    chat.record_received(OTHER, "last");
    chat.connect();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Address(OTHER.parse().unwrap())));
    let mut chat = TestChat::with_peer(Some("127.0.0.52"));
    chat.record_received(OTHER, "another host");
    chat.connect();
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Address("127.0.0.52:7788".parse().unwrap())));
}

#[test]
fn a_listed_link_local_peer_is_found_by_the_name_of_its_interface() {
    let mut chat = TestChat::with_peer(None);
    chat.record_received("[fe80::7%1]:6002", "hello");
    chat.record_received(USUAL, "newer");
    chat.connect();
    chat.key(Action::ChoosePeer);
    chat.write("[fe80::7%lo]:6002");
    chat.key(Action::Submit);
    assert_eq!(chat.model.open_key(), Some(&PeerKey::Address("[fe80::7%1]:6002".parse().unwrap())));
}

#[test]
fn a_typed_port_of_a_named_host_can_be_chosen() {
    let mut chat = chat_with(Some("board"));
    chat.key(Action::ChoosePeer);
    chat.write(USUAL);
    chat.key(Action::Submit);
    assert_eq!(send(&mut chat), (None, USUAL.to_owned()));
}

#[test]
fn a_resolved_host_stays_at_its_port() {
    let mut chat = chat_with(Some("board.lan:28301"));
    send(&mut chat);
    let ticket = chat.sent.remove(0).ticket;
    let entry = Entry::Message(chat.message(USUAL, Direction::Out, "x"));
    chat.arrive(entry.clone());
    chat.model.update(Update::Sent { ticket, outcome: Ok(udpchat_api::call::Sent::One(Box::new(entry))) });
    chat.answer_requests();
    assert_eq!(send(&mut chat), (None, USUAL.to_owned()));
}

#[test]
fn a_message_of_an_opened_port_is_unread_once() {
    let mut chat = chat_with(Some(USUAL));
    chat.key(Action::NextPeer);
    let before = chat.model.peers.unread();
    chat.receive(USUAL, "here");
    assert_eq!(chat.model.peers.unread(), before + 1);
    // Nor are they after the daemon has counted again.
    chat.record_received(USUAL, "missed");
    chat.connect();
    assert_eq!(chat.model.peers.unread(), before + 2);
}

#[test]
fn a_number_that_no_interface_has_may_have_been_of_any() {
    let is_number_of = |name: &str, number| super::is_number_of(&name.parse().unwrap(), number);
    assert_eq!(is_number_of("lo", 1), Some(true));
    assert_eq!(is_number_of("nosuch0", 1), Some(false), "another one has it now");
    assert_eq!((is_number_of("lo", 999_999), is_number_of("nosuch0", 999_999)), (None, None));
}
