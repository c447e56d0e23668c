//! `udpchatd --recover FILE`: takes what is readable of a damaged inbox into the inbox of the data directory, while no daemon
//! runs.
//!
//! It fills only ids that the inbox does not have: those of gaps of damaged entries, those before its oldest entry and those
//! behind its newest one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use udpchat_api::safe;
use udpchat_config::{Need, file_hint, size_limit_hint};
use udpchat_locale::tr;

use crate::inbox::InboxError;
use crate::inbox::file::{self, OpenError, Opened, Used};
use crate::inbox::kept::table;
use crate::inbox::recovery::plan::{self, Segment};
use crate::inbox::recovery::salvage::Salvage;
use crate::inbox::recovery::{
    MAX_PLAUSIBLE_ID, kept_rows, known_ids, schema_tables, segment, skipped, skipped_ids,
};
use crate::inbox::writer::recovered;
use crate::index;
use crate::service::systemd::still_starting;

/// Describes why nothing, or not everything, was recovered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is the inbox into which a damaged one is recovered", .path.display())]
    Same { path: PathBuf },
    #[error("nothing of an inbox can be read in {}", .path.display())]
    Nothing { path: PathBuf },
    #[error(transparent)]
    Inbox(#[from] OpenError),
    #[error("cannot write the inbox; a repetition continues")]
    Write(#[from] InboxError),
    #[error("the entries are recovered, but the report cannot be printed")]
    Unreported(#[source] io::Error),
}

impl RecoverError {
    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read { path, source } => file_hint(path, Need::Read, source),
            Self::Same { .. } | Self::Nothing { .. } => Some(
                "a damaged inbox that a daemon has moved away is called `inbox.db.damaged-TIME`".to_owned(),
            ),
            Self::Inbox(error) => error.hint(),
            Self::Write(_) => size_limit_hint(),
            Self::Unreported(_) => None,
        }
    }
}

/// What was recovered.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) entries: u64,
    pub(crate) lost: u64,
    /// How many held messages were taken over.
    pub(crate) held: usize,
    /// How many ids of the file the inbox has already. Its own entries stay, and what the file has for them is left out.
    pub(crate) known: u64,
}

/// Recovers a file into the inbox of a data directory that no daemon uses, and prints a line about it.
pub(crate) fn run(data_dir: &Path, file: &Path) -> Result<(), RecoverError> {
    let path =
        fs::canonicalize(file).map_err(|source| RecoverError::Read { path: file.to_owned(), source })?;
    if fs::canonicalize(data_dir.join(file::FILE_NAME)).is_ok_and(|inbox| inbox == path) {
        return Err(RecoverError::Same { path });
    }
    // A wrong file must not change the inbox.
    match has_inbox(&path) {
        Ok(true) => {}
        Ok(false) => return Err(RecoverError::Nothing { path }),
        Err(source) => return Err(RecoverError::Read { path, source }),
    }
    let Total { entries, lost, held, known } = recover(data_dir, &path)?;
    let mut text = tr!(
        "{entries} entries recovered from {file}; {lost} are not readable and have a gap",
        entries,
        file = safe::one_line(&path.to_string_lossy()),
        lost
    );
    if known > 0 {
        text += "\n";
        text += &tr!(
            "{known} ids of that file are left out: the inbox has entries with these ids, the same or others",
            known
        );
    }
    if held > 0 {
        text += "\n";
        text += &tr!("{held} held messages recovered", held);
    }
    writeln!(io::stdout(), "{text}").map_err(RecoverError::Unreported)
}

/// Recovers a file, whose path is absolute.
pub(crate) fn recover(data_dir: &Path, path: &Path) -> Result<Total, RecoverError> {
    in_sound_inbox(data_dir, |opened| {
        // What a daemon has begun comes first: it may fill some of the same ids.
        let mut connection = continue_planned(data_dir, opened)?;
        let Missing { segments, unused, skipped, known } = missing(&connection, path)?;
        index::remove(data_dir);
        recovered::expect_unknown_clocks(&connection).map_err(InboxError::from)?;
        for Segment { first, last, .. } in &segments {
            skipped::replace(&connection, (*first, *last), &skipped).map_err(InboxError::from)?;
        }
        skipped::add(&connection, &unused).map_err(InboxError::from)?;
        plan::add(&connection, data_dir, &segments).map_err(InboxError::from)?;
        let held = take_over_held(&mut connection, path).map_err(InboxError::from)?;
        let total = recover_planned(&mut connection, data_dir)?;
        Ok(Total { held, known, ..total })
    })
}

