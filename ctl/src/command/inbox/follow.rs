//! `inbox --follow`: prints entries as they arrive, until the command is interrupted or the daemon ends.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use udpchat_api::{Client, ClientError, DEFAULT_CONSUMER, Entry};

use super::plan::{Part, Plan};
use super::printer::{InboxPrinter, ack};
use crate::connect;
use crate::error::Result;

/// The most entries that are printed before the read mark moves.
const ACK_ENTRIES: u64 = 256;
/// The read mark moves when nothing has arrived for this long, so that a burst costs one request.
const ACK_QUIET_MILLISECONDS: u64 = 100;

/// Prints what comes after the cursor `after`; ends only with an error.
pub(super) async fn run(
    inbox: InboxPrinter<'_>,
    plan: &Plan,
    after: u64,
    socket: Option<&Path>,
) -> Result<()> {
    let InboxPrinter { client: mut subscription, output, hex, .. } = inbox;
    let mut mark = match &plan.part {
        // A second connection moves the mark, so that waiting for an entry is never cancelled halfway.
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

/// Waits for the next entry. If it is not there yet, flushes the output and then moves the read mark.
async fn wait(
    mut next: Pin<&mut impl Future<Output = Received>>,
    mark: &mut Option<Mark>,
    flush: impl FnOnce() -> Result<()>,
) -> Result<Entry> {
    // Entries that have already arrived are printed before the output is flushed.
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

/// The read mark, moved after what is printed.
struct Mark {
    client: Client,
    consumer: String,
    /// The newest entry that was printed.
    id: u64,
    /// How many entries were printed since the mark last moved.
    pending: u64,
}

impl Mark {
    fn new(client: Client, consumer: Option<&str>) -> Self {
        let consumer = consumer.unwrap_or(DEFAULT_CONSUMER).to_owned();
        Self { client, consumer, id: 0, pending: 0 }
    }

    /// Records a printed entry; returns whether the mark is due.
    fn printed(&mut self, id: u64) -> bool {
        self.id = id;
        self.pending += 1;
        self.pending >= ACK_ENTRIES
    }

    /// Moves the mark to the newest printed entry, which must have been flushed.
    async fn ack(&mut self) -> Result<()> {
        ack(&mut self.client, &self.consumer, self.id).await?;
        self.pending = 0;
        Ok(())
    }
}
