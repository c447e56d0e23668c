//! `udpchatd --backup FILE`: copies the inbox as of one moment, whether a daemon runs or not.
//!
//! It only reads the inbox. The copy is written under another name (`FILE.part-PID`), checked, synced, and then renamed, so
//! that FILE is complete or does not exist. In the meantime the data directory is marked
//! ([`backup_mark`]), so that the daemon can report why its write-ahead log cannot be truncated.

mod error;
mod target;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytesize::ByteSize;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, spawn_blocking};
use udpchat_api::safe;
use udpchat_locale::tr;

use crate::inbox::InboxError;
use crate::inbox::file;
use crate::inbox::file::FILE_NAME;
use crate::service::backup_mark;
use crate::signals::Signals;
pub(crate) use error::BackupError;
use target::Target;

/// How often the progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Describes a copy.
struct Copied {
    entries: u64,
    newest_id: u64,
    bytes: u64,
}

/// Copies the inbox of a data directory, and prints a line about the copy.
pub(crate) fn run(
    runtime: Runtime,
    signals: Signals,
    data_dir: &Path,
    file: &Path,
) -> Result<(), BackupError> {
    let target = Target::create(file)?;
    let copied = runtime.block_on(copy_unless_interrupted(signals, data_dir, &target));
    // An interrupted copy may still be running. It ends with the process.
    runtime.shutdown_background();
    let copied = copied?;
    target.finish()?;
    let Copied { entries, newest_id, bytes } = copied;
    let (size, path) = (ByteSize::b(bytes).display().iec(), target.path().to_string_lossy());
    let file = safe::one_line(&path);
    let inbox = data_dir.join(FILE_NAME);
    let inbox = inbox.to_string_lossy();
    let inbox = safe::one_line(&inbox);
    let line = match entries {
        0 => tr!("no entries, {size}, from {inbox}: {file}", inbox, size, file),
        1 => tr!(
            "1 entry, the newest #{newest_id}, {size}, from {inbox}: {file}",
            inbox,
            newest_id,
            size,
            file
        ),
        _ => {
            tr!(
                "{entries} entries, the newest #{newest_id}, {size}, from {inbox}: {file}",
                entries,
                inbox,
                newest_id,
                size,
                file
            )
        }
    };
    writeln!(io::stdout(), "{line}").map_err(BackupError::Unreported)
}

/// Copies and shows the progress. A signal interrupts it.
async fn copy_unless_interrupted(
    mut signals: Signals,
    data_dir: &Path,
    target: &Target,
) -> Result<Copied, BackupError> {
    let (from, part, to) = (data_dir.to_owned(), target.part().to_owned(), target.path().to_owned());
    let copying = spawn_blocking(move || copy(&from, &part, &to));
    tokio::select! {
        copied = show_progress(copying, data_dir, target.part()) => copied,
        () = signals.any() => Err(BackupError::Interrupted),
    }
}

/// Waits for the copy. On a terminal, shows how much of it is written.
async fn show_progress(
    copying: JoinHandle<Result<Copied, BackupError>>,
    data_dir: &Path,
    part: &Path,
) -> Result<Copied, BackupError> {
    let mut copying = pin!(copying);
    let inbox = data_dir.join(FILE_NAME);
    let most = file_bytes(&inbox) + file_bytes(&log_of(&inbox));
    let (shows, mut shown) = (io::stderr().is_terminal(), false);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let ended = loop {
        tokio::select! {
            ended = &mut copying => break ended,
            _ = ticks.tick(), if shows => {
                shown = true;
                let sizes = [file_bytes(part), most].map(|bytes| ByteSize::b(bytes).display().iec());
                // Progress is optional: an error is ignored.
                let [written, all] = sizes;
                let text = tr!("{written} of at most {all} written", written, all);
                let _shown = write!(io::stderr(), "\r\x1b[K{text}");
            }
        }
    };
    if shown {
        let _cleared = write!(io::stderr(), "\r\x1b[K");
    }
    ended.unwrap_or_else(|panic| Err(BackupError::Unsound(panic.to_string())))
}

/// Copies the inbox of a data directory into an empty file, and checks the copy. Errors name `to`, the final file.
fn copy(data_dir: &Path, part: &Path, to: &Path) -> Result<Copied, BackupError> {
    let from = data_dir.join(FILE_NAME);
    let failed = |source| BackupError::Copy { from: from.clone(), to: to.to_owned(), source };
    // Without the mark, a running daemon only takes the backup for another program that reads for long.
    let _mark = backup_mark::set(data_dir);
    let had_log = log_of(&from).exists();
    let inbox = file::open_unowned(data_dir)?;
    let version = file::version(&inbox).map_err(failed)?;
    let newest_id = file::newest_id(&inbox).map_err(failed)?;
    let copied = inbox.execute("VACUUM INTO ?1", [path_as_text(part)?]);
    drop(inbox);
    if !had_log {
        leave_no_trace(&from);
    }
    copied.map_err(failed)?;
    check(part, version, newest_id)
}

/// Has SQLite remove the write-ahead log that reading has created. A read-only connection must leave it; the last connection
/// with write access removes it when it is closed.
fn leave_no_trace(inbox: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let closed = Connection::open_with_flags(inbox, flags).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)
    });
    // Without write access, it stays: it is empty and does no harm.
    drop(closed);
}

/// Checks that a copy is sound, has this schema, has no holes, and is no older than the newest entry before the copy.
fn check(part: &Path, version: u32, newest_id: u64) -> Result<Copied, BackupError> {
    let read = || -> Result<_, InboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(part, flags)?;
        file::quick_check(&copy, None)?;
        // A gap may stand for the ids from its first one on.
        let entries = "SELECT count(*), coalesce(sum(id - first + 1), 0), coalesce(max(id) - min(first) + 1, 0) FROM (
            SELECT id, CASE kind WHEN 2 THEN coalesce(json_extract(detail, '$.first_id'), id) ELSE id END AS first
            FROM entry)";
        let ids: (u64, u64, u64) =
            copy.query_row(entries, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((ids, file::version(&copy)?, file::newest_id(&copy)?))
    };
    let ((entries, ids, without_holes), found, copied_id) =
        read().map_err(|error| BackupError::Unsound(error.to_string()))?;
    if found != version {
        return Err(BackupError::Unsound(format!("it has schema {found} instead of {version}")));
    }
    if ids != without_holes {
        return Err(BackupError::Unsound(format!("of {without_holes} ids it has {ids}")));
    }
    if copied_id < newest_id {
        return Err(BackupError::Unsound(format!("it ends at #{copied_id} instead of #{newest_id}")));
    }
    Ok(Copied { entries, newest_id: copied_id, bytes: file_bytes(part) })
}

fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn log_of(inbox: &Path) -> PathBuf {
    file::suffixed(inbox, "-wal")
}

fn path_as_text(path: &Path) -> Result<&str, BackupError> {
    path.to_str().ok_or_else(|| BackupError::Write {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8"),
    })
}
