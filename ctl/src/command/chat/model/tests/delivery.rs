//! Tests of what the chat knows of the delivery of sent messages.

use jiff::SignedDuration;
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

/// Holds the oldest message in flight, for bob, as number 17.
fn hold(chat: &mut TestChat) -> OutgoingMessage {
    hold_for(chat, "bob")
}

/// Holds the oldest message in flight as number 17.
fn hold_for(chat: &mut TestChat, to: &str) -> OutgoingMessage {
    let sent = chat.sent.remove(0);
    let held = HeldMessage {
        held: 17,
        to: to.to_owned(),
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
    chat.entry_seconds = 1;
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
fn what_bounced_is_sent_again_once() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    send(&mut chat, "one");
    chat.notice(bounced(1, BOB));
    chat.key(Action::SendAgain);
    // The first one is in flight.
    chat.key(Action::SendAgain);
    assert_eq!(chat.sent.len(), 1);
    assert!(!chat.rendered().contains("bounced:"));
    // It is held.
    hold(&mut chat);
    chat.key(Action::SendAgain);
    assert!(chat.sent.is_empty());
}

#[test]
fn only_the_newest_message_is_sent_again() {
    let mut chat = TestChat::with_peer(Some("bob"));
    let first = chat.message(BOB, Direction::Out, "bounced long ago");
    chat.record(Entry::Message(Message { delivery: Some(Delivery::Bounced), ..first }));
    (0..1_000).for_each(|number| chat.record_received(BOB, &number.to_string()));
    chat.connect();
    chat.key(Action::Oldest);
    chat.key(Action::SendAgain);
    assert!(chat.sent.is_empty());
    let notice = chat.model.notice.as_deref();
    assert_eq!(notice, Some("the last message to this peer is far below; Esc goes there"));
}

#[test]
fn an_answer_comes_within_sixty_seconds_after_the_sending() {
    for (seconds, mark) in
        [(-1, Mark::Sent), (0, Mark::Answered), (59, Mark::Answered), (60, Mark::Sent), (61, Mark::Sent)]
    {
        let mut chat = TestChat::with_peer(Some("bob"));
        chat.connect();
        send(&mut chat, "one");
        let sent_at = chat.log.last().map(|entry| match entry {
            Entry::Message(message) => message.at,
            _ => unreachable!(),
        });
        let word = chat.message(BOB, Direction::In, "hello");
        let at = sent_at.unwrap() + SignedDuration::from_secs(seconds);
        chat.arrive(Entry::Message(Message { at, ..word }));
        chat.answer_requests();
        assert_eq!(marks(&chat)[0], Some(mark), "{seconds} s");
        // What came before the sending does not end the wait.
        if seconds < 0 {
            chat.receive(BOB, "an answer");
            assert_eq!(marks(&chat)[0], Some(Mark::Answered));
        }
    }
}

/// Records a message to bob, and returns its id.
fn record_sent(chat: &mut TestChat, text: &str) -> u64 {
    let message = chat.message(BOB, Direction::Out, text);
    chat.record(Entry::Message(Message { delivery: Some(Delivery::Sent), ..message })).id()
}

#[test]
fn reports_that_overtake_the_first_page_are_shown_once() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.entry_seconds = 1;
    let (answered, bounce, late) =
        (record_sent(&mut chat, "a"), record_sent(&mut chat, "b"), record_sent(&mut chat, "c"));
    chat.model.update(Update::Online { after: late, is_gapless: false, unread: 0 });
    let peers = chat.peers();
    chat.model.update(Update::Peers(Ok(peers)));
    chat.draw();
    let requests = chat.model.take_requests();
    let Some(Request::Page { epoch, end, params }) =
        requests.into_iter().find(|request| matches!(request, Request::Page { .. }))
    else {
        unreachable!()
    };
    // The daemon reads the page before what follows.
    let page = chat.page(&params);
    chat.notice(bounced(bounce, BOB));
    let mut word = chat.message(BOB, Direction::In, "hello");
    word.peer = BOB.parse().unwrap();
    chat.arrive(Entry::Message(word));
    chat.notice(Notice { name: Some("bob".to_owned()), seconds: Some(600), ..notice("silent") });
    let answer = |answer| Update::Page { epoch, end, cursor: params.before, answer: Ok(answer) };
    chat.model.update(answer(page.clone()));
    assert_eq!(chat.texts(), ["a", "b", "c", "hello", "bob is silent, for 10m"]);
    let expected = [Some(Mark::Answered), Some(Mark::Bounced), Some(Mark::Answered), None, None];
    assert_eq!(marks(&chat), expected, "{answered}");
    // A page that was requested once more on a new connection changes nothing.
    chat.model.update(answer(page));
    assert_eq!(chat.texts().len(), 5);
    assert_eq!(marks(&chat), expected);
}

