//! The plan of a recovery: the table `recovery` of the inbox that replaces a damaged one.
//!
//! A row is a range of ids that is still to be recovered, with the file that may hold them. The table exists only while
//! something is to be recovered; programs that do not know it leave it alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{MAX_PLAUSIBLE_ID, has_table};

/// The name of the table.
pub(crate) const TABLE: &str = "recovery";

const CREATE: &str = "CREATE TABLE IF NOT EXISTS recovery (
  first_id INTEGER PRIMARY KEY, -- the ids from here on are still to be recovered
  last_id INTEGER NOT NULL,     -- up to this one
  file TEXT NOT NULL            -- the path of the damaged inbox; in the data directory only its name
) STRICT";

/// A range of ids that is still to be recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) file: PathBuf,
}

impl Segment {
    /// Returns a segment as the table has it; none if it cannot be one.
    pub(super) fn of(first: u64, last: u64, file: &[u8], data_dir: &Path) -> Option<Self> {
        let is_plausible = 0 < first && first <= last && last <= MAX_PLAUSIBLE_ID;
        is_plausible.then(|| Self { first, last, file: data_dir.join(OsStr::from_bytes(file)) })
    }
}

/// Adds segments to the plan. They do not overlap. A file in the data directory is found there also when that is moved.
pub(crate) fn add(connection: &Connection, data_dir: &Path, segments: &[Segment]) -> rusqlite::Result<()> {
    if segments.is_empty() {
        return Ok(());
    }
    connection.execute_batch(CREATE)?;
    let data_dirs = [Some(data_dir.to_owned()), fs::canonicalize(data_dir).ok()];
    for Segment { first, last, file } in segments {
        let within = data_dirs.iter().flatten().find_map(|data_dir| file.strip_prefix(data_dir).ok());
        // A path may have bytes that are not UTF-8.
        let add =
            "INSERT OR REPLACE INTO recovery (first_id, last_id, file) VALUES (?1, ?2, CAST(?3 AS TEXT))";
        connection.execute(add, params![first, last, within.unwrap_or(file).as_os_str().as_bytes()])?;
    }
    Ok(())
}

/// Returns the segments, the oldest first. Those that cannot be are left out: a damaged file may hold any number.
pub(crate) fn read(connection: &Connection, data_dir: &Path) -> rusqlite::Result<Vec<Segment>> {
    if !has_table(connection, TABLE)? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT first_id, last_id, file FROM recovery ORDER BY first_id")?;
    let segments = statement.query_map([], |row| {
        let file = row.get_ref(2)?.as_bytes()?;
        let id = |column| row.get(column).map(|id: i64| u64::try_from(id).unwrap_or(0));
        Ok(Segment::of(id(0)?, id(1)?, file, data_dir))
    })?;
    segments.filter_map(Result::transpose).collect()
}

/// Returns the oldest id that is still to be recovered.
pub(crate) fn oldest(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    Ok(read(connection, Path::new(""))?.first().map(|segment| segment.first))
}

/// Returns the newest id that is still to be recovered.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    Ok(read(connection, Path::new(""))?.last().map(|segment| segment.last))
}

/// Removes the ids up to this one from the plan: what is older than a removed entry is not brought back.
pub(crate) fn drop_up_to(connection: &Connection, last: u64) -> rusqlite::Result<()> {
    if !has_table(connection, TABLE)? {
        return Ok(());
    }
    connection.execute("DELETE FROM recovery WHERE last_id <= ?1", [last])?;
    connection.execute("UPDATE OR REPLACE recovery SET first_id = ?1 + 1 WHERE first_id <= ?1", [last])?;
    remove_if_empty(connection)
}

/// Notes that the first segment is recovered up to an id, and removes the table with its last segment.
pub(crate) fn advance(connection: &Connection, first: u64, next: u64) -> rusqlite::Result<()> {
    let advance = "UPDATE OR REPLACE recovery SET first_id = ?2 WHERE first_id = ?1 AND last_id >= ?2";
    if connection.execute(advance, [first, next])? == 0 {
        connection.execute("DELETE FROM recovery WHERE first_id = ?1", [first])?;
    }
    remove_if_empty(connection)
}

