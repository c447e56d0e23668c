//! Scrolling through a long conversation.

use std::mem;

use udpchat_api::{EncodingBy, Entry};

use super::{ids, unread};
use crate::command::chat::keys::Action;
use crate::command::chat::model::conversation::MAX_ITEMS;
use crate::command::chat::model::*;
use crate::command::chat::test_chat::{BOB, STRANGER, TestChat};

/// A conversation with bob in a log of 200,000 entries.
fn long_conversation() -> TestChat {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.entry_seconds = 1;
    for number in 0..100_000 {
        chat.record_received(BOB, &number.to_string());
        chat.record_received(STRANGER, "something else");
    }
    chat.connect();
    chat
}

#[test]
fn scrolling_through_the_inbox_shows_every_message() {
    let mut chat = TestChat::with_peer(Some("bob"));
    chat.entry_seconds = 1;
    for number in 0..6_000 {
        chat.record_received(BOB, &number.to_string());
        chat.record_received(STRANGER, "something else");
    }
    chat.connect();
    let mut seen = Vec::new();
    for action in [Action::PageUp, Action::PageDown] {
        let mut still = 0;
        while still < 3 {
            let before = chat.model.rows.clone();
            let shown = shown_numbers(&chat);
            seen.extend(shown);
            chat.key(action.clone());
            still = if chat.model.rows == before { still + 1 } else { 0 };
            let loaded = ids(&chat);
            assert!(loaded.len() <= MAX_ITEMS);
            assert!(loaded.windows(2).all(|two| two[0] + 2 == two[1]), "a hole, or something twice");
        }
        let mut all = mem::take(&mut seen);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (0..6_000).collect::<Vec<_>>(), "{action:?}");
    }
    assert!(chat.model.conversation.as_ref().unwrap().is_following());
}

