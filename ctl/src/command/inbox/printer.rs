//! Prints pages of entries in either direction.

use std::collections::VecDeque;

use udpchat_api::call::{InboxAnswer, InboxParams, Order, StatusParams};
use udpchat_api::{Client, ClientError, Entry, ErrorKind};
use udpchat_locale::tr;

use super::form::Form;
use super::mark::Mark;
use super::plan::Plan;
use crate::command::filter::Ids;
use crate::connect::newest_id;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress, Reached};

/// The page size, in entries; the daemon's limit.
const PAGE_ENTRIES: u64 = 1_000;

/// Prints pages of entries.
pub(super) struct InboxPrinter<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut Output,
    /// What is printed of the entries.
    pub(super) form: Form,
    /// How many entries were printed.
    pub(super) printed: u64,
    /// Whether the daemon has not refused to be asked for notices, as one of an earlier release does.
    knows_notices: bool,
    progress: Progress,
    /// The oldest and the newest id, once the progress needs them.
    bounds: Option<(u64, u64)>,
}

impl<'a> InboxPrinter<'a> {
    pub(super) fn new(client: Client, output: &'a mut Output, form: Form) -> Self {
        let progress = Progress::new(output.is_watched(), "entry");
        Self { client, output, form, printed: 0, knows_notices: true, progress, bounds: None }
    }