/// Returns whether a file shows a table, an entry or a held message of an inbox. One whose entries are there already does.
fn has_inbox(path: &Path) -> io::Result<bool> {
    let shows = schema_tables(path).contains("entry")
        || known_ids(path).newest > 0
        || !kept_rows(path).held.is_empty();
    if shows {
        return Ok(true);
    }
    let entries = Salvage::open(path, vec![(1, MAX_PLAUSIBLE_ID)], &|| true)?;
    Ok(entries.and_then(|salvage| salvage.ids()).is_some())
}

fn take_over_held(connection: &mut Connection, path: &Path) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = table::take_over(&transaction, &kept_rows(path))?;
    transaction.commit()?;
    Ok(taken)
}

/// Recovers what is planned into the inbox of a data directory.
#[cfg(fuzzing)]
pub(crate) fn recover_rest(data_dir: &Path) -> Result<(), RecoverError> {
    in_sound_inbox(data_dir, |opened| continue_planned(data_dir, opened).map(drop))
}

/// Runs a work on the inbox of a data directory. If damage that opening has not found ends it, the inbox is replaced, as a daemon
/// does, and the work runs again.
fn in_sound_inbox<T>(
    data_dir: &Path,
    work: impl Fn(Opened) -> Result<T, RecoverError>,
) -> Result<T, RecoverError> {
    match work(file::open_unused(data_dir, &still_starting)?) {
        Err(RecoverError::Write(error)) if error.is_damage() => {
            work(file::replace_unused(data_dir, &still_starting)?)
        }
        done => done,
    }
}

/// Recovers what is planned into an open inbox, and returns that.
fn continue_planned(data_dir: &Path, opened: Opened) -> Result<Connection, RecoverError> {
    let Opened { mut connection, is_restored, .. } = opened;
    if !is_restored {
        // The next daemon would add the same gap; what a file has of it is recovered now.
        let _lost = recovered::add_lost_tail(&mut connection, Used::by_journal(data_dir))?;
    }
    recover_planned(&mut connection, data_dir)?;
    Ok(connection)
}

/// What an inbox does not have of a file.
struct Missing {
    /// The ids that the inbox does not have and the file may have.
    segments: Vec<Segment>,
    /// The ids between those of the inbox and those of the file: neither has them, so they are not lost by damage.
    unused: Gaps,
    /// The ids that the log of the file has skipped.
    skipped: Vec<skipped::Ids>,
    /// How many of the ids that the file has are in the inbox.
    known: u64,
}

/// Compares the ids of an inbox with those of a file.
fn missing(connection: &Connection, path: &Path) -> Result<Missing, RecoverError> {
    let (mut ranges, oldest, newest) = present(connection).map_err(InboxError::from)?;
    let is_empty = newest < oldest;
    let oldest = ranges.first().map_or(oldest, |(first, _)| oldest.min(*first));
    let (beginning, last) = ids_of(path)?;
    // Another file may have what the inbox has skipped.
    let skipped_here = skipped::read(connection).map_err(InboxError::from)?;
    for ids in skipped_here.into_iter().filter_map(|ids| skipped::overlap(ids, (beginning, last))) {
        ranges.extend(skipped::without(ids, &ranges));
        ranges.sort_unstable();
    }
    let mut unused = Gaps::new();
    if beginning < oldest && beginning <= last {
        ranges.push((beginning, last.min(oldest - 1)));
        unused.push((last + 1, oldest - 1));
    }
    if last > newest {
        let first = beginning.max(newest + 1);
        ranges.push((first, last));
        // Before its oldest entry an inbox has no hole.
        unused.extend((!is_empty).then_some((newest + 1, first - 1)));
    }
    unused.retain(|(first, last)| first <= last);
    // Behind its newest id the file has nothing.
    let ranges = ranges.into_iter().map(|(first, to)| (first, last.min(to)));
    let mut ranges: Gaps = ranges.filter(|(first, last)| first <= last).collect();
    ranges.sort_unstable();
    let skipped = skipped_ids(path);
    let had = |(first, last): (u64, u64)| -> u64 {
        skipped::without((first, last), &skipped).iter().map(|(first, last)| last - first + 1).sum()
    };
    let absent = ranges.iter().filter_map(|ids| skipped::overlap(*ids, (beginning, last))).map(had);
    let known = had((beginning, last)).saturating_sub(absent.sum());
    let segment = |(first, last)| Segment { first, last, file: path.to_owned() };
    Ok(Missing { segments: ranges.into_iter().map(segment).collect(), unused, skipped, known })
}

