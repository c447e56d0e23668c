//! Which entries `inbox` prints of those that the daemon selects, and how.

use udpchat_api::Entry;
use udpchat_locale::tr;

use super::args::InboxArgs;
use super::format::{FIELDS, Format};
use crate::command::condition::Selection;
use crate::command::unknown_numbers::UnknownNumbers;
use crate::command::wanted_number::Content;
use crate::error::{CtlError, Result};
use crate::output::{Output, loss, source};

/// What fields of a form are called in JSON.
const NAMES_IN_JSON: [&str; 3] = ["at", "direction", "raw"];

/// The form of what is printed.
pub(super) struct Form {
    hex: bool,
    format: Option<Format>,
    selection: Selection,
    unknown: UnknownNumbers,
    /// Whether something of a message was printed: a line may hold only numbers that no message has.
    shown: bool,
    /// Whether notices are printed.
    notices: bool,
}

impl Form {
    /// Reads the arguments.
    ///
    /// # Errors
    /// `-F` makes no JSON, or conditions on numbers are given for what has none.
    pub(super) fn of(arguments: &InboxArgs, output: &Output) -> Result<Self> {
        let InboxArgs { hex, format, conditions, .. } = arguments;
        arguments.kinds.check(conditions)?;
        if format.is_some() && output.is_json() {
            return Err(CtlError::usage(tr!("--json has a form of its own and cannot be combined with -F"))
                .hint(tr!(
                    "`{open}json{close}` in the form is the entry in JSON",
                    open = "{{",
                    close = "}}"
                )));
        }
        // Before anything counts as read.
        if arguments.notices && !output.is_json() {
            return Err(CtlError::usage(tr!("text has notices in any case; --notices is for --json"))
                .hint(tr!("`--only notices` prints only notices")));
        }
        let unknown = UnknownNumbers::new(format.iter().flat_map(Format::numbers));
        let shown = format.as_ref().is_none_or(|format| format.shows(&Content::default()));
        let notices = format.is_none()
            && !conditions.are_given()
            && (arguments.notices || arguments.kinds.name_notices() || !output.is_json());
        Ok(Self {
            hex: *hex,
            format: format.clone(),
            selection: Selection::new(conditions),
            unknown,
            shown,
            notices,
        })
    }

    /// Returns whether what was printed shows something of the messages, so that they may count as read.
    pub(super) fn has_shown(&self) -> bool {
        self.shown
    }

    /// Returns whether entries are left out.
    pub(super) fn is_selective(&self) -> bool {
        self.selection.is_selective()
    }

    /// Returns whether messages are printed as bytes.
    pub(super) fn is_hex(&self) -> bool {
        self.hex
    }

    /// Returns whether notices are printed.
    pub(super) fn has_notices(&self) -> bool {
        self.notices
    }

    /// Returns whether an entry is printed.
    pub(super) fn selects(&mut self, entry: &Entry) -> bool {
        match entry {
            Entry::Notice(_) => self.notices,
            Entry::Message(_) | Entry::Gap(_) => self.selection.select(entry),
        }
    }

    /// Notes numbers of the form that no printed message had, and numbers of the conditions that no message had.
    pub(super) fn note_unknown(&self, output: &mut Output) {
        if let Some(note) = self.selection.note() {
            output.note(&note);
        }
        let note = self.unknown.note().filter(|_| !self.unknown.has_any(&NAMES_IN_JSON));
        if let Some(note) = note {
            output.note(&note);
        } else if let Some(names) = self.unknown.missed() {
            output.note(&tr!(
                "no message has a number {names}; the other fields are {fields}",
                names,
                fields = FIELDS
            ));
        }
    }

    /// Prints an entry.
    pub(super) fn print(&mut self, output: &mut Output, entry: &Entry) -> Result<()> {
        match (&self.format, entry) {
            (None, _) => output.entry(entry, self.hex),
            (Some(format), Entry::Message(message)) => {
                if !(self.unknown.is_empty() && self.shown) {
                    let content = Content::of(message);
                    self.unknown.see(&content);
                    self.shown |= format.shows(&content);
                }
                let line = format.line(message, output.zone());
                output.text(&line)
            }
            (Some(_), Entry::Notice(_)) => Ok(()),
            (Some(_), Entry::Gap(gap)) => {
                let loss = loss(gap.lost, &gap.reason, source(gap).as_deref());
                output.note(&tr!("#{id}: {loss}", id = gap.id, loss));
                Ok(())
            }
        }
    }
}