    /// Prints what a consumer has not read, from a page on, and moves the mark over what the reader of the output has taken. Returns the
    /// cursor after it.
    pub(super) async fn unread(&mut self, page: InboxParams, mark: Option<&mut Mark>) -> Result<u64> {
        let Some(mark) = mark else { return self.forward(page, None).await };
        let done = match self.forward(page, Some(&mut *mark)).await {
            // A line without any field of its message has shown nothing of it.
            Ok(next) if self.printed > 0 && !self.form.has_shown() => Ok(next),
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
            let InboxAnswer { mut entries, next, more, .. } = self.page(&page, PAGE_ENTRIES).await?;
            entries.retain(|entry| self.form.selects(entry));
            for entry in &entries {
                self.print(entry)?;
                if let Some(mark) = mark.as_deref_mut()
                    && self.form.has_shown()
                {
                    mark.printed(entry.id(), self.output, &mut self.client).await?;
                }
            }
            self.hand_over()?;
            if !more {
                self.progress.erase();
                return Ok(next);
            }
            self.show_progress(self.printed, Order::Asc, next).await?;
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
            pages.show_progress(self).await?;
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
            (newest, _) = newest_id(&mut self.client).await?;
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
            pages.show_progress(self).await?;
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
    /// Some ids have no entry; the others are printed.
    pub(super) async fn ids(&mut self, page: &InboxParams, ids: &[Ids]) -> Result<()> {
        let mut missing = None;
        for &Ids { first, last } in ids {
            let from = InboxParams { after: Some(first - 1), ..page.clone() };
            let next = self.first(from.clone()).await?;
            let mut is_left_out =
                |next: &Entry| first == last && matches!(next, Entry::Notice(_)) && !self.form.selects(next);
            if !next.as_ref().is_some_and(|next| is_in(next, first, last) && !is_left_out(next)) {
                missing = missing.or(Some((first, next)));
                continue;
            }
            self.forward(InboxParams { before: Some(last.saturating_add(1)), ..from }, None).await?;
        }
        match missing {
            None => Ok(()),
            Some((id, next)) => {
                let inbox = self.client.call(&StatusParams {}).await?.inbox;
                Err(no_such_entry(id, next.as_ref(), (inbox.oldest_id, inbox.newest_id)))
            }
        }
    }

    /// Returns the first entry of a page, which may come after empty ones.
    async fn first(&mut self, mut page: InboxParams) -> Result<Option<Entry>> {
        loop {
            let InboxAnswer { entries, next, more, .. } = self.page(&page, 1).await?;
            if !more || !entries.is_empty() {
                return Ok(entries.into_iter().next());
            }
            page.after = Some(next);
        }
    }

    async fn page(&mut self, page: &InboxParams, limit: u64) -> Result<InboxAnswer> {
        // The smaller value fits into 32 bits.
        let limit = Some(limit.min(PAGE_ENTRIES) as u32);
        let page = InboxParams { limit, notices: page.notices && self.knows_notices, ..page.clone() };
        match self.client.call(&page).await {
            Err(ClientError::Refused(error))
                if page.notices && error.data.kind == ErrorKind::InvalidParams =>
            {
                // If it is for another reason, the second answer says so too.
                self.knows_notices = false;
                Ok(self.client.call(&InboxParams { notices: false, ..page }).await?)
            }
            answer => Ok(answer?),
        }
    }

    fn print(&mut self, entry: &Entry) -> Result<()> {
        self.progress.erase();
        self.printed += 1;
        self.form.print(self.output, entry)
    }

    /// Hands a page to the reader, which may have left: the next page may take long to find.
    fn hand_over(&mut self) -> Result<()> {
        self.output.flush()?;
        self.output.check_reader()
    }

    /// Shows how far a long search is that has come to `cursor`, unless a pager has the screen.
    async fn show_progress(&mut self, found: u64, order: Order, cursor: u64) -> Result<()> {
        if self.output.is_paged() || !self.progress.is_due() {
            return Ok(());
        }
        let (oldest, newest) = match self.bounds {
            Some(bounds) => bounds,
            None => {
                let inbox = self.client.call(&StatusParams {}).await?.inbox;
                *self.bounds.insert((inbox.oldest_id, inbox.newest_id))
            }
        };
        let all = (newest + 1).saturating_sub(oldest);
        let looked_at = match order {
            Order::Asc => (cursor + 1).saturating_sub(oldest),
            Order::Desc => (newest + 1).saturating_sub(cursor),
        };
        self.progress.show(&Reached { done: found, looked_at: Some((looked_at, all)), total: None });
        Ok(())
    }
}

/// Returns whether one of the ids is that of an entry, if `next` is what comes at the first of them or after it. What
/// retention has removed has no entry.
fn is_in(next: &Entry, first: u64, last: u64) -> bool {
    if is_of_retention(next) { next.id() < last } else { (first..=last).contains(&next.id()) }
}

fn is_of_retention(entry: &Entry) -> bool {
    matches!(entry, Entry::Gap(gap) if gap.reason == "retention")
}

/// Returns the error for an id without an entry; `next` comes after it, and the log has the ids from the first to the second
/// one of `bounds`.
fn no_such_entry(id: u64, next: Option<&Entry>, (oldest, newest): (u64, u64)) -> CtlError {
    let error = |text: String| CtlError::new(Exit::Failed, "no_such_entry", text);
    match next {
        Some(Entry::Notice(notice)) if notice.id == id => error(tr!("entry #{id} is a notice", id))
            .hint(tr!("`udpchatctl inbox {id}` shows it, in JSON with --notices", id)),
        _ if newest == 0 => error(tr!("there is no entry #{id}: the inbox is empty", id)),
        Some(next) if id >= oldest => {
            let last = if let Entry::Gap(gap) = next { gap.id } else { next.id() - 1 };
            error(tr!("entry #{id} is lost: the inbox was damaged up to #{last}", id, last)).hint(tr!(
                "`udpchatctl inbox {id}-{last}` shows the gap",
                id,
                last
            ))
        }
        Some(_) => error(tr!("there is no entry #{id}: the oldest is #{oldest}", id, oldest)).hint(tr!(
            "`inbox.max_size` and `inbox.max_age` of the configuration limit how long entries are kept"
        )),
        None => error(tr!("there is no entry #{id}: the newest is #{newest}", id, newest))
            .hint(tr!("`udpchatctl inbox -n 20` shows the last entries")),
    }
}

/// Returns the first id that an entry stands for.
fn first_id(entry: &Entry) -> u64 {
    match entry {
        Entry::Gap(gap) => gap.first_id.unwrap_or(gap.id),
        Entry::Message(_) | Entry::Notice(_) => entry.id(),
    }
}

/// Reads pages from the newest entry backwards, until there are enough entries or no more.
struct Backward {
    page: InboxParams,
    left: u64,
    found: u64,
    /// Whether there may be more entries before those that were read.
    more: bool,
}

impl Backward {
    fn new(page: InboxParams, count: u64) -> Self {
        Self { page: InboxParams { order: Some(Order::Desc), ..page }, left: count, found: 0, more: true }
    }

    async fn next(&mut self, inbox: &mut InboxPrinter<'_>) -> Result<Option<Vec<Entry>>> {
        if self.left == 0 || !self.more {
            return Ok(None);
        }
        let wanted = if inbox.form.is_selective() { PAGE_ENTRIES } else { self.left };
        let InboxAnswer { mut entries, next, more, .. } = inbox.page(&self.page, wanted).await?;
        entries.retain(|entry| inbox.form.selects(entry));
        entries.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= entries.len() as u64;
        self.found += entries.len() as u64;
        self.more = more;
        self.page.before = Some(next);
        Ok(Some(entries))
    }

    async fn show_progress(&self, inbox: &mut InboxPrinter<'_>) -> Result<()> {
        match self.page.before {
            Some(cursor) if self.more && self.left > 0 => {
                inbox.show_progress(self.found, Order::Desc, cursor).await
            }
            _ => Ok(()),
        }
    }
}
