//! `send`, and what it shares with `reply`: one message, or one for each line.

pub(crate) mod args;
pub(crate) mod payload;

use std::io::{self, IsTerminal};

use udpchat_api::call::{SendParams, Split};
use udpchat_api::{Client, Entry, ErrorKind, Raw};

use super::Context;
use crate::cli::{LinesArgs, MessageArgs, SendArgs};
use crate::command::send::payload::{Line, Lines, Payload, Source};
use crate::error::{CtlError, Exit, Failure, Result};
use crate::output::Output;

/// The largest payload that passes an Ethernet link over IPv4 in one piece, in bytes.
const UNFRAGMENTED_BYTES: usize = 1472;

/// Runs `send`.
pub(crate) async fn run(context: Context<'_>, arguments: &SendArgs) -> Result<()> {
    let target = SendParams { to: Some(arguments.to.clone()), ..SendParams::default() };
    send(context, target, &arguments.message).await
}

/// Sends what the arguments say to where `target` says.
pub(super) async fn send(context: Context<'_>, target: SendParams, arguments: &LinesArgs) -> Result<()> {
    let message = &arguments.message;
    if !arguments.lines {
        let (client, output, payload) = prepare(context, message).await?;
        return Sender { client, output, target, message, large: false }.payload(payload).await;
    }
    let source = Source::of(message);
    let client = context.connect().await?;
    if source.waits() {
        note_reading(context.output, "messages, a line each,");
    }
    let mut sender = Sender { client, output: context.output, target, message, large: false };
    sender.lines(Lines::new(source.open()?, source.to_string(), message.hex)).await
}

/// Connects, and gets the one message.
pub(super) async fn prepare<'a>(
    context: Context<'a>,
    message: &MessageArgs,
) -> Result<(Client, &'a mut Output, Payload)> {
    let source = Source::of(message);
    // What is at hand is checked before the daemon is asked; what somebody must type is asked for only once a
    // daemon is there to take it.
    let at_hand = if source.waits() { None } else { Some(source.load(message)?) };
    let client = context.connect().await?;
    let payload = match at_hand {
        Some(payload) => payload,
        None => {
            note_reading(context.output, "the message");
            source.load(message)?
        }
    };
    Ok((client, context.output, payload))
}

/// Tells somebody who sits before a terminal that it is being read.
fn note_reading(output: &mut Output, what: &str) {
    if io::stdin().is_terminal() {
        output.note(&format!("reading {what} from standard input, end with Ctrl-D"));
    }
}

/// Returns the request that sends a message to where `target` says.
pub(super) fn params(target: &SendParams, message: &MessageArgs, payload: Payload) -> SendParams {
    let mut params = SendParams {
        split: message.split.map(|bytes| Split::Bytes(bytes as usize)),
        allow_empty: message.allow_empty,
        ..target.clone()
    };
    match payload {
        Payload::Bytes(bytes) => params.raw = Some(Raw(bytes)),
        Payload::Text(text) => {
            params.text = Some(text);
            params.encoding.clone_from(&message.encoding);
            params.escape = message.escape;
        }
    }
    params
}

struct Sender<'a> {
    client: Client,
    output: &'a mut Output,
    target: SendParams,
    message: &'a MessageArgs,
    /// Whether it was said already that large datagrams go out in fragments.
    large: bool,
}

