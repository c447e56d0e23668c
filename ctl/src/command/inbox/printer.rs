//! Prints pages of entries in either direction.

use std::collections::VecDeque;

use udpchat_api::call::{AckParams, InboxAnswer, InboxParams, Order};
use udpchat_api::{Client, DEFAULT_CONSUMER, Entry};

use super::plan::Plan;
use crate::error::Result;
use crate::output::Output;

/// The page size, in entries; the daemon's limit.
const PAGE_ENTRIES: u64 = 1_000;

/// Prints pages of entries and marks them as read.
pub(super) struct InboxPrinter<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut Output,
    /// Whether bytes are printed instead of text.
    pub(super) hex: bool,
    /// How many entries were printed.
    pub(super) printed: u64,
}

impl InboxPrinter<'_> {
    /// Prints what the consumer has not read; returns the cursor after it.
    pub(super) async fn unread(&mut self, plan: &Plan, consumer: &Option<String>, ack: bool) -> Result<u64> {
        let consumer = consumer.clone().unwrap_or_else(|| DEFAULT_CONSUMER.to_owned());
        let page = InboxParams { consumer: Some(consumer.clone()), ..plan.page() };
        self.forward(page, ack.then_some(consumer.as_str())).await
    }

    /// Prints all pages up to the newest entry; with a consumer, marks each page as read once it is written. Returns the
    /// cursor after the last page.
    pub(super) async fn forward(&mut self, mut page: InboxParams, consumer: Option<&str>) -> Result<u64> {
        loop {
            let InboxAnswer { entries, next, more, .. } = self.page(&page, PAGE_ENTRIES).await?;
            self.print(&entries)?;
            self.output.flush()?;
            if let Some(consumer) = consumer {
                ack(&mut self.client, consumer, next).await?;
            }
            if !more {
                return Ok(next);
            }
            page.after = Some(next);
        }
    }

    /// Prints up to `count` entries, newest first, page by page.
    pub(super) async fn backward(&mut self, page: InboxParams, count: u64) -> Result<u64> {
        let mut pages = Backward { page: InboxParams { order: Some(Order::Desc), ..page }, left: count };
        while let Some(entries) = pages.next(self).await? {
            self.print(&entries)?;
            self.output.flush()?;
        }
        // `--reverse` excludes `--follow`, so the cursor is not used.
        Ok(0)
    }

    /// Prints the last entries; returns the cursor after the newest entry at the start.
    pub(super) async fn last(&mut self, plan: &Plan, count: u64, newest_first: bool) -> Result<u64> {
        let mut page = plan.page();
        if newest_first {
            return self.backward(page, count).await;
        }
        let mut newest = 0;
        if plan.follow {
            // Following starts after this id, even if no current entry passes the filters.
            newest = self.newest_id().await?;
            page.before = Some(newest + 1);
        }
        let mut pages = Backward { page: InboxParams { order: Some(Order::Desc), ..page }, left: count };
        let mut entries = VecDeque::new();
        while let Some(page) = pages.next(self).await? {
            page.into_iter().for_each(|entry| entries.push_front(entry));
        }
        self.print(entries.make_contiguous())?;
        self.output.flush()?;
        Ok(newest)
    }

    async fn newest_id(&mut self) -> Result<u64> {
        let newest = InboxParams { order: Some(Order::Desc), ..InboxParams::default() };
        let answer = self.page(&newest, 1).await?;
        Ok(answer.entries.first().map_or(0, Entry::id))
    }

    async fn page(&mut self, page: &InboxParams, limit: u64) -> Result<InboxAnswer> {
        // The smaller value fits into 32 bits.
        let limit = Some(limit.min(PAGE_ENTRIES) as u32);
        Ok(self.client.call(&InboxParams { limit, ..page.clone() }).await?)
    }

    fn print(&mut self, entries: &[Entry]) -> Result<()> {
        self.printed += entries.len() as u64;
        entries.iter().try_for_each(|entry| self.output.entry(entry, self.hex))
    }
}

/// Reads pages from the newest entry backwards, until there are enough entries or no more.
struct Backward {
    page: InboxParams,
    left: u64,
}

impl Backward {
    async fn next(&mut self, inbox: &mut InboxPrinter<'_>) -> Result<Option<Vec<Entry>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let InboxAnswer { mut entries, next, more, .. } = inbox.page(&self.page, self.left).await?;
        entries.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left = if more { self.left - entries.len() as u64 } else { 0 };
        self.page.before = Some(next);
        Ok(Some(entries))
    }
}

/// Marks everything up to `id` as read; does nothing for id 0.
pub(super) async fn ack(client: &mut Client, consumer: &str, id: u64) -> Result<()> {
    if id > 0 {
        client.call(&AckParams { consumer: Some(consumer.to_owned()), id }).await?;
    }
    Ok(())
}
