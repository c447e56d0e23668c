//! Opens the inbox as the daemon, as a reader of the daemon, or from another process.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use super::format::{
    ADDED_TABLES, APPLICATION_ID, BUSY_TIMEOUT, FILE_NAME, SCHEMA_VERSION, quick_check, version,
};
use super::ids::Used;
use super::{create, migrate, quarantine};
use crate::inbox::recovery::{LogEnd, plan, skipped};
use crate::inbox::{InboxError, inflight, recovery};

/// The maximum size of a file that is checked completely when it is opened, in bytes; that takes about 100 ms.
const CHECKED_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// An inbox that is open for writing.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// The new path of the damaged inbox that was here before, if there was one.
    pub(crate) quarantined: Option<PathBuf>,
    /// Whether it is a copy that was put here, since it has never been written with a write-ahead log. Its ids end where it was
    /// copied.
    pub(crate) is_restored: bool,
    /// Whether the write-ahead log may have a part of a failed transaction behind its end.
    pub(crate) may_have_remains: bool,
}

/// Facts about the inbox that a running daemon has open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The newest id that was used.
    pub(crate) used: Used,
    /// Device and inode of the file.
    pub(crate) identity: Option<(u64, u64)>,
    /// Whether the file is to be replaced because it is damaged.
    pub(crate) is_damaged: bool,
}

impl Known {
    /// Returns the newest id that was used. Where no daemon has opened the file yet, the files show it too.
    fn used_in(&self, path: &Path) -> Used {
        match self.identity {
            Some(_) => self.used,
            None => self.used.or_by_files(path.parent().unwrap_or(Path::new("/")), Some(path)),
        }
    }
}

/// Opens the inbox of a data directory for writing, creates it if there is none, and migrates an older one.
/// Calls `still_working` at least once a second during long work.
///
/// Fails if the file is damaged; one that is known to be damaged is quarantined, and a new one created. Refuses a newer file or a
/// file of another program, without changing it.
pub(crate) fn open_behind(
    data_dir: &Path,
    known: Known,
    still_working: &dyn Fn(),
) -> Result<Opened, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let failed = |source| OpenError::Database { path: path.clone(), source };
    if known.is_damaged {
        return replace(&path, known, still_working);
    }
    finish_replacement(&path)?;
    let open = || -> Result<Connection, OpenError> {
        create::create_if_none(&path, || known.used_in(&path).next()).map_err(failed)?;
        prepare(&path, still_working)
    };
    // Closing the file would release every lock that SQLite holds on it in this process (fcntl(2)), so the header of a
    // file that is already open is not read.
    let is_open = known.identity.is_some() && known.identity == identity(data_dir).ok().flatten();
    let header =
        if is_open { Header::Ours { has_log: true, has_remains: false } } else { judged_header(&path)? };
    let is_restored = matches!(header, Header::Ours { has_log: false, .. });
    let mut may_have_remains = false;
    let connection = match header {
        Header::Newer(found) => return Err(OpenError::Newer { path, found }),
        Header::Foreign => return Err(OpenError::Foreign { path }),
        Header::Damaged | Header::Changed { .. } => return Err(OpenError::Damaged { path }),
        Header::None | Header::Ours { has_log: false, .. } => {
            quarantine::quarantine_strays(&path)?;
            open()?
        }
        Header::Ours { has_log: true, has_remains } => {
            let connection = open()?;
            if has_remains {
                may_have_remains = !empty_log(&connection).unwrap_or(false);
            }
            connection
        }
    };
    create::remove_unfinished(&path);
    Ok(Opened { connection, quarantined: None, is_restored, may_have_remains })
}

/// Opens the inbox as [`open_behind`] does for a starting daemon, and replaces a damaged one.
fn open_or_replace(data_dir: &Path, still_working: &dyn Fn()) -> Result<Opened, OpenError> {
    let known = Known { used: Used::by_journal(data_dir), ..Known::default() };
    match open_behind(data_dir, known, still_working) {
        Err(error) if error.is_damage() => replace_unused(data_dir, still_working),
        opened => opened,
    }
}

/// Quarantines a damaged file, and creates a new one with a plan of what is to be recovered into it.
fn replace(path: &Path, known: Known, still_working: &dyn Fn()) -> Result<Opened, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let target = quarantine::target(path);
    let used = known.used_in(path);
    let lost = create::plan_recovery(path, &target, used.newest.id, has_our_tables(path));
    // Now and as a whole: what is sent from now on must not come back with a later part of the recovery.
    create::create(path, used.next(), &lost, &recovery::kept_rows(path)).map_err(failed)?;
    quarantine::quarantine(path, &target)?;
    create::rename(path).map_err(failed)?;
    Ok(Opened {
        connection: prepare(path, still_working)?,
        quarantined: Some(target),
        is_restored: false,
        may_have_remains: false,
    })
}

