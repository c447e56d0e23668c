//! Sends with several messages in flight: to several destinations, again and again, or once more what was sent before.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use udpchat_api::Client;
use udpchat_api::call::SendParams;
use udpchat_locale::tr;

use super::args::{LinesArgs, MessageArgs};
use super::confirm::ConfirmArgs;
use super::destination::{self, Destination, To};
use super::form::{Draft, FormArgs, check_text};
use super::hold::HoldArgs;
use super::known_peers::KnownPeers;
use super::many::ManyArgs;
use super::messages::{Messages, read_aside};
use super::moving::Moving;
use super::notes::{self, note_empty_lines};
use super::payload::{Lines, Payload, Source};
use super::port::note_destination_in_text;
use super::sender::{Sender, note_reading, params, prepare};
use super::sending::{Request, Sending};
use crate::command::context::Context;
use crate::command::deliveries::{Deliveries, SUMMARY_WAIT, SentIds};
use crate::command::outcome::{Outcome, Unit};
use crate::command::pipeline::Pipeline;
use crate::command::ticks::Ticks;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress, Reached, counted, duration, grouped};

/// Runs `send` for what the plain form cannot do.
pub(super) async fn run(
    context: Context<'_>,
    to: Option<To<'_>>,
    LinesArgs { message, lines }: &LinesArgs,
    (form, many, hold): (&FormArgs, &ManyArgs, &HoldArgs),
    confirm: ConfirmArgs,
) -> Result<()> {
    form.check(message, *lines)?;
    hold.check()?;
    if message.split.is_some() && many.every.is_some() && many.count.is_none() {
        let text = tr!("with --split, --every sends all of the message each time, until it is interrupted");
        return Err(CtlError::usage(text).hint(tr!("`-c N` says how often; without --every it is sent once")));
    }
    if let Some(id) = many.again {
        let (mut client, output) = (context.connect().await?, context.output);
        let (payload, destinations) = destination::again(&mut client, id, to, hold).await?;
        let message = MessageArgs { allow_empty: true, ..MessageArgs::default() };
        let job = Job {
            destinations,
            message,
            form: form.clone(),
            is_lines: false,
            confirm,
            moving: Moving::default(),
        };
        return job.run(client, output, Messages::new(Draft::Payload(payload), many), many).await;
    }
    let to = to.unwrap_or(To::Named { to: "", is_last_port: false });
    let reading = form.for_reading(message);
    if *lines {
        let mut client = context.connect().await?;
        let destinations = to.find(&mut client, is_alone(form, many), hold, (form, message)).await?;
        let source = Source::of(message);
        if source.waits() {
            let note = tr!("reading one message per line from standard input, end with Ctrl+D");
            note_reading(context.output, note);
        }
        let lines = Lines::new(source.open()?, source.to_string(), reading.hex);
        let plain = is_plain(&destinations, to, form, many, hold);
        if let Some(target) = plain.filter(|_| !confirm.is_given()) {
            let mut sender = Sender::new(client, context.output, target, message);
            return sender.lines(lines).await;
        }
        let (message, form) = (message.clone(), form.clone());
        let job = Job { destinations, message, form, is_lines: true, confirm, moving: Moving::default() };
        return job.run(client, context.output, Messages::Lines(read_aside(lines)), many).await;
    }
    message.check()?;
    let (mut client, output, payload) = prepare(context, &reading).await?;
    let draft = form.draft(payload)?;
    let destinations = to.find(&mut client, is_alone(form, many), hold, (form, message)).await?;
    let plain = is_plain(&destinations, to, form, many, hold).filter(|_| !confirm.is_given());
    if let (Some(target), Draft::Payload(payload)) = (plain, &draft) {
        let mut sender = Sender::new(client, output, target, message);
        return sender.payload(payload.clone()).await;
    }
    let job = Job {
        destinations,
        message: message.clone(),
        form: form.clone(),
        is_lines: false,
        confirm,
        moving: Moving::default(),
    };
    job.run(client, output, Messages::new(draft, many), many).await
}

/// Runs `reply` for a message with a checksum, a line end or fields.
pub(in crate::command) async fn reply(
    context: Context<'_>,
    id: u64,
    message: &LinesArgs,
    form: &FormArgs,
) -> Result<()> {
    let (many, hold) = (ManyArgs::default(), HoldArgs::default());
    let to = Some(To::SourceOf(id));
    run(context, to, message, (form, &many, &hold), ConfirmArgs::default()).await
}

