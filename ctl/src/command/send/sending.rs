//! The answers to the messages of a job: prints and counts them, and keeps what the notes at its end need.

use std::collections::BTreeMap;

use udpchat_api::call::Sent;
use udpchat_api::{ClientError, Entry};

use super::args::MessageArgs;
use super::form::FormArgs;
use super::notes::{FirstSent, note_held_encoding};
use super::sender::{fails_every_line, note_large, print_receipt, refusal};
use crate::command::deliveries::SentIds;
use crate::command::outcome::Outcome;
use crate::command::pipeline::Answers;
use crate::error::{CtlError, Exit, Result};
use crate::output::{Output, Progress};

/// A request in flight.
pub(super) struct Request {
    /// The name of the destination.
    pub(super) shown: String,
    /// The number of the line, 0 without lines.
    pub(super) line: u64,
    pub(super) is_text: bool,
    pub(super) is_ascii: bool,
}

/// Handles the answers.
pub(super) struct Sending<'a> {
    pub(super) output: &'a mut Output,
    pub(super) progress: Progress,
    pub(super) message: &'a MessageArgs,
    pub(super) is_lines: bool,
    /// Whether the messages are counted and not printed.
    pub(super) is_summed_up: bool,
    pub(super) is_several: bool,
    /// Whether there is one message for one destination, whose failure ends the program.
    pub(super) is_alone: bool,
    pub(super) outcome: Outcome,
    /// How many are left out because they were late.
    pub(super) left_out: u64,
    /// The number of lines that were skipped.
    pub(super) empty: u64,
    /// The first message to each destination, by the name of that.
    pub(super) first_sent: BTreeMap<String, FirstSent>,
    /// Whether the note on the encoding of held messages was printed.
    pub(super) held_note: bool,
    /// Whether the note on a text that looks like bytes was printed.
    pub(super) has_digits_note: bool,
    /// The messages that were sent.
    pub(super) sent: SentIds,
}

impl Sending<'_> {
    /// Returns whether every further message would fail in the same way.
    fn fails_every_message(&self, error: &CtlError) -> bool {
        // Without lines, each message is the same one. Of several destinations, a single one may be gone.
        let is_usage = !self.is_lines && error.exit() == Exit::Usage;
        let is_of_one = self.is_several && error.exit() == Exit::NotSent;
        (is_usage || fails_every_line(error, self.message)) && !is_of_one
    }

    /// Keeps the first message to each destination for the notes at the end; prints that on a held message.
    fn remember(&mut self, shown: String, sent: &Sent, (is_text, is_ascii): (bool, bool)) {
        let first = match sent {
            Sent::One(entry) => Some(&**entry),
            Sent::Parts(entries) => entries.first(),
            Sent::Held { held } => {
                if let Some(first) = held.first().filter(|_| !self.held_note) {
                    self.held_note = note_held_encoding(self.output, first, is_ascii);
                }
                None
            }
        };
        let is_known = self.first_sent.contains_key(&shown);
        if let Some(Entry::Message(message)) = first.filter(|_| !is_known) {
            self.first_sent.insert(shown, FirstSent::of(message, is_text));
        }
    }

    /// Prints a note on a text that looks like bytes, once.
    pub(super) fn note_digits<'a>(
        &mut self,
        form: &FormArgs,
        text: &str,
        peers: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        if !self.has_digits_note
            && let Some(note) = form.digits_note(text, self.message, peers)
        {
            self.has_digits_note = true;
            self.progress.erase();
            self.output.note(&note);
        }
    }

    /// Counts a message with an error, and reports it; of a loop only the first one.
    pub(super) fn failed(&mut self, error: CtlError) {
        let is_reported = if self.is_summed_up { !self.outcome.has_failures() } else { !self.is_alone };
        if is_reported {
            self.progress.erase();
            self.output.failure(&error);
        }
        self.outcome.add_failure(error);
    }
}

impl Answers for Sending<'_> {
    type Request = Request;
    type Answer = Sent;

    fn answered(&mut self, request: Request, answer: std::result::Result<Sent, ClientError>) -> Result<()> {
        let Request { shown, line, is_text, is_ascii } = request;
        let sent = match answer {
            Ok(sent) => sent,
            Err(error @ (ClientError::Refused(_) | ClientError::TooLong { .. })) => {
                let error = CtlError::from(error);
                let ends = self.fails_every_message(&error);
                let error = match self.is_several {
                    true => error.amended(|reason| format!("{shown}: {reason}")),
                    false => error,
                };
                let error = if line > 0 { error.at_line(line) } else { error };
                if ends {
                    return Err(error);
                }
                self.failed(error);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !self.is_summed_up {
            print_receipt(self.output, &sent, is_text)?;
            note_large(self.output, &sent);
        }
        if self.output.has_notes() {
            self.remember(shown, &sent, (is_text, is_ascii));
        }
        let entries = sent.into_entries();
        let taken = entries.iter().filter(|entry| refusal(entry).is_none());
        taken.for_each(|entry| self.sent.add(entry.id()));
        match entries.iter().find_map(refusal) {
            Some(error) => self.failed(error),
            None => self.outcome.add_sent(),
        }
        Ok(())
    }
}
