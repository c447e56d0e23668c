//! `inbox --follow`: prints entries as they arrive, until the command is interrupted or the daemon ends. With `--reconnect`
//! it continues after the last entry once a daemon answers again.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::{sleep, timeout};
use udpchat_api::{Client, ClientError, Entry};
use udpchat_locale::tr;

use super::form::Form;
use super::mark::{ACK_QUIET, Mark};
use super::plan::Plan;
use super::printer::InboxPrinter;
use crate::command::context::Context;
use crate::connect::{connect, connect_after};
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, READER_CHECK};

/// The read mark, with a connection of its own, so that waiting for an entry is never cancelled halfway.
pub(super) struct Marking {
    pub(super) mark: Mark,
    pub(super) client: Client,
}

/// How often a daemon is looked for after the connection was lost.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// How long a socket that this user may not open is tried again: where systemd holds the sockets, the daemon gives the new file its mode
/// only when it has started.
const DENIED_WAIT: Duration = Duration::from_secs(300);

/// The note about a lost connection, or about the one that replaces it, in JSON.
#[derive(Serialize)]
struct Connection<'a> {
    message: &'a str,
    kind: &'static str,
    /// The id after which entries follow, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
}

/// Connects once a daemon answers.
pub(super) async fn first_connection(context: &mut Context<'_>) -> Result<Client> {
    let (mut is_noted, mut denied) = (false, None);
    loop {
        let error = match context.connect().await {
            Err(error) if may_pass(&error) || may_be_opened(&error, &mut denied, Instant::now()) => error,
            done => return done,
        };
        if let (false, CtlError::Failed(failure)) = (is_noted, &error) {
            let message = tr!("{reason}; waiting until a daemon answers", reason = failure.message);
            let note = Connection { message: &message, kind: "no_daemon", after: None };
            context.output.note_with(&message, &note);
            is_noted = true;
        }
        context.output.check_reader()?;
        sleep(RETRY_EVERY).await;
    }
}

/// Prints what comes after the cursor `after`; ends only with an error.
pub(super) async fn run(
    inbox: InboxPrinter<'_>,
    plan: &Plan,
    mut after: u64,
    mut marking: Option<Marking>,
) -> Result<()> {
    let InboxPrinter { client: mut subscription, output, mut form, .. } = inbox;
    // The note about a new connection, until that has a subscription.
    let mut reconnected = None;
    loop {
        let position = (&mut after, &mut reconnected);
        let Err(error) = print(&mut subscription, plan, position, output, &mut form, &mut marking).await;
        if let (CtlError::ReaderGone, Some(Marking { mark, client })) = (&error, &mut marking) {
            mark.keep_up(output, client).await?;
        }
        if !(plan.reconnect && may_pass(&error)) {
            if error.is_lost() && output.is_for_a_person() {
                output.note(tr!("with --reconnect, `inbox -f` continues once a daemon answers again"));
            }
            return Err(error);
        }
        output.flush()?;
        // A connection without a subscription is not worth a second note.
        if reconnected.is_none() {
            let message =
                tr!("the connection to the daemon is lost; waiting, to continue after #{after}", after);
            output.note_with(
                &message,
                &Connection { message: &message, kind: "connection_lost", after: Some(after) },
            );
        }
        let (client, message) = connect_again(subscription, &mut after, output, &mut marking).await?;
        (subscription, reconnected) = (client, Some(message));
    }
}

/// Connects to the same socket again, once a daemon answers there; returns also the note about it. An inbox with lower ids is
/// another one: it is followed from its beginning.
async fn connect_again(
    lost: Client,
    after: &mut u64,
    output: &mut Output,
    marking: &mut Option<Marking>,
) -> Result<(Client, String)> {
    let mut denied = None;
    loop {
        sleep(RETRY_EVERY).await;
        output.check_reader()?;
        let (client, from) = match answering(lost.path(), *after, marking).await {
            Ok(found) => found,
            Err(error) if may_pass(&error) || may_be_opened(&error, &mut denied, Instant::now()) => continue,
            Err(error) => return Err(error),
        };
        if from == *after {
            return Ok((client, tr!("a daemon answers again; continuing after #{after}", after)));
        }
        *after = from;
        if let Some(Marking { mark, .. }) = marking {
            mark.restart();
        }
        let message = tr!("a daemon answers again, with another inbox, which begins with its first entry");
        return Ok((client, message.to_owned()));
    }
}

/// Returns whether an error ends by itself: no daemon answers, the connection was lost, or the daemon has too much to do or
/// cannot read or write the inbox now.
fn may_pass(error: &CtlError) -> bool {
    let kinds = ["busy", "inbox_unavailable"];
    let is_of_daemon = matches!(error, CtlError::Failed(failure) if kinds.contains(&failure.kind.as_ref()));
    is_of_daemon || error.is_lost() || error.is_timeout() || error.exit() == Exit::NoDaemon
}

