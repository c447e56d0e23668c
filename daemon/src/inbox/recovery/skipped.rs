//! The ids that a log has skipped: those between the entries of an earlier log, as far as they are known, and the id that the next
//! one began with. No entry is known to have had one of them, so that a later recovery must not count them as lost.
//!
//! They are rows of the table `skipped`, one a range. It exists only where ids were skipped; programs that do not know it leave
//! it alone. A damaged file is searched for its rows, so that the log that replaces it has them too.

use rusqlite::{Connection, OptionalExtension, params};

use super::plan::Segment;
use super::{MAX_PLAUSIBLE_ID, has_table};

/// The name of the table.
pub(crate) const TABLE: &str = "skipped";

const CREATE: &str = "CREATE TABLE IF NOT EXISTS skipped (
  first_id INTEGER PRIMARY KEY, -- no entry ever had one of the ids from here on
  last_id INTEGER NOT NULL      -- up to this one
) STRICT";

/// The first and the last id of a range.
pub(crate) type Ids = (u64, u64);

/// Returns a range as the table has it; none if it cannot be one.
pub(super) fn ids_of(first: i64, last: i64) -> Option<Ids> {
    let (first, last) = (u64::try_from(first).ok()?, u64::try_from(last).ok()?);
    (0 < first && first <= last && last <= MAX_PLAUSIBLE_ID).then_some((first, last))
}

/// Adds ranges.
pub(crate) fn add(connection: &Connection, ranges: &[Ids]) -> rusqlite::Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    connection.execute_batch(CREATE)?;
    for (first, last) in ranges {
        let add = "INSERT INTO skipped (first_id, last_id) VALUES (?1, ?2)
                   ON CONFLICT (first_id) DO UPDATE SET last_id = max(last_id, ?2)";
        connection.execute(add, params![first, last])?;
    }
    Ok(())
}

/// Returns the ranges in rising order. Those that cannot be are left out: a damaged file may hold any number.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Vec<Ids>> {
    if !has_table(connection, TABLE)? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare_cached("SELECT first_id, last_id FROM skipped ORDER BY first_id")?;
    let ranges = statement.query_map([], |row| Ok(ids_of(row.get(0)?, row.get(1)?)))?;
    ranges.filter_map(Result::transpose).collect()
}

/// Returns the ids between the entries of earlier logs, or what is planned to be recovered of them, and the first id of this one,
/// unless a row has them.
pub(crate) fn before_first(connection: &Connection, plan: &[Segment]) -> rusqlite::Result<Option<Ids>> {
    let ids = "SELECT (SELECT max(id) FROM entry WHERE id < first_id) + 1, first_id - 1 FROM log";
    let ids = connection.query_row(ids, [], |row| Ok((row.get::<_, Option<u64>>(0)?, row.get(1)?)));
    let planned = plan.last().map(|segment| segment.last + 1);
    let Some((present, last)) = ids.optional()? else { return Ok(None) };
    let is_known = read(connection)?.iter().any(|(_, known)| *known == last);
    let first = present.max(planned).filter(|first| *first <= last && !is_known);
    Ok(first.map(|first| (first, last)))
}

/// Replaces what is known of a range, which gets entries of another log that has skipped these ids.
pub(crate) fn replace(connection: &Connection, range: Ids, skipped: &[Ids]) -> rusqlite::Result<()> {
    let known = read(connection)?;
    if known.is_empty() && skipped.is_empty() {
        return Ok(());
    }
    let outside: Vec<_> = known.into_iter().flat_map(|known| without(known, &[range])).collect();
    connection.execute_batch(CREATE)?;
    connection.execute("DELETE FROM skipped", [])?;
    add(connection, &outside)?;
    let inside = skipped.iter().filter_map(|ids| overlap(*ids, range));
    add(connection, &inside.collect::<Vec<_>>())
}

/// Forgets what is older than a removed entry.
pub(crate) fn drop_up_to(connection: &Connection, last: u64) -> rusqlite::Result<()> {
    if has_table(connection, TABLE)? {
        connection.execute("DELETE FROM skipped WHERE last_id <= ?1", [last])?;
    }
    Ok(())
}

/// Returns the parts of a range that are not in others, which are in rising order.
pub(crate) fn without((first, last): Ids, others: &[Ids]) -> Vec<Ids> {
    let (mut parts, mut next) = (Vec::new(), first);
    for (from, to) in others.iter().filter_map(|other| overlap(*other, (first, last))) {
        if next < from {
            parts.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= last {
        parts.push((next, last));
    }
    parts
}

/// Returns the ids that are in both ranges.
pub(crate) fn overlap(one: Ids, other: Ids) -> Option<Ids> {
    let both = (one.0.max(other.0), one.1.min(other.1));
    (both.0 <= both.1).then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_the_parts_that_are_in_no_other() {
        assert_eq!(without((1, 9), &[]), [(1, 9)]);
        assert_eq!(without((5, 20), &[(1, 5), (8, 10), (9, 12), (20, 30)]), [(6, 7), (13, 19)]);
        assert_eq!(without((5, 20), &[(1, 30)]), []);
        assert_eq!(without((5, 20), &[(1, 4), (21, 30)]), [(5, 20)]);
    }

    #[test]
    fn ranges_are_replaced_where_entries_of_another_log_come() {
        let connection = Connection::open_in_memory().unwrap();
        drop_up_to(&connection, 5).unwrap();
        replace(&connection, (1, 9), &[]).unwrap();
        assert_eq!(read(&connection).unwrap(), []);
        add(&connection, &[(11, 90), (101, 200)]).unwrap();
        replace(&connection, (21, 150), &[(1, 30), (40, 50), (149, 160)]).unwrap();
        let ranges = [(11, 20), (21, 30), (40, 50), (149, 150), (151, 200)];
        assert_eq!(read(&connection).unwrap(), ranges);
        drop_up_to(&connection, 45).unwrap();
        assert_eq!(read(&connection).unwrap(), ranges[2..]);
    }
}
