use std::os::unix::fs::symlink;

use proptest::prelude::*;

use crate::inbox::inflight::journal::*;
use crate::index::checksum;

fn open(folder: &Path) -> (InflightJournal, Arc<Health>) {
    let health = Arc::new(Health::default());
    (InflightJournal::open(folder, &health), health)
}

/// A page with everything on it.
fn page() -> Page {
    Page {
        newest: Anchor { id: 7, at_ns: -1 },
        pending: EntryCounts { messages: 3, lost: [4, u64::MAX, 6] },
        at_ns: i64::MAX,
        boot_id: u128::MAX - 1,
        sockets: vec![SocketDrops { cookie: 1, drops: u32::MAX }, SocketDrops { cookie: u64::MAX, drops: 0 }],
    }
}

proptest! {
    #[test]
    fn a_page_decodes_as_it_was_encoded(
        words in proptest::array::uniform7(any::<u64>()),
        boot_id in any::<u128>(),
        sockets in proptest::collection::vec(any::<(u64, u32)>(), 0..26),
    ) {
        let [id, newest_at, messages, full, queue, ended, at] = words;
        let page = Page {
            newest: Anchor { id, at_ns: newest_at.cast_signed() },
            pending: EntryCounts { messages, lost: [full, queue, ended] },
            at_ns: at.cast_signed(),
            boot_id,
            sockets: sockets.into_iter().map(|(cookie, drops)| SocketDrops { cookie, drops }).collect(),
        };
        prop_assert_eq!(Page::decode(&page.encode().0), Some(page));
    }

    #[test]
    fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), PAGE_BYTES)) {
        prop_assert_eq!(Page::decode(bytes.as_slice().try_into().unwrap()), None);
    }
}

#[test]
fn a_page_with_a_flipped_bit_is_rejected() {
    let (bytes, length) = page().encode();
    for bit in 0..length * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Page::decode(&changed), None, "bit {bit}");
    }
    assert_eq!(Page::decode(&[0; PAGE_BYTES]), None);
}

#[test]
fn sockets_beyond_the_page_are_left_out() {
    let sockets = vec![SocketDrops { cookie: 1, drops: 2 }; 100];
    let page = Page { sockets, ..page() };
    let read = Page::decode(&page.encode().0).unwrap();
    assert_eq!(read.sockets, page.sockets[..26]);
    assert_eq!(read.pending, page.pending);
}

#[test]
fn an_invalid_page_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    for content in [&b"short"[..], &[7; 10_000]] {
        std::fs::write(folder.path().join(FILE_NAME), content).unwrap();
        let (mut journal, health) = open(folder.path());
        assert_eq!(journal.last, Page::default());
        journal.add_message();
        journal.save();
        assert_eq!(open(folder.path()).0.last.pending, EntryCounts { messages: 1, ..EntryCounts::default() });
        assert!(health.problems().is_empty());
    }
}

#[test]
fn a_linked_file_is_left_alone_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    symlink(&other, folder.path().join(FILE_NAME)).unwrap();
    let (mut journal, health) = open(folder.path());
    journal.add_message();
    journal.save();
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
    assert!(health.problems()[0].contains("`books`"), "{:?}", health.problems());
}

#[test]
fn a_write_error_is_reported_until_writing_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, health) = open(folder.path());
    let unwritable = File::open(folder.path().join(FILE_NAME)).unwrap();
    let good = journal.file.as_mut().unwrap().open.replace(unwritable);
    journal.add_message();
    journal.save();
    assert!(health.problems()[0].contains("bad file"), "{:?}", health.problems());
    journal.file.as_mut().unwrap().open = good;
    assert!(health.is_failing(Component::InflightJournal));
    journal.add_message();
    journal.save();
    assert!(!health.is_failing(Component::InflightJournal));
    assert_eq!(open(folder.path()).0.last.pending.messages, 2);
}

#[test]
fn an_unchanged_page_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _health) = open(folder.path());
    journal.add_message();
    journal.save();
    std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let noted = journal.page.at_ns;
    journal.save();
    assert_eq!(journal.page.at_ns, noted);
}

#[test]
fn a_pending_message_stored_as_a_gap_is_not_missing() {
    let pending = EntryCounts { messages: 5, ..EntryCounts::default() };
    let held = EntryCounts { messages: 3, lost: [0, 0, 1] };
    let missing = pending.without(&held).at_most(pending.total() - held.total());
    assert_eq!(missing, EntryCounts { messages: 1, ..EntryCounts::default() });
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
        pending: EntryCounts { messages: 3, ..EntryCounts::default() },
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
        InflightJournal { page, last, ..InflightJournal::default() }
    };
    assert_eq!(journal(9, 7).counted_before(5), Some(40), "the same socket");
    assert_eq!(journal(9, 7).counted_before(6), Some(0), "a socket new to this log");
    assert_eq!(journal(8, 7).counted_before(5), Some(0), "the cookie is used again after a reboot");
    let without_page = |newest| InflightJournal { last: Page::default(), ..journal(0, newest) };
    assert_eq!(without_page(0).counted_before(5), Some(0), "an empty log");
    assert_eq!(without_page(7).counted_before(5), None, "the log may have some of them");
}

#[test]
fn an_id_that_no_log_can_have_reports_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let log = crate::inbox::file::open(folder.path()).unwrap().connection;
    let unknown = Page { newest: Anchor { id: u64::MAX, at_ns: 0 }, ..page() };
    std::fs::write(folder.path().join(FILE_NAME), unknown.encode().0).unwrap();
    let (mut journal, _health) = open(folder.path());
    journal.compare(&log, false).unwrap();
    assert_eq!(journal.carry_over().1, EntryCounts::default());
}

/// Otherwise the next daemon would use the ids of the lost end again.
#[test]
fn the_newest_id_stays_until_the_log_is_open() {
    let this_boot = platform::boot_id().unwrap();
    for (boot_id, is_of_this_boot) in [(this_boot, true), (this_boot ^ 1, false)] {
        let folder = tempfile::tempdir().unwrap();
        // A log that has lost its end: it is empty.
        let log = crate::inbox::file::open(folder.path()).unwrap().connection;
        std::fs::write(folder.path().join(FILE_NAME), Page { boot_id, ..page() }.encode().0).unwrap();
        let (mut journal, _health) = open(folder.path());
        journal.keep_newest();
        journal.compare(&log, true).unwrap();
        journal.changed = true;
        journal.save();
        let kept = last_durable(folder.path()).unwrap();
        assert_eq!((kept.newest, kept.is_of_this_boot), (page().newest, is_of_this_boot));
        let newest = Anchor { id: 2_000_001, at_ns: 5 };
        journal.log_reopened(newest);
        journal.mark_durable(&EntryCounts::default(), Some(newest));
        journal.save();
        let opened = last_durable(folder.path()).unwrap();
        assert_eq!((opened.newest, opened.is_of_this_boot), (newest, true));
    }
}
