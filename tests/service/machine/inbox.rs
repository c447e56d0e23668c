//! Reads the file of the inbox without the daemon.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

/// An open inbox.
pub(crate) struct Inbox(Connection);

/// The fate of numbers that were sent in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// How many occur.
    pub(crate) there: u64,
    /// How many follow a higher one, or occur twice.
    pub(crate) out_of_order: u64,
    /// The runs of missing ones: before which number, and how many.
    pub(crate) missing: Vec<(u64, u64)>,
}

impl Account {
    /// Returns how many are missing.
    pub(crate) fn lost(&self) -> u64 {
        self.missing.iter().map(|(_, count)| count).sum()
    }
}

impl Inbox {
    pub(super) fn open(path: &Path) -> Self {
        Self(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap())
    }

    /// Returns the numbers that were received, in the order of the log.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut received =
            self.0.prepare("SELECT CAST(payload AS TEXT) FROM entry WHERE kind = 0 ORDER BY id").unwrap();
        let texts = received.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
        texts.map(|text| text.parse().unwrap()).collect()
    }

    /// Returns the last number that was received; none in an empty inbox.
    pub(crate) fn last(&self) -> Option<u64> {
        let last = "SELECT CAST(payload AS TEXT) FROM entry WHERE kind = 0 ORDER BY id DESC LIMIT 1";
        let text: Option<String> = self.0.query_row(last, [], |row| row.get(0)).optional().unwrap();
        text.map(|text| text.parse().unwrap())
    }

    /// Returns how many messages were received.
    pub(crate) fn count(&self) -> u64 {
        self.0.query_row("SELECT count(*) FROM entry WHERE kind = 0", [], |row| row.get(0)).unwrap()
    }

    /// Compares the stored numbers with those below `sent`.
    pub(crate) fn account(&self, sent: u64) -> Account {
        account(&self.numbers(), sent)
    }

    /// Checks that the file is whole.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let verdict: String = self.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }
}

fn account(numbers: &[u64], sent: u64) -> Account {
    let mut account = Account { there: numbers.len() as u64, ..Account::default() };
    let mut next = 0;
    for number in numbers.iter().copied() {
        if number < next {
            account.out_of_order += 1;
            continue;
        }
        if number > next {
            account.missing.push((number, number - next));
        }
        next = number + 1;
    }
    if next < sent {
        account.missing.push((sent, sent - next));
    }
    account
}

#[test]
fn an_account_lists_missing_and_misplaced_numbers() {
    let missing = |missing: &[(u64, u64)]| Account { missing: missing.to_vec(), ..Account::default() };
    assert_eq!(account(&[0, 1, 2], 3), Account { there: 3, ..Account::default() });
    assert_eq!(account(&[2, 3, 6], 8), Account { there: 3, ..missing(&[(2, 2), (6, 2), (8, 1)]) });
    assert_eq!(account(&[0, 2, 1, 1], 3), Account { there: 4, out_of_order: 2, ..missing(&[(2, 1)]) });
    assert_eq!(account(&[2, 3, 6], 8).lost(), 5);
}
