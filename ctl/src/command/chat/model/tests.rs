//! What the model makes of keys and news.

use udpchat_api::{Direction, Entry};

use super::conversation::MAX_ITEMS;
use super::peer_list::MAX_STRANGERS;
use crate::command::chat::fixture::{BOB, STRANGER, Stage, ZHANG};
use crate::command::chat::keys::Action;
use crate::command::chat::model::*;

/// The ids of the items that are loaded.
fn ids(stage: &Stage) -> Vec<u64> {
    stage.model.conversation.as_ref().unwrap().items.iter().map(|item| item.place.id).collect()
}

/// The texts of the items that are loaded.
fn texts(stage: &Stage) -> Vec<&str> {
    stage.model.conversation.as_ref().unwrap().items.iter().map(|item| item.text.as_str()).collect()
}

fn unread(stage: &Stage, name: &str) -> u64 {
    stage.model.roster.get(&Key::Named(name.to_owned())).unwrap().unread
}

/// Two hundred thousand entries, half of them bob's.
fn long() -> Stage {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.pace = 1;
    for number in 0..100_000 {
        stage.was_said(BOB, &number.to_string());
        stage.was_said(STRANGER, "something else");
    }
    stage.connect();
    stage
}

#[test]
fn the_whole_inbox_is_scrolled_through_in_a_small_window_without_holes() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.pace = 1;
    for number in 0..6_000 {
        stage.was_said(BOB, &number.to_string());
        stage.was_said(STRANGER, "something else");
    }
    stage.connect();
    let mut seen = Vec::new();
    for action in [Action::PageUp, Action::PageDown] {
        let mut still = 0;
        while still < 3 {
            let before = stage.model.rows.clone();
            let shown = shown_numbers(&stage);
            seen.extend(shown);
            stage.key(action.clone());
            still = if stage.model.rows == before { still + 1 } else { 0 };
            let loaded = ids(&stage);
            assert!(loaded.len() <= MAX_ITEMS);
            assert!(loaded.windows(2).all(|two| two[0] + 2 == two[1]), "a hole, or something twice");
        }
        let mut all = mem::take(&mut seen);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (0..6_000).collect::<Vec<_>>(), "{action:?}");
    }
    assert!(stage.model.conversation.as_ref().unwrap().is_following());
}

