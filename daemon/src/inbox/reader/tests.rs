use std::net::SocketAddr;
use std::ops::ControlFlow;

use crate::inbox::entry::{Kind, Stored};
use crate::inbox::reader::scan::Scanned;
use crate::inbox::reader::*;

const ENTRIES: u64 = 5_000;

/// Creates an inbox whose oldest 100 entries are removed; every seventh entry is a gap, every 31st of the others a notice,
/// every fifth of the others was sent.
fn inbox() -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file::open(folder.path()).unwrap().connection;
    let transaction = connection.transaction().unwrap();
    for id in 101..=ENTRIES {
        let kind = kind_of(id);
        let (peer, detail) = match kind {
            Kind::Gap => (None, Some(r#"{"lost":1,"reason":"queue_full"}"#)),
            Kind::Notice => (None, Some(r#"{"notice":"silent"}"#)),
            Kind::Sent => (Some(&b"\x01\x02\x03\x04\x00\x05"[..]), Some("{}")),
            Kind::Received => (Some(&b"\x01\x02\x03\x04\x00\x05"[..]), None),
        };
        transaction
            .execute(
                "INSERT INTO entry (id, at_ns, kind, peer, payload, detail) VALUES (?1, ?1, ?2, ?3, x'61', ?4)",
                params![id, kind as i64, peer, detail],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    let reader = Reader::new(folder.path());
    reader.publish(ENTRIES);
    (folder, reader)
}

fn kind_of(id: u64) -> Kind {
    match (id % 7, id % 31, id % 5) {
        (0, _, _) => Kind::Gap,
        (_, 0, _) => Kind::Notice,
        (_, _, 0) => Kind::Sent,
        _ => Kind::Received,
    }
}

/// Returns what a scan of a range must visit, computed without any window or cursor.
fn expected(range: &Range) -> Vec<u64> {
    let wanted = |id: &u64| match kind_of(*id) {
        Kind::Received => range.received,
        Kind::Sent => range.sent,
        Kind::Gap => range.gaps,
        Kind::Notice => range.notices,
    };
    let timely = |id: &u64| {
        let at_ns = id.cast_signed();
        range.since_ns.is_none_or(|since| at_ns >= since) && range.until_ns.is_none_or(|until| at_ns < until)
    };
    let within = |id: &u64| *id > range.after && range.before.is_none_or(|before| *id < before);
    let mut ids: Vec<u64> = (101..=ENTRIES).filter(wanted).filter(timely).filter(within).collect();
    if range.order == Order::Desc {
        ids.reverse();
    }
    ids
}

/// Reads a range in pages of `limit` entries, as a client does.
fn in_pages(reader: &Reader, mut range: Range, limit: usize, patient: bool) -> Vec<u64> {
    let mut ids = Vec::new();
    loop {
        let page_end = ids.len() + limit;
        let visit = |entry: Stored| {
            ids.push(entry.id);
            if ids.len() < page_end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let scanned = reader.scan(&range, visit, || patient).unwrap();
        match range.order {
            Order::Asc => range.after = scanned.cursor,
            Order::Desc => range.before = Some(scanned.cursor),
        }
        if !scanned.more {
            return ids;
        }
    }
}

#[test]
fn pages_of_any_size_and_order_have_each_entry_once() {
    let (_folder, reader) = inbox();
    let all = Range { received: true, sent: true, gaps: true, ..Range::default() };
    let ranges = [
        all.clone(),
        Range { received: true, ..Range::default() },
        Range { gaps: true, after: 3_000, ..Range::default() },
        Range { before: Some(2_500), after: 2_100, ..all.clone() },
        Range { since_ns: Some(900), until_ns: Some(4_100), ..all.clone() },
        Range { after: ENTRIES, ..all.clone() },
        Range { after: u64::MAX, ..all.clone() },
        Range { before: Some(0), ..all },
    ];
    for range in ranges {
        for order in [Order::Asc, Order::Desc] {
            let range = Range { order, ..range.clone() };
            let wanted = expected(&range);
            for (limit, patient) in [(1_000, true), (977, false), (1_000_000, false)] {
                assert_eq!(in_pages(&reader, range.clone(), limit, patient), wanted, "{range:?}");
            }
        }
    }
}

#[test]
fn unread_counts_received_messages_above_the_mark() {
    let (_folder, reader) = inbox();
    for mark in [0, 50, 101, 2_345, ENTRIES - 1, ENTRIES, ENTRIES + 9] {
        let wanted = (101..=ENTRIES).filter(|id| *id > mark && kind_of(*id) == Kind::Received).count();
        assert_eq!(reader.unread(mark).unwrap(), wanted as u64, "above {mark}");
    }
}

#[test]
fn unpublished_entries_are_not_visible() {
    let (_folder, reader) = inbox();
    reader.publish(1_000);
    let all = Range { received: true, sent: true, gaps: true, ..Range::default() };
    assert_eq!(in_pages(&reader, all, 300, true).last(), Some(&1_000));
    let received = (101..=1_000).filter(|id| kind_of(*id) == Kind::Received).count();
    assert_eq!(reader.unread(0).unwrap(), received as u64);
    reader.publish(50);
    let bounds = reader.bounds().unwrap();
    assert_eq!((bounds, bounds.entries()), (Bounds { oldest: 101, newest: 100 }, 0));
}

#[test]
fn an_empty_inbox_has_no_entries() {
    let folder = tempfile::tempdir().unwrap();
    drop(file::open(folder.path()).unwrap());
    let reader = Reader::new(folder.path());
    assert_eq!(reader.bounds().unwrap().entries(), 0);
    assert_eq!(reader.unread(0).unwrap(), 0);
    let scanned = reader.scan(&Range { received: true, ..Range::default() }, |_| panic!("an entry"), || true);
    assert_eq!(scanned.unwrap(), Scanned { cursor: 0, more: false });
}

#[test]
fn the_last_message_of_a_silent_peer_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file::open(folder.path()).unwrap().connection;
    let transaction = connection.transaction().unwrap();
    let newest = PEERS_WINDOW_IDS + 3_000;
    for id in 1..=newest {
        let peer = if matches!(id, 3_000 | 3_001) {
            b"\x01\x02\x03\x04\x00\x05"
        } else {
            b"\x09\x09\x09\x09\x00\x05"
        };
        let sql = "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, ?1, 0, ?2, x'61')";
        transaction.prepare_cached(sql).unwrap().execute(params![id, peer]).unwrap();
    }
    transaction.commit().unwrap();
    let reader = Reader::new(folder.path());
    reader.publish(newest);
    let last = |peer: &str, is_its: bool| {
        let last = reader.last_heard(&peer.parse().unwrap(), |_| is_its, || true).unwrap();
        last.map(|(peer, heard)| (peer.to_string(), heard.last_id, heard.last_at_ns))
    };
    // The next message of this peer is in the window that the list of peers covers.
    assert_eq!(last("1.2.3.4", true), Some(("1.2.3.4:5".to_owned(), 3_000, 3_000)));
    assert_eq!(last("1.2.3.4:6", true), None);
    assert_eq!(last("1.2.3.4", false), None);
}

#[test]
fn messages_by_peer_are_counted_above_an_id() {
    let (_folder, reader) = inbox();
    let peer: SocketAddr = "1.2.3.4:5".parse().unwrap();
    let received = |ids: std::ops::RangeInclusive<u64>| {
        let messages = ids.filter(|id| kind_of(*id) == Kind::Received).count() as u64;
        ReceivedFrom { messages, bytes: messages }
    };
    let (by_peer, ids) = reader.received_from(0).unwrap();
    assert_eq!((by_peer.get(&peer), ids), (Some(&received(101..=ENTRIES)), (100, ENTRIES)));
    let (by_peer, ids) = reader.received_from(4_900).unwrap();
    assert_eq!((by_peer.get(&peer), ids), (Some(&received(4_901..=ENTRIES)), (4_900, ENTRIES)));
    for beyond in [ENTRIES, ENTRIES + 1, u64::MAX] {
        let (by_peer, ids) = reader.received_from(beyond).unwrap();
        assert!(by_peer.is_empty() && ids == (ENTRIES, ENTRIES), "{beyond}");
    }
    // As if the newest 100 had been committed and not yet been published.
    reader.publish(ENTRIES - 100);
    assert_eq!(reader.received_from(4_800).unwrap().0.get(&peer), Some(&received(4_801..=ENTRIES - 100)));
}
