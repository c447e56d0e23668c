//! Creates an inbox with its tables and the first id of its log.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use super::format::{APPLICATION_ID, BUSY_TIMEOUT, PAGE_SIZE_BYTES, SCHEMA_VERSION, suffixed};
use super::quarantine;
use crate::clock;
use crate::inbox::InboxError;
use crate::index;

/// `entry` is the log. Received messages are indexed by their id only, so that each costs one append. The partial index
/// holds all other entries, and unread messages are counted without reading them.
const SCHEMA: &str = "
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,  -- increases by one, is never reused
  at_ns INTEGER NOT NULL,  -- nanoseconds since 1970, UTC
  kind INTEGER NOT NULL,   -- 0 received, 1 sent, 2 gap
  peer BLOB,               -- address and port in network order: 6, 18 or (with a scope) 22 bytes
  local BLOB,              -- likewise, the local address
  payload BLOB,            -- the datagram's bytes, unchanged
  detail TEXT              -- JSON: of a sent message its encoding and error, of a gap its size and reason, of
                           -- a message that was recoded its new encoding
) STRICT;
CREATE INDEX entry_not_received ON entry (id, kind) WHERE kind <> 0;
CREATE TABLE consumer (
  name TEXT PRIMARY KEY,
  read_id INTEGER NOT NULL -- everything up to this id is read
) STRICT, WITHOUT ROWID;
CREATE TABLE peer (
  address BLOB PRIMARY KEY,
  encoding TEXT NOT NULL,  -- the encoding known of the peer
  learned_id INTEGER NOT NULL -- the entry it was learned from; 2^63 - 1 where a person has given it
) STRICT, WITHOUT ROWID;
CREATE INDEX peer_learned ON peer (learned_id);
CREATE TABLE log (          -- one row: the start of this log
  id INTEGER PRIMARY KEY CHECK (id = 1),
  first_id INTEGER NOT NULL CHECK (first_id > 0), -- no entry has a smaller id; the first one gets this
  begun_ns INTEGER NOT NULL, -- nanoseconds since 1970, UTC
  begun_by TEXT NOT NULL   -- the program and its version
) STRICT;
CREATE TABLE clock (        -- the periods in which the clock was not set
  number INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL, -- older entries existed when it began, this and newer ones were received later
  boot_id BLOB NOT NULL,   -- which start of the machine, 16 bytes
  boottime_ns INTEGER NOT NULL, -- CLOCK_BOOTTIME when it began
  begin_ns INTEGER NOT NULL, -- the clock when it began, nanoseconds since 1970, UTC
  seen_ns INTEGER NOT NULL, -- the clock when it was last noted
  step_ns INTEGER NOT NULL, -- how far the clock was set before it; after a restart of the machine the time between
  restarted INTEGER NOT NULL -- 1 if the machine was restarted before it, otherwise 0
) STRICT;
";

/// The minimum distance between the known ids of a lost log and the first id of the next one. The known ids may be old: the
/// index has complete blocks of 1,024 only, and lags behind in a flood; a damaged write-ahead log ends early.
const SPARE_IDS: u64 = 1_000_000;

/// Ids above this one are ignored: a damaged file may hold any number.
const MAX_PLAUSIBLE_ID: u64 = 1 << 48;

/// Creates an inbox if there is none, atomically: a crash or a full disk meanwhile does not affect the next start.
/// `newest_id` is the newest id of the previous log if a running daemon replaces it; 0 otherwise.
pub(super) fn create_if_none(path: &Path, newest_id: u64) -> Result<(), InboxError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    let unfinished = suffixed(path, ".new");
    for suffix in ["", "-journal"] {
        // It exists only if a start was interrupted.
        let _none = fs::remove_file(suffixed(&unfinished, suffix));
    }
    let data_dir = path.parent().unwrap_or(Path::new("/"));
    let first_id = if newest_id > 0 { newest_id + 1 } else { first_id(data_dir) };
    let mut connection = Connection::open(&unfinished)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE_BYTES)?;
    // Lets an inbox whose limit was lowered return space to the file system.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    let begun_by = concat!("udpchatd ", env!("CARGO_PKG_VERSION"));
    transaction.execute(
        "INSERT INTO log (id, first_id, begun_ns, begun_by) VALUES (1, ?1, ?2, ?3)",
        params![first_id, clock::now_ns(), begun_by],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    drop(connection);
    // Its name is durable with the first commit at the latest: SQLite syncs the directory with a new write-ahead log.
    fs::rename(&unfinished, path).map_err(InboxError::Rename)
}

/// Returns the first id of a log whose predecessor cannot be read: 1 if there was none. Otherwise it is above all ids in
/// the damaged files and the index by at least [`SPARE_IDS`], and a round number plus 1, which makes the break visible.
pub(super) fn first_id(data_dir: &Path) -> u64 {
    let damaged = quarantine::damaged(data_dir);
    let indexed = index::newest_id_in(data_dir);
    if damaged.is_empty() && indexed.is_none() {
        return 1;
    }
    let shown = damaged.iter().filter_map(|path| newest_id_in(path)).chain(indexed);
    let known = shown.filter(|id| *id <= MAX_PLAUSIBLE_ID).max().unwrap_or(0);
    (known + SPARE_IDS).next_multiple_of(SPARE_IDS) + 1
}

/// Returns the newest id that can be read from a damaged file; often the damage is in another part.
fn newest_id_in(path: &Path) -> Option<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).ok()?;
    connection.busy_timeout(BUSY_TIMEOUT).ok()?;
    let query = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<u64>>(0)).ok().flatten();
    [query("SELECT max(id) FROM entry"), query("SELECT first_id - 1 FROM log")].into_iter().flatten().max()
}
