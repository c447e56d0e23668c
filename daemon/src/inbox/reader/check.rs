//! Checks the log in small steps, so that damage is found before a client reads the entries.

use rusqlite::Connection;

use super::{OpenFile, Reader};
use crate::inbox::InboxError;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::queries::COUNT_NOT_RECEIVED;
use crate::inbox::row::{SELECT, stored};

/// How many ids and how many bytes of messages a step reads at most, plus an entry. It takes some milliseconds, so that it
/// neither delays others nor keeps the write-ahead log from being cut back.
const STEP_IDS: u64 = 8_192;
const STEP_BYTES: usize = 1024 * 1024;

impl Reader {
    /// Reads the next entries behind an id, compares them with the index of entries that were not received, and notes what
    /// cannot be read. Returns the id to continue from; none at the end of the log.
    pub(crate) fn check(&self, after: u64) -> Result<Option<u64>, InboxError> {
        self.with_file(|file| {
            // One transaction: the writer removes entries meanwhile.
            let _transaction = file.begin()?;
            let connection = file.connection;
            let bounds = self.visible(connection)?;
            let low = after.max(bounds.oldest.saturating_sub(1));
            let high = self.damage.complete_to(bounds.newest);
            if low >= high {
                return Ok(None);
            }
            let window = (low, high.min(low + STEP_IDS));
            let (end, not_received) = match count_in_order(self, connection, window) {
                Ok(Some(counted)) => counted,
                Ok(None) => self.count_readable(file, window, high)?,
                Err(error) if error.is_damage() => self.count_readable(file, window, high)?,
                Err(error) => return Err(error),
            };
            let indexed: u64 =
                connection.prepare_cached(COUNT_NOT_RECEIVED)?.query_row([low, end], |row| row.get(0))?;
            let is_whole = self.damage.within(low + 1..=end).is_empty();
            if indexed < not_received || (is_whole && indexed != not_received) {
                return Err(InboxError::Damaged("its index does not match its entries".to_owned()));
            }
            Ok(Some(end))
        })
    }

    /// Reads entry by entry; returns up to which id, and how many entries were not received.
    fn count_readable(
        &self,
        file: OpenFile<'_>,
        window: (u64, u64),
        high: u64,
    ) -> Result<(u64, u64), InboxError> {
        let mut not_received = 0;
        let end = self.examine(file, window, (window.0, high), |entry| {
            let is_shown = matches!(&entry.body, Body::Gap(gap) if gap.first_id.is_some());
            let is_noted = is_shown && !self.damage.within(entry.id..=entry.id).is_empty();
            not_received += u64::from(!is_noted && !matches!(entry.body, Body::Received { .. }));
        })?;
        Ok((end, not_received))
    }
}

/// Reads entries by one query; returns up to which id, and how many were not received. None if ids are missing.
fn count_in_order(
    reader: &Reader,
    connection: &Connection,
    window: (u64, u64),
) -> Result<Option<(u64, u64)>, InboxError> {
    let mut statement =
        connection.prepare_cached(&format!("{SELECT} WHERE id > ?1 AND id <= ?2 ORDER BY id"))?;
    let mut rows = statement.query([window.0, window.1])?;
    let (mut last, mut not_received, mut bytes) = (window.0, 0, 0);
    while let Some(row) = rows.next()? {
        let entry: Stored = stored(row)?;
        if entry.id != last + 1 && reader.damage().explained(last + 1) != Some(entry.id - 1) {
            return Ok(None);
        }
        last = entry.id;
        match &entry.body {
            Body::Received { payload, .. } => bytes += payload.len(),
            Body::Sent { payload, .. } => (bytes, not_received) = (bytes + payload.len(), not_received + 1),
            Body::Gap(_) | Body::Notice(_) => not_received += 1,
        }
        if bytes > STEP_BYTES {
            return Ok(Some((last, not_received)));
        }
    }
    let is_end = last == window.1 || reader.damage().explained(last + 1).is_some_and(|to| to >= window.1);
    Ok(is_end.then_some((window.1, not_received)))
}
