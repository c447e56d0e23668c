//! The inbox's file: opening it, refusing what is not ours, and what else becomes of one: begun ([`create`]), brought to
//! this version ([`migrate`]), set aside ([`quarantine`]).

mod create;
mod migrate;
mod quarantine;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "inbox.db";

/// The version of the schema, SQLite's `user_version`. Each new one takes a step in [`migrate`].
const SCHEMA_VERSION: u32 = 2;

/// SQLite's `application_id` of our files: `udpc`.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"udpc");

/// The page size, in bytes. Larger pages than SQLite's 4 KiB make appending cheaper: 1.25 against 1.62 microseconds
/// of processor time for each datagram, measured with 100-byte datagrams.
pub(super) const PAGE_SIZE_BYTES: u32 = 16 * 1024;

/// Up to this size a file is checked through when it is opened, in bytes; it takes some 100 ms.
const CHECKED_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// How long a statement waits for a lock. Only a program that is not ours can hold one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Why an inbox does not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{} was written by a newer udpchat (schema {found}, this one knows {SCHEMA_VERSION})", .path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} is a database of another program", .path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} cannot be brought from schema {from} to {SCHEMA_VERSION}; what is in it stays as it was", .path.display()
    )]
    Migration { path: PathBuf, from: u32, source: rusqlite::Error },
    #[error("there is no {}", .path.display())]
    None { path: PathBuf },
    #[error("{} is damaged", .path.display())]
    Damaged { path: PathBuf },
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use {}", .path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

impl OpenError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Newer { .. } => Some(
                "start the newer version, restore a backup of before the upgrade (`udpchatd --help` tells how), or \
                 give another `--data-dir`",
            ),
            Self::Foreign { .. } => Some("move it away, or give another `--data-dir`"),
            Self::None { .. } => Some("`--system` or `--data-dir` names the data directory"),
            Self::Damaged { .. } => Some("a daemon that is started on it sets it aside and begins a new one"),
            Self::Migration { source, .. } => Some(match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => {
                    "make room on that disk and start again; the version that wrote it can still use it"
                }
                _ => hint_of(source).unwrap_or("the version that wrote it can still use it"),
            }),
            Self::Database { source, .. } => hint_of(source),
            Self::Io { .. } => None,
        }
    }
}

/// Returns what to do about an error of the database that is none of its content.
fn hint_of(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Some("make room on that disk, or give another `--data-dir`"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(
            "another program has it open, a backup perhaps; `fuser -v` names it. Start again when it has ended",
        ),
        _ => None,
    }
}

/// An inbox ready to be written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// Where the damaged predecessor lies, if there was one.
    pub(crate) set_aside: Option<PathBuf>,
}

/// What a running daemon knows of the inbox that it has open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The newest entry's id; 0 where nothing is known.
    pub(crate) newest_id: u64,
    /// Device and inode of the file.
    pub(crate) identity: Option<(u64, u64)>,
}

/// Opens the inbox of a data directory for writing, makes it where there is none, and brings an older one to this
/// version; `still_working` is called now and then while that takes long.
///
/// A damaged file is set aside under another name and a new one begun, behind the newest entry that a running daemon
/// knows of; a newer one, or one of another program, is refused and not touched.
pub(crate) fn open_behind(
    data_dir: &Path,
    known: Known,
    still_working: &dyn Fn(),
) -> Result<Opened, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let open = || -> Result<Connection, OpenError> {
        create::begin_if_none(&path, known.newest_id)
            .map_err(|source| OpenError::Database { path: path.clone(), source })?;
        prepare(&path, still_working)
    };
    // Closing the file would release every lock that SQLite holds on it in this process (fcntl(2)), so one that is open
    // already is not looked into.
    let is_open = known.identity.is_some() && known.identity == identity(data_dir);
    let header = if is_open { Header::Ours { has_log: true } } else { header(&path)? };
    let opened = match header {
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Damaged => Err(OpenError::Damaged { path: path.clone() }),
        Header::None | Header::Ours { has_log: false } => {
            quarantine::set_strays_aside(&path).and_then(|()| open())
        }
        Header::Ours { has_log: true } => open(),
    };
    match opened {
        Ok(connection) => Ok(Opened { connection, set_aside: None }),
        Err(error) if error.is_damage() => {
            let set_aside = quarantine::set_aside(&path)?;
            Ok(Opened { connection: open()?, set_aside: Some(set_aside) })
        }
        Err(error) => Err(error),
    }
}

