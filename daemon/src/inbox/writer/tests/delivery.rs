//! What becomes known of sent messages, in their entries and in notices.

use crate::inbox::entry::NoticeDetail;
use crate::net::reports::Bounce;
use std::net::SocketAddr;

use super::{open, open_with_journal, store_all};
use crate::clock;
use crate::inbox::entry::{BounceDetail, SentDetail, Stored};
use crate::inbox::queue::{RecodeItem, SentItem};
use crate::inbox::reader::Range;
use crate::inbox::writer::*;

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Sends a message as of now; returns its running number.
fn send(queue: &Queue, to: SocketAddr) -> u64 {
    let item = SentItem {
        at_ns: clock::now_ns(),
        peer: to,
        local: None,
        payload: b"hello".to_vec(),
        detail: SentDetail { by: Some("ann".to_owned()), ..SentDetail::default() },
        number: None,
        held: None,
        stored: None,
    };
    let mut sent = 0;
    let handed_over = queue.send(Box::new(item), true, |item, number| {
        (sent, item.number) = (number, Some(number));
        Ok(())
    });
    assert!(handed_over.is_ok());
    sent
}

fn receive_at(queue: &Queue, from: SocketAddr, at_ns: i64) {
    queue.intake(|intake| intake.datagram(at_ns, from, None, b"word"));
}

fn receive(queue: &Queue, from: SocketAddr) {
    receive_at(queue, from, clock::now_ns());
}

fn bounce(number: u64, peer: SocketAddr) -> Bounce {
    Bounce { number, peer, reason: "port_unreachable", from: Some(peer.ip()), at_ns: 7 }
}

/// Returns the details of the sent messages by id, and the notices.
fn details(writer: &Writer) -> (Vec<(u64, SentDetail)>, Vec<NoticeDetail>) {
    let (mut sent, mut notices) = (Vec::new(), Vec::new());
    let range = Range { sent: true, notices: true, ..Range::default() };
    let visit = |entry: Stored| {
        match entry.body {
            crate::inbox::entry::Body::Sent { detail, .. } => sent.push((entry.id, detail)),
            crate::inbox::entry::Body::Notice(notice) => notices.push(notice),
            _ => {}
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    (sent, notices)
}

#[test]
fn the_notices_count_every_bounce() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let numbers: Vec<_> = (0..15).map(|_| send(&queue, peer(9))).collect();
    queue.bounced(numbers.iter().map(|number| bounce(*number, peer(9))));
    store_all(&mut writer, &queue);
    let written = |writer: &Writer| -> Vec<_> {
        details(writer).1.into_iter().map(|notice| (notice.about.unwrap(), notice.more)).collect()
    };
    assert_eq!(written(&writer).len(), 10);
    assert!(writer.max_wait().is_some_and(|wait| wait <= Duration::from_secs(1)));
    queue.close();
    let newest_sent = details(&writer).0.last().unwrap().0;
    assert_eq!(writer.run(), 0);
    let (writer, ..) = open(folder.path());
    assert_eq!(
        written(&writer)[10..],
        [(newest_sent, Some(4))],
        "a stop does not wait for the end of the second"
    );
}

fn answers(writer: &Writer) -> Vec<Option<u64>> {
    details(writer).0.into_iter().map(|(_, detail)| detail.answer).collect()
}

#[test]
fn a_bounce_is_noted_once_with_a_notice() {
    for transactions in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, queue, commits) = open(folder.path());
        let number = send(&queue, peer(9));
        if transactions == 2 {
            store_all(&mut writer, &queue);
        }
        queue.bounced([bounce(number, peer(9)), bounce(number, peer(9)), bounce(99, peer(9))]);
        store_all(&mut writer, &queue);
        queue.bounced([bounce(number, peer(9))]);
        store_all(&mut writer, &queue);
        let (sent, notices) = details(&writer);
        let expected =
            BounceDetail { reason: "port_unreachable".to_owned(), from: Some(peer(9).ip()), at_ns: 7 };
        assert_eq!((&sent[0].1.bounce, sent[0].1.by.as_deref()), (&Some(expected), Some("ann")));
        let [notice] = &notices[..] else { panic!("{notices:?}") };
        assert_eq!((notice.about, notice.peer.as_deref()), (Some(1), Some("127.0.0.1:9")));
        assert_eq!((commits.now().newest_id, queue.counters().sent.bounced), (2, 1));
        assert_eq!(writer.parts.bounced_peers.list().len(), 1);
    }
}

