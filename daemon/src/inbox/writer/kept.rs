//! What the writer changes besides the log: held messages and silent peers, in the transaction of the entries that cause it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Transaction;
use tracing::debug;

use super::Writer;
use super::append::Appender;
use super::notices::Notices;
use crate::clock;
use crate::error::explain;
use crate::inbox::InboxError;
use crate::inbox::entry::{Body, NoticeDetail, Stored};
use crate::inbox::kept::{Changes, Due, FallsSilent, HeldRow, Kept, SilentRow, To, table};
use crate::inbox::queue::{CancelItem, HoldItem, Item, SentItem};
use crate::inbox::reader::Range;
use crate::index::Order;
use crate::index::predicate::Predicate;

/// How long the newest messages of peers that fall silent are searched in the log at most. Without a result, the notice has none.
const SEARCH_TIME: Duration = Duration::from_millis(100);

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
        if item.stored.as_ref().is_some_and(tokio::sync::oneshot::Sender::is_closed) {
            // Its client was answered that it could not be stored.
            return Ok(());
        }
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
    for row in &due.expired {
        notices.write(log, now_ns, expired(row))?;
        changes.removed.push(row.id);
    }
    for peer in &due.silent {
        let last_ns = peer.last.map_or(peer.since_ns, |(_, at_ns)| at_ns);
        let row = SilentRow { since_ns: now_ns, last_ns };
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
        ..NoticeDetail::default()
    }
}

fn expired(row: &HeldRow) -> NoticeDetail {
    let (name, peer) = match &row.to {
        To::Name(name) => (Some(name.clone()), None),
        address => (None, Some(address.to_string())),
    };
    let notice = NoticeDetail::EXPIRED.to_owned();
    NoticeDetail { notice, held: Some(row.id), name, peer, ..NoticeDetail::default() }
}

impl Writer {
    /// Applies the changes of a transaction, and answers the client whose message is held.
    pub(super) fn publish_kept(&mut self, items: &mut [Item], mut changes: Changes) {
        let answer = changes.hold.take();
        self.kept.apply(changes);
        if let ([Item::Hold(hold)], Some(answer)) = (items, answer)
            && let Some(waiting) = hold.stored.take()
        {
            // The client may have disconnected.
            let _gone = waiting.send(answer);
        }
    }

    /// Writes what is due; silence by the time `taken`, before which everything that was received is stored.
    pub(super) fn note_due(&mut self, taken: Duration) {
        if self.parts.settings.has_changed().unwrap_or(false) {
            let settings = Arc::clone(&self.parts.settings.borrow_and_update());
            self.kept.configure(&settings);
        }
        self.kept.take_returned();
        if self.connection.is_none() || self.given_up {
            return;
        }
        let Some(mut due) = self.kept.due(taken) else { return };
        self.look_up_last(&mut due.silent);
        let mut items = [Item::Due(Box::new(due))];
        if !self.store(&mut items, &[])
            && let [Item::Due(due)] = &items
        {
            self.kept.retry(due);
        }
    }

    /// Looks up the newest messages of peers from which nothing came since the start.
    fn look_up_last(&self, silent: &mut [FallsSilent]) {
        let began = Instant::now();
        for peer in silent.iter_mut().filter(|peer| peer.last.is_none()) {
            let go_on = || began.elapsed() <= SEARCH_TIME;
            if !go_on() {
                return;
            }
            match self.last_of(peer, go_on) {
                Ok(last) => peer.last = last,
                Err(error) => {
                    debug!("{}", explain("the newest message of a peer cannot be looked up", &error));
                }
            }
        }
    }

    fn last_of(
        &self,
        peer: &FallsSilent,
        go_on: impl FnMut() -> bool,
    ) -> Result<Option<(u64, i64)>, InboxError> {
        let range = Range {
            received: true,
            predicate: Arc::new(Predicate::of_peer(&peer.address)),
            order: Order::Desc,
            ..Range::default()
        };
        let mut last = None;
        let visit = |entry: Stored| match entry.body {
            Body::Received { peer: sender, .. } if self.kept.is_of(&peer.name, sender) => {
                last = Some((entry.id, entry.at_ns));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        self.parts.reader.scan(&range, visit, go_on)?;
        Ok(last)
    }
}
