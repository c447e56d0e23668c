//! `wait`: prints messages as they arrive, until there are enough or the timeout ends. `ask` waits in the same way.
//!
//! The read marks do not change.

use std::future::pending;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCandidates;
use tokio::time::{Instant, sleep_until};
use udpchat_api::call::{DirectionFilter, InboxParams, SendParams, SubscribeParams};
use udpchat_api::{Client, ClientError, Entry, Message, Notice, Raw, safe};
use udpchat_locale::tr;

use super::completions::candidates;
use super::context::Context;
use super::filter::{bytes, count, entry_id, pattern};
use super::senders;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, after_bounce, counted, duration, reported, undelivered};

const HELP: &str = "\
Prints the messages as `inbox` does, and does not change the read marks. A PEER of --from without a port matches every \
port of the host. Exits with 4 when the timeout ends; what arrived before is printed.

Examples:
  udpchatctl wait
  udpchatctl wait --from bob --grep '^done' --timeout 10m && make install
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
    /// Only messages whose text matches the regular expression RE
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// Ignore upper and lower case in RE
    #[arg(short, long, requires = "grep")]
    pub(crate) ignore_case: bool,
    /// Only messages that contain these bytes, given as hex digits
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    pub(crate) grep_hex: Option<Raw>,
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

/// Which messages are waited for, and how long.
pub(super) struct Wanted {
    pub(super) subscription: SubscribeParams,
    /// The sender, as errors name it.
    pub(super) from: Option<String>,
    pub(super) count: u64,
    /// None waits for ever.
    pub(super) timeout: Option<Duration>,
    /// Payloads of sent messages that may return: broadcast and multicast also reach their sender.
    pub(super) own: Vec<Raw>,
}

impl Wanted {
    /// Returns whether a message is one of our own that returned: the same bytes, from our own port.
    fn is_own(&self, message: &Message) -> bool {
        let from_our_port = message.local.is_some_and(|local| local.port() == message.peer.port());
        from_our_port && self.own.contains(&message.raw)
    }
}

/// What ends a wait because the newest question was not delivered.
pub(super) struct Bounces {
    /// Has the notices about messages that were sent, on a connection of its own; none once that fails, which does not fail the
    /// wait.
    pub(super) notices: Option<Client>,
    /// The ids of the newest question, each datagram of it.
    pub(super) newest: Vec<u64>,
}

impl Bounces {
    /// Subscribes to the notices about messages to the peers `to` that were sent after the question.
    pub(super) async fn of(socket: &Path, question: Vec<u64>, to: Vec<String>) -> Self {
        let subscription = SubscribeParams {
            after: question.first().copied(),
            from: to,
            direction: Some(DirectionFilter::Out),
            notices: true,
            ..SubscribeParams::default()
        };
        let subscribe = async {
            let mut client = Client::connect(socket).await?;
            client.call(&subscription).await.map(|_| client)
        };
        Self { notices: subscribe.await.ok(), newest: question }
    }