/// Returns the destination of a message that is sent once to the only destination that TO names.
fn is_plain(
    destinations: &[Destination],
    to: To<'_>,
    form: &FormArgs,
    many: &ManyArgs,
    hold: &HoldArgs,
) -> Option<SendParams> {
    let ([only], To::Named { to, is_last_port: false }) = (destinations, to) else { return None };
    (only.shown == to && is_alone(form, many))
        .then(|| SendParams { to: Some(to.to_owned()), ..hold.params() })
}

/// Returns whether a message is sent as it is, once.
fn is_alone(form: &FormArgs, many: &ManyArgs) -> bool {
    form.is_unused() && many.are_unused()
}

/// What is sent where.
struct Job {
    destinations: Vec<Destination>,
    message: MessageArgs,
    form: FormArgs,
    is_lines: bool,
    confirm: ConfirmArgs,
    /// Looks up the last ports of the destinations again.
    moving: Moving,
}

impl Job {
    async fn run(
        mut self,
        client: Client,
        output: &mut Output,
        messages: Messages,
        many: &ManyArgs,
    ) -> Result<()> {
        // Before anything is sent: each text would fail.
        let is_text = match &messages {
            Messages::Same(Draft::Payload(payload), _) => matches!(payload, Payload::Text(_)),
            Messages::Same(Draft::Fill(_), _) | Messages::Lines(_) => !self.message.hex,
        };
        if is_text {
            for destination in &self.destinations {
                self.form.check_encoding(&self.message, destination.encoding.as_deref())?;
            }
        }
        if let Messages::Same(Draft::Payload(Payload::Text(text)), _) = &messages
            && self.destinations.len() > 1
        {
            check_text(text, &self.message, self.peers())?;
        }
        let is_alone = self.destinations.len() == 1 && !self.is_lines && many.every.is_none();
        if let Some(every) = many.every.filter(|_| output.is_watched()) {
            output.note(&announced(every, many.count));
        }
        let progress = Progress::new(many.every.is_some() && output.is_watched(), "message");
        self.moving = Moving::of(client.path(), &self.destinations).await;
        let message = self.message.clone();
        let answers = Sending {
            output,
            progress,
            message: &message,
            is_lines: self.is_lines,
            is_summed_up: many.every.is_some(),
            is_several: self.destinations.len() > 1,
            is_alone,
            outcome: Outcome::default(),
            left_out: 0,
            empty: 0,
            first_sent: BTreeMap::new(),
            held_note: false,
            has_digits_note: false,
            sent: SentIds::default(),
        };
        let mut pipeline = Pipeline::new(client, answers);
        let began = Instant::now();
        let done = match many.every {
            Some(every) => self.every(&mut pipeline, messages, Ticks::new(every), many.count).await,
            None => self.once(&mut pipeline, messages).await,
        };
        let elapsed = began.elapsed();
        let unanswered = pipeline.unanswered();
        let (mut client, answers) = pipeline.end();
        let Sending { output, progress, outcome, left_out, empty, first_sent, sent, .. } = answers;
        drop(progress);
        done.map_err(|error| match outcome.sent() {
            0 => error,
            sent => {
                let messages = counted(sent, "message");
                error.within(tr!("it ended after {messages}", messages))
            }
        })?;
        let mut bounced = None;
        if many.every.is_some() {
            let wait = self.confirm.time().unwrap_or(SUMMARY_WAIT);
            let found = match &mut client {
                Some(client) => sent.deliveries(client, wait).await,
                None => None,
            };
            bounced =
                found.as_ref().filter(|_| self.confirm.is_given()).and_then(|found| self.described(found));
            self.sum_up(output, &outcome, (left_out, unanswered), (elapsed, found))?;
        } else if let (Some(client), true) = (&mut client, self.confirm.is_given()) {
            bounced = self.confirm.report(client, output, &sent).await?;
        }
        note_empty_lines(output, empty);
        if let Some(client) = &mut client {
            let mut known = KnownPeers::default();
            notes::note_destinations(client, &mut known, output, (&self.message, &first_sent)).await;
            note_destination_in_text(client, &mut known, output, &self.message).await;
        }
        if is_alone { outcome.conclude_only() } else { outcome.conclude(Unit::Message) }?;
        bounced.map_or(Ok(()), |bounced| Err(CtlError::not_sent("bounced", bounced)))
    }

