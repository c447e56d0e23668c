//! Adds recovered entries to the log, with the ids that they had, and gaps where entries are missing.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::clock;
use crate::inbox::InboxError;
use crate::inbox::entry::{GapDetail, Kind};
use crate::inbox::file::{LostTail, UNKNOWN_STEP_NS, Used};
use crate::inbox::queries::newest;
use crate::inbox::recovery::MAX_PLAUSIBLE_ID;
use crate::inbox::recovery::plan::{self, Segment};
use crate::inbox::recovery::salvage::{Others, Row};
use crate::inbox::recovery::segment::Chunk;
use crate::inbox::recovery::skipped::{self, Ids};

/// What a chunk has added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) entries: u64,
    /// How many entries the added gaps stand for.
    pub(crate) lost: u64,
    /// The ids that the gaps stand for, without their own, and those that were skipped.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Whether encodings of peers were added.
    pub(crate) has_peers: bool,
}

/// Writes a chunk, and notes in the plan how far the recovery is. Writes nothing if the chunk is no longer planned, because newer
/// entries were removed meanwhile.
pub(crate) fn write(transaction: &Transaction<'_>, chunk: &Chunk) -> rusqlite::Result<Added> {
    let mut added = Added::default();
    if plan::oldest(transaction)? != Some(chunk.first) {
        return Ok(added);
    }
    if let Some(others) = &chunk.others {
        added.has_peers = !others.peers.is_empty();
        write_others(transaction, others)?;
    }
    remove_gaps(transaction, chunk)?;
    let skipped = skipped::read(transaction)?;
    let (mut expected, mut at_ns) = (chunk.first, None);
    for row in &chunk.rows {
        // A gap of the damaged log itself stands for the ids before it.
        let begins = first_id(row).unwrap_or(row.id).max(expected).min(row.id);
        if begins > expected {
            add_missing(transaction, (expected, begins - 1), &skipped, row.at_ns, &mut added)?;
        }
        if begins < row.id {
            added.gaps.push((begins, row.id - 1));
        }
        insert(transaction, row)?;
        added.entries += 1;
        (expected, at_ns) = (row.id + 1, Some(row.at_ns));
    }
    if expected < chunk.next {
        let at_ns = at_ns.unwrap_or_else(clock::now_ns);
        add_missing(transaction, (expected, chunk.next - 1), &skipped, at_ns, &mut added)?;
    }
    plan::advance(transaction, chunk.first, chunk.next)?;
    Ok(added)
}

/// Removes the gaps for ids of a chunk, and that part of the next one: a file that is recovered by hand may have what an earlier one
/// did not have.
fn remove_gaps(transaction: &Transaction<'_>, chunk: &Chunk) -> rusqlite::Result<()> {
    let whole = "DELETE FROM entry WHERE id >= ?1 AND id < ?2 AND kind = 2
                 AND json_extract(detail, '$.first_id') IS NOT NULL";
    transaction.prepare_cached(whole)?.execute([chunk.first, chunk.next])?;
    let next = "SELECT id, json_extract(detail, '$.first_id'), json_extract(detail, '$.lost') FROM entry
                INDEXED BY entry_not_received WHERE id >= ?1 AND kind <> 0 AND kind = 2 ORDER BY id LIMIT 1";
    let gap =
        |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<u64>>(1)?, row.get::<_, u64>(2)?));
    let next: Option<(u64, _, _)> =
        transaction.prepare_cached(next)?.query_row([chunk.next], gap).optional()?;
    if let Some((id, Some(first), lost)) = next
        && first < chunk.next
    {
        // The gap of a lost end may have more ids than entries.
        let lost = lost.saturating_sub(chunk.next - first);
        let rest = "UPDATE entry SET detail = json_set(detail, '$.first_id', ?2, '$.lost', ?3) WHERE id = ?1";
        transaction.prepare_cached(rest)?.execute([id, chunk.next, lost])?;
    }
    Ok(())
}