fn shown_numbers(stage: &Stage) -> Vec<u64> {
    let open = stage.model.conversation.as_ref().unwrap();
    let texts = stage.model.rows.iter().filter_map(|row| match row {
        Row::Text { index, .. } => Some(open.items[*index].text.parse().unwrap()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn keys_that_are_faster_than_pages_are_not_lost() {
    let mut stage = long();
    let start = *shown_numbers(&stage).last().unwrap();
    // No page comes between.
    (0..500).for_each(|_| assert!(!stage.model.act(Action::PageUp)));
    stage.settle();
    let reached = *shown_numbers(&stage).last().unwrap();
    assert!(reached + 9_000 < start && ids(&stage).len() <= MAX_ITEMS, "{start}, then {reached}");
    (0..500).for_each(|_| assert!(!stage.model.act(Action::PageDown)));
    stage.settle();
    assert_eq!(shown_numbers(&stage).last(), Some(&start));
    assert!(stage.model.conversation.as_ref().unwrap().is_following());
    // Whoever goes elsewhere meanwhile stays there.
    (0..500).for_each(|_| assert!(!stage.model.act(Action::PageUp)));
    stage.key(Action::Newest);
    assert_eq!(shown_numbers(&stage).last(), Some(&start));
}

#[test]
fn both_ends_of_a_long_inbox_are_one_key_away() {
    let mut stage = long();
    stage.key(Action::Oldest);
    assert!(shown_numbers(&stage).starts_with(&[0, 1, 2]));
    assert!(ids(&stage).len() <= MAX_ITEMS);
    stage.key(Action::PageDown);
    assert!(!shown_numbers(&stage).contains(&0));
    stage.says(BOB, "100000");
    stage.settle();
    assert!(!texts(&stage).contains(&"100000"));
    stage.key(Action::Newest);
    assert_eq!(shown_numbers(&stage).last(), Some(&100_000));
}

#[test]
fn what_arrives_while_one_scrolls_neither_moves_the_screen_nor_is_lost() {
    let mut stage = long();
    (0..30).for_each(|_| stage.key(Action::PageUp));
    let held = shown_numbers(&stage);
    for number in 100_000..103_000 {
        stage.says(BOB, &number.to_string());
    }
    stage.settle();
    assert_eq!(shown_numbers(&stage), held);
    assert_eq!(unread(&stage, "bob"), 3_000);
    assert!(ids(&stage).len() <= MAX_ITEMS);
    while !stage.model.conversation.as_ref().unwrap().is_following() {
        let before = *shown_numbers(&stage).last().unwrap();
        stage.key(Action::PageDown);
        let shown = shown_numbers(&stage);
        assert!(shown[0] <= before + 1, "{before} is followed by {shown:?}");
    }
    assert_eq!(shown_numbers(&stage).last(), Some(&102_999));
    assert_eq!(unread(&stage, "bob"), 0);
}

#[test]
fn what_arrives_while_the_last_page_is_read_is_not_missed() {
    let mut stage = Stage::with_peer(Some("bob"));
    (0..1_000).for_each(|number| stage.was_said(BOB, &number.to_string()));
    stage.connect();
    stage.key(Action::Oldest);
    let mut page = None;
    while page.is_none() {
        stage.draw();
        for request in stage.model.take_requests() {
            let Request::Page { epoch, side, params } = request else { continue };
            let answer = stage.page(&params);
            match answer.more {
                true => drop(stage.model.update(Update::Page { epoch, side, answer: Ok(answer) })),
                false => page = Some(Update::Page { epoch, side, answer: Ok(answer) }),
            }
        }
        stage.model.act(Action::PageDown);
    }
    stage.says(BOB, "1000");
    stage.model.update(page.unwrap());
    (0..100).for_each(|_| stage.key(Action::PageDown));
    assert_eq!(texts(&stage).last(), Some(&"1000"));
}

#[test]
fn the_screen_stays_where_it_is_when_its_size_changes() {
    let mut stage = long();
    (0..5).for_each(|_| stage.key(Action::PageUp));
    let bottom = *shown_numbers(&stage).last().unwrap();
    for size in [(40, 12), (200, 60), (80, 24)] {
        stage.size = size;
        stage.settle();
        assert_eq!(shown_numbers(&stage).last(), Some(&bottom), "{size:?}");
    }
}

#[test]
fn a_window_of_long_messages_is_small_too() {
    let mut stage = Stage::with_peer(Some("bob"));
    let long = "x".repeat(60_000);
    (0..300).for_each(|_| stage.was_said(BOB, &long));
    stage.connect();
    (0..50).for_each(|_| stage.says(BOB, &long));
    stage.settle();
    let bytes: usize = texts(&stage).iter().map(|text| text.len()).sum();
    assert!(bytes < 5 * 1024 * 1024, "{bytes}");
    assert!(stage.model.conversation.as_ref().unwrap().is_following());
}

#[test]
fn a_connection_that_comes_back_goes_on_from_the_cursor() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(BOB, "one");
    stage.connect();
    stage.model.update(Update::Offline("gone".to_owned()));
    stage.settle();
    stage.model.update(Update::Online { after: 1, is_whole: true, unread: 0 });
    // An entry that comes twice is shown once.
    stage.says(BOB, "two");
    let again = stage.log.last().unwrap().clone();
    stage.model.update(Update::Arrived(Box::new(again)));
    stage.settle();
    assert_eq!(texts(&stage), ["one", "two"]);
}

#[test]
fn what_was_missed_in_a_long_absence_is_read_anew() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(BOB, "one");
    stage.connect();
    stage.model.update(Update::Offline("gone".to_owned()));
    (0..500).for_each(|number| stage.was_said(BOB, &number.to_string()));
    stage.connect();
    assert_eq!(texts(&stage).last(), Some(&"499"));
    (0..50).for_each(|_| stage.key(Action::PageUp));
    assert_eq!(texts(&stage).len(), 501);
    // What was on the screen is not unread again because the list of peers comes later.
    (0..10).for_each(|_| stage.was_said(BOB, "more"));
    stage.model.update(Update::Online { after: 511, is_whole: false, unread: 511 });
    stage.settle_but(|request| matches!(request, Request::Peers));
    stage.model.act(Action::PageUp);
    let mut peers = stage.peers();
    peers[0].unread = 511;
    stage.model.update(Update::Peers(Ok(peers)));
    assert_eq!(unread(&stage, "bob"), 0);
}

#[test]
fn the_common_mark_moves_only_when_nobody_has_unread_messages() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(ZHANG, "在吗");
    stage.connect();
    stage.says(BOB, "hello");
    stage.settle();
    assert_eq!((unread(&stage, "bob"), unread(&stage, "张三"), stage.acked), (0, 1, 0));
    stage.key(Action::NextUnread);
    assert_eq!((unread(&stage, "张三"), stage.acked), (0, 2));
    // Scrolled back, what arrives is not read.
    (0..40).for_each(|_| stage.says(ZHANG, "x"));
    stage.settle();
    assert_eq!(stage.acked, 42);
    stage.key(Action::PageUp);
    stage.says(ZHANG, "y");
    stage.settle();
    assert_eq!((unread(&stage, "张三"), stage.acked), (1, 42));
    stage.key(Action::Cancel);
    assert_eq!(stage.acked, 43);
}

#[test]
fn unread_messages_of_nobody_in_the_list_keep_the_mark_where_it_is() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(BOB, "hello");
    // The list holds one unread message; there are two.
    stage.model.update(Update::Online { after: 1, is_whole: false, unread: 2 });
    stage.settle();
    assert_eq!((unread(&stage, "bob"), stage.acked), (0, 0));
}