#[test]
fn an_earlier_page_takes_back_no_state() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    send(&mut chat, "one");
    chat.answer_requests();
    chat.model.reread();
    let request = chat.model.take_requests().pop();
    let Some(Request::Reread { epoch, params }) = request else { unreachable!("{request:?}") };
    let page = chat.page(&params);
    chat.notice(bounced(1, BOB));
    chat.model.update(Update::Reread { epoch, before: params.before, answer: Ok(page) });
    assert_eq!(marks(&chat), [Some(Mark::Bounced)]);
}

#[test]
fn bounces_whose_notices_were_left_out_are_read() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    for number in 0..300 {
        send(&mut chat, &number.to_string());
    }
    chat.answer_requests();
    for entry in &mut chat.log {
        if let Entry::Message(message) = entry {
            let reason = "port_unreachable".to_owned();
            message.delivery = Some(Delivery::Bounced);
            message.bounce = Some(Bounce { reason, from: None, at: message.at });
        }
    }
    chat.notice(bounced(300, BOB));
    chat.answer_requests();
    assert_eq!(marks(&chat).iter().filter(|mark| **mark == Some(Mark::Bounced)).count(), 1);
    chat.notice(Notice { more: Some(298), ..bounced(299, BOB) });
    chat.answer_requests();
    assert_eq!(marks(&chat), [Some(Mark::Bounced); 300]);
    // Nothing is left to be read.
    chat.notice(Notice { more: Some(1), ..bounced(9, "127.0.0.99:1") });
    chat.draw();
    assert!(!chat.model.take_requests().iter().any(|request| matches!(request, Request::Reread { .. })));
}

#[test]
fn a_message_that_was_cancelled_elsewhere_is_no_longer_held() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.connect();
    chat.key(Action::ToggleHolding);
    chat.write("later");
    chat.key(Action::Submit);
    hold(&mut chat);
    assert_eq!(chat.watched_held, Some((17, 17)));
    chat.model.update(Update::StillHeld { span: (17, 17), numbers: vec![17] });
    assert_eq!(marks(&chat), [Some(Mark::Held)]);
    // What was held after the question stays.
    chat.model.update(Update::StillHeld { span: (1, 16), numbers: Vec::new() });
    assert_eq!(marks(&chat), [Some(Mark::Held)]);
    chat.model.update(Update::StillHeld { span: (17, 17), numbers: Vec::new() });
    chat.answer_requests();
    assert_eq!((marks(&chat), chat.watched_held), (vec![None], None));
    assert!(chat.rendered().contains("[no longer held: it was sent, "));
    // If it was sent, its entry arrives.
    let message = chat.message(BOB, Direction::Out, "later");
    chat.arrive(Entry::Message(Message { held_seconds: Some(5), delivery: Some(Delivery::Sent), ..message }));
    assert_eq!(marks(&chat), [Some(Mark::Sent)]);
}

#[test]
fn a_message_for_a_typed_host_is_held_and_sent() {
    for (to, from) in [("127.0.0.51:28301", "127.0.0.51:28301"), ("127.0.0.51", "127.0.0.51:40000")] {
        let mut chat = TestChat::with_peer(Some("board.lan"));
        chat.connect();
        chat.key(Action::ToggleHolding);
        chat.write("later");
        chat.key(Action::Submit);
        hold_for(&mut chat, to);
        assert_eq!(marks(&chat), [Some(Mark::Held)]);
        assert!(matches!(chat.model.open_key(), Some(PeerKey::Address(_))), "{:?}", chat.model.open_key());
        let message = chat.message(from, Direction::Out, "later");
        let (held_seconds, delivery) = (Some(5), Some(Delivery::Sent));
        chat.arrive(Entry::Message(Message { held_seconds, delivery, ..message }));
        assert!(!marks(&chat).contains(&Some(Mark::Held)), "{to}");
    }
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
