//! The tables `held` and `silent`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use tracing::warn;

use super::row::{HeldRow, To};
use super::types::{Due, MAX_HELD, NewHeld, SilentRow};
use crate::inbox::address::{Packed, pack, unpack};
use crate::inbox::entry::SentDetail;

/// The rows of both tables.
#[derive(Debug, Default)]
pub(crate) struct KeptRows {
    pub(crate) held: Vec<HeldRow>,
    pub(crate) silent: Vec<(String, SilentRow)>,
    /// The highest number of a held message that was ever used.
    pub(crate) highest: u64,
}

/// Reads both tables. Rows that this program does not write are left out.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<KeptRows> {
    let select = "SELECT id, name, address, payload, detail, at_ns, until_ns FROM held ORDER BY id LIMIT ?1";
    let mut rows = KeptRows::default();
    let mut statement = connection.prepare(select)?;
    let mut found = statement.query([MAX_HELD])?;
    while let Some(row) = found.next()? {
        match held_row(row)? {
            Some(row) => rows.held.push(row),
            None => warn!(
                held = row.get::<_, i64>(0)?,
                "a held message of the inbox cannot be read; it is not sent"
            ),
        }
    }
    rows.silent = silent_rows(connection)?;
    rows.highest = highest(connection)?;
    Ok(rows)
}

