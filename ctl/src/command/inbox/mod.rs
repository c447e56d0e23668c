//! `inbox`: prints what is new, or history, and goes on with what arrives.
//!
//! Entries count as read only after the system has taken what was printed of them.

mod follow;
mod plan;

use std::collections::VecDeque;

use udpchat_api::call::{AckParams, InboxAnswer, InboxParams, Order};
use udpchat_api::{Client, DEFAULT_CONSUMER, Entry};

use self::plan::{Part, Plan};
use super::Context;
use crate::cli::InboxArgs;
use crate::error::Result;
use crate::output::Output;

/// The most entries of a page, the most that the daemon gives.
const PAGE_ENTRIES: u64 = 1_000;

/// Runs `inbox`.
pub(crate) async fn run(context: Context<'_>, arguments: &InboxArgs) -> Result<()> {
    let plan = Plan::of(arguments, crate::time::now)?;
    let client = context.connect().await?;
    let socket = context.socket;
    let mut inbox = Inbox { client, output: context.output, hex: arguments.hex, printed: 0 };
    let next = match &plan.part {
        Part::Unread { consumer, ack } => inbox.unread(&plan, consumer, *ack).await?,
        Part::All { newest_first: false } => inbox.forward(plan.page(), None).await?,
        Part::All { newest_first: true } => inbox.backward(plan.page(), u64::MAX).await?,
        Part::Last { count, newest_first } => inbox.last(&plan, *count, *newest_first).await?,
    };
    if plan.follow {
        return follow::run(inbox, &plan, next, socket.as_deref()).await;
    }
    if inbox.printed == 0 && inbox.output.is_for_a_person() {
        let what = if matches!(plan.part, Part::Unread { .. }) { "nothing new" } else { "no entry matches" };
        inbox.output.note(what);
    }
    Ok(())
}

struct Inbox<'a> {
    client: Client,
    output: &'a mut Output,
    hex: bool,
    printed: u64,
}

impl Inbox<'_> {
    /// Prints what the consumer has not read; returns the cursor behind it.
    async fn unread(&mut self, plan: &Plan, consumer: &Option<String>, ack: bool) -> Result<u64> {
        let consumer = consumer.clone().unwrap_or_else(|| DEFAULT_CONSUMER.to_owned());
        let page = InboxParams { consumer: Some(consumer.clone()), ..plan.page() };
        self.forward(page, ack.then_some(consumer.as_str())).await
    }

    /// Prints page after page to the newest entry, and with a consumer counts each as read once it is written.
    async fn forward(&mut self, mut page: InboxParams, consumer: Option<&str>) -> Result<u64> {
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

    /// Prints up to `count` entries, newest first, as they come.
    async fn backward(&mut self, page: InboxParams, count: u64) -> Result<u64> {
        let mut pages = Backward { page: InboxParams { order: Some(Order::Desc), ..page }, left: count };
        while let Some(entries) = pages.next(self).await? {
            self.print(&entries)?;
            self.output.flush()?;
        }
        // Nothing follows what is printed backwards.
        Ok(0)
    }

    /// Prints the last entries; returns the cursor behind the newest entry that could have been among them.
    async fn last(&mut self, plan: &Plan, count: u64, newest_first: bool) -> Result<u64> {
        let mut page = plan.page();
        if newest_first {
            return self.backward(page, count).await;
        }
        let mut newest = 0;
        if plan.follow {
            // What follows begins behind this id, also if the filters let nothing through that is there now.
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
        // The smaller of both fits.
        let limit = Some(limit.min(PAGE_ENTRIES) as u32);
        Ok(self.client.call(&InboxParams { limit, ..page.clone() }).await?)
    }

    fn print(&mut self, entries: &[Entry]) -> Result<()> {
        self.printed += entries.len() as u64;
        entries.iter().try_for_each(|entry| self.output.entry(entry, self.hex))
    }
}

/// Pages from the newest entry backwards, until enough have come or there are no more.
struct Backward {
    page: InboxParams,
    left: u64,
}

impl Backward {
    async fn next(&mut self, inbox: &mut Inbox<'_>) -> Result<Option<Vec<Entry>>> {
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

/// Counts everything up to `id` as read; for id 0 there is nothing.
async fn ack(client: &mut Client, consumer: &str, id: u64) -> Result<()> {
    if id > 0 {
        client.call(&AckParams { consumer: Some(consumer.to_owned()), id }).await?;
    }
    Ok(())
}
