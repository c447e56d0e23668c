//! Creates an inbox with its tables and the first id of its log.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::format::{APPLICATION_ID, PAGE_SIZE_BYTES, SCHEMA_VERSION, UNKNOWN_STEP_NS, suffixed};
use super::quarantine;
use crate::clock;
use crate::inbox::kept::table::KeptRows;
use crate::inbox::recovery::Survey;
use crate::inbox::recovery::plan::{self, Segment};
use crate::inbox::recovery::skipped;
use crate::inbox::{InboxError, kept, recovery};
use crate::index;
use crate::net::platform;

/// `entry` is the log. Received messages are indexed by their id only, so that each costs one append. The partial index
/// holds all other entries, and unread messages are counted without reading them.
const SCHEMA: &str = "
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,  -- increases by one, is never reused
  at_ns INTEGER NOT NULL,  -- nanoseconds since 1970, UTC
  kind INTEGER NOT NULL,   -- 0 received, 1 sent, 2 gap, 3 notice
  peer BLOB,               -- address and port in network order: 6, 18 or (with a scope) 22 bytes
  local BLOB,              -- likewise, the local address
  payload BLOB,            -- the datagram's bytes, unchanged
  detail TEXT              -- JSON: of a sent message its encoding, error and delivery, of a gap its size and
                           -- reason, of a notice its content, of a message that was recoded its new encoding
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
  step_ns INTEGER NOT NULL, -- how far the clock was set before it; after a restart of the machine the time between;
                           -- 2^63 - 1 in the first one if nothing is known of the clock before it
  restarted INTEGER NOT NULL -- 1 if the machine was restarted before it, otherwise 0
) STRICT;
CREATE TABLE held (         -- messages that are sent once their peer sends one
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- is never reused
  name TEXT,               -- the peer in the configuration, or
  address BLOB,            -- an address as in the table entry; port 0 stands for any port
  payload BLOB NOT NULL,   -- the datagram's bytes
  detail TEXT NOT NULL,    -- JSON, as that of a sent message
  at_ns INTEGER NOT NULL,  -- when it was given, nanoseconds since 1970, UTC
  until_ns INTEGER NOT NULL, -- it expires then
  CHECK ((name IS NULL) <> (address IS NULL))
) STRICT;
CREATE TABLE silent (       -- peers whose last notice is that they are silent
  name TEXT PRIMARY KEY,   -- in the configuration
  since_ns INTEGER NOT NULL, -- the time of the notice
  last_ns INTEGER NOT NULL -- the time of its newest message; if none is known, the negative of the time since which nothing came
) STRICT, WITHOUT ROWID;
";

/// What is known of a damaged log that is replaced.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// What is to be recovered of it.
    pub(super) plan: Vec<Segment>,
    /// The ids that it has skipped.
    pub(super) skipped: Vec<skipped::Ids>,
}

/// Creates an inbox if there is none, atomically: a crash or a full disk meanwhile does not affect the next start. `first_id`
/// computes the id that the log begins with.
pub(super) fn create_if_none(path: &Path, first_id: impl FnOnce() -> u64) -> Result<(), InboxError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    create(path, first_id(), &Lost::default(), &KeptRows::default())?;
    rename(path)
}

/// Creates an inbox under a temporary name, with what is known of the log that it replaces, and what is kept besides the log.
pub(super) fn create(path: &Path, first_id: u64, lost: &Lost, kept: &KeptRows) -> Result<(), InboxError> {
    remove_unfinished(path);
    let mut connection = Connection::open(unfinished(path))?;
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
    // Entries that a recovery adds have smaller ids. No clock is known for them, so that they count from here on.
    transaction.execute(
        "INSERT INTO clock (number, first_id, boot_id, boottime_ns, begin_ns, seen_ns, step_ns, restarted)
         VALUES (1, ?1, ?2, ?3, ?4, ?4, ?5, 0)",
        params![
            first_id,
            platform::boot_id().unwrap_or(0).to_be_bytes(),
            clock::boottime_ns(),
            clock::now_ns(),
            UNKNOWN_STEP_NS,
        ],
    )?;
    let silent = kept.silent.iter().map(|(name, row)| (name.as_str(), *row));
    kept::table::write(&transaction, kept.held.iter(), silent, kept.highest)?;
    plan::add(&transaction, path.parent().unwrap_or(Path::new("/")), &lost.plan)?;
    skipped::add(&transaction, &lost.skipped)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Gives the inbox that was created under a temporary name its own.
pub(super) fn rename(path: &Path) -> Result<(), InboxError> {
    // Its name is durable with the first commit at the latest: SQLite syncs the directory with a new write-ahead log.
    fs::rename(unfinished(path), path).map_err(InboxError::Rename)
}

/// Removes an inbox that did not get its name because the daemon was interrupted, and is not needed: it has no entries.
pub(super) fn remove_unfinished(path: &Path) {
    for suffix in ["", "-journal"] {
        let _none = fs::remove_file(suffixed(&unfinished(path), suffix));
    }
}

/// Returns whether an inbox that was created to replace a damaged one did not get its name because the daemon was interrupted.
pub(super) fn is_interrupted(path: &Path) -> bool {
    let data_dir = path.parent().unwrap_or(Path::new("/"));
    let unfinished = unfinished(path);
    if fs::metadata(path).is_ok() || fs::metadata(&unfinished).is_err() {
        return false;
    }
    // One that has nothing of the damaged one is created again.
    let has_something = || -> rusqlite::Result<bool> {
        let connection = Connection::open(&unfinished)?;
        Ok(!plan::read(&connection, data_dir)?.is_empty() || kept::table::has_any(&connection)?)
    };
    has_something().unwrap_or(false)
}

fn unfinished(path: &Path) -> PathBuf {
    suffixed(path, ".new")
}

/// Returns what is known of a damaged log that gets a new path. `has_our_tables` is false where
/// its schema may be damaged.
///
/// Where the plan of an unfinished recovery into it may be lost, it is made again of the inboxes that were quarantined before and
/// end where this log begins: nothing of them was recovered yet, and retention has removed nothing.
pub(super) fn plan_recovery(damaged: &Path, target: &Path, newest: u64, has_our_tables: bool) -> Lost {
    let data_dir = damaged.parent().unwrap_or(Path::new("/"));
    let Survey { known, unfinished, has_whole_plan, skipped } = recovery::survey(damaged, data_dir);
    let begin = || known.first.unwrap_or(1).max(index::oldest_id_in(data_dir).unwrap_or(1)).max(1);
    let oldest = known.oldest.unwrap_or_else(begin);
    let oldest = unfinished.first().map_or(oldest, |segment| oldest.min(segment.first));
    let mut plan = plan::around(unfinished, (oldest, newest), target);
    if !has_our_tables || !has_whole_plan {
        plan.splice(0..0, segments_before(data_dir, oldest));
    }
    Lost { plan, skipped }
}

/// Returns what the inboxes that were quarantined earlier have before a log that begins with this id, the oldest first.
fn segments_before(data_dir: &Path, mut begin: u64) -> Vec<Segment> {
    let mut files = quarantine::damaged(data_dir);
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut segments = Vec::new();
    for file in files {
        let known = recovery::known_ids(&file);
        let first = known.oldest.or(known.first).unwrap_or(1);
        if known.newest >= first && known.newest + 1 == begin {
            segments.push(Segment { first, last: known.newest, file });
            begin = first;
        }
    }
    segments.reverse();
    segments
}