#[test]
fn messages_that_arrive_before_the_list_of_peers_are_counted_once() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(ZHANG, "before");
    stage.model.update(Update::Online { after: 1, is_whole: false, unread: 1 });
    // The list knows of the first of these, and comes after both.
    stage.says(ZHANG, "listed");
    let peers = Update::Peers(Ok(serde_json::from_value(serde_json::json!([
        { "name": "张三", "address": ZHANG, "encoding": "gbk", "encoding_by": "configured", "last_id": 2,
          "messages": 2, "unread": 2 }
    ]))
    .unwrap()));
    stage.says(ZHANG, "not listed");
    stage.model.update(peers);
    assert_eq!(unread(&stage, "张三"), 3);
}

#[test]
fn made_up_senders_do_not_pile_up() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    for number in 0..3_000_u32 {
        let [.., high, low] = number.to_be_bytes();
        stage.says(&format!("10.9.{high}.{low}:9"), "x");
    }
    stage.settle();
    let roster = &stage.model.roster;
    assert_eq!(roster.iter().len(), MAX_STRANGERS + 2);
    // Who has gone from the list still has unread messages.
    assert_eq!(roster.unread(), 3_000);
    let newest = Key::Address("10.9.11.183:9".parse().unwrap());
    assert!(
        roster.position(&newest) == Some(2) && stage.model.open_key() == Some(&Key::Named("bob".to_owned()))
    );
}

#[test]
fn drafts_stay_with_their_conversation() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    stage.write("to bob");
    stage.key(Action::NextPeer);
    assert_eq!(
        (stage.model.input.text(), stage.model.open_key().unwrap().to_string()),
        ("", "张三".to_owned())
    );
    stage.write("给张三");
    stage.key(Action::PreviousPeer);
    assert_eq!(stage.model.input.text(), "to bob");
    stage.key(Action::PreviousPeer);
    assert_eq!(stage.model.input.text(), "给张三");
}

#[test]
fn an_answer_goes_to_where_the_last_message_came_from() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.was_said(BOB, "one");
    stage.connect();
    stage.write("x");
    stage.key(Action::Submit);
    stage.says(BOB, "two");
    stage.write("y");
    stage.key(Action::Submit);
    assert_eq!(stage.sent.iter().map(|sent| sent.reply_to).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert!(stage.sent.iter().all(|sent| sent.to == "bob"));
}

#[test]
fn a_message_is_shown_once_whichever_comes_first_the_answer_or_the_entry() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    for answer_first in [true, false] {
        stage.write("hello");
        stage.key(Action::Submit);
        assert_eq!(texts(&stage).last(), Some(&"hello"));
        let before = texts(&stage).len();
        let Sending { ticket, .. } = stage.sent.remove(0);
        let entry = Entry::Message(stage.message(BOB, Direction::Out, "hello"));
        let answer = Update::Sent { ticket, outcome: Ok(vec![entry.clone()]) };
        if answer_first {
            stage.model.update(answer);
            assert_eq!(texts(&stage).len(), before);
            stage.arrives(entry);
        } else {
            stage.arrives(entry);
            assert_eq!(texts(&stage).len(), before);
            stage.model.update(answer);
        }
        assert_eq!(texts(&stage).len(), before);
        assert!(stage.model.conversation.as_ref().unwrap().items.iter().all(|item| item.what == What::Out));
    }
}

