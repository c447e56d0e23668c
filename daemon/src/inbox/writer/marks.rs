//! The read marks of consumers.

use rusqlite::{Transaction, params};

use crate::inbox::queries::read_mark;
use crate::inbox::queue::{MarkChange, MarkItem};

/// Changes a consumer's read mark; returns the resulting mark, of a removal how many were removed.
pub(super) fn change_mark(transaction: &Transaction<'_>, mark: &MarkItem) -> rusqlite::Result<u64> {
    let consumer = &mark.consumer;
    let (id, on_conflict) = match mark.change {
        MarkChange::Raise(id) => (id, "max(read_id, ?2)"),
        MarkChange::Set(id) => (id, "?2"),
        MarkChange::Remove => {
            let removed = transaction.execute("DELETE FROM consumer WHERE name = ?1", [consumer])?;
            return Ok(removed as u64);
        }
    };
    let sql = format!(
        "INSERT INTO consumer (name, read_id) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET read_id = {on_conflict}"
    );
    transaction.prepare_cached(&sql)?.execute(params![consumer, id])?;
    read_mark(transaction, consumer).map(Option::unwrap_or_default)
}
