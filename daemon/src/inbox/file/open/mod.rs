//! Opens the inbox as the daemon, as a reader of the daemon, or from another process.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::format::{APPLICATION_ID, BUSY_TIMEOUT, FILE_NAME, SCHEMA_VERSION, quick_check, version};
use super::{create, migrate, quarantine};
use crate::inbox::InboxError;

/// The maximum size of a file that is checked completely when it is opened, in bytes; that takes about 100 ms.
const CHECKED_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// An inbox that is open for writing.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// The new path of the damaged inbox that was here before, if there was one.
    pub(crate) quarantined: Option<PathBuf>,
}

/// Facts about the inbox that a running daemon has open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The id of the newest entry; 0 if unknown.
    pub(crate) newest_id: u64,
    /// Device and inode of the file.
    pub(crate) identity: Option<(u64, u64)>,
}

/// Opens the inbox of a data directory for writing, creates it if there is none, and migrates an older one.
/// Calls `still_working` at least once a second during long work.
///
/// Quarantines a damaged file and creates a new one, whose ids follow the newest entry in `known`. Refuses a newer file or
/// a file of another program, without changing it.
pub(crate) fn open_behind(
    data_dir: &Path,
    known: Known,
    still_working: &dyn Fn(),
) -> Result<Opened, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let open = || -> Result<Connection, OpenError> {
        create::create_if_none(&path, known.newest_id)
            .map_err(|source| OpenError::Database { path: path.clone(), source })?;
        prepare(&path, still_working)
    };
    // Closing the file would release every lock that SQLite holds on it in this process (fcntl(2)), so the header of a
    // file that is already open is not read.
    let is_open = known.identity.is_some() && known.identity == identity(data_dir).ok().flatten();
    let header = if is_open { Header::Ours { has_log: true } } else { header(&path)? };
    let opened = match header {
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Damaged => Err(OpenError::Damaged { path: path.clone() }),
        Header::None | Header::Ours { has_log: false } => {
            quarantine::quarantine_strays(&path).and_then(|()| open())
        }
        Header::Ours { has_log: true } => open(),
    };
    match opened {
        Ok(connection) => Ok(Opened { connection, quarantined: None }),
        Err(error) if error.is_damage() => {
            let quarantined = quarantine::quarantine(&path)?;
            Ok(Opened { connection: open()?, quarantined: Some(quarantined) })
        }
        Err(error) => Err(error),
    }
}

/// Opens the inbox of a data directory as a starting daemon does.
#[cfg(test)]
pub(crate) fn open(data_dir: &Path) -> Result<Opened, OpenError> {
    open_behind(data_dir, Known::default(), &|| ())
}

/// Opens the inbox for reading only.
pub(crate) fn open_reader(data_dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(data_dir.join(FILE_NAME), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Readers scan the file sequentially, so a large cache would only occupy memory.
    connection.pragma_update(None, "cache_size", -256)?;
    Ok(connection)
}

/// Opens the inbox of a data directory in a process that is not its daemon, for reading only. Refuses what the daemon would
/// refuse, but accepts an older schema.
pub(crate) fn open_unowned(data_dir: &Path) -> Result<Connection, OpenError> {
    let path = data_dir.join(FILE_NAME);
    match header(&path)? {
        Header::None => return Err(OpenError::None { path }),
        Header::Damaged => return Err(OpenError::Damaged { path }),
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Ours { .. } => {}
    }
    open_reader(data_dir).map_err(|source| OpenError::Database { path, source: source.into() })
}

/// The kind of a file, by its first 100 bytes.
enum Header {
    None,
    Ours {
        /// Whether a write-ahead log beside the file belongs to it.
        has_log: bool,
    },
    Newer(u32),
    Foreign,
    Damaged,
}

/// Reads the header without SQLite, which changes a file when it opens it. The offsets are those of
/// <https://sqlite.org/fileformat2.html#the_database_header>:
///
/// | offset | bytes | content |
/// |---|---|---|
/// | 0 | 16 | `SQLite format 3\0` |
/// | 19 | 1 | read version; 2 with a write-ahead log |
/// | 60 | 4 | user version |
/// | 68 | 4 | application id |
fn header(path: &Path) -> Result<Header, OpenError> {
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
        // Schema versions start at 1.
        _ if application_id != APPLICATION_ID || user_version == 0 => Header::Foreign,
        _ if user_version > SCHEMA_VERSION => Header::Newer(user_version),
        _ => Header::Ours { has_log: bytes[19] == WITH_LOG },
    })
}

/// Opens a file for writing, checks it, and migrates it to this version.
fn prepare(path: &Path, still_working: &dyn Fn()) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let failed_sql = |source: rusqlite::Error| failed(source.into());
    let mut connection = Connection::open(path).map_err(failed_sql)?;
    let found = check(&connection, path).map_err(failed)?;
    if found > SCHEMA_VERSION {
        // The newer version is in the write-ahead log, not yet in the header, and must stay there.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed_sql)?;
        return Err(OpenError::Newer { path: path.to_owned(), found });
    }
    if found < SCHEMA_VERSION {
        migrate::migrate(&mut connection, path, found, still_working)
            .map_err(|source| OpenError::Migration { path: path.to_owned(), from: found, source })?;
    }
    set_up(&connection).map_err(failed_sql)?;
    Ok(connection)
}

/// Checks an open file, completely if it is small; returns the version of its schema.
fn check(connection: &Connection, path: &Path) -> Result<u32, InboxError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = version(connection)?;
    let size_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if version <= SCHEMA_VERSION && size_bytes <= CHECKED_MAX_BYTES {
        quick_check(connection, None)?;
    }
    Ok(version)
}

/// Sets the pragmas of the writer's connection.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Transactions are bounded, and spilled pages would be written twice.
    connection.pragma_update(None, "cache_spill", false)
}

/// Returns device and inode of a data directory's inbox, if there is one. Fails if that cannot be found out.
pub(crate) fn identity(data_dir: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(data_dir.join(FILE_NAME)) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
