//! Sends one message, or one for each line, to one destination, and waits for each answer.

use std::io::{self, IsTerminal};

use udpchat_api::call::{SendParams, Sent, Split};
use udpchat_api::{Client, Entry, ErrorKind, Message, Raw};
use udpchat_config::DEFAULT_PORT;
use udpchat_locale::{tr, translated};

use super::args::{LinesArgs, MessageArgs};
use super::known_peers::KnownPeers;
use super::notes::{
    is_file_in_utf_8, note_empty_lines, note_encoding, note_file, note_held_encoding, note_own_host,
};
use super::order::with_port;
use super::other_port::OtherPort;
use super::payload::{Line, Lines, Payload, Source};
use super::port::{note_destination_in_text, note_unread_input};
use crate::command::context::Context;
use crate::command::outcome::{Outcome, Unit};
use crate::error::{CtlError, Exit, Failure, Result};
use crate::output::{Output, grouped};

/// The largest payload that fits into one Ethernet frame over IPv4, in bytes.
const UNFRAGMENTED_BYTES: usize = 1472;

/// Sends the messages of the arguments; `target` names the destination.
pub(in crate::command) async fn send(
    context: Context<'_>,
    target: SendParams,
    arguments: &LinesArgs,
) -> Result<()> {
    let message = &arguments.message;
    if !arguments.lines {
        let (client, output, payload) = prepare(context, message).await?;
        return Sender::new(client, output, target, message).payload(payload).await;
    }
    let source = Source::of(message);
    let client = context.connect().await?;
    if source.waits() {
        note_reading(
            context.output,
            tr!("reading one message per line from standard input, end with Ctrl+D"),
        );
    }
    let mut sender = Sender::new(client, context.output, target, message);
    sender.lines(Lines::new(source.open()?, source.to_string(), message.hex)).await
}

/// Connects to the daemon and reads the message.
pub(in crate::command) async fn prepare<'a>(
    context: Context<'a>,
    message: &MessageArgs,
) -> Result<(Client, &'a mut Output, Payload)> {
    message.check()?;
    let source = Source::of(message);
    // A message that is already there is checked before connecting. Typing one is requested only after connecting, so
    // that it is not typed in vain.
    let ready = if source.waits() { None } else { Some(source.load(message)?) };
    let client = context.connect().await?;
    let payload = match ready {
        Some(payload) => payload,
        None => {
            note_reading(context.output, tr!("reading the message from standard input, end with Ctrl+D"));
            source.load(message)?
        }
    };
    Ok((client, context.output, payload))
}

/// Prints a note if a message must be typed at the terminal.
pub(in crate::command) fn note_reading(output: &mut Output, note: &str) {
    if io::stdin().is_terminal() {
        output.note(note);
    }
}

/// Returns the parameters that send a message to the destination in `target`.
pub(in crate::command) fn params(target: &SendParams, message: &MessageArgs, payload: Payload) -> SendParams {
    let mut params = SendParams {
        split: message.split.map(|size| Split::Bytes(size.bytes() as usize)),
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

/// Sends messages to one destination, one after the other.
pub(super) struct Sender<'a> {
    pub(super) client: Client,
    pub(super) output: &'a mut Output,
    pub(super) target: SendParams,
    pub(super) message: &'a MessageArgs,
    /// Whether the note on fragmentation was already printed.
    large: bool,
    /// Whether the port of the destination was already examined, and the note on the encoding printed.
    is_port_known: bool,
    has_encoding_note: bool,
    /// Whether a destination was looked for in the text.
    has_read_text: bool,
    known: KnownPeers,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        client: Client,
        output: &'a mut Output,
        target: SendParams,
        message: &'a MessageArgs,
    ) -> Self {
        Self {
            client,
            output,
            target,
            message,
            large: false,
            is_port_known: false,
            has_encoding_note: false,
            has_read_text: false,
            known: KnownPeers::default(),
        }
    }

    /// Sends one message and prints the stored entries.
    pub(super) async fn payload(&mut self, payload: Payload) -> Result<()> {
        let is_text = matches!(payload, Payload::Text(_));
        let is_ascii = payload.is_ascii();
        let params = params(&self.target, self.message, payload);
        let sent = self.client.call(&params).await.map_err(CtlError::of_send)?;
        print_receipt(self.output, &sent, is_text)?;
        self.output.flush()?;
        if !self.large {
            self.large = note_large(self.output, &sent);
        }
        if let Sent::Held { held } = &sent
            && let Some(first) = held.first()
            && !self.has_encoding_note
        {
            self.has_encoding_note = note_held_encoding(self.output, first, is_ascii);
        }
        let entries = sent.into_entries();
        if let Some(to) = &self.target.to {
            note_unread_input(&mut self.client, &mut self.known, self.output, to, self.message).await;
            if !std::mem::replace(&mut self.has_read_text, true) {
                note_destination_in_text(&mut self.client, &mut self.known, self.output, self.message).await;
            }
        }
        if let Some(Entry::Message(sent)) = entries.first() {
            self.note_destination(sent, is_text).await;
        }
        entries.iter().find_map(refusal).map_or(Ok(()), Err)
    }

    /// Prints notes on the port and the encoding of the destination, each once.
    async fn note_destination(&mut self, sent: &Message, is_text: bool) {
        if let Some(to) = &self.target.to
            && self.output.has_notes()
            && !std::mem::replace(&mut self.is_port_known, true)
        {
            if let Some(other) = OtherPort::of(&mut self.client, &mut self.known, to, sent).await {
                self.output.note(&other.describe("send"));
            }
            note_own_host(self.output, to, sent);
            if !is_text && is_file_in_utf_8(self.message, sent) {
                note_file(&mut self.client, &mut self.known, self.output, to, sent).await;
            }
        }
        if is_text && !self.has_encoding_note {
            self.has_encoding_note = note_encoding(self.output, sent);
        }
    }

    /// Sends a message for each line as it is read. A line that fails does not stop the following ones.
    pub(super) async fn lines(&mut self, mut lines: Lines) -> Result<()> {
        let (mut outcome, mut empty) = (Outcome::default(), 0);
        while let Some(Line { number, payload }) = lines.next()? {
            if matches!(&payload, Ok(payload) if payload.is_empty() && !self.message.allow_empty) {
                empty += 1;
                continue;
            }
            let sent = match payload {
                Ok(payload) => self.payload(payload).await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => outcome.add_sent(),
                Err(error) if fails_every_line(&error, self.message) => return Err(error.at_line(number)),
                Err(error) => {
                    let error = error.at_line(number);
                    self.output.failure(&error);
                    outcome.add_failure(error);
                }
            }
        }
        note_empty_lines(self.output, empty);
        outcome.conclude(Unit::Line)
    }
}