#[test]
fn a_message_whose_fate_is_unknown_is_shown_as_sent_when_the_log_turns_out_to_have_it() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    stage.write("hello");
    stage.key(Action::Submit);
    let Sending { ticket, .. } = stage.sent.remove(0);
    let refusal = Refusal { why: "gone".to_owned(), is_entry: false, is_unsure: true };
    stage.model.update(Update::Sent { ticket, outcome: Err(refusal) });
    stage.settle();
    let note = |stage: &Stage| stage.model.conversation.as_ref().unwrap().items[0].note.clone();
    assert_eq!(note(&stage).as_deref(), Some("[not sent: gone; it may have been sent]"));
    let entry = Entry::Message(stage.message(BOB, Direction::Out, "hello"));
    stage.arrives(entry);
    assert_eq!((texts(&stage), note(&stage)), (vec!["hello"], None));
}

#[test]
fn failed_messages_stay_where_they_were_written() {
    let mut stage = Stage::with_peer(Some("bob"));
    (0..300).for_each(|number| stage.was_said(BOB, &number.to_string()));
    stage.connect();
    stage.write("failed");
    stage.key(Action::Submit);
    stage.answer(Some(Refusal { why: "no".to_owned(), is_entry: false, is_unsure: false }));
    stage.says(BOB, "300");
    stage.settle();
    let tail =
        |stage: &Stage| texts(stage).iter().rev().take(3).map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(tail(&stage), ["300", "failed", "299"]);
    // Also when the conversation was closed meanwhile.
    stage.key(Action::NextPeer);
    assert!(texts(&stage).is_empty());
    stage.key(Action::PreviousPeer);
    assert_eq!(tail(&stage), ["300", "failed", "299"]);
}

#[test]
fn texts_of_before_come_back_and_what_is_being_written_is_not_lost() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    for text in ["one", "two"] {
        stage.write(text);
        stage.key(Action::Submit);
    }
    let mut turned = Vec::new();
    for action in [Action::Up, Action::Up, Action::Up, Action::Down, Action::Down] {
        stage.key(action);
        turned.push(stage.model.input.text().to_owned());
    }
    assert_eq!(turned, ["two", "one", "one", "two", ""]);
    stage.write("mine");
    stage.key(Action::Up);
    assert_eq!(stage.model.input.text(), "mine");
}

#[test]
fn a_typed_host_becomes_the_peer_that_it_turns_out_to_be() {
    let mut stage = Stage::with_peer(Some("sensor.lan"));
    stage.connect();
    assert_eq!(stage.model.open_key(), Some(&Key::Host("sensor.lan".to_owned())));
    stage.write("hello");
    stage.key(Action::Submit);
    stage.write("draft");
    let Sending { ticket, reply_to, to, .. } = stage.sent.remove(0);
    assert_eq!((reply_to, to.as_str()), (None, "sensor.lan"));
    let entry = Entry::Message(stage.message(STRANGER, Direction::Out, "hello"));
    stage.arrives(entry.clone());
    stage.model.update(Update::Sent { ticket, outcome: Ok(vec![entry]) });
    stage.settle();
    assert_eq!(stage.model.open_key(), Some(&Key::Address(STRANGER.parse().unwrap())));
    assert_eq!((texts(&stage), stage.model.input.text()), (vec!["hello"], "draft"));
    assert!(stage.model.roster.get(&Key::Host("sensor.lan".to_owned())).is_none());
}

#[test]
fn an_address_of_a_named_peer_is_that_peer() {
    for typed in [BOB, "bob"] {
        let mut stage = Stage::with_peer(Some(typed));
        stage.connect();
        assert_eq!(stage.model.open_key(), Some(&Key::Named("bob".to_owned())));
    }
}

#[test]
fn without_a_peer_the_one_heard_last_is_opened() {
    let mut stage = Stage::new();
    stage.was_said(BOB, "x");
    stage.was_said(STRANGER, "y");
    stage.was_said(ZHANG, "z");
    stage.connect();
    assert_eq!(stage.model.open_key(), Some(&Key::Named("张三".to_owned())));
}

#[test]
fn keys_end_the_chat_only_where_nothing_is_lost() {
    let mut stage = Stage::with_peer(Some("bob"));
    stage.connect();
    stage.write("x");
    assert!(!stage.model.act(Action::EndOfInput));
    assert!(!stage.model.act(Action::Interrupt));
    assert!(stage.model.input.is_empty());
    assert!(stage.model.act(Action::Interrupt) && stage.model.act(Action::EndOfInput));
    stage.model.act(Action::Help);
    assert!(!stage.model.act(Action::Interrupt) && stage.model.overlay.is_none());
    assert!(stage.model.act(Action::Quit));
}