impl Sender<'_> {
    /// Sends one message and prints what was stored.
    async fn payload(&mut self, payload: Payload) -> Result<()> {
        let is_text = matches!(payload, Payload::Text(_));
        let params = params(&self.target, self.message, payload);
        let entries = self.client.call(&params).await?.into_entries();
        for entry in &entries {
            self.output.sent(entry, is_text)?;
        }
        self.output.flush()?;
        if !self.large {
            self.large = note_large(self.output, &entries);
        }
        entries.iter().find_map(refusal).map_or(Ok(()), Err)
    }

    /// Sends a message for each line, as it comes. A line that fails does not stop those behind it.
    async fn lines(&mut self, mut lines: Lines) -> Result<()> {
        let (mut total, mut failed, mut empty) = (0_u64, 0_u64, 0_u64);
        while let Some(Line { number, payload }) = lines.next()? {
            if matches!(&payload, Ok(payload) if payload.is_empty() && !self.message.allow_empty) {
                empty += 1;
                continue;
            }
            total += 1;
            let sent = match payload {
                Ok(payload) => self.payload(payload).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => {}
                Err(error) if ends_all(&error, self.message) => return Err(error.at_line(number)),
                Err(error) => {
                    failed += 1;
                    self.output.failure(&error.at_line(number));
                }
            }
        }
        self.conclude(total, failed, empty)
    }

    fn conclude(&mut self, total: u64, failed: u64, empty: u64) -> Result<()> {
        if empty > 0 {
            let lines = if empty == 1 { "1 empty line was" } else { &format!("{empty} empty lines were") };
            self.output.note(&format!("{lines} skipped; --allow-empty sends them"));
        }
        if failed == 0 {
            return Ok(());
        }
        Err(CtlError::not_sent("lines_failed", format!("{failed} of {total} lines could not be sent")))
    }
}

/// Warns of datagrams that go out in fragments; tells whether there was one.
pub(super) fn note_large(output: &mut Output, entries: &[Entry]) -> bool {
    let sizes = entries.iter().filter_map(|entry| match entry {
        Entry::Message(message) => Some(message.bytes),
        Entry::Gap(_) => None,
    });
    let largest = sizes.max().unwrap_or(0);
    let is_large = largest > UNFRAGMENTED_BYTES;
    if is_large {
        output.note(&format!(
            "{largest} bytes go out in fragments on most networks, and peers that read 1,024 bytes see only \
             their beginning; --split cuts the message"
        ));
    }
    is_large
}

/// Returns the error of an entry that records that the kernel refused to send it.
pub(super) fn refusal(entry: &Entry) -> Option<CtlError> {
    match entry {
        Entry::Message(message) => {
            let error = message.error.as_ref()?;
            Some(CtlError::not_sent("send_failed", format!("#{} could not be sent: {error}", message.id)))
        }
        Entry::Gap(_) => None,
    }
}

/// Tells whether every further line would fail like this one, so that going on only fills the screen.
fn ends_all(error: &CtlError, arguments: &MessageArgs) -> bool {
    let CtlError::Failed(failure) = error else { return true };
    if failure.code.is_none() {
        return is_of_the_connection(failure);
    }
    let is = |kind: ErrorKind| failure.code == Some(kind.code());
    // Wrong parameters are the target's, or the encoding's; escapes are the line's own.
    let wrong_for_all = is(ErrorKind::InvalidParams) && !arguments.escape;
    wrong_for_all
        || is(ErrorKind::UnknownPeer)
        || is(ErrorKind::NoSuchEntry)
        || is(ErrorKind::UnknownMethod)
        || is(ErrorKind::NotPermitted)
}

fn is_of_the_connection(failure: &Failure) -> bool {
    // What this program itself finds wrong with a line is wrong use, or a message that cannot be sent.
    !matches!(failure.exit, Exit::Usage | Exit::NotSent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::{ClientError, ErrorObject};

    #[test]
    fn only_what_fails_for_every_line_ends_the_lines() {
        let plain = MessageArgs::default();
        let refused = |kind| CtlError::from(ErrorObject::new(kind, "x"));
        for error in [
            refused(ErrorKind::UnknownPeer),
            refused(ErrorKind::InvalidParams),
            refused(ErrorKind::NoSuchEntry),
            refused(ErrorKind::NotPermitted),
            ClientError::Closed.into(),
            ClientError::Silent.into(),
            CtlError::ReaderGone,
        ] {
            assert!(ends_all(&error, &plain), "{error:?}");
        }
        for error in [
            refused(ErrorKind::NotEncodable),
            refused(ErrorKind::SendFailed),
            refused(ErrorKind::TooLong),
            ClientError::TooLong { bytes: 1 }.into(),
            CtlError::usage("not UTF-8"),
        ] {
            assert!(!ends_all(&error, &plain), "{error:?}");
        }
        let escaped = MessageArgs { escape: true, ..MessageArgs::default() };
        assert!(!ends_all(&refused(ErrorKind::InvalidParams), &escaped));
    }
}