/// Returns whether an error is that this user may not open the file of the socket, which may change soon; `denied` is since when.
fn may_be_opened(error: &CtlError, denied: &mut Option<Instant>, now: Instant) -> bool {
    // A daemon that refuses a role has a code.
    let is_of_file = matches!(error, CtlError::Failed(failure) if failure.code.is_none());
    is_of_file
        && error.exit() == Exit::NotPermitted
        && now.duration_since(*denied.get_or_insert(now)) < DENIED_WAIT
}

/// Connects for the subscription, and for the read mark if there is one; returns the id after which entries follow as well.
async fn answering(socket: &Path, after: u64, marking: &mut Option<Marking>) -> Result<(Client, u64)> {
    let connected = connect_after(Some(socket), after).await?;
    if let Some(Marking { client, .. }) = marking {
        *client = connect(Some(socket)).await?;
    }
    Ok(connected)
}

/// Subscribes to what comes after a cursor, and prints it; the cursor moves with it.
async fn print(
    subscription: &mut Client,
    plan: &Plan,
    (after, reconnected): (&mut u64, &mut Option<String>),
    output: &mut Output,
    form: &mut Form,
    marking: &mut Option<Marking>,
) -> Result<Infallible> {
    subscription.call(&plan.subscription(*after)).await?;
    if let Some(message) = reconnected.take() {
        output.note_with(
            &message,
            &Connection { message: &message, kind: "connected_again", after: Some(*after) },
        );
    }
    loop {
        let entry = wait(pin!(subscription.next_entry()), output, marking).await?;
        if form.selects(&entry) {
            form.print(output, &entry)?;
        }
        *after = entry.id();
        if let Some(Marking { mark, client }) = marking
            && form.has_shown()
        {
            mark.printed(entry.id(), output, client).await?;
        }
    }
}

/// Waits for the next entry, or until no program reads the output any more. If it is not there yet, flushes the output and then
/// moves the read mark.
async fn wait(
    mut next: Pin<&mut impl Future<Output = Received>>,
    output: &mut Output,
    marking: &mut Option<Marking>,
) -> Result<Entry> {
    // Entries that have already arrived are printed before the output is flushed.
    let polled = poll_fn(|task| Poll::Ready(next.as_mut().poll(task))).await;
    if let Some(Marking { mark, .. }) = marking {
        mark.comes_without_pause(polled.is_ready());
    }
    if let Poll::Ready(received) = polled {
        return entry(received);
    }
    output.flush()?;
    loop {
        let lagging = marking.as_mut().filter(|marking| marking.mark.lags());
        let pause = if lagging.is_some() { ACK_QUIET } else { READER_CHECK };
        if let Ok(received) = timeout(pause, next.as_mut()).await {
            return entry(received);
        }
        output.check_reader()?;
        if let Some(Marking { mark, client }) = lagging {
            mark.keep_up(output, client).await?;
        }
    }
}

type Received = std::result::Result<Option<Entry>, ClientError>;

fn entry(received: Received) -> Result<Entry> {
    Ok(received?.ok_or(ClientError::Closed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_may_not_be_opened_yet_is_tried_for_a_while() {
        let of_file = CtlError::new(Exit::NotPermitted, "not_permitted", "x");
        let refused = udpchat_api::ErrorObject::new(udpchat_api::ErrorKind::NotPermitted, "x");
        let (mut denied, now) = (None, Instant::now());
        assert!(!may_be_opened(&CtlError::from(refused), &mut denied, now), "a role does not change so");
        assert!(may_be_opened(&of_file, &mut denied, now));
        assert!(may_be_opened(&of_file, &mut denied, now + DENIED_WAIT / 2));
        assert!(!may_be_opened(&of_file, &mut denied, now + DENIED_WAIT));
    }

    #[test]
    fn only_what_ends_by_itself_is_tried_again() {
        let error = |exit, kind| CtlError::new(exit, kind, "x");
        for passing in [
            CtlError::from(ClientError::Closed),
            CtlError::from(ClientError::Silent),
            error(Exit::NoDaemon, "no_daemon"),
            error(Exit::Failed, "busy"),
            error(Exit::Failed, "inbox_unavailable"),
        ] {
            assert!(may_pass(&passing), "{passing:?}");
        }
        let lasting = [error(Exit::NotPermitted, "not_permitted"), error(Exit::Usage, "usage")];
        assert!(!lasting.iter().chain([&CtlError::ReaderGone]).any(may_pass));
    }
}
