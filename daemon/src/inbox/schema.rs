//! The inbox's file: making it, opening it, refusing what is not ours, setting aside what is damaged.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "inbox.db";

/// The version of the schema, SQLite's `user_version`.
const SCHEMA_VERSION: u32 = 1;

/// SQLite's `application_id` of our files: `udpc`.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"udpc");

/// The page size, in bytes. Larger pages than SQLite's 4 KiB make appending cheaper: 1.25 against 1.62 microseconds
/// of processor time for each datagram, measured with 100-byte datagrams.
pub(super) const PAGE_SIZE_BYTES: u32 = 16 * 1024;

/// Up to this size a file is checked through when it is opened, in bytes; it takes some 100 ms.
const CHECKED_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// How long a statement waits for a lock. Only a program that is not ours can hold one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// `entry` is the log. It has no index beside its id, so a received message costs one append; the index of what
/// was not received holds no received message, and lets unread messages be counted without reading them.
const SCHEMA: &str = "
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,  -- rises by one, is never used again
  at_ns INTEGER NOT NULL,  -- nanoseconds since 1970, UTC
  kind INTEGER NOT NULL,   -- 0 received, 1 sent, 2 gap
  peer BLOB,               -- address and port in network order: 6, 18 or (with a scope) 22 bytes
  local BLOB,              -- likewise, our side
  payload BLOB,            -- the datagram's bytes as they were
  detail TEXT              -- JSON: of a sent message its encoding and error, of a gap its size and reason, of
                           -- a message that was recoded what it is read in since then
) STRICT;
CREATE INDEX entry_not_received ON entry (id, kind) WHERE kind <> 0;
CREATE TABLE consumer (
  name TEXT PRIMARY KEY,
  read_id INTEGER NOT NULL -- everything up to this id is read
) STRICT, WITHOUT ROWID;
CREATE TABLE peer (
  address BLOB PRIMARY KEY,
  encoding TEXT NOT NULL,  -- what the peer is known to speak
  learned_id INTEGER NOT NULL -- the entry that taught it
) STRICT, WITHOUT ROWID;
CREATE INDEX peer_learned ON peer (learned_id);
";

/// Why an inbox does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{} was written by a newer udpchat (schema {found}, this one knows {SCHEMA_VERSION})", .path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} is a database of another program", .path.display())]
    Foreign { path: PathBuf },
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use {}", .path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

impl OpenError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Newer { .. } => Some("start the newer version, or give another `--data-dir`"),
            Self::Foreign { .. } => Some("move it away, or give another `--data-dir`"),
            Self::Database { source, .. } if source.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                Some("make room on that disk, or give another `--data-dir`")
            }
            Self::Io { .. } | Self::Database { .. } => None,
        }
    }
}

/// An inbox ready to be written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// Where the damaged predecessor lies, if there was one.
    pub(crate) set_aside: Option<PathBuf>,
}

/// Opens the inbox of a data directory for writing, and makes it where there is none.
///
/// A damaged file is set aside under another name and a new one begun; a newer one, or one of another program,
/// is refused and not touched.
pub(crate) fn open(data_dir: &Path) -> Result<Opened, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let sound = match header(&path)? {
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Damaged => false,
        Header::None | Header::Ours => true,
    };
    if sound {
        match begin_if_none(&path).and_then(|()| prepare(&path)) {
            Ok(connection) => return Ok(Opened { connection, set_aside: None }),
            Err(error) if is_damage(&error) => {}
            Err(source) => return Err(OpenError::Database { path, source }),
        }
    }
    let set_aside = set_aside(&path)?;
    let connection = begin_if_none(&path)
        .and_then(|()| prepare(&path))
        .map_err(|source| OpenError::Database { path, source })?;
    Ok(Opened { connection, set_aside: Some(set_aside) })
}

/// Opens the inbox for reading only.
pub(crate) fn open_reader(data_dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(data_dir.join(FILE_NAME), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Readers go through the file from one end to the other: a large cache would only hold memory.
    connection.pragma_update(None, "cache_size", -256)?;
    Ok(connection)
}

/// Tells whether an error means that the file's content is damaged, rather than out of reach.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// What the first 100 bytes of a file say.
enum Header {
    None,
    Ours,
    Newer(u32),
    Foreign,
    Damaged,
}

/// Reads the header without SQLite, which would already change a file by opening it. The offsets are those of
/// <https://sqlite.org/fileformat2.html#the_database_header>.
fn header(path: &Path) -> Result<Header, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Header::None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = [0; 100];
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (user_version, application_id) = (word(60), word(68));
    Ok(match length {
        0 => Header::None,
        1..100 => Header::Damaged,
        _ if !bytes.starts_with(b"SQLite format 3\0") => Header::Damaged,
        _ if application_id != APPLICATION_ID => Header::Foreign,
        _ if user_version > SCHEMA_VERSION => Header::Newer(user_version),
        _ => Header::Ours,
    })
}

