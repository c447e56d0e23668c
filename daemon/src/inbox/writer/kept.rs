//! What the writer changes besides the log: held messages and silent peers, in the transaction of the entries that cause it.

use std::sync::Arc;

use rusqlite::Transaction;

use super::append::Appender;
use super::notices::Notices;
use crate::clock;
use crate::inbox::entry::NoticeDetail;
use crate::inbox::kept::{Changes, Due, FallsSilent, HeldRow, Kept, SilentRow, To, table};
use crate::inbox::queue::{CancelItem, HoldItem, SentItem};

/// What a transaction needs to know.
pub(super) struct Context<'a> {
    pub(super) kept: &'a Kept,
    pub(super) max_inbox_bytes: u64,
}

impl Context<'_> {
    /// Holds a message, if there is room.
    pub(super) fn hold(
        &self,
        transaction: &Transaction<'_>,
        item: &HoldItem,
        changes: &mut Changes,
    ) -> rusqlite::Result<()> {
        changes.hold = Some(match self.kept.has_room(&item.new, self.max_inbox_bytes) {
            Ok(()) => {
                changes.held = table::hold(transaction, &item.new)?;
                Ok(changes.held.iter().map(|row| row.id).collect())
            }
            Err(full) => Err(full),
        });
        Ok(())
    }

    /// Removes a held message; returns how many were removed.
    pub(super) fn cancel(
        &self,
        transaction: &Transaction<'_>,
        item: &CancelItem,
        changes: &mut Changes,
    ) -> rusqlite::Result<u64> {
        if !self.kept.can_cancel(item.id) || changes.removed.contains(&item.id) {
            return Ok(0);
        }
        table::remove(transaction, item.id)?;
        changes.removed.push(item.id);
        Ok(1)
    }

    /// Writes which silent peers the transaction has messages of.
    pub(super) fn heard(
        &self,
        transaction: &Transaction<'_>,
        log: &mut Appender<'_, '_>,
        notices: &mut Notices,
        changes: &mut Changes,
    ) -> rusqlite::Result<()> {
        for (peer, word) in self.kept.heard_again(&changes.words) {
            table::forget_silent(transaction, &peer.name)?;
            let about = Some(word.first_id);
            let detail = NoticeDetail { about, ..notice_of(NoticeDetail::HEARD, &peer) };
            notices.write(log, clock::now_ns(), detail)?;
            changes.heard.push(peer.name);
        }
        Ok(())
    }
}

/// Removes a held message that was sent.
pub(super) fn sent(
    transaction: &Transaction<'_>,
    item: &SentItem,
    changes: &mut Changes,
) -> rusqlite::Result<()> {
    if let Some(id) = item.held {
        table::remove(transaction, id)?;
        changes.removed.push(id);
    }
    Ok(())
}

/// Writes what is due.
pub(super) fn due(
    transaction: &Transaction<'_>,
    log: &mut Appender<'_, '_>,
    notices: &mut Notices,
    due: &Due,
    changes: &mut Changes,
) -> rusqlite::Result<()> {
    let now_ns = clock::now_ns();
    table::remove_due(transaction, due)?;
    changes.forgot = !due.forgotten.is_empty();
    notices.conclude(log)?;
    for row in &due.expired {
        notices.write(log, now_ns, expired(row))?;
    }
    changes.removed.extend(due.expired.iter().map(|row| row.id));
    for peer in &due.silent {
        let row = match peer.last {
            Some((_, last_ns)) => SilentRow { since_ns: now_ns, last_ns },
            None if peer.is_new => SilentRow::without_message(now_ns, peer.since_ns),
            // It may have been heard before, which took too long to find out.
            None => {
                let seconds = peer.seconds.saturating_mul(1_000_000_000);
                SilentRow::without_message(now_ns, now_ns.saturating_sub_unsigned(seconds))
            }
        };
        table::set_silent(transaction, &peer.name, row)?;
        let last_id = peer.last.map(|(id, _)| id);
        notices.write(log, now_ns, NoticeDetail { last_id, ..notice_of(NoticeDetail::SILENT, peer) })?;
        changes.silent.push((Arc::clone(&peer.name), row));
    }
    Ok(())
}

fn notice_of(notice: &str, peer: &FallsSilent) -> NoticeDetail {
    NoticeDetail {
        notice: notice.to_owned(),
        name: Some(peer.name.to_string()),
        peer: Some(peer.address.to_string()),
        seconds: Some(peer.seconds),
        first: peer.is_new,
        ..NoticeDetail::default()
    }
}

/// Returns the notice of an expired message. Each has one of its own: a client learns of every number what became of it.
fn expired(row: &HeldRow) -> NoticeDetail {
    let (name, peer) = match &row.to {
        To::Name(name) => (Some(name.clone()), None),
        address => (None, Some(address.to_string())),
    };
    let (notice, held) = (NoticeDetail::EXPIRED.to_owned(), Some(row.id));
    NoticeDetail { notice, held, name, peer, ..NoticeDetail::default() }
}
