//! What a transaction holds.

use crate::inbox::writer::transaction::MAX_ENTRIES_PER_COMMIT;
use std::net::SocketAddr;

use super::{open, receive, store_all};
use crate::inbox::entry::{Body, Stored};
use crate::inbox::queue::{RUN_BYTES, RUN_MESSAGES, RecodeItem};
use crate::inbox::reader::Range;
use crate::inbox::writer::*;

#[test]
fn a_transaction_has_at_most_one_recoding() {
    let item = || RecodeItem { ids: vec![1], encoding: None, peers: Vec::new(), stored: None };
    let mut batch = Batch::default();
    batch.items.extend((0..3).map(|_| Item::Recode(Box::new(item()))));
    assert_eq!(next_commit(&batch, 0, 0, usize::MAX).0, 0..1);
    assert_eq!(next_commit(&batch, 1, 0, usize::MAX).0, 1..2);
}

#[test]
fn messages_and_gaps_get_rising_ids_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    let payload = |number: usize| vec![7; (number * 7919) % 5_000];
    for number in 0..3_000 {
        let peer = SocketAddr::from(([127, 0, 0, (number % 3) as u8], 5));
        let local = (number % 2 == 0).then_some(peer);
        queue.intake(|intake| {
            intake.datagram(number as i64, peer, local, &payload(number));
            if number % 100 == 99 {
                intake.kernel_gap(number as i64, 1);
            }
        });
        if number % 700 == 0 {
            store_all(&mut writer, &queue);
        }
    }
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 3_030);
    let (mut id, mut number) = (0, 0);
    let all = Range { received: true, gaps: true, ..Range::default() };
    let visit = |entry: Stored| {
        id += 1;
        assert_eq!(entry.id, id);
        match entry.body {
            Body::Received { peer, local, payload: stored } => {
                assert_eq!((entry.at_ns, stored), (number as i64, payload(number)));
                assert_eq!(peer, SocketAddr::from(([127, 0, 0, (number % 3) as u8], 5)));
                assert_eq!(local, (number % 2 == 0).then_some(peer));
                number += 1;
            }
            Body::Gap(_) => assert_eq!(number % 100, 0),
            Body::Sent { .. } | Body::Notice(_) => panic!("nothing was sent"),
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&all, visit, || true).unwrap();
    assert_eq!((id, number), (3_030, 3_000));
}

#[test]
fn an_entry_inserted_by_another_program_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let insert = "INSERT INTO entry (id, at_ns, kind, payload) VALUES (7, 1, 0, x'61')";
    receive(&queue, b"one");
    store_all(&mut writer, &queue);
    writer.connection.as_mut().unwrap().execute(insert, []).unwrap();
    receive(&queue, b"two");
    receive(&queue, b"three");
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let error = writer.commit(&batch.items, &batch.bytes).err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn transactions_are_bounded_and_cover_the_batch() {
    let queue = Queue::default();
    for _ in 0..2 * MAX_ENTRIES_PER_COMMIT {
        receive(&queue, b"");
    }
    for _ in 0..100 {
        receive(&queue, &[0; 60_000]);
    }
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let (mut first, mut offset, mut commits) = (0, 0, 0);
    while first < batch.items.len() {
        let (items, bytes) = next_commit(&batch, first, offset, MAX_BYTES_PER_COMMIT);
        let entries: usize = batch.items[items.clone()].iter().map(Item::entries).sum();
        assert!(entries < MAX_ENTRIES_PER_COMMIT + RUN_MESSAGES);
        assert!(bytes.len() < MAX_BYTES_PER_COMMIT + RUN_BYTES + 65_536);
        assert_eq!((items.start, bytes.start), (first, offset));
        (first, offset, commits) = (items.end, bytes.end, commits + 1);
    }
    assert_eq!((offset, commits), (batch.bytes.len(), 4));
}