/// Makes a new inbox where there is none: whole or not at all, so that a crash or a full disk in the middle leaves
/// nothing that the next start would stumble over.
fn begin_if_none(path: &Path) -> rusqlite::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    let unfinished = suffixed(path, ".new");
    for suffix in ["", "-journal"] {
        // There is none, unless a start was cut short.
        let _none = fs::remove_file(suffixed(&unfinished, suffix));
    }
    let connection = Connection::open(&unfinished)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE_BYTES)?;
    // So that an inbox whose limit was lowered can give space back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {SCHEMA}
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))?;
    drop(connection);
    fs::rename(&unfinished, path).map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        rusqlite::Error::SqliteFailure(code, Some(format!("cannot be renamed into place: {error}")))
    })?;
    // Its name is durable with the first commit at the latest: SQLite syncs the directory with a new write-ahead log.
    Ok(())
}

/// Opens a file for writing, and checks what can be checked in short time.
fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let size_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A transaction's pages stay in memory until it commits: it is bounded, and spilling them would write them twice.
    connection.pragma_update(None, "cache_spill", false)?;
    if size_bytes <= CHECKED_MAX_BYTES {
        check(&connection)?;
    }
    Ok(connection)
}

/// Returns device and inode of a data directory's inbox, if there is one.
pub(crate) fn identity(data_dir: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(data_dir.join(FILE_NAME)).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(verdict)))
}

/// Moves a damaged inbox and its companions to a name of their own; nothing is deleted.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, OpenError> {
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ");
    let target = suffixed(path, &format!(".damaged-{stamp}"));
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(suffixed(path, suffix), suffixed(&target, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path: path.to_owned(), source: error });
            }
            _ => {}
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &Path) -> PathBuf {
        folder.join(FILE_NAME)
    }

    #[test]
    fn a_newer_inbox_is_refused_and_left_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path()).unwrap();
        opened.connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        drop(opened);
        let before = fs::read(database(folder.path())).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found, .. } if found == SCHEMA_VERSION + 1), "{error}");
        assert_eq!(fs::read(database(folder.path())).unwrap(), before);
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(database(folder.path())).unwrap();
        other.execute_batch("CREATE TABLE t (a)").unwrap();
        drop(other);
        assert!(matches!(open(folder.path()), Err(OpenError::Foreign { .. })));
    }

    #[test]
    fn a_damaged_inbox_is_set_aside_whole_and_a_new_one_begun() {
        let garbage = vec![7; 100_000];
        for damage in [&garbage[..], b"short", b"SQLite format 3\0 and then nothing sensible"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(database(folder.path()), damage).unwrap();
            let opened = open(folder.path()).unwrap();
            let kept = opened.set_aside.expect("a damaged file is set aside");
            assert_eq!(fs::read(kept).unwrap(), damage);
            assert_eq!(opened.connection.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)), Ok(0));
        }
    }

    #[test]
    fn a_start_that_was_cut_short_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = suffixed(&database(folder.path()), ".new");
        drop(Connection::open(&unfinished).unwrap().execute_batch("CREATE TABLE entry (a)"));
        fs::write(database(folder.path()), b"").unwrap();
        let opened = open(folder.path()).unwrap();
        assert_eq!(opened.connection.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)), Ok(0));
        assert!(!unfinished.exists() && opened.set_aside.is_none());
    }

    #[test]
    fn a_truncated_inbox_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path()).unwrap();
        let insert = "INSERT INTO entry (at_ns, kind, payload) VALUES (1, 0, zeroblob(50000))";
        for _ in 0..10 {
            opened.connection.execute(insert, []).unwrap();
        }
        drop(opened);
        let file = fs::OpenOptions::new().write(true).open(database(folder.path())).unwrap();
        file.set_len(200_000).unwrap();
        assert!(open(folder.path()).unwrap().set_aside.is_some());
    }

    #[test]
    fn unread_messages_are_counted_without_reading_them() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(folder.path()).unwrap().connection;
        let plan: String = connection
            .query_row(
                &format!("EXPLAIN QUERY PLAN {}", super::super::reader::COUNT_NOT_RECEIVED),
                [0, 9],
                |row| row.get(3),
            )
            .unwrap();
        assert!(plan.contains("COVERING INDEX entry_not_received"), "{plan}");
    }
}
