//! The range of ids that a selection covers.

use udpchat_api::Client;
use udpchat_api::call::{InboxParams, InboxStatus, Order};

use crate::command::filter::Filter;
use crate::error::Result;

/// The page size, in entries; the daemon's limit.
pub(super) const PAGE_ENTRIES: u64 = 1_000;

/// A range of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command) struct Span {
    /// The id before the first one.
    pub(in crate::command) after: u64,
    /// The last id.
    pub(in crate::command) last: u64,
}

impl Span {
    /// Returns the number of ids.
    pub(in crate::command) fn ids(self) -> u64 {
        self.last.saturating_sub(self.after)
    }
}

/// Returns the ids of the current entries that pass the filter; with `number`, of the last ones of them.
pub(in crate::command) async fn span(
    client: &mut Client,
    filter: &Filter,
    number: Option<u64>,
    inbox: &InboxStatus,
) -> Result<Span> {
    let mut span = Span { after: inbox.oldest_id.saturating_sub(1), last: inbox.newest_id };
    match number {
        // Ids are contiguous.
        Some(number) if filter.is_open() && filter.notices => {
            span.after = span.after.max(span.last.saturating_sub(number));
        }
        Some(number) => span.after = before_the_last(client, filter, span, number).await?,
        None => {}
    }
    Ok(span)
}

/// Returns the id before the `number`th last entry of a span that passes the filter.
async fn before_the_last(client: &mut Client, filter: &Filter, span: Span, number: u64) -> Result<u64> {
    let (mut left, conditions) = (number, &filter.conditions);
    let mut before = span.last.saturating_add(1);
    while left > 0 {
        let page = InboxParams {
            after: Some(span.after),
            before: Some(before),
            limit: Some(if conditions.are_given() { PAGE_ENTRIES } else { left.min(PAGE_ENTRIES) } as u32),
            order: Some(Order::Desc),
            ..filter.page()
        };
        let page = client.call(&page).await?;
        for entry in page.entries.iter().filter(|entry| conditions.select(entry)) {
            left -= 1;
            if left == 0 {
                return Ok(entry.id().saturating_sub(1));
            }
        }
        before = page.next;
        if !page.more {
            return Ok(span.after);
        }
    }
    Ok(before.saturating_sub(1))
}