    /// Waits until the newest question bounces; for ever if the notices end.
    async fn next(&mut self) -> CtlError {
        while let Some(client) = &mut self.notices {
            match client.next_entry().await {
                Ok(Some(Entry::Notice(notice))) if self.is_about_newest(&notice) => {
                    let peer = notice.peer.as_deref().unwrap_or_default();
                    let reason = notice.reason.as_deref().unwrap_or_default();
                    return bounced(notice.name.as_deref(), peer, reason, notice.from);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.notices = None,
            }
        }
        pending().await
    }

    fn is_about_newest(&self, notice: &Notice) -> bool {
        notice.notice == "bounced" && notice.about.is_some_and(|id| self.newest.contains(&id))
    }

    /// Reads again whether the newest question has bounced: many bounces within a second do not get a notice each.
    async fn read(&self, client: &mut Client) -> Option<CtlError> {
        let (first, last) = (self.newest.first()?, self.newest.last()?);
        let page = InboxParams {
            after: Some(first - 1),
            before: Some(last + 1),
            direction: Some(DirectionFilter::Out),
            limit: Some(1_000),
            ..InboxParams::default()
        };
        let page = client.call(&page).await.ok()?;
        page.entries.iter().find_map(|entry| match entry {
            Entry::Message(message) if self.newest.contains(&message.id) => {
                let bounce = message.bounce.as_ref()?;
                let (name, peer) = (message.name.as_deref(), message.peer.to_string());
                Some(bounced(name, &peer, &bounce.reason, bounce.from))
            }
            _ => None,
        })
    }
}

/// Returns the error for a message that was not delivered.
fn bounced(name: Option<&str>, peer: &str, reason: &str, from: Option<IpAddr>) -> CtlError {
    let what = undelivered(name, peer, reason);
    let text = tr!("{what}: {report}", what, report = reported(reason, from));
    CtlError::not_sent("bounced", text).hint(after_bounce(reason, &safe::one_line(name.unwrap_or(peer))))
}

/// A question that is asked again, at equal intervals, until an answer arrives.
pub(super) struct Retry {
    pub(super) question: SendParams,
    /// How often it is asked again.
    pub(super) times: u32,
}

impl Retry {
    /// Returns when the question is due again, after it was asked again `asked` times; none if it is not, or later than a
    /// clock can tell.
    fn due(&self, asked: u32, began: Instant, timeout: Option<Duration>) -> Option<Instant> {
        let interval = timeout? / self.times.saturating_add(1);
        (asked < self.times).then(|| began.checked_add(interval * (asked + 1))).flatten()
    }
}

/// Runs `wait`.
pub(crate) async fn run(context: Context<'_>, arguments: &WaitArgs) -> Result<()> {
    let mut client = context.connect().await?;
    let mut senders = arguments.from.clone();
    senders::resolve(&mut client, &mut senders).await?;
    let subscription = SubscribeParams {
        after: arguments.after,
        from: senders,
        direction: Some(DirectionFilter::In),
        grep: arguments.grep.as_deref().map(|grep| pattern(grep, arguments.ignore_case)),
        contains: arguments.grep_hex.clone(),
        ..SubscribeParams::default()
    };
    let from = (!arguments.from.is_empty()).then(|| arguments.from.join(tr!(" or ")));
    let timeout = arguments.timeout;
    let wanted = Wanted { subscription, from, count: arguments.count, timeout, own: Vec::new() };
    let print = |output: &mut Output, entry: &Entry| output.entry(entry, arguments.hex).map(|()| true);
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
    client.call(&wanted.subscription).await?;
    let began = Instant::now();
    let deadline = wanted.timeout.and_then(|timeout| began.checked_add(timeout));
    let (mut arrived, mut asked) = (0, 0);
    while arrived < wanted.count {
        // What has answered once was asked successfully.
        let question = question.as_mut().filter(|_| arrived == 0);
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
                    if let Some(ids) = ask_again(&mut client, retry).await? {
                        bounces.newest = ids;
                    }
                    continue;
                }
                (_, Some(bounces)) => {
                    let bounce = bounces.read(&mut client).await;
                    return Err(bounce.unwrap_or_else(|| timed_out(wanted, arrived)));
                }
                _ => return Err(timed_out(wanted, arrived)),
            },
        };
        let entry = next?.ok_or(ClientError::Closed)?;
        match &entry {
            Entry::Gap(gap) => {
                let datagrams = counted(gap.lost, "datagram");
                output.note(&tr!("{datagrams} lost while waiting", datagrams));
            }
            Entry::Notice(_) => {}
            Entry::Message(message) if wanted.is_own(message) => {}
            Entry::Message(_) => {
                arrived += u64::from(print(output, &entry)?);
                output.flush()?;
            }
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

/// Asks again; returns the ids of what was sent. What the kernel refuses now may succeed later.
async fn ask_again(client: &mut Client, retry: &Retry) -> Result<Option<Vec<u64>>> {
    match client.call(&retry.question).await {
        Ok(sent) => Ok(Some(sent.into_entries().iter().map(Entry::id).collect())),
        Err(ClientError::Refused(_)) => Ok(None),
        Err(error) => Err(CtlError::of_send(error)),
    }
}

/// Returns the error for a timeout: which messages are missing.
fn timed_out(wanted: &Wanted, arrived: u64) -> CtlError {
    let text = if arrived == 0 { none_arrived(wanted) } else { too_few_arrived(wanted, arrived) };
    CtlError::new(Exit::TimedOut, "timed_out", text)
}

fn none_arrived(wanted: &Wanted) -> String {
    let time = duration(wanted.timeout.unwrap_or_default());
    match (&wanted.from, &wanted.subscription.grep) {
        (None, None) => tr!("no message arrived within {time}", time),
        (Some(peer), None) => tr!("no message from {peer} arrived within {time}", peer, time),
        (None, Some(pattern)) => {
            tr!("no message that matches `{pattern}` arrived within {time}", pattern, time)
        }
        (Some(peer), Some(pattern)) => {
            tr!("no message from {peer} that matches `{pattern}` arrived within {time}", peer, pattern, time)
        }
    }
}

fn too_few_arrived(wanted: &Wanted, arrived: u64) -> String {
    let (messages, time) = (counted(wanted.count, "message"), duration(wanted.timeout.unwrap_or_default()));
    match (&wanted.from, &wanted.subscription.grep) {
        (None, None) => tr!("only {arrived} of {messages} arrived within {time}", arrived, messages, time),
        (Some(peer), None) => {
            tr!(
                "only {arrived} of {messages} from {peer} arrived within {time}",
                arrived,
                messages,
                peer,
                time
            )
        }
        (None, Some(pattern)) => tr!(
            "only {arrived} of {messages} that match `{pattern}` arrived within {time}",
            arrived,
            messages,
            pattern,
            time
        ),
        (Some(peer), Some(pattern)) => tr!(
            "only {arrived} of {messages} from {peer} that match `{pattern}` arrived within {time}",
            arrived,
            messages,
            peer,
            pattern,
            time
        ),
    }
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn a_question_is_due_at_equal_intervals() {
        let began = Instant::now();
        let retry = Retry { question: SendParams::default(), times: 1 };
        let due = |asked, timeout| retry.due(asked, began, timeout);
        let second = Duration::from_secs(1);
        assert_eq!(due(0, Some(2 * second)), Some(began + second));
        assert_eq!((due(1, Some(2 * second)), due(0, None)), (None, None));
        // No clock reaches these times.
        assert_eq!((due(0, Some(Duration::MAX)), due(1, Some(Duration::MAX))), (None, None));
    }

    #[test]
    fn a_timeout_names_the_missing_messages() {
        let error = |from: Option<&str>, grep: Option<&str>, count, timeout, arrived| {
            let subscription =
                SubscribeParams { grep: grep.map(str::to_owned), ..SubscribeParams::default() };
            let from = from.map(str::to_owned);
            let timeout = Some(Duration::from_millis(timeout));
            let wanted = Wanted { subscription, from, count, timeout, own: Vec::new() };
            let failure = timed_out(&wanted, arrived).into_failure();
            (failure.message, failure.exit as u8)
        };
        assert_eq!(error(None, None, 1, 5_000, 0), ("no message arrived within 5s".to_owned(), 4));
        let (text, _) = error(Some("bob"), Some("^ok"), 3, 90_500, 0);
        assert_eq!(text, "no message from bob that matches `^ok` arrived within 1m 30s 500ms");
        assert_eq!(
            error(Some("bob"), None, 3, 500, 2).0,
            "only 2 of 3 messages from bob arrived within 500ms"
        );
        let chinese = with_language(Language::Chinese, || {
            [error(Some("bob"), Some("^ok"), 3, 90_500, 0).0, error(None, Some("^ok"), 3, 500, 2).0]
        });
        let expected = [
            "1 分钟 30 秒 500 毫秒内没有收到来自 bob 且匹配 `^ok` 的消息",
            "500 毫秒内只收到 2 条匹配 `^ok` 的消息（要求 3 条消息）",
        ];
        assert_eq!(chinese, expected);
    }
}