#[test]
fn the_next_word_of_a_peer_answers_what_it_was_sent_before() {
    for transactions in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, queue, _commits) = open(folder.path());
        for _ in 0..2 {
            send(&queue, peer(9));
        }
        send(&queue, peer(10));
        if transactions == 2 {
            store_all(&mut writer, &queue);
        }
        receive(&queue, peer(11));
        receive(&queue, peer(9));
        receive(&queue, peer(9));
        send(&queue, peer(9));
        store_all(&mut writer, &queue);
        assert_eq!(answers(&writer), [Some(5), Some(5), None, None]);
        receive(&queue, peer(9));
        store_all(&mut writer, &queue);
        assert_eq!(answers(&writer), [Some(5), Some(5), None, Some(8)]);
        assert!(writer.delivery.forgets_answered());
    }
}

#[test]
fn a_word_from_before_the_message_or_too_late_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let earlier = clock::now_ns();
    send(&queue, peer(9));
    receive_at(&queue, peer(9), earlier - 1);
    store_all(&mut writer, &queue);
    receive_at(&queue, peer(9), earlier - 1);
    store_all(&mut writer, &queue);
    receive_at(&queue, peer(9), clock::now_ns() + 61_000_000_000);
    store_all(&mut writer, &queue);
    assert_eq!(answers(&writer), [None]);
    receive(&queue, peer(9));
    store_all(&mut writer, &queue);
    assert_eq!(answers(&writer), [Some(5)]);
}

#[test]
fn a_bounced_message_is_not_answered_and_an_answered_one_can_bounce() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let (first, second) = (send(&queue, peer(9)), send(&queue, peer(10)));
    queue.bounced([bounce(first, peer(9))]);
    receive(&queue, peer(9));
    receive(&queue, peer(10));
    store_all(&mut writer, &queue);
    queue.bounced([bounce(second, peer(10))]);
    store_all(&mut writer, &queue);
    let sent = details(&writer).0;
    assert!(sent[0].1.bounce.is_some() && sent[0].1.answer.is_none());
    assert!(sent[1].1.bounce.is_some() && sent[1].1.answer == Some(5));
    let bounced: Vec<_> = writer.parts.bounced_peers.list().iter().map(|bounced| bounced.peer).collect();
    assert_eq!(bounced, [peer(10)], "the other one was heard since");
    receive(&queue, peer(10));
    store_all(&mut writer, &queue);
    assert!(writer.parts.bounced_peers.list().is_empty());
}

#[test]
fn a_failed_transaction_changes_nothing_that_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let number = send(&queue, peer(9));
    send(&queue, peer(10));
    store_all(&mut writer, &queue);
    receive(&queue, peer(10));
    queue.bounced([bounce(number, peer(9))]);
    queue.intake(|intake| intake.datagram(1, peer(11), None, b"refused"));
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let refuse =
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.entry WHEN NEW.payload = CAST('refused' AS BLOB)
                  BEGIN SELECT raise(ABORT, 'refused'); END";
    writer.connection.as_ref().unwrap().execute_batch(refuse).unwrap();
    assert!(writer.commit(&batch.items, &batch.bytes).is_err());
    writer.connection.as_ref().unwrap().execute_batch("DROP TRIGGER refuse").unwrap();
    assert!(writer.delivery.remembers(number));
    assert_eq!(answers(&writer), [None, None]);
    let bytes = std::mem::take(&mut batch.bytes);
    assert!(writer.store(&mut batch.items, &bytes));
    let (sent, notices) = details(&writer);
    assert!(sent[0].1.bounce.is_some() && sent[1].1.answer == Some(3));
    assert_eq!((notices.len(), queue.counters().sent.bounced), (1, 1));
}

