//! Tests of what the chat knows of the delivery of sent messages.

use udpchat_api::call::{HeldMessage, Sent};
use udpchat_api::{Bounce, Delivery, Direction, Entry, Message, Notice, Timestamp};

use crate::command::chat::keys::Action;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat, notice};
use crate::command::send::Payload;

/// Returns the marks of the items.
fn marks(chat: &TestChat) -> Vec<Option<Mark>> {
    let items = &chat.model.conversation.as_ref().unwrap().items;
    items.iter().map(|item| item.sent.as_ref().map(|sent| sent.mark)).collect()
}

/// Sends a text to bob, whose entry has arrived.
fn send(chat: &mut TestChat, text: &str) {
    let message = chat.message(BOB, Direction::Out, text);
    chat.arrive(Entry::Message(Message { delivery: Some(Delivery::Sent), ..message }));
}

fn bounced(about: u64, peer: &str) -> Notice {
    Notice {
        about: Some(about),
        peer: Some(peer.to_owned()),
        reason: Some("port_unreachable".to_owned()),
        from: "127.0.0.2".parse().ok(),
        ..notice("bounced")
    }
}

/// Holds the only message in flight as number 17.
fn hold(chat: &mut TestChat) -> OutgoingMessage {
    let sent = chat.sent.remove(0);
    let held = HeldMessage {
        held: 17,
        to: "bob".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        until: Timestamp::UNIX_EPOCH,
        text: None,
        encoding: None,
        encoding_is_default: false,
        bytes: 5,
        by: None,
    };
    chat.model.update(Update::Sent { ticket: sent.ticket, outcome: Ok(Sent::Held { held: vec![held] }) });
    chat.answer_requests();
    sent
}

#[test]
fn the_next_word_of_the_peer_answers() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.entry_seconds = 1;
    chat.connect();
    send(&mut chat, "one");
    send(&mut chat, "two");
    assert_eq!(marks(&chat), [Some(Mark::Sent), Some(Mark::Sent)]);
    // Another port of that host, and another peer, answer nothing.
    chat.receive("127.0.0.2:9", "x");
    chat.receive(STRANGER, "x");
    assert!(!marks(&chat).contains(&Some(Mark::Answered)));
    chat.receive(BOB, "hello");
    assert_eq!(marks(&chat)[..2], [Some(Mark::Answered), Some(Mark::Answered)]);
    // After a minute it answers nothing any more.
    send(&mut chat, "three");
    chat.entry_seconds = 100;
    chat.receive(BOB, "late");
    assert!(marks(&chat).contains(&Some(Mark::Sent)));
}

#[test]
fn a_bounce_is_marked_with_its_reason() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    send(&mut chat, "one");
    send(&mut chat, "two");
    let id = chat.newest();
    chat.notice(bounced(id, BOB));
    chat.answer_requests();
    assert_eq!(marks(&chat), [Some(Mark::Sent), Some(Mark::Bounced)]);
    assert_eq!(chat.texts(), ["one", "two"], "the notice is the mark");
    assert!(chat.rendered().contains("bounced: port unreachable, says 127.0.0.2; F6 again"));
    // A word of the peer does not take a bounce back.
    chat.receive(BOB, "hello");
    assert_eq!(marks(&chat)[..2], [Some(Mark::Answered), Some(Mark::Bounced)]);
}

#[test]
fn what_bounced_is_sent_again() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::SendAgain);
    assert_eq!(chat.model.notice.as_deref(), Some("the last message to this peer has not bounced"));
    send(&mut chat, "one");
    chat.notice(bounced(1, BOB));
    chat.key(Action::SendAgain);
    assert_eq!(chat.sent[0].payload, Payload::Bytes(b"one".to_vec()));
    chat.answer(None);
    assert_eq!(chat.texts(), ["one", "one"]);
    // The newest message is another one now.
    assert!(!chat.rendered().contains("bounced:"));
}

#[test]
fn states_in_pages_are_shown() {
    let mut chat = TestChat::with_peer(Some("bob"));
    let states = [
        Some(Delivery::Sent),
        Some(Delivery::Answered),
        Some(Delivery::Bounced),
        Some(Delivery::Other),
        None,
    ];
    for delivery in states {
        let message = chat.message(BOB, Direction::Out, "x");
        let reason = "host_unreachable".to_owned();
        let bounce =
            (delivery == Some(Delivery::Bounced)).then_some(Bounce { reason, from: None, at: message.at });
        chat.record(Entry::Message(Message { delivery, bounce, ..message }));
    }
    chat.connect();
    assert_eq!(marks(&chat), [Some(Mark::Sent), Some(Mark::Answered), Some(Mark::Bounced), None, None]);
}

#[test]
fn a_held_message_is_sent_or_expires() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.record_received(BOB, "first");
    chat.connect();
    for is_sent in [true, false] {
        chat.key(Action::ToggleHolding);
        assert!(chat.rendered().contains("F7 hold"));
        chat.write("later");
        chat.key(Action::Submit);
        let sent = hold(&mut chat);
        assert!(sent.when_seen && sent.reply_to.is_none() && sent.to == "bob");
        assert_eq!(marks(&chat).last(), Some(&Some(Mark::Held)));
        chat.key(Action::ToggleHolding);
        // The same text that was not held is another message.
        let other = chat.message(BOB, Direction::Out, "later");
        chat.arrive(Entry::Message(other));
        assert!(marks(&chat).contains(&Some(Mark::Held)));
        if is_sent {
            let message = chat.message(BOB, Direction::Out, "later");
            let held_seconds = Some(60);
            chat.arrive(Entry::Message(Message { held_seconds, delivery: Some(Delivery::Sent), ..message }));
        } else {
            chat.notice(Notice { held: Some(17), name: Some("bob".to_owned()), ..notice("expired") });
        }
        chat.answer_requests();
        assert!(!marks(&chat).contains(&Some(Mark::Held)));
    }
    let screen = chat.rendered();
    assert!(screen.contains("[not sent: the peer sent nothing in time]"), "{screen}");
    assert!(screen.contains("! held 17 for bob expired and was not sent"), "{screen}");
}

#[test]
fn only_notices_of_the_peer_are_shown() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    let silent = |name: &str| Notice { name: Some(name.to_owned()), seconds: Some(600), ..notice("silent") };
    chat.notice(silent("张三"));
    chat.notice(silent("bob"));
    chat.answer_requests();
    assert_eq!(chat.texts(), ["bob is silent, for 10m"]);
}
