//! `replay`: sends recorded messages again, in their order and with their timing.

mod args;
mod capture;
mod item;
mod schedule;
mod source;

use std::future::pending;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Span;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use udpchat_api::call::{SendParams, Target, TargetsParams};
use udpchat_api::{Client, ClientError, ErrorKind, Timestamp};
use udpchat_config::DEFAULT_PORT;
use udpchat_locale::{tr, translated};

pub(crate) use self::args::ReplayArgs;
use self::item::{Item, Recorded};
use self::schedule::Schedule;
use self::source::Source;
use super::context::Context;
use super::deliveries::{Deliveries, SUMMARY_WAIT, SentIds};
use super::filter::Filter;
use super::outcome::Outcome;
use super::pipeline::{Answers, MAX_PENDING_SENDS, Pipeline};
use super::removed::note_removed;
use super::send;
use crate::error::Result;
use crate::output::{Output, Progress, counted, grouped, local_time, span};

/// A pause of this length is announced.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Runs `replay`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplayArgs) -> Result<()> {
    // First, since a pipe may keep the source waiting.
    let mut client = context.connect().await?;
    let source = Source::open(&context, arguments).await?;
    let output = context.output;
    if arguments.file.is_none() {
        let filter = Filter::of(&arguments.filter, crate::time::now)?;
        note_removed(&mut client, output, &filter).await;
    }
    note_destination(&mut client, output, &arguments.to, &source).await;
    let progress = Progress::new(output.is_watched(), "message");
    let answers = Answered { to: arguments.to.clone(), peer: None, tally: Tally::default() };
    let replay = Replay { pipeline: Pipeline::new(client, answers), progress };
    replay.run(source, Schedule::new(arguments.speed, arguments.max_pause), output).await
}

/// Says where the messages go, and how many at most, if the destination has no port: many may go to one that was not meant.
async fn note_destination(client: &mut Client, output: &mut Output, to: &str, source: &Source) {
    if !output.has_notes()
        || to.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok() && !is_ipv6(to))
    {
        return;
    }
    // Whatever is wrong with it is reported when the first message is sent.
    let Ok(found) = client.call(&TargetsParams { to: vec![to.to_owned()] }).await else { return };
    let [Target { peer, .. }] = &found.targets[..] else { return };
    if peer.port() != DEFAULT_PORT {
        return;
    }
    output.note(&match source.reached(0).looked_at {
        Some((_, entries)) => {
            tr!("replaying to {peer}, of {entries} at most", peer, entries = counted(entries, "entry"))
        }
        None => tr!("replaying to {peer}", peer),
    });
    if let Some(heard) =
        send::last_port_of(client, to, *peer).await.filter(|heard| heard.port() != peer.port())
    {
        output.note(&tr!(
            "the last message from there came from {heard}; `--to {heard}` replays to that port",
            heard
        ));
    }
}

fn is_ipv6(to: &str) -> bool {
    to.parse::<Ipv6Addr>().is_ok()
}

/// The outcomes so far.
#[derive(Debug, Default)]
struct Tally {
    outcome: Outcome,
    gaps: u64,
    never_sent: u64,
    other_direction: u64,
    no_datagram: u64,
    sent: SentIds,
}

/// Counts the answers, and fixes the destination.
struct Answered {
    /// The destination, as the user wrote it.
    to: String,
    /// The address of the first message; later messages use it, so that the name is resolved once.
    peer: Option<SocketAddr>,
    tally: Tally,
}

struct Replay {
    pipeline: Pipeline<Answered>,
    progress: Progress,
}

/// The part of the answer to a send that is used.
#[derive(Deserialize)]
struct Answer {
    id: u64,
    peer: SocketAddr,
}

/// The result, in JSON.
#[derive(Serialize)]
struct Summary<'a> {
    sent: u64,
    /// How many of these the daemon could not store.
    unrecorded: u64,
    failed: u64,
    /// How many the network reported as not delivered; absent if this user may not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    bounced: Option<u64>,
    gaps: u64,
    to: &'a str,
    seconds: f64,
}