fn remove_if_empty(connection: &Connection) -> rusqlite::Result<()> {
    let is_empty =
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM recovery)", [], |row| row.get(0))?;
    if is_empty {
        connection.execute_batch("DROP TABLE recovery")?;
    }
    Ok(())
}

/// Splits the plan for a log that is damaged while a recovery into it runs: `rest` remains to be recovered from where it
/// was, everything around it from `file`.
pub(crate) fn around(rest: Vec<Segment>, (first, last): (u64, u64), file: &Path) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut next = first;
    for segment in rest {
        if segment.first > next {
            segments.push(Segment { first: next, last: segment.first - 1, file: file.to_owned() });
        }
        next = segment.last + 1;
        segments.push(segment);
    }
    if next <= last {
        segments.push(Segment { first: next, last, file: file.to_owned() });
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: u64, last: u64, file: &str) -> Segment {
        Segment { first, last, file: PathBuf::from(file) }
    }

    #[test]
    fn a_plan_is_kept_until_its_last_id_is_recovered() {
        let connection = Connection::open_in_memory().unwrap();
        let folder = Path::new("/data");
        assert_eq!(read(&connection, folder).unwrap(), []);
        add(&connection, folder, &[segment(1, 9, "/data/one"), segment(10, 20, "/two")]).unwrap();
        let plan = || read(&connection, folder).unwrap();
        assert_eq!(plan(), [segment(1, 9, "/data/one"), segment(10, 20, "/two")]);
        advance(&connection, 1, 5).unwrap();
        assert_eq!(plan()[0], segment(5, 9, "/data/one"));
        advance(&connection, 5, 10).unwrap();
        assert_eq!(plan(), [segment(10, 20, "/two")]);
        advance(&connection, 10, 21).unwrap();
        assert_eq!(plan(), []);
    }

    #[test]
    fn a_plan_ends_where_newer_entries_were_removed() {
        let connection = Connection::open_in_memory().unwrap();
        let plan = || read(&connection, Path::new("/data")).unwrap();
        drop_up_to(&connection, 5).unwrap();
        add(&connection, Path::new("/data"), &[segment(1, 9, "/one"), segment(10, 20, "/two")]).unwrap();
        drop_up_to(&connection, 4).unwrap();
        assert_eq!(plan(), [segment(5, 9, "/one"), segment(10, 20, "/two")]);
        drop_up_to(&connection, 10).unwrap();
        assert_eq!(plan(), [segment(11, 20, "/two")]);
        drop_up_to(&connection, 30).unwrap();
        assert!(plan().is_empty() && !has_table(&connection, TABLE).unwrap());
    }

    #[test]
    fn a_file_of_the_plan_moves_with_the_data_directory() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("two");
        let odd = Path::new(OsStr::from_bytes(b"/\xffthree"));
        let segments = [
            Segment { first: 1, last: 9, file: link.join("one") },
            Segment { first: 10, last: 20, file: real },
            Segment { first: 30, last: 40, file: odd.to_owned() },
        ];
        add(&connection, &link, &segments).unwrap();
        let files: Vec<_> =
            read(&connection, Path::new("/moved")).unwrap().into_iter().map(|segment| segment.file).collect();
        assert_eq!(files, [Path::new("/moved/one"), Path::new("/moved/two"), odd]);
    }

    #[test]
    fn a_range_that_no_log_can_have_is_left_out() {
        let connection = Connection::open_in_memory().unwrap();
        let folder = Path::new("/data");
        let last = MAX_PLAUSIBLE_ID;
        let segments =
            [segment(0, 9, "a"), segment(7, last, "b"), segment(8, last + 1, "c"), segment(9, 8, "d")];
        add(&connection, folder, &segments).unwrap();
        assert_eq!(read(&connection, folder).unwrap(), [segment(7, last, "/data/b")]);
        assert_eq!(oldest(&connection).unwrap(), Some(7));
    }

    #[test]
    fn a_second_damage_keeps_what_remains_of_the_first_recovery() {
        let rest = vec![segment(50, 99, "one")];
        let plan = around(rest, (1, 200), Path::new("two"));
        assert_eq!(plan, [segment(1, 49, "two"), segment(50, 99, "one"), segment(100, 200, "two")]);
        assert_eq!(around(Vec::new(), (1, 0), Path::new("two")), []);
    }
}
