//! One transaction: which items of a batch it takes, and what it appends and changes.

use std::ops::Range;

use rusqlite::Transaction;

use super::append::Appender;
use super::delivery::{self, Delivery};
use super::kept;
use super::marks::change_mark;
use super::notices::Notices;
use super::recode;
use super::recovered::{self, Added};
use crate::inbox::InboxError;
use crate::inbox::entry::{GapDetail, NoticeDetail};
use crate::inbox::inflight::EntryCounts;
use crate::inbox::kept as kept_rows;
use crate::inbox::learned_encodings::Updates;
use crate::inbox::queue::packed::{Record, Records};
use crate::inbox::queue::{Batch, Item};
use crate::net::reports::Bounce;

/// How many entries one transaction takes at most.
pub(super) const MAX_ENTRIES_PER_COMMIT: usize = 16_384;

/// How many bytes of messages one transaction takes at most, plus or minus a run.
pub(super) const MAX_BYTES_PER_COMMIT: usize = 4 * 1024 * 1024;

/// The result of a transaction, to be published once it is committed.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) stored: EntryCounts,
    pub(super) newest_id: u64,
    /// The time of that entry, if it is a new one.
    pub(super) newest_at_ns: Option<i64>,
    pub(super) updates: Updates,
    /// The limits of notices, with those of this transaction.
    pub(super) notices: Notices,
    /// What changes besides the log.
    pub(super) kept: kept_rows::Changes,
    /// What became known of the delivery of messages, and how many were not delivered.
    pub(super) delivery: delivery::Changes,
    pub(super) bounced: u64,
    /// What was added of a damaged inbox.
    pub(super) added: Option<Added>,
    /// The ids of sent messages, the read marks and the numbers of recoded messages, in the order of their items.
    pub(super) answers: Vec<u64>,
}

/// Cuts the next transaction off a batch: the items from `first` on, and their bytes from `offset` on.
pub(super) fn next_commit(
    batch: &Batch,
    first: usize,
    offset: usize,
    max_bytes: usize,
) -> (Range<usize>, Range<usize>) {
    let (mut items, mut bytes, mut entries) = (first..first, offset..offset, 0);
    for item in &batch.items[first..] {
        if entries >= MAX_ENTRIES_PER_COMMIT || bytes.len() >= max_bytes {
            break;
        }
        let is_alone = matches!(item, Item::Recode(_) | Item::Recovered(_) | Item::Hold(_));
        // Recovered entries have older ids than what is appended in the same transaction, and rows of another table ids of
        // their own.
        if matches!(item, Item::Recovered(_) | Item::Hold(_)) && items.end > items.start {
            break;
        }
        items.end += 1;
        entries += item.entries();
        if let Item::Received { bytes: length, .. } = item {
            bytes.end += length;
        }
        // It changes pages anywhere in the file, so one is enough for a transaction.
        if is_alone {
            break;
        }
    }
    (items, bytes)
}

/// Appends the items in their order, and calls `learn` with each received message.
pub(super) fn append(
    transaction: &Transaction<'_>,
    items: &[Item],
    mut bytes: &[u8],
    outcome: &mut Outcome,
    (kept, delivery): (&kept::Context<'_>, &Delivery),
    mut learn: impl FnMut(&mut Updates, u64, &Record<'_>),
) -> Result<(), InboxError> {
    let mut log = Appender::new(transaction, outcome.newest_id)?;
    for item in items {
        match item {
            // Its client was answered that it could not be stored. What is held is answered in another way.
            Item::Hold(_) if item.is_abandoned() => {}
            item if item.is_abandoned() => outcome.answers.push(0),
            Item::Hold(hold) => kept.hold(transaction, hold, &mut outcome.kept)?,
            Item::Received { messages, bytes: length } => {
                let (records, rest) = bytes.split_at(*length);
                bytes = rest;
                for record in Records::new(records) {
                    let id = log.received(record)?;
                    learn(&mut outcome.updates, id, &record);
                    kept.kept.note(&mut outcome.kept, id, &record);
                    outcome.delivery.received(delivery, transaction, &record, id)?;
                }
                outcome.stored.messages += *messages as u64;
            }
            Item::Sent(sent) => {
                let id = log.sent(sent)?;
                outcome.delivery.sent(sent, id);
                outcome.answers.push(id);
                kept::sent(transaction, sent, &mut outcome.kept)?;
            }
            Item::Bounce(bounce) => {
                if let Some(about) = outcome.delivery.bounced(delivery, transaction, bounce)? {
                    outcome.bounced += 1;
                    let notice = bounced(bounce, about);
                    outcome.notices.write(&mut log, bounce.at_ns, notice)?;
                }
            }
            Item::Gap { at_ns, lost, reason, peer } => {
                let gap = GapDetail { peer: peer.clone(), ..GapDetail::lost(*lost, *reason) };
                log.gap(*at_ns, &gap)?;
                outcome.stored.lose(*lost, *reason);
            }
            Item::Cancel(cancel) => {
                outcome.answers.push(kept.cancel(transaction, cancel, &mut outcome.kept)?);
            }
            Item::Due(due) => kept::due(transaction, &mut log, &mut outcome.notices, due, &mut outcome.kept)?,
            Item::Mark(mark) => outcome.answers.push(change_mark(transaction, mark)?),
            Item::Recovered(recovered) => {
                let added = recovered::write(transaction, &recovered.chunk)?;
                outcome.answers.push(added.lost);
                outcome.added = Some(added);
            }
            Item::Recode(recode) => {
                outcome.answers.push(recode::write(transaction, recode)?);
                for peer in &recode.peers {
                    outcome.updates.give(*peer, recode.encoding);
                }
            }
        }
    }
    kept.heard(transaction, &mut log, &mut outcome.notices, &mut outcome.kept)?;
    (outcome.newest_id, outcome.newest_at_ns) = log.finish()?;
    Ok(())
}

/// Returns the notice that a message was not delivered.
fn bounced(bounce: &Bounce, about: u64) -> NoticeDetail {
    NoticeDetail {
        notice: NoticeDetail::BOUNCED.to_owned(),
        about: Some(about),
        peer: Some(bounce.peer.to_string()),
        reason: Some(bounce.reason.to_owned()),
        from: bounce.from,
        ..NoticeDetail::default()
    }
}
