//! `wait`, and what it shares with `ask`: prints messages as they come, until there are enough or the time is up.
//!
//! Nothing counts as read by it.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::timeout_at;
use udpchat_api::call::{DirectionFilter, SubscribeParams};
use udpchat_api::{Client, ClientError, Entry, Message, Raw};

use super::Context;
use crate::cli::WaitArgs;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, counted};

/// What is waited for.
pub(super) struct Wanted {
    pub(super) subscription: SubscribeParams,
    /// Whom from, as people read it.
    pub(super) from: Option<String>,
    pub(super) count: u64,
    /// For ever, if not given.
    pub(super) timeout: Option<Duration>,
    /// What went out and may come back by itself: what is sent to many reaches its sender too.
    pub(super) own: Vec<Raw>,
}

impl Wanted {
    /// Tells whether a message is one of our own that came back: the same bytes, from our own port.
    fn is_own(&self, message: &Message) -> bool {
        let from_our_port = message.local.is_some_and(|local| local.port() == message.peer.port());
        from_our_port && self.own.contains(&message.raw)
    }
}

/// Runs `wait`.
pub(crate) async fn run(context: Context<'_>, arguments: &WaitArgs) -> Result<()> {
    let client = context.connect().await?;
    let subscription = SubscribeParams {
        after: arguments.after,
        from: arguments.from.clone(),
        direction: Some(DirectionFilter::In),
        grep: arguments.grep.clone(),
        ..SubscribeParams::default()
    };
    let (from, timeout) = (arguments.from.clone(), arguments.timeout);
    let wanted = Wanted { subscription, from, count: arguments.count, timeout, own: Vec::new() };
    for_messages(client, context.output, &wanted, |output, entry| output.entry(entry, arguments.hex)).await
}

/// Prints each message that is wanted as it comes; the time counts from when the daemon has begun to look.
pub(super) async fn for_messages(
    mut client: Client,
    output: &mut Output,
    wanted: &Wanted,
    print: impl Fn(&mut Output, &Entry) -> Result<()>,
) -> Result<()> {
    client.call(&wanted.subscription).await?;
    let began = tokio::time::Instant::now();
    let deadline = wanted.timeout.and_then(|timeout| began.checked_add(timeout));
    let mut came = 0;
    while came < wanted.count {
        let next = client.next_entry();
        let next = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.map_err(|_| timed_out(wanted, came))?,
            None => next.await,
        };
        let entry = next?.ok_or(ClientError::Closed)?;
        match &entry {
            Entry::Gap(gap) => {
                output.note(&format!("{} lost while waiting", counted(gap.lost, "datagram")));
            }
            Entry::Message(message) if wanted.is_own(message) => {}
            Entry::Message(_) => {
                print(output, &entry)?;
                output.flush()?;
                came += 1;
            }
        }
    }
    Ok(())
}

/// Says what did not come.
fn timed_out(wanted: &Wanted, came: u64) -> CtlError {
    let what = match (wanted.count, came) {
        (_, 0) => "no message".to_owned(),
        (count, came) => format!("only {came} of {}", counted(count, "message")),
    };
    let from = wanted.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let grep = wanted.subscription.grep.as_ref().map(|grep| format!(" that matches `{grep}`"));
    let within = SignedDuration::try_from(wanted.timeout.unwrap_or_default()).unwrap_or(SignedDuration::MAX);
    let text = format!("{what}{from}{} came within {within:#}", grep.unwrap_or_default());
    CtlError::new(Exit::TimedOut, "timed_out", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_is_told_in_one_sentence() {
        let told = |from: Option<&str>, grep: Option<&str>, count, timeout, came| {
            let subscription =
                SubscribeParams { grep: grep.map(str::to_owned), ..SubscribeParams::default() };
            let from = from.map(str::to_owned);
            let timeout = Some(Duration::from_millis(timeout));
            match timed_out(&Wanted { subscription, from, count, timeout, own: Vec::new() }, came) {
                CtlError::Failed(failure) => (failure.message, failure.exit as u8),
                CtlError::ReaderGone => panic!("no failure"),
            }
        };
        assert_eq!(told(None, None, 1, 5_000, 0), ("no message came within 5s".to_owned(), 4));
        let (text, _) = told(Some("bob"), Some("^ok"), 3, 90_500, 0);
        assert_eq!(text, "no message from bob that matches `^ok` came within 1m 30s 500ms");
        assert_eq!(told(Some("bob"), None, 3, 500, 2).0, "only 2 of 3 messages from bob came within 500ms");
    }
}