#[test]
fn a_commit_that_does_not_count_leaves_no_answer_and_takes_no_notice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let number = send(&queue, peer(9));
    send(&queue, peer(10));
    store_all(&mut writer, &queue);
    receive(&queue, peer(10));
    queue.bounced([bounce(number, peer(9))]);
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let bytes = std::mem::take(&mut batch.bytes);
    // The transaction is durable, and its failure was reported.
    writer.commit(&batch.items, &bytes).unwrap();
    (writer.has_failed, writer.uncounted) = (true, writer.identity);
    assert_eq!(answers(&writer), [None, Some(3)]);
    writer.reopen().unwrap();
    assert_eq!((answers(&writer), details(&writer).1.len()), (vec![None, None], 0));
    assert!(writer.store(&mut batch.items, &bytes));
    assert_eq!((answers(&writer), details(&writer).1.len()), (vec![None, Some(3)], 1));
    assert_eq!(queue.counters().sent.bounced, 1);
}

#[test]
fn a_bounce_of_a_removed_message_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    let number = send(&queue, peer(9));
    receive(&queue, peer(10));
    store_all(&mut writer, &queue);
    writer.connection.as_ref().unwrap().execute("DELETE FROM entry WHERE id = 1", []).unwrap();
    queue.bounced([bounce(number, peer(9))]);
    store_all(&mut writer, &queue);
    assert_eq!((commits.now().newest_id, details(&writer).1), (2, Vec::new()));
    assert_eq!(queue.counters().sent.bounced, 0);
}

#[test]
fn recoding_keeps_what_is_known_of_the_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let number = send(&queue, peer(9));
    receive(&queue, peer(9));
    queue.bounced([bounce(number, peer(9))]);
    store_all(&mut writer, &queue);
    let before = details(&writer);
    for encoding in [Some(udpchat_config::Encoding::GBK), None] {
        let item = RecodeItem { ids: vec![1, 3], encoding, peers: Vec::new(), stored: None };
        queue.recode(Box::new(item)).unwrap();
        store_all(&mut writer, &queue);
        assert_eq!(details(&writer), before);
    }
}

#[test]
fn many_bounces_make_ten_notices_a_second_and_every_state() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let numbers: Vec<_> = (0..100).map(|port| (send(&queue, peer(port)), peer(port))).collect();
    queue.bounced(numbers.into_iter().map(|(number, peer)| bounce(number, peer)));
    store_all(&mut writer, &queue);
    let (sent, notices) = details(&writer);
    assert!(sent.iter().all(|(_, detail)| detail.bounce.is_some()));
    // On a slow machine a second may end in between.
    assert!((10..100).contains(&notices.len()), "{}", notices.len());
    assert_eq!(queue.counters().sent.bounced, 100);
}

#[test]
fn memory_is_bounded_by_messages_and_by_peer() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let first = send(&queue, peer(9));
    for _ in 0..300 {
        send(&queue, peer(9));
    }
    store_all(&mut writer, &queue);
    assert!(!writer.delivery.remembers(first) && writer.delivery.remembers(first + 300));
    for port in 1_000..6_000 {
        send(&queue, peer(port));
    }
    store_all(&mut writer, &queue);
    assert!(!writer.delivery.remembers(first + 300));
    assert_eq!(writer.delivery.sizes(), (4_096, 4_096));
}

#[test]
fn notices_are_no_messages_of_the_in_flight_journal() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("books");
    let (mut writer, queue, _commits, _lost) = open_with_journal(folder.path());
    receive(&queue, peer(9));
    let number = send(&queue, peer(9));
    store_all(&mut writer, &queue);
    (0..3).for_each(|_| receive(&queue, peer(9)));
    let pending = std::fs::read(&page).unwrap();
    // The log has a notice behind the entry that the journal names, and none of the three messages.
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    queue.bounced([bounce(number, peer(9))]);
    store_all(&mut writer, &queue);
    std::fs::write(&page, pending).unwrap();
    drop(writer);
    assert_eq!(open_with_journal(folder.path()).3, 3);
}
