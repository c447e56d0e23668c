//! The table `clock`.

use rusqlite::{Connection, Error, params};

use super::history::History;
use super::period::Period;

/// Reads the history of a log; an empty one if its content is damaged.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<History> {
    let sql = "SELECT number, first_id, boot_id, boottime_ns, begin_ns, seen_ns, step_ns, restarted
               FROM clock ORDER BY number";
    let mut statement = connection.prepare(sql)?;
    let periods = statement.query_map([], |row| {
        Ok(Period {
            number: row.get(0)?,
            first_id: row.get(1)?,
            boot_id: u128::from_be_bytes(row.get(2)?),
            boottime_ns: row.get(3)?,
            begin_ns: row.get(4)?,
            seen_ns: row.get(5)?,
            step_ns: row.get(6)?,
            restarted: row.get(7)?,
        })
    })?;
    match periods.collect() {
        Ok(periods) => Ok(History { periods }),
        Err(
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..),
        ) => Ok(History::default()),
        Err(error) => Err(error),
    }
}

/// Writes the history of a log. The caller's transaction makes it one with the entries that it concerns.
pub(super) fn write(connection: &Connection, history: &History) -> rusqlite::Result<()> {
    // Periods are few, and a new one is rare.
    connection.execute("DELETE FROM clock", [])?;
    let mut statement =
        connection.prepare_cached("INSERT INTO clock VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for period in &history.periods {
        statement.execute(params![
            period.number,
            period.first_id,
            period.boot_id.to_be_bytes(),
            period.boottime_ns,
            period.begin_ns,
            period.seen_ns,
            period.step_ns,
            period.restarted,
        ])?;
    }
    Ok(())
}

/// Notes that the clock was seen in the newest period.
pub(super) fn set_seen(connection: &Connection, seen_ns: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE clock SET seen_ns = ?1 WHERE number = (SELECT max(number) FROM clock)";
    connection.execute(sql, [seen_ns]).map(|_| ())
}
