//! Migrates an older inbox to this version: one step for each version, all in one transaction.
//!
//! The transaction uses a rollback journal, not the write-ahead log. After the commit the header of the file itself (its
//! first 100 bytes) has the new version, which every version of the program checks before it changes anything. Before the
//! commit SQLite restores the old file from the journal after any failure of the process or the disk.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tracing::info;

use super::format::{SCHEMA_VERSION, quick_check};
use super::ids::Used;
use crate::clock;
use crate::inbox::InboxError;

/// Migrates an inbox to the next version. The statements of a step never change; those of [`super::create`] are of the newest
/// version.
type Step = fn(&Work<'_>) -> rusqlite::Result<()>;

/// The steps from the versions 1, 2 and so on.
const STEPS: [Step; SCHEMA_VERSION as usize - 1] = [to_2, to_3, to_4];

/// The context of a step.
struct Work<'a> {
    transaction: &'a Transaction<'a>,
    data_dir: &'a Path,
    /// A long step calls it at least once a second, so that the service manager extends its start timeout.
    still_working: &'a dyn Fn(),
}

/// Migrates a file from an older version to this one. After an error its content is unchanged.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    from: u32,
    still_working: &dyn Fn(),
) -> Result<(), InboxError> {
    let began = Instant::now();
    still_working();
    leave_wal_mode(connection)?;
    still_working();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let preserved = Preserved::of(&transaction)?;
    let data_dir = path.parent().unwrap_or(Path::new("/"));
    let work = Work { transaction: &transaction, data_dir, still_working };
    for step in &STEPS[from as usize - 1..] {
        step(&work)?;
        still_working();
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    preserved.verify(&transaction)?;
    transaction.commit()?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(
        from,
        to = SCHEMA_VERSION,
        entries = preserved.entries(),
        took_ms,
        "the inbox was migrated to a new schema"
    );
    Ok(())
}

/// Checkpoints the write-ahead log, and switches to a rollback journal.
fn leave_wal_mode(connection: &Connection) -> Result<(), InboxError> {
    let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    if mode != "delete" {
        return Err(InboxError::InUse);
    }
    // Deleting the journal commits the transaction, so the directory is synced too.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    Ok(())
}

/// The properties that a migration must preserve: the numbers of rows and the range of ids.
#[derive(Debug, PartialEq, Eq)]
struct Preserved {
    ids: Option<(u64, u64)>,
    not_received: u64,
    consumers: u64,
    peers: u64,
}

impl Preserved {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(
            "SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry),
             (SELECT count(*) FROM entry INDEXED BY entry_not_received WHERE kind <> 0),
             (SELECT count(*) FROM consumer), (SELECT count(*) FROM peer)",
            [],
            |row| {
                let ids = row.get::<_, Option<u64>>(0)?.zip(row.get(1)?);
                Ok(Self { ids, not_received: row.get(2)?, consumers: row.get(3)?, peers: row.get(4)? })
            },
        )
    }

    fn entries(&self) -> u64 {
        self.ids.map_or(0, |(oldest, newest)| newest - oldest + 1)
    }

    /// Checks that the numbers and the range are unchanged, and that the new tables are valid.
    fn verify(&self, connection: &Connection) -> Result<(), InboxError> {
        for table in ["log", "clock", "held", "silent"] {
            quick_check(connection, Some(table))?;
        }
        let first_id: u64 = connection.query_row("SELECT first_id FROM log", [], |row| row.get(0))?;
        let begins_before = self.ids.is_none_or(|(oldest, _)| first_id <= oldest);
        if begins_before && Self::of(connection)? == *self {
            return Ok(());
        }
        Err(InboxError::MigrationLosesRows)
    }
}

/// Migrates to schema 2: the log stores its first id. After a damaged log ids then continue even if the daemon restarts
/// before the first entry.
fn to_2(work: &Work<'_>) -> rusqlite::Result<()> {
    work.transaction.execute_batch(
        "CREATE TABLE log (
           id INTEGER PRIMARY KEY CHECK (id = 1),
           first_id INTEGER NOT NULL CHECK (first_id > 0),
           begun_ns INTEGER NOT NULL,
           begun_by TEXT NOT NULL
         ) STRICT",
    )?;
    let oldest = "SELECT id, at_ns FROM entry ORDER BY id LIMIT 1";
    let oldest = work.transaction.query_row(oldest, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (first_id, begun_ns): (u64, i64) =
        oldest.unwrap_or_else(|| (first_id(work.data_dir), clock::now_ns()));
    work.transaction.execute(
        "INSERT INTO log (id, first_id, begun_ns, begun_by) VALUES (1, ?1, ?2, 'schema 1')",
        params![first_id, begun_ns],
    )?;
    (work.still_working)();
    Ok(())
}

/// Returns the first id of a log without entries.
fn first_id(data_dir: &Path) -> u64 {
    Used::by_journal(data_dir).or_by_files(data_dir, None).next()
}

/// Migrates to schema 3: the log has a history of the clock, which begins with the next start.
fn to_3(work: &Work<'_>) -> rusqlite::Result<()> {
    work.transaction.execute_batch(
        "CREATE TABLE clock (
           number INTEGER PRIMARY KEY,
           first_id INTEGER NOT NULL,
           boot_id BLOB NOT NULL,
           boottime_ns INTEGER NOT NULL,
           begin_ns INTEGER NOT NULL,
           seen_ns INTEGER NOT NULL,
           step_ns INTEGER NOT NULL,
           restarted INTEGER NOT NULL
         ) STRICT",
    )
}

/// Migrates to schema 4: messages can be held, and peers can be silent. The log itself is unchanged: notices are a kind of
/// entry that older versions do not write.
fn to_4(work: &Work<'_>) -> rusqlite::Result<()> {
    work.transaction.execute_batch(
        "CREATE TABLE held (
           id INTEGER PRIMARY KEY AUTOINCREMENT,
           name TEXT,
           address BLOB,
           payload BLOB NOT NULL,
           detail TEXT NOT NULL,
           at_ns INTEGER NOT NULL,
           until_ns INTEGER NOT NULL,
           CHECK ((name IS NULL) <> (address IS NULL))
         ) STRICT;
         CREATE TABLE silent (
           name TEXT PRIMARY KEY,
           since_ns INTEGER NOT NULL,
           last_ns INTEGER NOT NULL
         ) STRICT, WITHOUT ROWID;",
    )
}
