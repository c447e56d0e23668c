//! `inbox --follow`: prints entries as they arrive, until interrupted or until the daemon ends.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use udpchat_api::{Client, ClientError, DEFAULT_CONSUMER, Entry};

use super::plan::{Part, Plan};
use super::{Inbox, ack};
use crate::connect;
use crate::error::Result;

/// At most so many entries are printed before they count as read.
const ACK_ENTRIES: u64 = 256;
/// So long nothing must arrive before what was printed counts as read: a burst costs one request.
const ACK_QUIET_MILLISECONDS: u64 = 100;

/// Follows what comes behind the cursor `after`; ends only with an error.
pub(super) async fn run(inbox: Inbox<'_>, plan: &Plan, after: u64, socket: Option<&Path>) -> Result<()> {
    let Inbox { client: mut subscription, output, hex, .. } = inbox;
    let mut mark = match &plan.part {
        // The mark moves over a connection of its own, so that waiting for an entry is never given up halfway.
        Part::Unread { consumer, ack: true } => {
            Some(Mark::new(connect::connect(socket).await?, consumer.as_deref()))
        }
        _ => None,
    };
    subscription.call(&plan.subscription(after)).await?;
    loop {
        let next = pin!(subscription.next_entry());
        let entry = wait(next, &mut mark, || output.flush()).await?;
        output.entry(&entry, hex)?;
        if let Some(mark) = &mut mark
            && mark.printed(entry.id())
        {
            output.flush()?;
            mark.ack().await?;
        }
    }
}

/// Waits for the next entry; meanwhile writes out what was printed, and then counts it as read.
async fn wait(
    mut next: Pin<&mut impl Future<Output = Received>>,
    mark: &mut Option<Mark>,
    flush: impl FnOnce() -> Result<()>,
) -> Result<Entry> {
    // Entries that are there already are printed before anything is written out.
    if let Poll::Ready(received) = poll_fn(|task| Poll::Ready(next.as_mut().poll(task))).await {
        return entry(received);
    }
    flush()?;
    if let Some(mark) = mark.as_mut().filter(|mark| mark.pending > 0) {
        let quiet = Duration::from_millis(ACK_QUIET_MILLISECONDS);
        if let Ok(received) = timeout(quiet, next.as_mut()).await {
            return entry(received);
        }
        mark.ack().await?;
    }
    entry(next.await)
}

type Received = std::result::Result<Option<Entry>, ClientError>;

fn entry(received: Received) -> Result<Entry> {
    Ok(received?.ok_or(ClientError::Closed)?)
}

/// The read mark that follows what is printed.
struct Mark {
    client: Client,
    consumer: String,
    /// The newest entry that was printed.
    id: u64,
    /// How many entries were printed since the mark was last moved.
    pending: u64,
}

impl Mark {
    fn new(client: Client, consumer: Option<&str>) -> Self {
        let consumer = consumer.unwrap_or(DEFAULT_CONSUMER).to_owned();
        Self { client, consumer, id: 0, pending: 0 }
    }

    /// Notes that an entry was printed; true if it is time to move the mark.
    fn printed(&mut self, id: u64) -> bool {
        self.id = id;
        self.pending += 1;
        self.pending >= ACK_ENTRIES
    }

    /// Moves the mark to the newest entry that was printed. It must have been written out.
    async fn ack(&mut self) -> Result<()> {
        ack(&mut self.client, &self.consumer, self.id).await?;
        self.pending = 0;
        Ok(())
    }
}