/// Returns the highest number of a held message that was ever used; SQLite gives the next one.
fn highest(connection: &Connection) -> rusqlite::Result<u64> {
    let highest = "SELECT seq FROM sqlite_sequence WHERE name = 'held'";
    Ok(connection.query_row(highest, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Returns whether a table has a row, or a number was used.
pub(crate) fn has_any(connection: &Connection) -> rusqlite::Result<bool> {
    let any =
        "SELECT EXISTS (SELECT 1 FROM silent) OR EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'held')";
    connection.query_row(any, [], |row| row.get(0))
}

fn silent_rows<T: FromIterator<(String, SilentRow)>>(connection: &Connection) -> rusqlite::Result<T> {
    let mut statement = connection.prepare("SELECT name, since_ns, last_ns FROM silent")?;
    let row = |row: &Row<'_>| Ok((row.get(0)?, SilentRow { since_ns: row.get(1)?, last_ns: row.get(2)? }));
    statement.query_map([], row)?.collect()
}

fn held_row(row: &Row<'_>) -> rusqlite::Result<Option<HeldRow>> {
    let (name, address): (Option<String>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
    let detail: String = row.get(4)?;
    let times = (row.get(5)?, row.get(6)?);
    Ok(held_of(row.get(0)?, name, address.as_deref(), row.get(3)?, &detail, times))
}

/// Makes a held message of the columns of its row; none if this program does not write such a row.
pub(crate) fn held_of(
    id: u64,
    name: Option<String>,
    address: Option<&[u8]>,
    payload: Vec<u8>,
    detail: &str,
    times: (i64, i64),
) -> Option<HeldRow> {
    let mut detail: SentDetail = serde_json::from_str(detail).ok()?;
    let to = match (name, address) {
        (Some(name), None) => To::Name(name),
        (None, Some(address)) => To::stored(unpack(address)?, detail.interface.take()),
        _ => return None,
    };
    Some(HeldRow::new(id, to, payload, detail, times))
}

/// Makes both tables those of a daemon that knows them, where they are not.
pub(super) fn restore(
    connection: &mut Connection,
    held: &BTreeMap<u64, Arc<HeldRow>>,
    silent: &BTreeMap<String, SilentRow>,
    highest: u64,
) -> rusqlite::Result<()> {
    let ids: Vec<u64> = connection
        .prepare("SELECT id FROM held ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let found = self::highest(connection)?;
    if found >= highest && ids.iter().eq(held.keys()) && silent_rows::<BTreeMap<_, _>>(connection)? == *silent
    {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("DELETE FROM silent; DELETE FROM held")?;
    let rows = held.values().map(|row| &**row);
    let silent = silent.iter().map(|(name, row)| (name.as_str(), *row));
    write(&transaction, rows, silent, highest.max(found))?;
    transaction.commit()
}

/// Writes the rows of another inbox into empty tables.
pub(crate) fn write<'a>(
    transaction: &Transaction<'_>,
    held: impl Iterator<Item = &'a HeldRow>,
    silent: impl Iterator<Item = (&'a str, SilentRow)>,
    highest: u64,
) -> rusqlite::Result<()> {
    for row in held {
        insert_held(
            transaction,
            Some(row.id),
            &row.to,
            &row.payload,
            &detail(&row.to, &row.detail),
            (row.at_ns, row.until_ns),
        )?;
    }
    for (name, row) in silent {
        set_silent(transaction, name, row)?;
    }
    if highest > 0 {
        transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'held'", [])?;
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('held', ?1)", [highest])?;
    }
    Ok(())
}

/// Takes over the held messages of another file of the same inbox, with their numbers; returns how many. Those with a number that the
/// inbox has used are left out: it had them already, and may have sent them.
pub(crate) fn take_over(transaction: &Transaction<'_>, other: &KeptRows) -> rusqlite::Result<usize> {
    let known = highest(transaction)?;
    let held = "SELECT count(*) FROM held";
    let held: usize = transaction.query_row(held, [], |row| row.get(0))?;
    let new = other.held.iter().filter(|row| row.id > known).take(MAX_HELD.saturating_sub(held));
    let taken = new.clone().count();
    write(transaction, new, [].into_iter(), other.highest.max(known))?;
    Ok(taken)
}

fn insert_held(
    transaction: &Transaction<'_>,
    id: Option<u64>,
    to: &To,
    payload: &[u8],
    detail: &str,
    (at_ns, until_ns): (i64, i64),
) -> rusqlite::Result<u64> {
    let (name, address) = match to {
        To::Name(name) => (Some(name), None),
        To::Address(address) => (None, Some(pack(*address))),
        // Its interface is in the detail.
        To::OnInterface(address, _) => (None, Some(pack((*address).into()))),
    };
    let insert = "INSERT INTO held (id, name, address, payload, detail, at_ns, until_ns)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![id, name, address.as_ref().map(Packed::as_slice), payload, detail, at_ns, until_ns];
    transaction.prepare_cached(insert)?.execute(values)?;
    Ok(transaction.last_insert_rowid().cast_unsigned())
}

/// Holds the datagrams of a message.
pub(crate) fn hold(transaction: &Transaction<'_>, new: &NewHeld) -> rusqlite::Result<Vec<HeldRow>> {
    let (times, text) = ((new.at_ns, new.until_ns), detail(&new.to, &new.detail));
    let mut rows = Vec::with_capacity(new.payloads.len());
    for payload in &new.payloads {
        let id = insert_held(transaction, None, &new.to, payload, &text, times)?;
        rows.push(HeldRow::new(id, new.to.clone(), payload.clone(), new.detail.clone(), times));
    }
    Ok(rows)
}

/// Removes a held message; returns whether there was one.
pub(crate) fn remove(transaction: &Transaction<'_>, id: u64) -> rusqlite::Result<bool> {
    Ok(transaction.prepare_cached("DELETE FROM held WHERE id = ?1")?.execute([id])? > 0)
}

pub(crate) fn set_silent(transaction: &Transaction<'_>, name: &str, row: SilentRow) -> rusqlite::Result<()> {
    let set = "INSERT OR REPLACE INTO silent (name, since_ns, last_ns) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(set)?.execute(params![name, row.since_ns, row.last_ns]).map(drop)
}

pub(crate) fn forget_silent(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM silent WHERE name = ?1")?.execute([name]).map(drop)
}

/// Removes what expires, and what is no longer watched.
pub(crate) fn remove_due(transaction: &Transaction<'_>, due: &Due) -> rusqlite::Result<()> {
    for row in &due.expired {
        remove(transaction, row.id)?;
    }
    due.forgotten.iter().try_for_each(|name| forget_silent(transaction, name))
}

fn detail(to: &To, detail: &SentDetail) -> String {
    let detail = SentDetail { interface: to.interface().map(str::to_owned), ..detail.clone() };
    // A struct of strings and numbers: serialising it cannot fail.
    serde_json::to_string(&detail).unwrap_or_default()
}
