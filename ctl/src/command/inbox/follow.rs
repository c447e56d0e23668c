//! `inbox --follow`: prints entries as they arrive, until the command is interrupted or the daemon ends.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::timeout;
use udpchat_api::{Client, ClientError, Entry};

use super::form::Form;
use super::mark::{ACK_QUIET, Mark};
use super::plan::Plan;
use super::printer::InboxPrinter;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// The read mark, with a connection of its own, so that waiting for an entry is never cancelled halfway.
pub(super) struct Marking {
    pub(super) mark: Mark,
    pub(super) client: Client,
}

/// Prints what comes after the cursor `after`; ends only with an error.
pub(super) async fn run(
    inbox: InboxPrinter<'_>,
    plan: &Plan,
    after: u64,
    mut marking: Option<Marking>,
) -> Result<()> {
    let InboxPrinter { client: mut subscription, output, form, .. } = inbox;
    subscription.call(&plan.subscription(after)).await?;
    let Err(error) = print(&mut subscription, output, &form, &mut marking).await;
    if let (CtlError::ReaderGone, Some(Marking { mark, client })) = (&error, &mut marking) {
        mark.keep_up(output, client).await?;
    }
    Err(error)
}

async fn print(
    subscription: &mut Client,
    output: &mut Output,
    form: &Form,
    marking: &mut Option<Marking>,
) -> Result<std::convert::Infallible> {
    loop {
        let entry = wait(pin!(subscription.next_entry()), output, marking).await?;
        if form.selects(&entry) {
            form.print(output, &entry)?;
        }
        if let Some(Marking { mark, client }) = marking {
            mark.printed(entry.id(), output, client).await?;
        }
    }
}

/// Waits for the next entry. If it is not there yet, flushes the output and then moves the read mark.
async fn wait(
    mut next: Pin<&mut impl Future<Output = Received>>,
    output: &mut Output,
    marking: &mut Option<Marking>,
) -> Result<Entry> {
    // Entries that have already arrived are printed before the output is flushed.
    if let Poll::Ready(received) = poll_fn(|task| Poll::Ready(next.as_mut().poll(task))).await {
        return entry(received);
    }
    output.flush()?;
    if let Some(Marking { mark, client }) = marking {
        while mark.lags() {
            if let Ok(received) = timeout(ACK_QUIET, next.as_mut()).await {
                return entry(received);
            }
            output.check_reader()?;
            mark.keep_up(output, client).await?;
        }
    }
    entry(next.await)
}

type Received = std::result::Result<Option<Entry>, ClientError>;

fn entry(received: Received) -> Result<Entry> {
    Ok(received?.ok_or(ClientError::Closed)?)
}