    /// Returns the names and the encodings of the destinations.
    fn peers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.destinations.iter().map(|it| (it.shown.as_str(), it.encoding.as_deref()))
    }

    /// Returns whether a message without content is sent.
    fn sends_empty(&self) -> bool {
        self.message.allow_empty || self.form.fills_empty()
    }

    async fn once(&mut self, pipeline: &mut Pipeline<Sending<'_>>, messages: Messages) -> Result<()> {
        let done = self.rounds(pipeline, messages).await;
        if done.is_err() {
            pipeline.settle(pending::<()>()).await;
        }
        done
    }

    /// Sends each message to every destination, and waits for the answers before the next one is read.
    async fn rounds(&mut self, pipeline: &mut Pipeline<Sending<'_>>, mut messages: Messages) -> Result<()> {
        let mut number = 1;
        loop {
            let Some((line, draft)) = messages.next(number, &self.form).await? else { return Ok(()) };
            number += u64::from(self.round(pipeline, line, number, draft).await?);
            pipeline.finish(pending::<()>()).await?;
            pipeline.answers.output.flush()?;
        }
    }

    async fn every(
        &mut self,
        pipeline: &mut Pipeline<Sending<'_>>,
        messages: Messages,
        ticks: Ticks,
        count: Option<u64>,
    ) -> Result<()> {
        let mut interrupt = Interrupt::new()?;
        let done = match self.timed_rounds(pipeline, messages, (ticks, count), &mut interrupt).await {
            // A second interrupt does not wait for the last answers.
            Ok(()) => pipeline.finish(interrupt.next()).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            pipeline.settle(interrupt.next()).await;
        }
        done
    }

    /// Sends a message to every destination each time that one is due.
    async fn timed_rounds(
        &mut self,
        pipeline: &mut Pipeline<Sending<'_>>,
        mut messages: Messages,
        (mut ticks, count): (Ticks, Option<u64>),
        interrupt: &mut Interrupt,
    ) -> Result<()> {
        let began = Instant::now();
        let mut number = 1;
        while count.is_none_or(|count| number <= count) {
            let asked = Instant::now();
            let next = async {
                tokio::select! {
                    biased;
                    () = interrupt.next() => Ok(None),
                    next = messages.next(number, &self.form) => next,
                }
            };
            let Some((line, draft)) = pipeline.drive(next).await?? else { break };
            if self.is_lines {
                ticks.wait(asked - began, began.elapsed());
            }
            let due = began + ticks.due();
            let is_interrupted = async {
                tokio::select! {
                    biased;
                    () = interrupt.next() => true,
                    () = sleep_until(due) => false,
                }
            };
            if pipeline.drive(is_interrupted).await? {
                break;
            }
            let late = ticks.take(began.elapsed());
            // Of lines, only times are left out.
            pipeline.answers.left_out += if self.is_lines { 0 } else { late };
            // A round waits while the daemon is slow.
            let is_counted = tokio::select! {
                biased;
                () = interrupt.next() => break,
                is_counted = self.round(pipeline, line, number, draft) => is_counted?,
            };
            number += u64::from(is_counted);
            let done = pipeline.answers.outcome.sent();
            pipeline.answers.progress.show(&Reached { done, ..Reached::default() });
        }
        Ok(())
    }

    /// Sends one message to every destination. Returns whether it counts: a line of which nothing is sent does not.
    async fn round(
        &mut self,
        pipeline: &mut Pipeline<Sending<'_>>,
        line: u64,
        number: u64,
        draft: Result<Draft>,
    ) -> Result<bool> {
        let payload = draft.and_then(|draft| draft.payload(number, self.message.hex));
        let payload = match payload {
            // As `--lines` does for one destination.
            Ok(payload) if self.is_lines && payload.is_empty() && !self.sends_empty() => {
                pipeline.answers.empty += 1;
                return Ok(false);
            }
            Ok(payload) => payload,
            Err(error) if self.is_lines => {
                pipeline.answers.failed(error.at_line(line));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if let Payload::Text(text) = &payload {
            pipeline.answers.note_digits(&self.form, text, self.peers());
        }
        pipeline.drive(self.moving.update(&mut self.destinations)).await?;
        let mut is_counted = !self.is_lines;
        for destination in &self.destinations {
            let is_text = matches!(payload, Payload::Text(_));
            let is_ascii = payload.is_ascii();
            let encoding = destination.encoding.as_deref();
            let params = match self.form.finished(payload.clone(), &self.message, encoding) {
                Ok(payload) => params(&destination.params, &self.message, payload),
                // Another destination may have another encoding; what is wrong with the arguments is wrong for all.
                Err(error)
                    if self.is_lines || (self.destinations.len() > 1 && error.exit() != Exit::Usage) =>
                {
                    pipeline.answers.failed(self.placed(error, destination, line));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let request = Request { shown: destination.shown.clone(), line, is_text, is_ascii };
            pipeline.send(&params, request).await?;
            is_counted = true;
        }
        Ok(is_counted)
    }

    fn placed(&self, error: CtlError, destination: &Destination, line: u64) -> CtlError {
        let error = match self.destinations.len() {
            1 => error,
            _ => error.amended(|reason| tr!("{to}: {reason}", to = destination.shown, reason)),
        };
        if line > 0 { error.at_line(line) } else { error }
    }

    /// Says how many messages bounced, of several destinations with their names.
    fn described(&self, deliveries: &Deliveries) -> Option<String> {
        match self.destinations.len() {
            1 => deliveries.describe(),
            _ => deliveries.describe_with_peers(),
        }
    }

    /// Prints what `--every` has sent.
    fn sum_up(
        &self,
        output: &mut Output,
        outcome: &Outcome,
        (left_out, unanswered): (u64, u64),
        (elapsed, deliveries): (Duration, Option<Deliveries>),
    ) -> Result<()> {
        let (sent, unrecorded, failed) = (outcome.sent(), outcome.unrecorded(), outcome.failed());
        let seconds = elapsed.as_secs_f64();
        let to: Vec<&str> = self.destinations.iter().map(|one| one.shown.as_str()).collect();
        if output.is_json() {
            let bounced = deliveries.as_ref().map(|deliveries| deliveries.bounced);
            let bounced_by = deliveries.map(|deliveries| deliveries.peers).unwrap_or_default();
            output.json(&Summary {
                sent,
                unrecorded,
                failed,
                bounced,
                bounced_by,
                left_out,
                unanswered,
                to,
                seconds,
            })?;
            return output.flush();
        }
        let (messages, seconds) = (counted(sent, "message"), format!("{seconds:.1}"));
        let to = match to[..] {
            [only] => only.to_owned(),
            _ => tr!("{number} peers", number = grouped(to.len() as u64)),
        };
        let text = match left_out {
            0 => tr!("{messages} sent to {to} in {seconds} s", messages, to, seconds),
            1 => tr!("{messages} sent to {to} in {seconds} s, 1 late one left out", messages, to, seconds),
            left_out => tr!(
                "{messages} sent to {to} in {seconds} s, {number} late ones left out",
                messages,
                to,
                seconds,
                number = grouped(left_out)
            ),
        };
        output.done(&match deliveries.as_ref().and_then(|found| self.described(found)) {
            Some(bounced) => tr!("{text}; {bounced}", text, bounced),
            None => text,
        })?;
        output.flush()?;
        if unanswered > 0 {
            let messages = counted(unanswered, "message");
            output.note(&tr!("{messages} without an answer may have been sent", messages));
        }
        Ok(())
    }
}

/// Says what `--every` is about to do: 200 may be meant as milliseconds.
fn announced(every: Duration, count: Option<u64>) -> String {
    let time = duration(every);
    match count {
        Some(1) | None => tr!("every {time}; Ctrl+C ends", time),
        Some(count) => tr!("every {time}, {count} times; Ctrl+C ends", time, count = grouped(count)),
    }
}

/// What `--every` has sent, in JSON.
#[derive(Serialize)]
struct Summary<'a> {
    sent: u64,
    /// How many of these the daemon could not store.
    unrecorded: u64,
    failed: u64,
    /// How many the network reported as not delivered; absent if this user may not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    bounced: Option<u64>,
    /// How many of these were for each peer, by its name or its address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bounced_by: BTreeMap<String, u64>,
    left_out: u64,
    unanswered: u64,
    to: Vec<&'a str>,
    seconds: f64,
}

/// The signals that end a loop.
struct Interrupt {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Interrupt {
    fn new() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| CtlError::failed(tr!("cannot handle signals")).caused_by(&error))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_says_how_often_it_sends() {
        let text = announced(Duration::from_secs(200), Some(3));
        assert_eq!(text, "every 3m 20s, 3 times; Ctrl+C ends");
        assert_eq!(announced(Duration::from_millis(200), None), "every 200ms; Ctrl+C ends");
    }
}
