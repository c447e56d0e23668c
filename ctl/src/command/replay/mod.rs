//! `replay`: sends recorded messages again, in their order and with their timing.
//!
//! The daemon answers a send only once the entry is durable, so several requests are in flight at once. The daemon handles
//! them one after the other, so the order is kept.

mod args;
mod capture;
mod item;
mod schedule;
mod source;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use jiff::Span;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use udpchat_api::call::SendParams;
use udpchat_api::{Client, ClientError, ErrorKind, Timestamp};
use udpchat_locale::{tr, translated};

pub(crate) use self::args::ReplayArgs;
use self::item::{Item, Recorded};
use self::schedule::Schedule;
use self::source::Source;
use super::context::Context;
use crate::error::{CtlError, Result};
use crate::output::{Output, Progress, counted, grouped, local_time, span};

/// How many sends are in flight at once.
const MAX_PENDING_SENDS: u64 = 64;

/// A pause of this length is announced.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// How many bytes of requests may wait to be written to the socket.
const BACKLOG_BYTES: usize = 256 * 1024;

/// Runs `replay`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplayArgs) -> Result<()> {
    // First, since a pipe may keep the source waiting.
    let client = context.connect().await?;
    let source = Source::open(&context, arguments).await?;
    let output = context.output;
    let progress = Progress::new(output.is_watched(), "message");
    let replay = Replay {
        client,
        to: arguments.to.clone(),
        peer: None,
        in_flight: VecDeque::new(),
        tally: Tally::default(),
        progress,
    };
    replay.run(source, Schedule::new(arguments.speed, arguments.max_pause), output).await
}

/// The outcomes so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    failed: u64,
    first_failure: Option<CtlError>,
    gaps: u64,
    never_sent: u64,
    other_direction: u64,
    no_datagram: u64,
}

struct Replay {
    client: Client,
    /// The destination, as the user wrote it.
    to: String,
    /// The address of the first message; later messages use it, so that the name is resolved once.
    peer: Option<SocketAddr>,
    /// The names, for errors, of the messages without an answer.
    in_flight: VecDeque<String>,
    tally: Tally,
    progress: Progress,
}

/// The part of the answer to a send that is used.
#[derive(Deserialize)]
struct Answered {
    peer: SocketAddr,
}

/// The result, in JSON.
#[derive(Serialize)]
struct Summary<'a> {
    sent: u64,
    failed: u64,
    gaps: u64,
    to: &'a str,
    seconds: f64,
}

impl Replay {
    async fn run(mut self, source: Source, schedule: Schedule, output: &mut Output) -> Result<()> {
        let began = Instant::now();
        if let Err(error) = self.all(source, schedule, output).await {
            let sent = self.tally.sent;
            return Err(match sent {
                0 => error,
                _ => {
                    let messages = counted(sent, "message");
                    error.within(tr!("the replay is incomplete: it ended after {messages}", messages))
                }
            });
        }
        drop(self.progress);
        let to = self.peer.map_or(self.to, |peer| peer.to_string());
        conclude(self.tally, &to, began.elapsed(), output)
    }

    /// Sends all messages. Waits for the answers in flight even if reading fails.
    async fn all(&mut self, source: Source, schedule: Schedule, output: &mut Output) -> Result<()> {
        let fed = self.feed(source, schedule, output).await;
        while self.client.in_flight() > 0 {
            let answer = self.client.answer().await;
            // An earlier error is the cause of this one.
            if let Err(error) = self.answered(answer) {
                return fed.and(Err(error));
            }
        }
        fed
    }

    async fn feed(&mut self, mut source: Source, mut schedule: Schedule, output: &mut Output) -> Result<()> {
        let mut began = None;
        loop {
            match self.drive(source.next()).await?? {
                None => return Ok(()),
                Some(Item::Gap) => self.tally.gaps += 1,
                Some(Item::NeverSent) => self.tally.never_sent += 1,
                Some(Item::OtherDirection) => self.tally.other_direction += 1,
                Some(Item::NoDatagram) => self.tally.no_datagram += 1,
                Some(Item::Message(message)) => {
                    let due = schedule.due(message.at);
                    let due = *began.get_or_insert_with(Instant::now) + due;
                    let pause = due.saturating_duration_since(Instant::now());
                    if pause >= LONG_PAUSE {
                        self.progress.erase();
                        note_pause(output, pause, message.at);
                    }
                    self.drive(sleep_until(due)).await?;
                    self.send(message).await?;
                }
            }
            self.progress.show(&source.reached(self.tally.sent));
        }
    }