/// Finishes a replacement that was interrupted between the two names: what is left of the damaged inbox belongs to the one
/// that was quarantined last. The plan does not show it: it may have segments of earlier ones only.
fn finish_replacement(path: &Path) -> Result<(), OpenError> {
    if create::is_interrupted(path) {
        if let Some(damaged) = quarantine::newest(path) {
            quarantine::quarantine(path, &damaged)?;
        }
        create::rename(path).map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// Opens the inbox of a data directory as a starting daemon does.
#[cfg(test)]
pub(crate) fn open(data_dir: &Path) -> Result<Opened, OpenError> {
    open_or_replace(data_dir, &|| ())
}

/// Opens the inbox of a data directory that no daemon uses, as a starting daemon does.
pub(crate) fn open_unused(data_dir: &Path, still_working: &dyn Fn()) -> Result<Opened, OpenError> {
    open_or_replace(data_dir, still_working)
}

/// Replaces the damaged inbox of a data directory that no daemon uses, as a starting daemon does.
pub(crate) fn replace_unused(data_dir: &Path, still_working: &dyn Fn()) -> Result<Opened, OpenError> {
    replace(
        &data_dir.join(FILE_NAME),
        Known { used: Used::by_journal(data_dir), ..Known::default() },
        still_working,
    )
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
    match judged_header(&path)? {
        Header::None => return Err(OpenError::None { path }),
        Header::Damaged | Header::Changed { .. } => return Err(OpenError::Damaged { path }),
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
        /// Whether that has a part of a transaction behind its end.
        has_remains: bool,
    },
    Newer(u32),
    Foreign,
    Damaged,
    /// Nearly ours, and different from what this version writes; perhaps of a newer one.
    Changed {
        newer: Option<u32>,
    },
}

/// Reads the header, and distinguishes damage from a file that is not for this program: what only a changed bit or byte tells
/// apart from our own file is damage.
fn judged_header(path: &Path) -> Result<Header, OpenError> {
    let found = header(path)?;
    let durable = path.parent().and_then(inflight::last_durable);
    let knows_entries = durable.is_some_and(|durable| durable.newest.id > 0);
    Ok(match found {
        // The journal knows of entries.
        Header::None if knows_entries && fs::metadata(path).is_ok() => Header::Damaged,
        Header::Changed { .. } if has_our_tables(path) => Header::Damaged,
        // A file of another program can be read by that program.
        Header::Changed { newer: None } | Header::Foreign if !recovery::has_schema(path) => Header::Damaged,
        Header::Changed { newer: Some(version) } => Header::Newer(version),
        Header::Changed { newer: None } => Header::Foreign,
        Header::Ours { has_log: true, .. } => {
            let is_of_this_boot = durable.is_some_and(|durable| durable.is_of_this_boot);
            match recovery::log_end(path, durable.map(|durable| durable.newest.id), is_of_this_boot) {
                LogEnd::Nothing => found,
                LogEnd::Remains => Header::Ours { has_log: true, has_remains: true },
                LogEnd::Lost => Header::Damaged,
            }
        }
        found => found,
    })
}

/// Returns whether a database has the tables and indexes of a version up to this one, and no others.
fn has_our_tables(path: &Path) -> bool {
    const ALWAYS: [&str; 5] = ["entry", "entry_not_received", "consumer", "peer", "peer_learned"];
    let found = recovery::schema_tables(path);
    let is_ours = |name: &String| {
        ALWAYS.contains(&name.as_str())
            || ADDED_TABLES.iter().any(|(_, added)| added == name)
            || name == "silent"
            || [plan::TABLE, skipped::TABLE].contains(&name.as_str())
            || name.starts_with("sqlite_")
    };
    ALWAYS.iter().all(|name| found.contains(*name)) && found.iter().all(is_ours)
}

/// Reads the header without SQLite, which changes a file when it opens it. The offsets are those of
/// <https://sqlite.org/fileformat2.html#the_database_header>:
///
/// | offset | bytes | content |
/// |---|---|---|
/// | 0 | 16 | `SQLite format 3\0` |
/// | 18, 19 | 1 each | write and read version; both 2 with a write-ahead log, 1 without |
/// | 20 | 4 | unused bytes of a page, three fixed fractions: 0, 64, 32, 32 |
/// | 44 | 4 | schema format: 4 |
/// | 56 | 4 | encoding of texts: 1 is UTF-8 |
/// | 60 | 4 | user version |
/// | 68 | 4 | application id |
/// | 72 | 20 | 0 |
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
    // Three bytes of four are right where one was damaged; none is if another program wrote the file.
    let same =
        application_id.to_be_bytes().into_iter().zip(APPLICATION_ID.to_be_bytes()).filter(|(a, b)| a == b);
    let is_nearly_ours = application_id == 0 || same.count() >= 3;
    // A newer version has other tables too, so with our tables a single bit was changed. The next version is refused all the
    // same: it must not be taken for damage.
    let is_one_bit_off =
        (user_version ^ SCHEMA_VERSION).count_ones() == 1 && user_version != SCHEMA_VERSION + 1;
    let newer = (user_version > SCHEMA_VERSION).then_some(user_version);
    let fixed = [(18, bytes[19]), (20, 0), (21, 64), (22, 32), (23, 32)];
    let is_changed = fixed.iter().any(|(at, right)| bytes[*at] != *right)
        || !matches!(bytes[19], 1 | WITH_LOG)
        || (word(44), word(56)) != (4, 1);
    // More than the application id was overwritten otherwise.
    let is_valid =
        !is_changed && matches!(user_version, 1..=255) && bytes[72..92].iter().all(|byte| *byte == 0);
    Ok(match length {
        0 => Header::None,
        1..100 => Header::Damaged,
        _ if !bytes.starts_with(b"SQLite format 3\0") => Header::Damaged,
        _ if application_id != APPLICATION_ID && !is_nearly_ours && is_valid => Header::Foreign,
        _ if application_id != APPLICATION_ID => Header::Changed { newer: None },
        // Schema versions start at 1 and have one byte.
        _ if user_version > 255 => Header::Damaged,
        _ if newer.is_some() && !is_one_bit_off => Header::Newer(user_version),
        _ if newer.is_some() || user_version == 0 || is_changed => Header::Changed { newer },
        _ => Header::Ours { has_log: bytes[19] == WITH_LOG, has_remains: false },
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
    check_statements(&connection).map_err(failed)?;
    Ok(connection)
}

/// Checks an open file, completely if it is small; returns the version of its schema.
fn check(connection: &Connection, path: &Path) -> Result<u32, InboxError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = version(connection)?;
    let size_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if version <= SCHEMA_VERSION {
        check_version(connection, version)?;
        if size_bytes <= CHECKED_MAX_BYTES {
            quick_check(connection, None)?;
        }
    }
    Ok(version)
}

/// Checks that a database has the tables that came with its version and with earlier ones, and none of later ones: a changed
/// bit makes one valid version another.
fn check_version(connection: &Connection, version: u32) -> Result<(), InboxError> {
    let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    for (since, table) in ADDED_TABLES {
        if connection.query_row(exists, [table], |row| row.get::<_, bool>(0))? != (version >= since) {
            return Err(InboxError::Damaged(format!("its tables are not those of schema {version}")));
        }
    }
    Ok(())
}

/// Checks that the tables and indexes have the columns that statements use: a changed bit in a definition is damage.
fn check_statements(connection: &Connection) -> Result<(), InboxError> {
    for statement in [
        "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry WHERE id > 1",
        "SELECT count(*) FROM entry INDEXED BY entry_not_received WHERE id > 1 AND id < 2 AND kind <> 0",
        "SELECT name, read_id FROM consumer WHERE name = ''",
        "SELECT address, encoding, learned_id FROM peer INDEXED BY peer_learned WHERE learned_id > 1",
        "SELECT id, first_id, begun_ns, begun_by FROM log WHERE id = 1",
        "SELECT number, first_id, boot_id, boottime_ns, begin_ns, seen_ns, step_ns, restarted FROM clock",
        "SELECT id, name, address, payload, detail, at_ns, until_ns FROM held WHERE id > 1",
        "SELECT name, since_ns, last_ns FROM silent WHERE name = ''",
    ] {
        match connection.prepare(statement) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                return Err(InboxError::Damaged(error.to_string()));
            }
            prepared => drop(prepared?),
        }
    }
    Ok(())
}

/// Copies the write-ahead log into the database and empties it; returns whether it is empty, which a reader
/// prevents that is active for longer than the connection waits.
pub(in crate::inbox) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
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

/// Returns the number of the disk with a directory, or with the place where it would be created.
pub(in crate::inbox) fn disk_of(directory: &Path) -> Option<u64> {
    let existing = directory.ancestors().find_map(|ancestor| fs::metadata(ancestor).ok());
    existing.map(|metadata| metadata.dev())
}

#[cfg(test)]
mod tests;