/// Prints what became of a message: the entries of what was sent, or the numbers of what is held.
pub(super) fn print_receipt(output: &mut Output, sent: &Sent, is_text: bool) -> Result<()> {
    match sent {
        Sent::One(entry) => output.sent(entry, is_text),
        Sent::Parts(entries) => entries.iter().try_for_each(|entry| output.sent(entry, is_text)),
        Sent::Held { held } => held.iter().try_for_each(|message| output.held(message)),
    }
}

/// Returns the size of the largest datagram, in bytes.
fn largest(sent: &Sent) -> usize {
    let bytes = |entry: &Entry| match entry {
        Entry::Message(message) => message.bytes,
        Entry::Gap(_) | Entry::Notice(_) => 0,
    };
    match sent {
        Sent::One(entry) => bytes(entry),
        Sent::Parts(entries) => entries.iter().map(bytes).max().unwrap_or(0),
        Sent::Held { held } => held.iter().map(|message| message.bytes).max().unwrap_or(0),
    }
}

/// Prints a note on datagrams that are fragmented; returns whether there was one.
pub(in crate::command) fn note_large(output: &mut Output, sent: &Sent) -> bool {
    let largest = largest(sent);
    let is_large = largest > UNFRAGMENTED_BYTES;
    if is_large {
        output.note(&tr!(
            "a datagram of {largest} bytes is sent in IP fragments on most networks, and peers with a buffer of 1,024 \
             bytes receive only its beginning; `--split` splits the message",
            largest = grouped(largest as u64)
        ));
    }
    is_large
}

/// Returns the error of an entry whose message the kernel refused to send.
pub(in crate::command) fn refusal(entry: &Entry) -> Option<CtlError> {
    match entry {
        Entry::Message(message) => {
            let error = message.error.as_ref()?;
            let text = tr!("#{id} could not be sent: {error}", id = message.id, error = translated(error));
            let error = CtlError::not_sent("send_failed", text);
            let ip = message.peer.ip().to_string();
            Some(match with_port(&ip).filter(|_| message.peer.port() == DEFAULT_PORT) {
                Some((ip, port)) => {
                    error.hint(tr!("a port stands behind the brackets: `[{ip}]:{port}`", ip, port))
                }
                None => error,
            })
        }
        Entry::Gap(_) | Entry::Notice(_) => None,
    }
}

/// Returns whether every further line would fail in the same way.
pub(super) fn fails_every_line(error: &CtlError, arguments: &MessageArgs) -> bool {
    let CtlError::Failed(failure) = error else { return true };
    if failure.code.is_none() {
        return is_of_the_connection(failure);
    }
    let is = |kind: ErrorKind| failure.code == Some(kind.code());
    // Invalid parameters come from the target or the encoding, which all lines share; escapes differ from line to line.
    let wrong_for_all = is(ErrorKind::InvalidParams) && !arguments.escape;
    wrong_for_all
        || is(ErrorKind::UnknownPeer)
        || is(ErrorKind::NoSuchEntry)
        || is(ErrorKind::UnknownMethod)
        || is(ErrorKind::NotPermitted)
}

fn is_of_the_connection(failure: &Failure) -> bool {
    // Errors that this program finds in a line are of usage, or of a message that cannot be sent.
    !matches!(failure.exit, Exit::Usage | Exit::NotSent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::{ClientError, ErrorObject};

    #[test]
    fn only_errors_common_to_all_lines_end_them() {
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
            assert!(fails_every_line(&error, &plain), "{error:?}");
        }
        for error in [
            refused(ErrorKind::NotEncodable),
            refused(ErrorKind::SendFailed),
            refused(ErrorKind::TooLong),
            ClientError::TooLong { bytes: 1 }.into(),
            CtlError::usage("not UTF-8"),
        ] {
            assert!(!fails_every_line(&error, &plain), "{error:?}");
        }
        let escaped = MessageArgs { escape: true, ..MessageArgs::default() };
        assert!(!fails_every_line(&refused(ErrorKind::InvalidParams), &escaped));
    }
}
