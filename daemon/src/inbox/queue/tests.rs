use crate::inbox::entry::SentDetail;
use crate::inbox::queue::*;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5);

fn messages(messages: u64) -> EntryCounts {
    let mut counts = EntryCounts::default();
    counts.messages = messages;
    counts
}

fn receive(queue: &Queue, payload: &[u8]) {
    queue.intake(|intake| intake.datagram(1, PEER, None, payload));
}

#[test]
fn datagrams_beyond_the_limit_are_counted_and_leave_a_gap() {
    let queue = Queue::default();
    let big = vec![0; 60_000];
    let mut sent = 0;
    while queue.counters().dropped.queue_full < 3 {
        receive(&queue, &big);
        sent += 1;
    }
    let mut batch = Batch::default();
    assert!(queue.take(&mut batch, None));
    assert!(matches!(batch.items.last(), Some(Item::Gap { lost: 3, reason: GapReason::QueueFull, .. })));
    let stored = batch.entries as u64 - 1;
    queue.count_stored(&messages(stored), None);
    let counters = queue.counters();
    assert_eq!(counters.received.datagrams, sent);
    assert_eq!((counters.stored, counters.dropped.queue_full, counters.queued()), (sent - 3, 3, 0));
}

#[test]
fn the_gap_precedes_the_next_datagram_that_fits() {
    let queue = Queue::default();
    let big = vec![0; 60_000];
    while queue.counters().dropped.queue_full == 0 {
        receive(&queue, &big);
    }
    receive(&queue, b"");
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let end = &batch.items[batch.items.len() - 2..];
    assert!(matches!(end, [Item::Gap { lost: 1, .. }, Item::Received { messages: 1, .. }]), "{end:?}");
}

#[test]
fn a_stream_is_coalesced_until_a_client_waits() {
    let queue = Queue::default();
    let mut batch = Batch::default();
    (0..STREAM_ENTRIES).for_each(|_| receive(&queue, b"stream"));
    queue.take(&mut batch, None);
    receive(&queue, b"one");
    let began = Instant::now();
    queue.take(&mut batch, None);
    assert!(began.elapsed() >= GATHER, "behind a stream");
    (0..STREAM_ENTRIES).for_each(|_| receive(&queue, b"stream"));
    queue.take(&mut batch, None);
    let item = MarkItem { consumer: String::new(), change: MarkChange::Raise(1), stored: None };
    queue.mark(Box::new(item)).unwrap();
    assert!(queue.lock().is_ready());
}

#[test]
fn the_writer_is_woken_once_and_only_when_it_waits() {
    let queue = Queue::default();
    let woken_by = |waits, event: &dyn Fn()| {
        queue.lock().writer = waits;
        event();
        queue.lock().writer == Waits::Not
    };
    let mark = || MarkItem { consumer: String::new(), change: MarkChange::Raise(1), stored: None };
    assert!(!woken_by(Waits::ForAny, &|| queue.intake(|intake| intake.denied(1))));
    assert!(woken_by(Waits::ForAny, &|| receive(&queue, b"first")));
    assert!(!woken_by(Waits::ForMany, &|| receive(&queue, b"second")));
    assert!(woken_by(Waits::ForMany, &|| queue.mark(Box::new(mark())).unwrap()));
    queue.take(&mut Batch::default(), None);
    assert_eq!(queue.lock().writer, Waits::Not, "the writer has taken the items");
}

#[test]
fn runs_end_at_their_limits_and_at_other_items() {
    let queue = Queue::default();
    (0..RUN_MESSAGES + 1).for_each(|_| receive(&queue, b""));
    queue.intake(|intake| intake.kernel_gap(1, 5));
    receive(&queue, &vec![0; RUN_BYTES]);
    receive(&queue, b"");
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let entries: Vec<_> = batch.items.iter().map(Item::entries).collect();
    assert_eq!(entries, [RUN_MESSAGES, 1, 1, 1, 1]);
    assert_eq!(batch.entries, RUN_MESSAGES + 4);
}

#[test]
fn what_clients_queue_is_bounded_with_its_memory() {
    let queue = Queue::default();
    let item = || RecodeItem { ids: vec![1; 1_000], encoding: None, peers: Vec::new(), stored: None };
    let queued = (0..10_000).take_while(|_| queue.recode(Box::new(item())).is_ok()).count();
    assert!(queued * 8_000 <= QUEUE_MAX_BYTES + 8_000, "{queued}");
}

#[test]
fn the_counters_balance_at_every_step() {
    let queue = Queue::default();
    receive(&queue, b"one");
    queue.intake(|intake| intake.denied(3));
    let counters = queue.counters();
    assert_eq!((counters.received.datagrams, counters.received.bytes, counters.queued()), (2, 6, 1));
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    assert_eq!(queue.counters().queued(), 1, "taken is not stored");
    queue.count_stored(&messages(1), None);
    assert_eq!(queue.counters().queued(), 0);
}

fn message() -> SentItem {
    let (payload, detail) = (Vec::new(), SentDetail::default());
    SentItem { at_ns: 0, peer: PEER, local: None, payload, detail, held: None, number: None, stored: None }
}

#[test]
fn a_message_is_sent_and_recorded_under_one_lock() {
    let queue = Queue::default();
    let sent = queue.send(Box::new(message()), true, |_, _| {
        assert!(queue.state.try_lock().is_none(), "an answer could be queued before the message");
        Ok(())
    });
    assert!(matches!(sent, Ok(None)), "{sent:?}");
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    assert!(matches!(batch.items[..], [Item::Sent(_)]));
}

#[test]
fn a_closed_queue_refuses_a_message_before_sending_it() {
    let queue = Queue::default();
    queue.close();
    let refused = queue.send(Box::new(message()), true, |_, _| panic!("sent"));
    assert!(matches!(refused, Err(NotSent::Full)), "{refused:?}");
    assert!(!queue.take(&mut Batch::default(), None));
}
