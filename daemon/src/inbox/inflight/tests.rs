use std::os::unix::fs::symlink;

use proptest::prelude::*;

use crate::inbox::inflight::*;
use crate::index::checksum;

fn open(folder: &Path) -> (Ledger, Arc<Health>) {
    let health = Arc::new(Health::default());
    (Ledger::open(folder, &health), health)
}

/// A page with everything on it.
fn page() -> Page {
    Page {
        newest: Anchor { id: 7, at_ns: -1 },
        owed: Dues { messages: 3, lost: [4, u64::MAX, 6] },
        at_ns: i64::MAX,
        boot_id: u128::MAX - 1,
        sockets: vec![SocketDrops { cookie: 1, drops: u32::MAX }, SocketDrops { cookie: u64::MAX, drops: 0 }],
    }
}

proptest! {
    #[test]
    fn a_page_reads_as_it_was_written(
        words in proptest::array::uniform7(any::<u64>()),
        boot_id in any::<u128>(),
        sockets in proptest::collection::vec(any::<(u64, u32)>(), 0..26),
    ) {
        let [id, newest_at, messages, full, queue, ended, at] = words;
        let page = Page {
            newest: Anchor { id, at_ns: newest_at.cast_signed() },
            owed: Dues { messages, lost: [full, queue, ended] },
            at_ns: at.cast_signed(),
            boot_id,
            sockets: sockets.into_iter().map(|(cookie, drops)| SocketDrops { cookie, drops }).collect(),
        };
        prop_assert_eq!(Page::decode(&page.encode().0), Some(page));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), PAGE_BYTES)) {
        prop_assert_eq!(Page::decode(bytes.as_slice().try_into().unwrap()), None);
    }
}

#[test]
fn a_page_of_which_a_bit_has_changed_is_not_believed() {
    let (bytes, length) = page().encode();
    for bit in 0..length * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Page::decode(&changed), None, "bit {bit}");
    }
    assert_eq!(Page::decode(&[0; PAGE_BYTES]), None);
}

#[test]
fn sockets_that_do_not_fit_are_left_out() {
    let sockets = vec![SocketDrops { cookie: 1, drops: 2 }; 100];
    let page = Page { sockets, ..page() };
    let read = Page::decode(&page.encode().0).unwrap();
    assert_eq!(read.sockets, page.sockets[..26]);
    assert_eq!(read.owed, page.owed);
}

#[test]
fn a_file_that_is_no_page_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    for content in [&b"short"[..], &[7; 10_000]] {
        std::fs::write(folder.path().join(FILE_NAME), content).unwrap();
        let (mut ledger, health) = open(folder.path());
        assert_eq!(ledger.last, Page::default());
        ledger.owe_message();
        ledger.note();
        assert_eq!(open(folder.path()).0.last.owed, Dues { messages: 1, ..Dues::default() });
        assert!(health.problems().is_empty());
    }
}

#[test]
fn a_file_of_somebody_else_is_left_alone_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    symlink(&other, folder.path().join(FILE_NAME)).unwrap();
    let (mut ledger, health) = open(folder.path());
    ledger.owe_message();
    ledger.note();
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    assert!(health.problems()[0].contains("`books`"), "{:?}", health.problems());
}

#[test]
fn a_file_that_cannot_be_written_is_told_of_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, health) = open(folder.path());
    let good = std::mem::replace(
        &mut ledger.file.as_mut().unwrap().file,
        File::open(folder.path().join(FILE_NAME)).unwrap(),
    );
    ledger.owe_message();
    ledger.note();
    assert!(health.problems()[0].contains("bad file"), "{:?}", health.problems());
    ledger.file.as_mut().unwrap().file = good;
    ledger.owe_message();
    ledger.note();
    assert!(health.problems().is_empty());
    assert_eq!(open(folder.path()).0.last.owed.messages, 2);
}

#[test]
fn what_has_not_changed_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _health) = open(folder.path());
    ledger.owe_message();
    ledger.note();
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let noted = ledger.page.at_ns;
    ledger.note();
    assert_eq!(ledger.page.at_ns, noted);
}

#[test]
fn what_was_owed_as_a_message_and_came_as_a_gap_is_not_missing() {
    let owed = Dues { messages: 5, ..Dues::default() };
    let held = Dues { messages: 3, lost: [0, 0, 1] };
    let missing = owed.without(&held).at_most(owed.total() - held.total());
    assert_eq!(missing, Dues { messages: 1, ..Dues::default() });
}

/// A page of version 1 as it was written: 3 messages, one socket.
fn version_1() -> [u8; PAGE_BYTES] {
    let magic = u64::from_le_bytes(*b"udpbook\x01");
    let words = [7, 8, 9, 3, 0, 0, 0, 1, 1 << 32 | 5_u64].map(u64::to_le_bytes);
    let head = [magic, checksum::sum(magic, &words)].map(u64::to_le_bytes);
    let mut bytes = [0; PAGE_BYTES];
    bytes[..11 * 8].copy_from_slice([head.as_flattened(), words.as_flattened()].concat().as_slice());
    bytes
}

#[test]
fn a_page_of_version_1_is_read_without_its_sockets() {
    let page = Page::decode(&version_1()).unwrap();
    let expected = Page {
        newest: Anchor { id: 7, at_ns: 8 },
        at_ns: 9,
        owed: Dues { messages: 3, ..Dues::default() },
        ..Page::default()
    };
    assert_eq!(page, expected);
}

#[test]
fn drops_are_counted_from_where_this_log_has_them() {
    let known = SocketDrops { cookie: 5, drops: 40 };
    let journal = |last_boot: u128, newest: u64| {
        let last = Page { boot_id: last_boot, sockets: vec![known], ..Page::default() };
        let newest = Anchor { id: newest, at_ns: 0 };
        let page = Page { boot_id: 9, newest, ..Page::default() };
        Ledger { page, last, ..Ledger::default() }
    };
    assert_eq!(journal(9, 7).counted_before(5), Some(40), "the same socket");
    assert_eq!(journal(9, 7).counted_before(6), Some(0), "a socket new to this log");
    assert_eq!(journal(8, 7).counted_before(5), Some(0), "the cookie is used again after a reboot");
    let without_page = |newest| Ledger { last: Page::default(), ..journal(0, newest) };
    assert_eq!(without_page(0).counted_before(5), Some(0), "an empty log");
    assert_eq!(without_page(7).counted_before(5), None, "the log may have some of them");
}
