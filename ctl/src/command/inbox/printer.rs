//! Prints pages of entries in either direction.

use std::collections::VecDeque;

use udpchat_api::call::{InboxAnswer, InboxParams, Order};
use udpchat_api::{Client, Entry};

use super::mark::Mark;
use super::plan::Plan;
use crate::command::filter::Ids;
use crate::error::{CtlError, Exit, Result};
use crate::output::Output;

/// The page size, in entries; the daemon's limit.
const PAGE_ENTRIES: u64 = 1_000;

/// Prints pages of entries.
pub(super) struct InboxPrinter<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut Output,
    /// Whether bytes are printed instead of text.
    pub(super) hex: bool,
    /// How many entries were printed.
    pub(super) printed: u64,
}

impl InboxPrinter<'_> {
    /// Prints what a consumer has not read, from a page on, and moves the mark over what the reader of the output has taken. Returns the
    /// cursor after it.
    pub(super) async fn unread(&mut self, page: InboxParams, mark: Option<&mut Mark>) -> Result<u64> {
        let Some(mark) = mark else { return self.forward(page, None).await };
        let done = match self.forward(page, Some(&mut *mark)).await {
            Ok(next) => mark.finish(next, self.output, &mut self.client).await.map(|()| next),
            Err(error) => Err(error),
        };
        if let Err(CtlError::ReaderGone) = done {
            mark.keep_up(self.output, &mut self.client).await?;
        }
        done
    }

    /// Prints all pages up to the newest entry. Returns the cursor after the last page.
    async fn forward(&mut self, mut page: InboxParams, mut mark: Option<&mut Mark>) -> Result<u64> {
        loop {
            let InboxAnswer { entries, next, more, .. } = self.page(&page, PAGE_ENTRIES).await?;
            for entry in &entries {
                self.print(entry)?;
                if let Some(mark) = mark.as_deref_mut() {
                    mark.printed(entry.id(), self.output, &mut self.client).await?;
                }
            }
            self.hand_over()?;
            if !more {
                return Ok(next);
            }
            page.after = Some(next);
        }
    }

    /// Prints everything that the plan selects, oldest first; returns the cursor after it.
    pub(super) async fn all(&mut self, plan: &Plan) -> Result<u64> {
        self.forward(plan.page(), None).await
    }

    /// Prints up to `count` entries, newest first, page by page. Returns whether there are more.
    pub(super) async fn backward(&mut self, page: InboxParams, count: u64) -> Result<bool> {
        let mut pages = Backward::new(page, count);
        while let Some(entries) = pages.next(self).await? {
            entries.iter().try_for_each(|entry| self.print(entry))?;
            self.hand_over()?;
        }
        Ok(pages.more)
    }

    /// Prints the last entries, oldest first; returns the cursor after the newest entry at the start, and whether there
    /// are more.
    pub(super) async fn last(&mut self, plan: &Plan, count: u64) -> Result<(u64, bool)> {
        let mut page = plan.page();
        let mut newest = 0;
        if plan.follow {
            // Following starts after this id, even if no current entry passes the filters.
            newest = self.newest_id().await?;
            page.before = Some(newest + 1);
        }
        let mut pages = Backward::new(page.clone(), count);
        // A few entries are kept until they can be printed in order. Of more, only the first one's place is.
        let (mut kept, mut place) = (VecDeque::new(), None);
        while let Some(entries) = pages.next(self).await? {
            if let (Some(last), Some(first)) = (entries.first(), entries.last()) {
                place = Some((first_id(first), place.map_or(last.id(), |(_, last)| last)));
            }
            if count <= PAGE_ENTRIES {
                entries.into_iter().for_each(|entry| kept.push_front(entry));
            }
        }
        match place {
            Some((first, last)) if count > PAGE_ENTRIES => {
                let all = InboxParams { after: Some(first - 1), before: Some(last + 1), ..page };
                self.forward(all, None).await?;
            }
            _ => {
                kept.iter().try_for_each(|entry| self.print(entry))?;
                self.hand_over()?;
            }
        }
        Ok((newest, pages.more))
    }

    /// Prints the entries with these ids.
    ///
    /// # Errors
    /// An id has no entry; the others are printed.
    pub(super) async fn ids(&mut self, ids: &[Ids]) -> Result<()> {
        let mut missing = None;
        for Ids { first, last } in ids {
            let printed = self.printed;
            let (after, before) = (Some(first - 1), Some(last.saturating_add(1)));
            self.forward(InboxParams { after, before, ..InboxParams::default() }, None).await?;
            if self.printed == printed {
                missing.get_or_insert(*first);
            }
        }
        match missing {
            None => Ok(()),
            Some(id) => Err(CtlError::new(Exit::Failed, "no_such_entry", format!("there is no entry #{id}"))
                .hint("`udpchatctl status` shows the oldest and the newest id of the inbox")),
        }
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

    fn print(&mut self, entry: &Entry) -> Result<()> {
        self.printed += 1;
        self.output.entry(entry, self.hex)
    }

    /// Hands a page to the reader, which may have left: the next page may take long to find.
    fn hand_over(&mut self) -> Result<()> {
        self.output.flush()?;
        self.output.check_reader()
    }
}

/// Returns the first id that an entry stands for.
fn first_id(entry: &Entry) -> u64 {
    match entry {
        Entry::Gap(gap) => gap.first_id.unwrap_or(gap.id),
        Entry::Message(message) => message.id,
    }
}

/// Reads pages from the newest entry backwards, until there are enough entries or no more.
struct Backward {
    page: InboxParams,
    left: u64,
    /// Whether there may be more entries before those that were read.
    more: bool,
}

impl Backward {
    fn new(page: InboxParams, count: u64) -> Self {
        Self { page: InboxParams { order: Some(Order::Desc), ..page }, left: count, more: true }
    }

    async fn next(&mut self, inbox: &mut InboxPrinter<'_>) -> Result<Option<Vec<Entry>>> {
        if self.left == 0 || !self.more {
            return Ok(None);
        }
        let InboxAnswer { mut entries, next, more, .. } = inbox.page(&self.page, self.left).await?;
        entries.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= entries.len() as u64;
        self.more = more;
        self.page.before = Some(next);
        Ok(Some(entries))
    }
}