fn shown_numbers(chat: &TestChat) -> Vec<u64> {
    let open = chat.model.conversation.as_ref().unwrap();
    let texts = chat.model.rows.iter().filter_map(|row| match row {
        ConversationRow::Text { index, .. } => Some(open.items[*index].text.parse().unwrap()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn scrolling_faster_than_pages_loses_no_key() {
    let mut chat = long_conversation();
    let start = *shown_numbers(&chat).last().unwrap();
    // No page is answered in between.
    (0..500).for_each(|_| assert!(!chat.model.act(Action::PageUp)));
    chat.answer_requests();
    let reached = *shown_numbers(&chat).last().unwrap();
    assert!(reached + 9_000 < start && ids(&chat).len() <= MAX_ITEMS, "{start}, then {reached}");
    (0..500).for_each(|_| assert!(!chat.model.act(Action::PageDown)));
    chat.answer_requests();
    assert_eq!(shown_numbers(&chat).last(), Some(&start));
    assert!(chat.model.conversation.as_ref().unwrap().is_following());
    // Jumping to the newest message discards the pending rows.
    (0..500).for_each(|_| assert!(!chat.model.act(Action::PageUp)));
    chat.key(Action::Newest);
    assert_eq!(shown_numbers(&chat).last(), Some(&start));
}

#[test]
fn both_ends_of_a_long_inbox_are_one_key_away() {
    let mut chat = long_conversation();
    chat.key(Action::Oldest);
    assert!(shown_numbers(&chat).starts_with(&[0, 1, 2]));
    assert!(ids(&chat).len() <= MAX_ITEMS);
    chat.key(Action::PageDown);
    assert!(!shown_numbers(&chat).contains(&0));
    chat.receive(BOB, "100000");
    chat.answer_requests();
    assert!(!chat.texts().contains(&"100000"));
    chat.key(Action::Newest);
    assert_eq!(shown_numbers(&chat).last(), Some(&100_000));
}

#[test]
fn new_messages_do_not_move_a_scrolled_screen() {
    let mut chat = long_conversation();
    (0..30).for_each(|_| chat.key(Action::PageUp));
    let held = shown_numbers(&chat);
    for number in 100_000..103_000 {
        chat.receive(BOB, &number.to_string());
    }
    chat.answer_requests();
    assert_eq!(shown_numbers(&chat), held);
    assert_eq!(unread(&chat, "bob"), 3_000);
    assert!(ids(&chat).len() <= MAX_ITEMS);
    while !chat.model.conversation.as_ref().unwrap().is_following() {
        let before = *shown_numbers(&chat).last().unwrap();
        chat.key(Action::PageDown);
        let shown = shown_numbers(&chat);
        assert!(shown[0] <= before + 1, "{before} is followed by {shown:?}");
    }
    assert_eq!(shown_numbers(&chat).last(), Some(&102_999));
    assert_eq!(unread(&chat, "bob"), 0);
}

#[test]
fn a_failed_read_is_forgotten_with_the_next() {
    let mut chat = TestChat::with_peer(Some("bob"));
    (0..1_000).for_each(|number| chat.record_received(BOB, &number.to_string()));
    chat.connect();
    chat.model.act(Action::Oldest);
    chat.draw();
    chat.model.drawn();
    let requests = chat.model.take_requests();
    let page = requests.into_iter().find_map(|request| match request {
        Request::Page { epoch, end, params } => Some((epoch, end, params.before.or(params.after))),
        _ => None,
    });
    let (epoch, end, cursor) = page.unwrap();
    chat.model.update(Update::Page { epoch, end, cursor, answer: Err("no disk".to_owned()) });
    assert_eq!(chat.model.notice.as_deref(), Some("cannot read the inbox: no disk"));
    chat.model.update(Update::Online { after: 1_000, is_gapless: true, unread: 0 });
    chat.answer_requests();
    assert_eq!(chat.model.notice, None);
}

#[test]
fn messages_during_the_last_page_are_not_missed() {
    let mut chat = TestChat::with_peer(Some("bob"));
    (0..1_000).for_each(|number| chat.record_received(BOB, &number.to_string()));
    chat.connect();
    chat.key(Action::Oldest);
    let mut page = None;
    while page.is_none() {
        chat.draw();
        for request in chat.model.take_requests() {
            let Request::Page { epoch, end, params } = request else { continue };
            let answer = chat.page(&params);
            let cursor = params.after;
            match answer.more {
                true => drop(chat.model.update(Update::Page { epoch, end, cursor, answer: Ok(answer) })),
                false => page = Some(Update::Page { epoch, end, cursor, answer: Ok(answer) }),
            }
        }
        chat.model.act(Action::PageDown);
    }
    chat.receive(BOB, "1000");
    chat.model.update(page.unwrap());
    (0..100).for_each(|_| chat.key(Action::PageDown));
    assert_eq!(chat.texts().last(), Some(&"1000"));
}

#[test]
fn resizing_keeps_the_scroll_position() {
    let mut chat = long_conversation();
    (0..5).for_each(|_| chat.key(Action::PageUp));
    let bottom = *shown_numbers(&chat).last().unwrap();
    for size in [(40, 12), (200, 60), (80, 24)] {
        chat.size = size;
        chat.answer_requests();
        assert_eq!(shown_numbers(&chat).last(), Some(&bottom), "{size:?}");
    }
}

#[test]
fn long_messages_do_not_enlarge_the_window() {
    let mut chat = TestChat::with_peer(Some("bob"));
    let long = "x".repeat(60_000);
    (0..300).for_each(|_| chat.record_received(BOB, &long));
    chat.connect();
    (0..50).for_each(|_| chat.receive(BOB, &long));
    chat.answer_requests();
    let bytes: usize = chat.texts().iter().map(|text| text.len()).sum();
    assert!(bytes < 5 * 1024 * 1024, "{bytes}");
    assert!(chat.model.conversation.as_ref().unwrap().is_following());
}

#[test]
fn all_loaded_messages_are_read_again() {
    let mut chat = long_conversation();
    (0..60).for_each(|_| chat.key(Action::PageUp));
    let (before, loaded) = (shown_numbers(&chat), ids(&chat));
    assert!(loaded.len() > 600, "several pages");
    for entry in &mut chat.log {
        if let Entry::Message(message) = entry
            && let Ok(number) = message.text.parse::<u64>()
        {
            message.text = (number + 1_000_000).to_string();
        }
    }
    chat.bobs_encoding = ("gbk", EncodingBy::Remembered);
    let peers = chat.peers();
    chat.model.update(Update::Peers(Ok(peers)));
    chat.answer_requests();
    assert!(chat.texts().iter().all(|text| text.parse::<u64>().unwrap() >= 1_000_000));
    assert_eq!(ids(&chat), loaded);
    let shown: Vec<u64> = shown_numbers(&chat).iter().map(|number| number - 1_000_000).collect();
    assert_eq!(shown, before);
}