impl Replay {
    async fn run(mut self, source: Source, schedule: Schedule, output: &mut Output) -> Result<()> {
        let began = Instant::now();
        let done = self.all(source, schedule, output).await;
        drop(self.progress);
        let elapsed = began.elapsed();
        let (client, Answered { to, peer, tally }) = self.pipeline.end();
        if let Err(error) = done {
            return Err(match tally.outcome.sent() {
                0 => error,
                sent => {
                    let messages = counted(sent, "message");
                    error.within(tr!("the replay is incomplete: it ended after {messages}", messages))
                }
            });
        }
        let to = peer.map_or(to, |peer| peer.to_string());
        let deliveries = match client {
            Some(mut client) => tally.sent.deliveries(&mut client, SUMMARY_WAIT).await,
            None => None,
        };
        conclude(tally, &to, (elapsed, deliveries), output)
    }

    /// Sends all messages. Waits for the answers in flight even if reading fails.
    async fn all(&mut self, source: Source, schedule: Schedule, output: &mut Output) -> Result<()> {
        let done = match self.feed(source, schedule, output).await {
            Ok(()) => self.pipeline.finish(pending::<()>()).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.pipeline.settle(pending::<()>()).await;
        }
        done
    }

    async fn feed(&mut self, mut source: Source, mut schedule: Schedule, output: &mut Output) -> Result<()> {
        let mut began = None;
        loop {
            let item = self.pipeline.drive(source.next()).await??;
            let tally = &mut self.pipeline.answers.tally;
            match item {
                None => {
                    self.progress.erase();
                    source.note().iter().for_each(|note| output.note(note));
                    return Ok(());
                }
                Some(Item::Notice) => {}
                Some(Item::Gap) => tally.gaps += 1,
                Some(Item::NeverSent) => tally.never_sent += 1,
                Some(Item::OtherDirection) => tally.other_direction += 1,
                Some(Item::NoDatagram) => tally.no_datagram += 1,
                Some(Item::Message(message)) => {
                    let due = schedule.due(message.at);
                    let due = *began.get_or_insert_with(Instant::now) + due;
                    let pause = due.saturating_duration_since(Instant::now());
                    if pause >= LONG_PAUSE {
                        self.progress.erase();
                        note_pause(output, pause, message.at);
                    }
                    self.pipeline.drive(sleep_until(due)).await?;
                    self.send(message).await?;
                }
            }
            self.progress.show(&source.reached(self.pipeline.answers.tally.outcome.sent()));
        }
    }

    async fn send(&mut self, message: Recorded) -> Result<()> {
        let Recorded { raw, place, .. } = message;
        // The first message has the name; then the destination is fixed.
        self.pipeline.ready().await?;
        let to = Some(self.pipeline.answers.to.clone());
        let params = SendParams { to, raw: Some(raw), allow_empty: true, ..SendParams::default() };
        self.pipeline.send(&params, place).await
    }
}

impl Answers for Answered {
    /// Where the message was read, for errors.
    type Request = String;
    type Answer = Answer;

