//! The log as the index reads it.

use rusqlite::Connection;

use super::Reader;
use crate::inbox::InboxError;
use crate::inbox::address::unpack;
use crate::inbox::entry::{Body, Kind, Stored};
use crate::inbox::queries::has;
use crate::index::{Anchor, IndexedEntry, Log, LogError, Term};

/// How much payload one transaction passes to the index, in bytes: indexing it takes longer than reading it.
const WINDOW_BYTES: usize = 256 * 1024;

impl Log for Reader {
    fn id_range(&self) -> Result<(u64, u64), LogError> {
        let bounds = self.bounds()?;
        Ok((bounds.oldest, self.damage.complete_to(bounds.newest)))
    }

    fn has(&self, anchor: Anchor) -> Result<bool, LogError> {
        Ok(self.with(|connection| Ok(has(connection, anchor)?))?)
    }

    fn visit(
        &self,
        known: Option<Anchor>,
        ids: (u64, u64),
        visit: &mut dyn FnMut(IndexedEntry<'_>),
    ) -> Result<bool, LogError> {
        let visited = self.with_file(|file| {
            let connection = file.connection;
            if let Some(known) = known
                && !has(connection, known)?
            {
                return Ok(false);
            }
            let mut next = ids.0;
            loop {
                match visit_window(connection, (next, ids.1), visit) {
                    Ok(Some(read_to)) => next = read_to + 1,
                    Ok(None) => return Ok(true),
                    Err(error) if error.is_damage() => break,
                    Err(error) => return Err(error),
                }
            }
            // Entries that were visited before change nothing when they are visited again.
            let window = (next.saturating_sub(1), ids.1 - 1);
            self.examine(file, window, window, |entry| visit_stored(&entry, visit))?;
            Ok(true)
        });
        Ok(visited?)
    }
}

/// Visits the entries from `ids.0` up to and without `ids.1` in one transaction, until [`WINDOW_BYTES`] of payload are
/// reached; then it returns the last id.
fn visit_window(
    connection: &Connection,
    ids: (u64, u64),
    visit: &mut dyn FnMut(IndexedEntry<'_>),
) -> Result<Option<u64>, InboxError> {
    let mut statement = connection
        .prepare_cached("SELECT id, at_ns, kind, peer, payload FROM entry WHERE id >= ?1 AND id < ?2")?;
    let mut rows = statement.query([ids.0, ids.1])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let payload = row.get_ref(4)?.as_blob_or_null()?.unwrap_or_default();
        let anchor = Anchor { id: row.get(0)?, at_ns: row.get(1)? };
        visit(IndexedEntry {
            anchor,
            kind: term_of_kind(row.get(2)?),
            peer: row.get_ref(3)?.as_blob_or_null()?.and_then(unpack),
            payload,
        });
        bytes += payload.len();
        if bytes > WINDOW_BYTES {
            return Ok(Some(anchor.id));
        }
    }
    Ok(None)
}

fn visit_stored(entry: &Stored, visit: &mut dyn FnMut(IndexedEntry<'_>)) {
    let (kind, peer, payload) = match &entry.body {
        Body::Received { peer, payload, .. } => (None, Some(*peer), payload.as_slice()),
        Body::Sent { peer, payload, .. } => (Some(Term::Sent), Some(*peer), payload.as_slice()),
        Body::Gap(_) => (Some(Term::Gap), None, [].as_slice()),
        Body::Notice(_) => (Some(Term::Notice), None, [].as_slice()),
    };
    visit(IndexedEntry { anchor: Anchor { id: entry.id, at_ns: entry.at_ns }, kind, peer, payload });
}

/// Returns the term of a kind, by its number in the database. Received messages, which are the most, have none.
fn term_of_kind(kind: i64) -> Option<Term> {
    if kind == Kind::Sent as i64 {
        Some(Term::Sent)
    } else if kind == Kind::Gap as i64 {
        Some(Term::Gap)
    } else if kind == Kind::Notice as i64 {
        Some(Term::Notice)
    } else {
        None
    }
}