    /// Waits for `work` and handles answers meanwhile.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                answer = self.client.answer(), if self.client.in_flight() > 0 => self.answered(answer)?,
            }
        }
    }

    async fn send(&mut self, message: Recorded) -> Result<()> {
        while self.is_full() {
            let answer = self.client.answer().await;
            self.answered(answer)?;
        }
        self.client.ask(&SendParams {
            to: Some(self.to.clone()),
            raw: Some(message.raw),
            allow_empty: true,
            ..SendParams::default()
        })?;
        self.in_flight.push_back(message.place);
        Ok(())
    }

    /// Returns whether the next message must wait for an answer. The first message is sent alone: if its destination is
    /// invalid, no other is tried.
    fn is_full(&self) -> bool {
        let is_first = self.tally.sent + self.tally.failed == 0;
        let ahead = if is_first { 1 } else { MAX_PENDING_SENDS };
        self.client.in_flight() >= ahead || self.client.backlog_bytes() > BACKLOG_BYTES
    }

    fn answered(&mut self, answer: std::result::Result<Answered, ClientError>) -> Result<()> {
        let unanswered = self.in_flight.len() as u64;
        let place = self.in_flight.pop_front().unwrap_or_default();
        match answer {
            Ok(Answered { peer }) => {
                self.tally.sent += 1;
                self.fix_destination(peer);
                Ok(())
            }
            Err(ClientError::Refused(refused)) if is_of_one_message(refused.data.kind) => {
                self.tally.failed += 1;
                let reason = translated(&refused.message);
                let message = format!("{place}: {reason}");
                let failure = CtlError::from(udpchat_api::ErrorObject { message, ..refused });
                self.tally.first_failure.get_or_insert(failure);
                Ok(())
            }
            Err(error) if error.is_unanswered() => {
                let messages = counted(unanswered, "message");
                Err(CtlError::from(error).amended(|reason| {
                    tr!("{reason}; {messages} without an answer may have been sent", reason, messages)
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

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
    matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong)
}

/// Prints the result; fails if a message could not be sent.
fn conclude(tally: Tally, to: &str, elapsed: Duration, output: &mut Output) -> Result<()> {
    let Tally { sent, failed, first_failure, gaps, never_sent, other_direction, no_datagram } = tally;
    let seconds = elapsed.as_secs_f64();
    if output.is_json() {
        output.json(&Summary { sent, failed, gaps, to, seconds })?;
    } else {
        let (messages, seconds) = (counted(sent, "message"), format!("{seconds:.1}"));
        output.done(&tr!("{messages} sent to {to} in {seconds} s", messages, to, seconds))?;
    }
    output.flush()?;
    notes_on_skipped(gaps, never_sent, other_direction, no_datagram)
        .iter()
        .for_each(|note| output.note(note));
    match first_failure {
        None => Ok(()),
        Some(first) => {
            let messages = counted(sent + failed, "message");
            Err(first.within(tr!("{failed} of {messages} could not be sent", failed, messages)))
        }
    }
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
        sentence(other_direction, tr!("1 message of the other direction was skipped"), &|number| {
            tr!("{number} messages of the other direction were skipped", number)
        }),
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
        let expected = ["1 gap was skipped", "2,000 messages of the other direction were skipped"];
        assert_eq!(notes_on_skipped(1, 0, 2_000, 0), expected);
        let chinese = with_language(Language::Chinese, || notes_on_skipped(1, 0, 2_000, 0));
        assert_eq!(chinese, ["跳过了 1 个缺口", "跳过了 2,000 条另一方向的消息"]);
    }

    #[test]
    fn only_errors_common_to_all_messages_end_a_replay() {
        for kind in ErrorKind::ALL {
            let goes_on = matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong);
            assert_eq!(is_of_one_message(*kind), goes_on, "{kind:?}");
        }
    }
}