    fn answered(&mut self, place: String, answer: std::result::Result<Answer, ClientError>) -> Result<()> {
        match answer {
            Ok(Answer { id, peer }) => {
                self.tally.outcome.add_sent();
                self.tally.sent.add(id);
                self.fix_destination(peer);
                Ok(())
            }
            Err(ClientError::Refused(refused)) if is_of_one_message(refused.data.kind) => {
                let reason = translated(&refused.message);
                let message = format!("{place}: {reason}");
                self.tally.outcome.add_failure(udpchat_api::ErrorObject { message, ..refused }.into());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The first message is sent alone: if its destination is invalid, no other is tried.
    fn max_in_flight(&self) -> u64 {
        let outcome = &self.tally.outcome;
        let is_first = outcome.sent() + outcome.failed() == 0;
        if is_first { 1 } else { MAX_PENDING_SENDS }
    }
}

impl Answered {
    /// Sends all further messages to the address of the first one.
    fn fix_destination(&mut self, peer: SocketAddr) {
        if self.peer.is_none() {
            self.peer = Some(peer);
            // An address with a scope is not accepted everywhere.
            if !matches!(peer, SocketAddr::V6(v6) if v6.scope_id() != 0) {
                self.to = peer.to_string();
            }
        }
    }
}

/// Prints a note before a long pause, in which the program would look as if it did nothing.
fn note_pause(output: &mut Output, pause: Duration, at: Timestamp) {
    let at = local_time(at, output.zone());
    // A pause is at most a year, which a span can hold.
    let pause = span(Span::try_from(pause).unwrap_or_default());
    output.note(&tr!(
        "the next message, of {at}, is sent in {pause}; `--max-pause 1s` shortens pauses",
        at,
        pause
    ));
}

/// Returns whether a failure concerns one message only, so that the replay continues.
fn is_of_one_message(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong | ErrorKind::NotRecorded)
}

/// Prints the result; fails if a message could not be sent.
fn conclude(
    tally: Tally,
    to: &str,
    (elapsed, deliveries): (Duration, Option<Deliveries>),
    output: &mut Output,
) -> Result<()> {
    let Tally { outcome, gaps, never_sent, other_direction, no_datagram, .. } = tally;
    let (sent, unrecorded, failed) = (outcome.sent(), outcome.unrecorded(), outcome.failed());
    let seconds = elapsed.as_secs_f64();
    if output.is_json() {
        let bounced = deliveries.map(|deliveries| deliveries.bounced);
        output.json(&Summary { sent, unrecorded, failed, bounced, gaps, to, seconds })?;
    } else {
        let (messages, seconds) = (counted(sent, "message"), format!("{seconds:.1}"));
        let text = tr!("{messages} sent to {to} in {seconds} s", messages, to, seconds);
        output.done(&match deliveries.and_then(|deliveries| deliveries.describe()) {
            Some(bounced) => tr!("{text}; {bounced}", text, bounced),
            None => text,
        })?;
    }
    output.flush()?;
    notes_on_skipped(gaps, never_sent, other_direction, no_datagram)
        .iter()
        .for_each(|note| output.note(note));
    outcome.first_of_all()
}

/// Returns a sentence for each kind of items that were skipped.
fn notes_on_skipped(gaps: u64, never_sent: u64, other_direction: u64, no_datagram: u64) -> Vec<String> {
    let sentence = |number: u64, one: &str, more: &dyn Fn(String) -> String| match number {
        0 => None,
        1 => Some(one.to_owned()),
        number => Some(more(grouped(number))),
    };
    let sentences = [
        sentence(gaps, tr!("1 gap was skipped"), &|number| tr!("{number} gaps were skipped", number)),
        sentence(never_sent, tr!("1 message that the kernel had refused to send was skipped"), &|number| {
            tr!("{number} messages that the kernel had refused to send were skipped", number)
        }),
        sentence(
            other_direction,
            tr!("1 message of the other direction was skipped; `--direction both` includes it"),
            &|number| {
                tr!(
                    "{number} messages of the other direction were skipped; `--direction both` includes them",
                    number
                )
            },
        ),
        sentence(no_datagram, tr!("1 packet without a whole UDP datagram was skipped"), &|number| {
            tr!("{number} packets without a whole UDP datagram were skipped", number)
        }),
    ];
    sentences.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn skipped_items_make_sentences() {
        let expected = [
            "1 gap was skipped",
            "2,000 messages of the other direction were skipped; `--direction both` includes them",
        ];
        assert_eq!(notes_on_skipped(1, 0, 2_000, 0), expected);
        let chinese = with_language(Language::Chinese, || notes_on_skipped(1, 0, 2_000, 0));
        assert_eq!(
            chinese,
            ["跳过了 1 个缺口", "跳过了 2,000 条另一方向的消息；`--direction both` 会包含它们"]
        );
    }

    #[test]
    fn only_errors_common_to_all_messages_end_a_replay() {
        for kind in ErrorKind::ALL {
            let goes_on = matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong | ErrorKind::NotRecorded);
            assert_eq!(is_of_one_message(*kind), goes_on, "{kind:?}");
        }
    }
}
