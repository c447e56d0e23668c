use std::os::unix::fs::symlink;

use proptest::prelude::*;

use crate::inbox::inflight::*;

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
        sockets: vec![SocketDrops { mark: 1, drops: u32::MAX }, SocketDrops { mark: u32::MAX, drops: 0 }],
    }
}

proptest! {
    #[test]
    fn a_page_reads_as_it_was_written(
        words in proptest::array::uniform7(any::<u64>()),
        sockets in proptest::collection::vec(any::<(u32, u32)>(), 0..54),
    ) {
        let [id, newest_at, messages, full, queue, ended, at] = words;
        let page = Page {
            newest: Anchor { id, at_ns: newest_at.cast_signed() },
            owed: Dues { messages, lost: [full, queue, ended] },
            at_ns: at.cast_signed(),
            sockets: sockets.into_iter().map(|(mark, drops)| SocketDrops { mark, drops }).collect(),
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
    let sockets = vec![SocketDrops { mark: 1, drops: 2 }; 100];
    let page = Page { sockets, ..page() };
    let read = Page::decode(&page.encode().0).unwrap();
    assert_eq!(read.sockets, page.sockets[..54]);
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