/// Adds a gap where a log ends before the newest id that was used; returns what it stands for.
///
/// # Errors
/// [`InboxError::Damaged`] if the log says that it has more entries than there can be.
pub(crate) fn add_lost_tail(connection: &mut Connection, used: Used) -> Result<Option<LostTail>, InboxError> {
    let last = last_id(connection)?;
    if last > MAX_PLAUSIBLE_ID {
        return Err(InboxError::Damaged(format!("its newest entry would be #{last}")));
    }
    let Some(tail) = used.missing_behind(last) else { return Ok(None) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let detail = GapDetail { lost: tail.lost, ..GapDetail::damaged(tail.first, tail.last) };
    // Without a journal, the time of the newest entry is not known.
    let at_ns = if used.newest.at_ns == 0 { clock::now_ns() } else { used.newest.at_ns };
    insert(&transaction, &gap(tail.last, at_ns, &detail))?;
    // Known also where the gap itself is damaged later.
    skipped::add(&transaction, tail.skipped().as_slice())?;
    transaction.commit()?;
    Ok(Some(tail))
}

/// Returns the last id that a log has, or that its recovery has still to bring.
pub(super) fn last_id(log: &Connection) -> rusqlite::Result<u64> {
    Ok(newest(log)?.id.max(plan::newest(log)?.unwrap_or(0)))
}

/// Returns the ids that a plan has still to recover, as one range.
pub(super) fn awaited(segments: &[Segment]) -> Option<(u64, u64)> {
    Some((segments.first()?.first, segments.last()?.last))
}

/// Makes entries that are older than the history of the clock count from its begin: entries of another file may be of any
/// clock.
pub(crate) fn expect_unknown_clocks(connection: &Connection) -> rusqlite::Result<()> {
    let oldest =
        "UPDATE clock SET step_ns = ?1, restarted = 0 WHERE number = (SELECT min(number) FROM clock)";
    connection.execute(oldest, [UNKNOWN_STEP_NS]).map(drop)
}

/// Adds gaps for the ids of a damaged log that have no readable entry, but none for those that it has skipped.
fn add_missing(
    transaction: &Transaction<'_>,
    ids: Ids,
    skipped: &[Ids],
    at_ns: i64,
    added: &mut Added,
) -> rusqlite::Result<()> {
    added.gaps.extend(skipped.iter().filter_map(|skipped| skipped::overlap(*skipped, ids)));
    let lost = skipped::without(ids, skipped);
    lost.into_iter().try_for_each(|lost| add_gap(transaction, lost, at_ns, added))
}

/// Adds a gap for the entries of a damaged log from one id up to another, which becomes its own.
fn add_gap(
    transaction: &Transaction<'_>,
    (first, last): (u64, u64),
    at_ns: i64,
    added: &mut Added,
) -> rusqlite::Result<()> {
    insert(transaction, &gap(last, at_ns, &GapDetail::damaged(first, last)))?;
    added.lost += last - first + 1;
    if first < last {
        added.gaps.push((first, last - 1));
    }
    Ok(())
}

fn gap(id: u64, at_ns: i64, detail: &GapDetail) -> Row {
    // A struct of numbers and strings: serialising it cannot fail.
    let detail = serde_json::to_string(detail).ok();
    Row { id, at_ns, kind: Kind::Gap as i64, peer: None, local: None, payload: None, detail }
}

fn insert(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    let insert = "INSERT OR IGNORE INTO entry (id, at_ns, kind, peer, local, payload, detail)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![row.id, row.at_ns, row.kind, row.peer, row.local, row.payload, row.detail];
    transaction.prepare_cached(insert)?.execute(values).map(drop)
}

fn write_others(transaction: &Transaction<'_>, others: &Others) -> rusqlite::Result<()> {
    let mark = "INSERT INTO consumer (name, read_id) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET read_id = max(read_id, ?2)";
    for (name, read_id) in &others.marks {
        transaction.prepare_cached(mark)?.execute(params![name, read_id])?;
    }
    let peer = "INSERT OR IGNORE INTO peer (address, encoding, learned_id) VALUES (?1, ?2, ?3)";
    for (address, encoding, learned_id) in &others.peers {
        transaction.prepare_cached(peer)?.execute(params![address, encoding, learned_id])?;
    }
    Ok(())
}

/// Returns the first id that a gap of a damaged log stands for.
fn first_id(row: &Row) -> Option<u64> {
    let detail = row.detail.as_deref().filter(|_| row.kind == Kind::Gap as i64)?;
    serde_json::from_str::<GapDetail>(detail).ok()?.first_id
}