/// Returns the first and the last id that a file has or had; the first one is behind the last one if it shows none. What retention
/// has removed of it is not counted, as far as the file shows that.
fn ids_of(path: &Path) -> Result<(u64, u64), RecoverError> {
    let known = known_ids(path);
    let all = Salvage::open(path, vec![(1, MAX_PLAUSIBLE_ID)], &|| true);
    let all = all.map_err(|source| RecoverError::Read { path: path.to_owned(), source })?;
    let readable = all.and_then(|salvage| salvage.ids());
    // Where the tree does not show its oldest id, what the file had and is not readable gets a gap.
    let first =
        known.oldest.or_else(|| known.first.into_iter().chain(readable.map(|(first, _)| first)).min());
    // Where the tree does not show its newest id, any page may have it.
    let last = known.newest.max(readable.map_or(0, |(_, last)| last));
    Ok((first.map_or(last + 1, |first| first.max(1)), last))
}

/// First and last ids of gaps.
type Gaps = Vec<(u64, u64)>;

/// Returns the gaps of damaged entries, the oldest id and the newest one.
fn present(connection: &Connection) -> rusqlite::Result<(Gaps, u64, u64)> {
    let gaps = "SELECT json_extract(detail, '$.first_id'), id FROM entry INDEXED BY entry_not_received
                WHERE kind <> 0 AND kind = 2 AND json_extract(detail, '$.first_id') IS NOT NULL ORDER BY id";
    let mut gaps = connection.prepare(gaps)?;
    let gaps = gaps.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let oldest = "SELECT coalesce((SELECT min(id) FROM entry), (SELECT first_id FROM log))";
    Ok((gaps, connection.query_row(oldest, [], |row| row.get(0))?, file::newest_id(connection)?))
}

