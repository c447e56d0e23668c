//! `replay`: sends recorded messages again, through the daemon, in their order and at their pace.
//!
//! The daemon answers a send only once it is durable, so several are in flight at once; it takes them one after the
//! other, so their order stays.

mod schedule;
mod source;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use udpchat_api::call::SendParams;
use udpchat_api::{Client, ClientError, ErrorKind};

use self::schedule::Schedule;
pub(crate) use self::schedule::Speed;
use self::source::{Item, Recorded, Source};
use super::Context;
use crate::cli::ReplayArgs;
use crate::error::{CtlError, Result};
use crate::output::{Output, Progress, counted};

/// How many sends are in flight at once.
const SENDS_AHEAD: u64 = 64;

/// How many bytes of requests may wait for the system to take them.
const BACKLOG_BYTES: usize = 256 * 1024;

/// Runs `replay`.
pub(crate) async fn run(context: Context<'_>, arguments: &ReplayArgs) -> Result<()> {
    let source = Source::open(&context, arguments).await?;
    let client = context.connect().await?;
    let output = context.output;
    let progress = Progress::begin(output.is_watched(), "message");
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

/// What has become of the messages so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    failed: u64,
    first_failure: Option<CtlError>,
    gaps: u64,
    never_sent: u64,
    other_direction: u64,
}

struct Replay {
    client: Client,
    /// Where to, as the user said it.
    to: String,
    /// Where the first message went: from then on no name is looked up.
    peer: Option<SocketAddr>,
    /// What the messages that have no answer yet are called in errors.
    in_flight: VecDeque<String>,
    tally: Tally,
    progress: Progress,
}

/// What matters of the entry that a send is answered with.
#[derive(Deserialize)]
struct Answered {
    peer: SocketAddr,
}

/// What was done, for programs.
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
        if let Err(error) = self.all(source, schedule).await {
            let sent = self.tally.sent;
            return Err(match sent {
                0 => error,
                _ => error
                    .within(format!("the replay is incomplete: it ended after {}", counted(sent, "message"))),
            });
        }
        drop(self.progress);
        let to = self.peer.map_or(self.to, |peer| peer.to_string());
        conclude(self.tally, &to, began.elapsed(), output)
    }

    /// Sends all there is. What was asked for is waited for also where nothing more can be read.
    async fn all(&mut self, source: Source, schedule: Schedule) -> Result<()> {
        let fed = self.feed(source, schedule).await;
        while self.client.in_flight() > 0 {
            let answer = self.client.answer().await;
            // An error that was there before is the cause of this one.
            if let Err(error) = self.answered(answer) {
                return fed.and(Err(error));
            }
        }
        fed
    }

    async fn feed(&mut self, mut source: Source, mut schedule: Schedule) -> Result<()> {
        let mut began = None;
        loop {
            match self.attend(source.next()).await?? {
                None => return Ok(()),
                Some(Item::Gap) => self.tally.gaps += 1,
                Some(Item::NeverSent) => self.tally.never_sent += 1,
                Some(Item::OtherDirection) => self.tally.other_direction += 1,
                Some(Item::Message(message)) => {
                    let due = schedule.due(message.at);
                    let due = *began.get_or_insert_with(Instant::now) + due;
                    self.attend(sleep_until(due)).await?;
                    self.send(message).await?;
                }
            }
            self.progress.show(&source.reached(self.tally.sent));
        }
    }

    /// Waits for something, and takes up answers meanwhile.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
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

    /// Tells whether an answer must come before the next message is sent. The first one goes alone: where a name leads
    /// nowhere, nothing more is tried.
    fn is_full(&self) -> bool {
        let is_first = self.tally.sent + self.tally.failed == 0;
        let ahead = if is_first { 1 } else { SENDS_AHEAD };
        self.client.in_flight() >= ahead || self.client.backlog_bytes() > BACKLOG_BYTES
    }

    fn answered(&mut self, answer: std::result::Result<Answered, ClientError>) -> Result<()> {
        let place = self.in_flight.pop_front().unwrap_or_default();
        match answer {
            Ok(Answered { peer }) => {
                self.tally.sent += 1;
                self.stay_with(peer);
                Ok(())
            }
            Err(ClientError::Refused(refused)) if is_of_one_message(refused.data.kind) => {
                self.tally.failed += 1;
                let message = format!("{place}: {}", refused.message);
                let failure = CtlError::from(udpchat_api::ErrorObject { message, ..refused });
                self.tally.first_failure.get_or_insert(failure);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends everything that follows to the address that the first message went to.
    fn stay_with(&mut self, peer: SocketAddr) {
        if self.peer.is_none() {
            self.peer = Some(peer);
            // An address with a scope is not understood everywhere.
            if !matches!(peer, SocketAddr::V6(v6) if v6.scope_id() != 0) {
                self.to = peer.to_string();
            }
        }
    }
}

/// Tells whether a failure is of one message only, so that the others are worth trying.
fn is_of_one_message(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong)
}

/// Tells what was done and what was not.
fn conclude(tally: Tally, to: &str, elapsed: Duration, output: &mut Output) -> Result<()> {
    let Tally { sent, failed, first_failure, gaps, never_sent, other_direction } = tally;
    let seconds = elapsed.as_secs_f64();
    if output.is_json() {
        output.json(&Summary { sent, failed, gaps, to, seconds })?;
    } else {
        output.done(&format!("{} sent to {to} in {seconds:.1} s", counted(sent, "message")))?;
    }
    output.flush()?;
    for (count, what) in [
        (gaps, "gap"),
        (never_sent, "message that the kernel had refused to send"),
        (other_direction, "message of the other direction"),
    ] {
        if count > 0 {
            output.note(&skipped(count, what));
        }
    }
    match first_failure {
        None => Ok(()),
        Some(first) => {
            let all = counted(sent + failed, "message");
            Err(first.within(format!("{failed} of {all} could not be sent")))
        }
    }
}

/// Says how many things were skipped; the thing's first word has the plural.
fn skipped(count: u64, thing: &str) -> String {
    let (noun, rest) =
        thing.split_once(' ').map_or((thing, String::new()), |(noun, rest)| (noun, format!(" {rest}")));
    let were = if count == 1 { "was" } else { "were" };
    format!("{}{rest} {were} skipped", counted(count, noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_told_in_a_sentence() {
        assert_eq!(skipped(1, "gap"), "1 gap was skipped");
        assert_eq!(
            skipped(2_000, "message of the other direction"),
            "2,000 messages of the other direction were skipped"
        );
    }

    #[test]
    fn only_what_fails_for_every_message_ends_a_replay() {
        for kind in ErrorKind::ALL {
            let goes_on = matches!(kind, ErrorKind::SendFailed | ErrorKind::TooLong);
            assert_eq!(is_of_one_message(*kind), goes_on, "{kind:?}");
        }
    }
}