/// Opens the inbox of a data directory as a daemon does that knows nothing of it yet.
#[cfg(test)]
pub(crate) fn open(data_dir: &Path) -> Result<Opened, OpenError> {
    open_behind(data_dir, Known::default(), &|| ())
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

/// Opens the inbox of a data directory for another process than its daemon, for reading only; refuses what the daemon
/// would refuse. It may be of an older schema.
pub(crate) fn open_as_stranger(data_dir: &Path) -> Result<Connection, OpenError> {
    let path = data_dir.join(FILE_NAME);
    match header(&path)? {
        Header::None => return Err(OpenError::None { path }),
        Header::Damaged => return Err(OpenError::Damaged { path }),
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Ours { .. } => {}
    }
    open_reader(data_dir).map_err(|source| OpenError::Database { path, source })
}

impl OpenError {
    /// Tells whether the file's content is damaged, rather than out of reach.
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Migration { source, .. } | Self::Database { source, .. } => {
                matches!(
                    source.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                )
            }
            Self::Newer { .. } | Self::Foreign { .. } | Self::None { .. } | Self::Io { .. } => false,
        }
    }
}

/// What the first 100 bytes of a file say.
enum Header {
    None,
    Ours {
        /// Whether what is in a write-ahead log beside it belongs to it.
        has_log: bool,
    },
    Newer(u32),
    Foreign,
    Damaged,
}

/// Reads the header without SQLite, which would already change a file by opening it. The offsets are those of
/// <https://sqlite.org/fileformat2.html#the_database_header>.
fn header(path: &Path) -> Result<Header, OpenError> {
    /// The version of the file's format in which it is written by way of a write-ahead log.
    const WITH_LOG: u8 = 2;
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
        // No version of ours has the number 0.
        _ if application_id != APPLICATION_ID || user_version == 0 => Header::Foreign,
        _ if user_version > SCHEMA_VERSION => Header::Newer(user_version),
        _ => Header::Ours { has_log: bytes[19] == WITH_LOG },
    })
}

/// Opens a file for writing, checks what can be checked in short time, and brings it to this version.
fn prepare(path: &Path, still_working: &dyn Fn()) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    let found = check(&connection, path).map_err(failed)?;
    if found > SCHEMA_VERSION {
        // The header did not say so yet: what is newer is in the write-ahead log, and is to stay there.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    if found < SCHEMA_VERSION {
        migrate::migrate(&mut connection, path, found, still_working)
            .map_err(|source| OpenError::Migration { path: path.to_owned(), from: found, source })?;
    }
    set_up(&connection).map_err(failed)?;
    Ok(connection)
}

/// Checks a file that was just opened, through and through if it is small; returns the version of its schema.
fn check(connection: &Connection, path: &Path) -> rusqlite::Result<u32> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = version(connection)?;
    let size_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if version <= SCHEMA_VERSION && size_bytes <= CHECKED_MAX_BYTES {
        quick_check(connection, None)?;
    }
    Ok(version)
}

/// Sets a connection up as the writer's.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A transaction's pages stay in memory until it commits: it is bounded, and spilling them would write them twice.
    connection.pragma_update(None, "cache_spill", false)
}

/// Returns the version of a database's schema.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the newest id of a log of any schema; in an empty one that before the first.
pub(crate) fn newest_id(connection: &Connection) -> rusqlite::Result<u64> {
    /// From this version on, an empty log knows where it begins.
    const KNOWS_ITS_BEGIN: u32 = 2;
    let sql = match version(connection)? {
        ..KNOWS_ITS_BEGIN => "SELECT coalesce(max(id), 0) FROM entry",
        KNOWS_ITS_BEGIN.. => {
            "SELECT coalesce((SELECT max(id) FROM entry), (SELECT first_id FROM log) - 1, 0)"
        }
    };
    connection.query_row(sql, [], |row| row.get(0))
}

/// Checks that a database, or one table of it, is made as it must be.
pub(crate) fn quick_check(connection: &Connection, table: Option<&str>) -> rusqlite::Result<()> {
    let what = table.unwrap_or("1");
    let verdict: String =
        connection.query_row(&format!("PRAGMA quick_check({what})"), [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(verdict)))
}

/// Returns device and inode of a data directory's inbox, if there is one.
pub(crate) fn identity(data_dir: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(data_dir.join(FILE_NAME)).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Returns a path with a suffix behind its name, as SQLite names what lies beside a database.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