/// Recovers all segments of the plan.
fn recover_planned(connection: &mut Connection, data_dir: &Path) -> Result<Total, RecoverError> {
    let mut total = Total::default();
    loop {
        let plan = plan::read(connection, data_dir).map_err(InboxError::from)?;
        let Some(Segment { file, .. }) = plan.first() else { return Ok(total) };
        let mut failed = None;
        let recovered = segment::recover(&plan, &|| true, |chunk| {
            let mut store = || -> rusqlite::Result<recovered::Added> {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let added = recovered::write(&transaction, &chunk)?;
                transaction.commit()?;
                Ok(added)
            };
            match store() {
                Ok(added) => {
                    total.entries += added.entries;
                    total.lost += added.lost;
                }
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        });
        recovered.map_err(|source| RecoverError::Read { path: file.clone(), source })?;
        if let Some(error) = failed {
            return Err(InboxError::from(error).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of the entries with their ids, and the details of gaps.
    fn entries(connection: &Connection) -> Vec<(u64, i64, Option<String>)> {
        let mut entries = connection.prepare("SELECT id, kind, detail FROM entry ORDER BY id").unwrap();
        let entry = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        entries.query_map([], entry).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_part_of_a_gap_is_filled_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let add = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 10)
                   INSERT INTO entry (id, at_ns, kind, peer, payload) SELECT id, id, 0, x'010203040005', 'x' FROM n";
        connection.execute_batch(&add.replace("'x'", "x'61'")).unwrap();
        let aside = folder.path().join("aside");
        connection.execute("VACUUM INTO ?1", [aside.to_str().unwrap()]).unwrap();
        let gap = r#"{"lost":9,"reason":"damaged","first_id":7}"#;
        connection.execute("DELETE FROM entry WHERE id > 6", []).unwrap();
        let lose = "INSERT INTO entry (id, at_ns, kind, detail) VALUES (2000000, 1, 2, ?1)";
        connection.execute(lose, [gap]).unwrap();
        drop(connection);
        assert_eq!(recover(folder.path(), &aside).unwrap().known, 6);
        assert_eq!(recover(folder.path(), &aside).unwrap().known, 10, "all are there");
        let found = entries(&file::open(folder.path()).unwrap().connection);
        assert!(
            found[..10].iter().map(|(id, kind, _)| (*id, *kind)).eq((1..=10).map(|id| (id, 0))),
            "{found:?}"
        );
        let rest = r#"{"lost":5,"reason":"damaged","first_id":11}"#;
        assert_eq!(found[10..], [(2_000_000, 2, Some(rest.to_owned()))]);
    }

    #[test]
    fn ids_that_neither_inbox_has_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let add =
            "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, 1, 0, x'010203040005', x'61')";
        let fill = |ids: std::ops::RangeInclusive<u64>| {
            connection.execute("DELETE FROM entry", []).unwrap();
            ids.for_each(|id| assert_eq!(connection.execute(add, [id]).unwrap(), 1));
        };
        let aside = folder.path().join("aside");
        fill(50..=60);
        connection.execute("VACUUM INTO ?1", [aside.to_str().unwrap()]).unwrap();
        fill(90..=99);
        let missing = |connection| {
            let Missing { segments, unused, known, .. } = missing(connection, &aside).unwrap();
            let ranges = segments.iter().map(|segment| (segment.first, segment.last));
            (ranges.collect::<Vec<_>>(), unused, known)
        };
        assert_eq!(missing(&connection), (vec![(50, 60)], vec![(61, 89)], 0));
        fill(1..=9);
        assert_eq!(missing(&connection), (vec![(50, 60)], vec![(10, 49)], 0));
        fill(55..=57);
        assert_eq!(missing(&connection), (vec![(50, 54), (58, 60)], vec![], 3));
        fill(1..=9);
        connection.execute(add, [90]).unwrap();
        skipped::add(&connection, &[(10, 89)]).unwrap();
        assert_eq!(missing(&connection), (vec![(50, 60)], vec![], 0));
        connection.execute("DELETE FROM entry", []).unwrap();
        skipped::replace(&connection, (1, 100), &[]).unwrap();
        assert_eq!(missing(&connection), (vec![(50, 60)], vec![], 0), "nothing is before an empty inbox");
    }

    #[test]
    fn an_inbox_whose_damage_shows_late_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let add =
            "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, 1, 0, x'010203040005', x'61')";
        for id in [1, 2, 3] {
            connection.execute(add, [id]).unwrap();
        }
        let aside = folder.path().join("aside");
        connection.execute("VACUUM INTO ?1", [aside.to_str().unwrap()]).unwrap();
        connection.execute("DELETE FROM entry WHERE id = 2", []).unwrap();
        // SQLite finds nothing wrong with it.
        connection.execute(add, [2 * MAX_PLAUSIBLE_ID]).unwrap();
        drop(connection);
        run(folder.path(), &aside).unwrap();
        let found = entries(&file::open(folder.path()).unwrap().connection);
        let ids: Vec<_> = found.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids, [1, 2, 3]);
    }

    #[test]
    fn a_file_that_is_no_inbox_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = (folder.path().join("data"), folder.path().join("letter"));
        fs::create_dir(&data).unwrap();
        drop(file::open(&data).unwrap());
        let index = data.join("index.db");
        fs::write(&index, "").unwrap();
        fs::write(&file, "no inbox").unwrap();
        assert!(matches!(run(&data, &file), Err(RecoverError::Nothing { .. })));
        assert!(matches!(
            run(&data, folder.path()),
            Err(RecoverError::Read { .. } | RecoverError::Nothing { .. })
        ));
        assert!(index.exists());
    }

    fn held(connection: &Connection) -> Vec<(u64, Vec<u8>)> {
        let mut held = connection.prepare("SELECT id, payload FROM held ORDER BY id").unwrap();
        held.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn held_messages_are_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let hold = "INSERT INTO held (name, payload, detail, at_ns, until_ns) VALUES ('bob', ?1, '{}', 1, 2)";
        let other = tempfile::tempdir().unwrap();
        let connection = file::open(other.path()).unwrap().connection;
        for payload in [b"1", b"2", b"3"] {
            connection.execute(hold, [payload.as_slice()]).unwrap();
        }
        connection.execute("DELETE FROM held WHERE id = 3", []).unwrap();
        drop(connection);
        let damaged = other.path().join(file::FILE_NAME);
        assert_eq!(recover(folder.path(), &damaged).unwrap().held, 2);
        let connection = file::open(folder.path()).unwrap().connection;
        assert_eq!(held(&connection), [(1, b"1".to_vec()), (2, b"2".to_vec())]);
        // One was sent meanwhile, and no number is used again.
        connection.execute("DELETE FROM held WHERE id = 1", []).unwrap();
        connection.execute(hold, [b"new".as_slice()]).unwrap();
        drop(connection);
        assert_eq!(recover(folder.path(), &damaged).unwrap().held, 0);
        let connection = file::open(folder.path()).unwrap().connection;
        assert_eq!(held(&connection), [(2, b"2".to_vec()), (4, b"new".to_vec())]);
    }
}
