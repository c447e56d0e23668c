//! `wait`: prints messages as they arrive, until there are enough or the timeout ends. `ask` waits in the same way.
//!
//! The read marks do not change.

mod bounces;
mod retry;
mod timeout;
mod wanted;

use std::future::pending;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use tokio::time::{Instant, sleep_until};
use udpchat_api::call::{DirectionFilter, SubscribeParams};
use udpchat_api::{Client, ClientError, Entry, Gap};
use udpchat_locale::tr;

pub(super) use self::bounces::Bounces;
pub(super) use self::retry::Retry;
use self::timeout::{Arrived, timed_out};
pub(super) use self::wanted::Wanted;
use super::completions::candidates;
use super::condition::WhereArgs;
use super::context::Context;
use super::filter::{ContentArgs, count, entry_id};
use super::senders;
use crate::error::Result;
use crate::output::{Output, TextPattern, counted, loss, notice_text};

const HELP: &str = "\
Prints the messages as `inbox` does, and does not change the read marks. A PEER of --from without a port matches every \
port of the host. Exits with 4 when the timeout ends; what arrived before is printed. \
With --notices messages do not end the wait; RE is matched with the line of the notice and with its kind: silent, heard, bounced or \
expired.

Examples:
  udpchatctl wait
  udpchatctl wait --from bob --grep '^done' --timeout 10m && make install
  udpchatctl wait --from sensor7 --where 'temp > 30' && ./alarm
  udpchatctl wait --from sensor7 --notices --grep '^silent$' && ./alarm
  udpchatctl --json wait -c 10 | jq -r .text
  id=$(udpchatctl --json send bob hi | jq .id)
  udpchatctl wait --from bob --after $id";

/// Wait for messages that arrive from now on
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct WaitArgs {
    /// Only messages from PEER: a peer's name, an address, a network or a host; may be repeated
    #[arg(long, value_name = "PEER", add = ArgValueCandidates::new(candidates::peers))]
    pub(crate) from: Vec<String>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    #[command(flatten)]
    pub(crate) conditions: WhereArgs,
    /// Wait for notices instead of messages: a peer is silent or is back, a message bounced; RE is matched with their line and kind
    #[arg(long, conflicts_with_all = ["conditions", "grep_hex"])]
    pub(crate) notices: bool,
    /// Stop after N messages
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = count)]
    pub(crate) count: u64,
    /// Give up after T, for example 500ms or 1m30s; a number alone is seconds [default: never]
    #[arg(long, value_name = "T", value_parser = crate::time::span)]
    pub(crate) timeout: Option<Duration>,
    /// Start after the entry ID instead of now; messages that arrived since then count
    #[arg(long, value_name = "ID", value_parser = entry_id)]
    pub(crate) after: Option<u64>,
    /// Print the bytes as a hex dump instead of the text; JSON has them as `hex` too
    #[arg(long)]
    pub(crate) hex: bool,
}

/// Runs `wait`.
pub(crate) async fn run(context: Context<'_>, arguments: &WaitArgs) -> Result<()> {
    let mut client = context.connect().await?;
    let mut senders = arguments.from.clone();
    senders::resolve(&mut client, &mut senders).await?;
    let grep = arguments.content.pattern();
    // The daemon matches no notice with a pattern.
    let (grep, of_notices) = if arguments.notices { (None, grep) } else { (grep, None) };
    let of_notices = of_notices.as_deref().map(TextPattern::of).transpose()?;
    let subscription = SubscribeParams {
        after: arguments.after,
        from: senders.clone(),
        direction: (!arguments.notices).then_some(DirectionFilter::In),
        grep,
        contains: arguments.content.grep_hex.clone(),
        notices: arguments.notices,
        ..SubscribeParams::default()
    };
    let from = (!arguments.from.is_empty()).then(|| arguments.from.join(tr!(" or ")));
    let WaitArgs { timeout, count, hex, .. } = *arguments;
    let conditions = arguments.conditions.clone();
    let wanted = Wanted { subscription, conditions, from, senders, count, timeout, hex, own: Vec::new() };
    let print = |output: &mut Output, entry: &Entry| match entry {
        Entry::Notice(notice)
            if of_notices
                .as_ref()
                .is_some_and(|re| !re.matches(&notice.notice) && !re.matches(&notice_text(notice))) =>
        {
            Ok(false)
        }
        _ => output.entry(entry, hex).map(|()| true),
    };
    for_messages(client, context.output, &wanted, None, print).await
}

/// Has each message printed as it arrives, until there are enough: `print` returns whether a message counts. The timeout
/// starts once the daemon has accepted the subscription.
pub(super) async fn for_messages(
    mut client: Client,
    output: &mut Output,
    wanted: &Wanted,
    mut question: Option<(&Retry, Bounces)>,
    mut print: impl FnMut(&mut Output, &Entry) -> Result<bool>,
) -> Result<()> {
    let after = client.call(&wanted.subscription).await?.after;
    let began = Instant::now();
    let deadline = wanted.timeout.and_then(|timeout| began.checked_add(timeout));
    let (mut arrived, mut asked) = (Arrived::default(), 0);
    while arrived.count < wanted.count {
        // What has answered once was asked successfully.
        let question = question.as_mut().filter(|_| arrived.count == 0);
        let due = question.as_ref().and_then(|(retry, _)| retry.due(asked, began, wanted.timeout));
        let (retry, mut bounces) = question.map(|(retry, bounces)| (*retry, bounces)).unzip();
        let bounce = async {
            match &mut bounces {
                Some(bounces) => bounces.next().await,
                None => pending().await,
            }
        };
        let next = tokio::select! {
            // An answer that has arrived comes first.
            biased;
            next = client.next_entry() => next,
            // While the question is still to be asked again, its bounce is no end.
            bounce = bounce, if due.is_none() => return Err(bounce),
            () = at(due.or(deadline)) => match (retry, bounces) {
                (Some(retry), Some(bounces)) if due.is_some() => {
                    asked += 1;
                    if let Some(ids) = retry.ask(&mut client).await? {
                        bounces.newest = ids;
                    }
                    continue;
                }
                (_, Some(bounces)) => {
                    return Err(match bounces.read(&mut client).await {
                        Some(bounce) => bounce,
                        None => timed_out(&mut client, wanted, after, &arrived).await,
                    });
                }
                _ => return Err(timed_out(&mut client, wanted, after, &arrived).await),
            },
        };
        let entry = next?.ok_or(ClientError::Closed)?;
        if let Entry::Gap(gap) = &entry {
            output.note(&lost(gap));
        }
        if wanted.is_waited_for(&entry) && wanted.conditions.select(&entry) {
            if print(output, &entry)? {
                arrived.add(entry.id());
            }
            output.flush()?;
        }
    }
    Ok(())
}

/// Waits until a time, or for ever.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

/// Describes a gap. What retention has removed may have been stored long before, and read by others.
fn lost(gap: &Gap) -> String {
    if gap.reason == "retention" {
        return loss(gap.lost, &gap.reason, None);
    }
    let datagrams = counted(gap.lost, "datagram");
    tr!("{datagrams} lost while waiting", datagrams)
}
