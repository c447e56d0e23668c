use crate::inbox::SentDetail;
use crate::inbox::queue::*;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5);

fn messages(messages: u64) -> Dues {
    let mut dues = Dues::default();
    dues.messages = messages;
    dues
}

fn receive(queue: &Queue, payload: &[u8]) {
    queue.intake(|intake| intake.datagram(1, PEER, None, payload));
}

#[test]
fn what_does_not_fit_is_counted_and_leaves_a_gap_where_it_is_missing() {
    let queue = Queue::default();
    let big = vec![0; 60_000];
    let mut sent = 0;
    while queue.books().dropped.queue_full < 3 {
        receive(&queue, &big);
        sent += 1;
    }
    let mut heap = Heap::default();
    assert!(queue.take(&mut heap, None));
    assert!(matches!(heap.items.last(), Some(Item::Gap { lost: 3, reason: GapReason::QueueFull, .. })));
    let stored = heap.entries as u64 - 1;
    queue.count_stored(&messages(stored), None);
    let books = queue.books();
    assert_eq!(books.received.datagrams, sent);
    assert_eq!((books.stored, books.dropped.queue_full, books.queued()), (sent - 3, 3, 0));
}

#[test]
fn the_gap_comes_before_what_fits_again() {
    let queue = Queue::default();
    let big = vec![0; 60_000];
    while queue.books().dropped.queue_full == 0 {
        receive(&queue, &big);
    }
    receive(&queue, b"");
    let mut heap = Heap::default();
    queue.take(&mut heap, None);
    let end = &heap.items[heap.items.len() - 2..];
    assert!(matches!(end, [Item::Gap { lost: 1, .. }, Item::Received { messages: 1, .. }]), "{end:?}");
}

#[test]
fn a_stream_gathers_and_whoever_waits_ends_that() {
    let queue = Queue::default();
    let mut heap = Heap::default();
    (0..STREAM_ENTRIES).for_each(|_| receive(&queue, b"stream"));
    queue.take(&mut heap, None);
    receive(&queue, b"one");
    let began = Instant::now();
    queue.take(&mut heap, None);
    assert!(began.elapsed() >= GATHER, "behind a stream");
    (0..STREAM_ENTRIES).for_each(|_| receive(&queue, b"stream"));
    queue.take(&mut heap, None);
    let item = MarkItem { consumer: String::new(), read_id: 1, stored: None };
    queue.mark(Box::new(item)).unwrap();
    assert!(queue.lock().is_ready());
}

#[test]
fn a_writer_is_woken_once_and_by_what_it_waits_for() {
    let queue = Queue::default();
    let woken_by = |waits, event: &dyn Fn()| {
        queue.lock().writer = waits;
        event();
        queue.lock().writer == Waits::Not
    };
    let mark = || MarkItem { consumer: String::new(), read_id: 1, stored: None };
    assert!(!woken_by(Waits::ForAny, &|| queue.intake(|intake| intake.denied(1))));
    assert!(woken_by(Waits::ForAny, &|| receive(&queue, b"first")));
    assert!(!woken_by(Waits::ForMany, &|| receive(&queue, b"second")));
    assert!(woken_by(Waits::ForMany, &|| queue.mark(Box::new(mark())).unwrap()));
    queue.take(&mut Heap::default(), None);
    assert_eq!(queue.lock().writer, Waits::Not, "it has what it waited for");
}

#[test]
fn runs_end_where_a_transaction_may_end() {
    let queue = Queue::default();
    (0..RUN_MESSAGES + 1).for_each(|_| receive(&queue, b""));
    queue.intake(|intake| intake.kernel_gap(1, 5));
    receive(&queue, &vec![0; RUN_BYTES]);
    receive(&queue, b"");
    let mut heap = Heap::default();
    queue.take(&mut heap, None);
    let entries: Vec<_> = heap.items.iter().map(Item::entries).collect();
    assert_eq!(entries, [RUN_MESSAGES, 1, 1, 1, 1]);
    assert_eq!(heap.entries, RUN_MESSAGES + 4);
}

#[test]
fn the_books_balance_at_every_step() {
    let queue = Queue::default();
    receive(&queue, b"one");
    queue.intake(|intake| intake.denied(3));
    let books = queue.books();
    assert_eq!((books.received.datagrams, books.received.bytes, books.queued()), (2, 6, 1));
    let mut heap = Heap::default();
    queue.take(&mut heap, None);
    assert_eq!(queue.books().queued(), 1, "taken is not stored");
    queue.count_stored(&messages(1), None);
    assert_eq!(queue.books().queued(), 0);
}

#[test]
fn a_full_queue_refuses_to_send_before_it_sends() {
    let queue = Queue::default();
    queue.close();
    let item = SentItem {
        at_ns: 0,
        peer: PEER,
        local: None,
        payload: Vec::new(),
        detail: SentDetail::default(),
        stored: None,
    };
    let refused = queue.send(Box::new(item), |_| panic!("sent"));
    assert!(matches!(refused, Err(NotSent::Full)), "{refused:?}");
    assert!(!queue.take(&mut Heap::default(), None));
}
