//! Prints to standard output and standard error, as text or as JSON.

use std::cell::OnceCell;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use anstream::AutoStream;
use clap::ColorChoice;
use clap::builder::StyledStr;
use jiff::tz::TimeZone;
use serde::Serialize;
use udpchat_api::line::to_line;
use udpchat_api::{Entry, safe};

use super::style::{Look, Palette};
use super::{entry, failure, stderr};
use crate::error::{CtlError, Result};

/// The buffer of standard output, in bytes: the capacity of a Linux pipe.
const BUFFER_BYTES: usize = 64 * 1024;

/// Prints everything outside the full screens.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    look: Look,
    /// Read once, and only if a time is shown.
    zone: OnceCell<TimeZone>,
}

impl Output {
    /// Opens the standard streams of the process.
    pub(crate) fn new(look: &Look) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Self { stdout, look: *look, zone: OnceCell::new() }
    }

    /// Changes how output looks.
    pub(crate) fn set_look(&mut self, look: &Look) {
        self.look = *look;
    }

    /// Prints JSON from now on, errors included.
    pub(crate) fn set_json(&mut self) {
        self.look.json = true;
    }

    /// Returns whether the output is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.look.json
    }

    /// Returns whether standard output is a terminal and shows text.
    pub(crate) fn is_for_a_person(&self) -> bool {
        !self.look.json && self.is_terminal()
    }

    /// Returns whether standard output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.stdout.get_ref().is_terminal()
    }

    /// Returns how many columns the terminal has; none if standard output is not a terminal.
    pub(crate) fn terminal_width(&self) -> Option<u16> {
        terminal_size::terminal_size_of(self.stdout.get_ref()).map(|(terminal_size::Width(width), _)| width)
    }

    /// Returns whether standard output has colour.
    pub(crate) fn has_colour(&self) -> bool {
        self.palette().is_on()
    }

    /// Returns the colours of standard output.
    pub(crate) fn palette(&self) -> Palette {
        Palette::new(use_colour(self.look.color, self.stdout.get_ref()))
    }

    /// Returns the time zone in which times are shown.
    pub(crate) fn zone(&self) -> &TimeZone {
        self.zone.get_or_init(crate::time::local_zone)
    }

    /// Returns whether standard error is a terminal and notes are wanted there.
    pub(crate) fn is_watched(&self) -> bool {
        !self.look.quiet && !self.look.json && io::stderr().is_terminal()
    }

    /// Prints bytes unchanged. They must be safe for terminals, or not meant for one.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(|error| CtlError::from_output(&error))
    }

    /// Prints text that is already safe, line ends included.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.data(text.as_bytes())
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line = to_line(value).map_err(|error| CtlError::failed("cannot write JSON").caused_by(&error))?;
        self.data(&line)
    }

    /// Prints one line, made safe.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.text(&format!("{}\n", safe::one_line(text)))
    }

    /// Prints a confirmation, unless `--quiet` is given.
    pub(crate) fn done(&mut self, text: &str) -> Result<()> {
        if self.look.quiet { Ok(()) } else { self.line(text) }
    }

    /// Prints an entry with its text, or with its bytes if `hex` is set.
    pub(crate) fn entry(&mut self, entry: &Entry, hex: bool) -> Result<()> {
        if self.look.json {
            return self.json(entry);
        }
        let palette = self.palette();
        let text = match hex {
            false => entry::as_text(entry, self.zone(), palette),
            true => entry::as_dump(entry, self.zone(), palette),
        };
        self.text(&text)
    }

    /// Prints the text of a message and nothing else.
    pub(crate) fn answer(&mut self, entry: &Entry) -> Result<()> {
        if self.look.json { self.json(entry) } else { self.text(&entry::as_answer(entry)) }
    }

    /// Prints the receipt of a message that was just sent, with the encoding if `with_encoding` is set.
    pub(crate) fn sent(&mut self, entry: &Entry, with_encoding: bool) -> Result<()> {
        if self.look.json {
            return self.json(entry);
        }
        if self.look.quiet {
            return Ok(());
        }
        let text = entry::as_receipt(entry, with_encoding, self.palette());
        self.text(&text)
    }

    /// Prints a help text of this program.
    pub(crate) fn help(&mut self, help: &StyledStr) -> Result<()> {
        let text = if self.palette().is_on() { help.ansi().to_string() } else { help.to_string() };
        self.text(&text)
    }

    /// Hands everything printed so far to the system.
    ///
    /// # Errors
    /// What was printed may not have arrived, so entries printed since the last flush must not be marked as read.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(|error| CtlError::from_output(&error))
    }

    /// Prints a note on standard error, unless `--quiet` or `--json` is given.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.look.quiet && !self.look.json {
            stderr::write(format!("note: {}\n", safe::one_line(text)).as_bytes());
        }
    }

    /// Prints a warning and a hint on standard error, unless `--quiet` or `--json` is given.
    pub(crate) fn warning(&mut self, text: &str, hint: &str) {
        if !self.look.quiet && !self.look.json {
            let (text, hint) = (safe::one_line(text), safe::one_line(hint));
            stderr::write(format!("warning: {text}\nhint: {hint}\n").as_bytes());
        }
    }

    /// Prints an error on standard error; a reader that closed its pipe is not an error.
    pub(crate) fn failure(&mut self, error: &CtlError) {
        let CtlError::Failed(failure) = error else { return };
        // Keeps the order where both streams are the same terminal. If flushing fails too, the error below is the
        // one that matters.
        drop(self.stdout.flush());
        if self.look.json {
            stderr::write(&failure::as_json(failure));
        } else {
            let palette = Palette::new(use_colour(self.look.color, &io::stderr()));
            stderr::write(failure::as_text(failure, palette).as_bytes());
        }
    }
}

/// Decides about colour: by `--color`, otherwise by NO_COLOR, TERM and whether the stream is a terminal.
fn use_colour(color: ColorChoice, stream: &impl anstream::stream::RawStream) -> bool {
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => !matches!(AutoStream::choice(stream), anstream::ColorChoice::Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_colour_choice_ignores_the_stream() {
        assert!(use_colour(ColorChoice::Always, &io::stdout()));
        assert!(!use_colour(ColorChoice::Never, &io::stdout()));
    }
}
