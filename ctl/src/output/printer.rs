//! Prints to standard output and standard error, as text or as JSON.

use std::cell::OnceCell;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use anstream::AutoStream;
use clap::ColorChoice;
use clap::builder::StyledStr;
use jiff::tz::TimeZone;
use serde::Serialize;
use udpchat_api::call::HeldMessage;
use udpchat_api::line::to_line;
use udpchat_api::{Entry, numbers, safe};
use udpchat_locale::{Language, set_language, tr};

use super::format::Times;
use super::highlight::Highlight;
use super::pager::Pager;
use super::stream::{Held, Stream};
use super::style::{Look, Palette};
use super::{binary, entry, failure, held, hexdump, stderr};
use crate::error::{CtlError, Result};

/// The buffer of standard output, in bytes: the capacity of a Linux pipe.
const BUFFER_BYTES: usize = 64 * 1024;

/// How often it is checked whether the reader of the output is still there while nothing is printed.
pub(crate) const READER_CHECK: Duration = Duration::from_millis(500);

/// Prints everything outside the full screens.
pub(crate) struct Output {
    stdout: BufWriter<Stream>,
    /// How many bytes were printed.
    printed: u64,
    look: Look,
    /// The colours of standard output, by `look`. Determined once, and only if something is shown in colour: it takes system calls.
    palette: OnceCell<Palette>,
    /// Whether the times of entries have milliseconds.
    milliseconds: bool,
    /// What is shown in bold in texts.
    highlight: Option<Highlight>,
    /// Read once, and only if a time is shown.
    times: OnceCell<Times>,
    /// What standard error gets once the text is on the terminal, or the pager has left it.
    late: Vec<u8>,
}

impl Output {
    /// Opens the standard streams of the process.
    pub(crate) fn new(look: &Look) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, Stream::direct());
        let (palette, times, late) = (OnceCell::new(), OnceCell::new(), Vec::new());
        Self { stdout, printed: 0, look: *look, palette, milliseconds: false, highlight: None, times, late }
    }

    /// Returns whether a pager shows the output.
    pub(crate) fn is_paged(&self) -> bool {
        self.stdout.get_ref().is_paged()
    }

    /// Returns whether the text is held because it may still fit on the screen.
    pub(crate) fn is_held(&self) -> bool {
        self.stdout.get_ref().is_held()
    }

    /// Returns whether another program reads single keys from the terminal that standard error is, as full screens do.
    pub(crate) fn is_screen_taken(&self) -> bool {
        stderr::is_raw_terminal()
    }

    /// Shows what is printed from now on in a pager, if standard output is a terminal and too small for it.
    pub(crate) fn use_pager(&mut self) {
        let size = terminal_size::terminal_size_of(io::stdout());
        if let Some((terminal_size::Width(columns), terminal_size::Height(rows))) = size
            && self.look.pager
            && let Some(pager) = Pager::command_line()
        {
            *self.stdout.get_mut() = Stream::Held(Held::new(pager, (columns, rows)));
        }
    }

    /// Shows the times of entries with milliseconds.
    pub(crate) fn show_milliseconds(&mut self) {
        self.milliseconds = true;
    }

    /// Shows what matches a pattern of `--grep` in bold, where there is colour.
    pub(crate) fn highlight(&mut self, grep: &str) {
        self.highlight = if self.has_colour() { Highlight::of(grep) } else { None };
    }

    /// Changes how output looks.
    pub(crate) fn set_look(&mut self, look: &Look) {
        (self.look, self.palette) = (*look, OnceCell::new());
    }

    /// Prints JSON from now on, errors included. What programs read is English.
    pub(crate) fn set_json(&mut self) {
        set_language(Language::English);
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
        io::stdout().is_terminal()
    }

    /// Returns how many columns the terminal has; none if standard output is not a terminal.
    pub(crate) fn terminal_width(&self) -> Option<u16> {
        terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(width), _)| width)
    }

    /// Returns whether standard output has colour.
    pub(crate) fn has_colour(&self) -> bool {
        self.palette().is_on()
    }

    /// Returns the colours of standard output.
    pub(crate) fn palette(&self) -> Palette {
        *self.palette.get_or_init(|| Palette::new(use_colour(self.look.color, &io::stdout())))
    }

    /// Returns the time zone in which times are shown.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.times().zone
    }

    fn times(&self) -> &Times {
        self.times.get_or_init(|| Times { zone: crate::time::local_zone(), milliseconds: self.milliseconds })
    }

    /// Returns whether standard error is a terminal and notes are wanted there.
    pub(crate) fn is_watched(&self) -> bool {
        !self.look.quiet && !self.look.json && io::stderr().is_terminal()
    }

    /// Prints bytes unchanged. They must be safe for terminals, or not meant for one.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.printed += bytes.len() as u64;
        self.stdout.write_all(bytes).map_err(|error| CtlError::from_output(&error))
    }

    /// Prints text that is already safe, line ends included.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        self.data(text.as_bytes())
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line =
            to_line(value).map_err(|error| CtlError::failed(tr!("cannot write JSON")).caused_by(&error))?;
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

    /// Prints an entry with its text, or with its bytes if `hex` is set; on a terminal, a binary message that is wider than it as
    /// the beginning of its dump. JSON has text and bytes, and the bytes as `hex` too if it is set.
    pub(crate) fn entry(&mut self, entry: &Entry, hex: bool) -> Result<()> {
        if self.look.json {
            return if hex { self.json(&WithHex::of(entry)) } else { self.json(entry) };
        }
        let palette = self.palette();
        // The width last: it costs a system call.
        if let Entry::Message(message) = entry
            && !hex
            && message.encoding == numbers::BYTES
            && let Some(width) = self.terminal_width()
            && let Some(text) = binary::as_beginning(message, width, self.times(), palette)
        {
            return self.text(&text);
        }
        let text = match hex {
            false => entry::as_text(entry, self.times(), palette, self.highlight.as_ref()),
            true => entry::as_dump(entry, self.times(), palette),
        };
        self.text(&text)
    }

    /// Prints the text of a message and nothing else, or its bytes as hex digits if `hex` is set. JSON is as in [`Self::entry`].
    pub(crate) fn answer(&mut self, entry: &Entry, hex: bool) -> Result<()> {
        if self.look.json { self.entry(entry, hex) } else { self.text(&entry::as_answer(entry, hex)) }
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

    /// Prints the receipt of a message that is held until its peer sends one.
    pub(crate) fn held(&mut self, message: &HeldMessage) -> Result<()> {
        if self.look.json {
            return self.json(message);
        }
        if self.look.quiet {
            return Ok(());
        }
        let text = held::as_receipt(message, self.zone());
        self.text(&text)
    }

    /// Prints a help text of this program.
    pub(crate) fn help(&mut self, help: &StyledStr) -> Result<()> {
        let text = if self.palette().is_on() { help.ansi().to_string() } else { help.to_string() };
        self.text(&udpchat_locale::help::finished(&text))
    }

    /// Hands everything printed so far to the system. A program that reads it may not have read it yet.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(|error| CtlError::from_output(&error))
    }

    /// Ends the command if no program reads its output any more, even if it has nothing to print.
    pub(crate) fn check_reader(&self) -> Result<()> {
        if self.is_abandoned() { Err(CtlError::ReaderGone) } else { Ok(()) }
    }

    /// Prints what was held because it fits on the screen.
    pub(crate) fn release(&mut self) -> Result<()> {
        let released = self.stdout.flush().and_then(|()| self.stdout.get_mut().release());
        released.map_err(|error| CtlError::from_output(&error))
    }

    /// Prints what is held, and waits until the user leaves the pager.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let flushed = self.stdout.flush();
        let finished = self.stdout.get_mut().finish();
        stderr::write(&std::mem::take(&mut self.late));
        flushed.and(finished).map_err(|error| CtlError::from_output(&error))
    }

    /// Returns whether another program reads the output through a pipe.
    pub(crate) fn is_piped(&self) -> bool {
        self.stdout.get_ref().is_piped()
    }

    /// Returns whether the output goes into a pipe that no program reads any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.stdout.get_ref().is_abandoned()
    }

    /// Returns how many bytes were printed.
    pub(crate) fn printed_bytes(&self) -> u64 {
        self.printed
    }

    /// Returns how many of the printed bytes have not reached the reader: they are held here, or wait in a pipe. What is
    /// written to a terminal or a file has reached it.
    pub(crate) fn untaken_bytes(&self) -> u64 {
        self.stdout.buffer().len() as u64 + self.stdout.get_ref().unread_bytes()
    }

    /// Returns whether notes are printed: neither `--quiet` nor `--json` is given.
    pub(crate) fn has_notes(&self) -> bool {
        !self.look.quiet && !self.look.json
    }

    /// Prints a note on standard error, unless `--quiet` or `--json` is given.
    pub(crate) fn note(&mut self, text: &str) {
        if self.has_notes() {
            let note = tr!("note: {note}", note = safe::one_line(text));
            self.say(format!("{}\n", failure::wrapped(&note, stderr::columns())).as_bytes());
        }
    }

    /// Prints a note that programs need, too: with `--json` as the object `note` on standard error.
    pub(crate) fn note_with(&mut self, text: &str, note: &impl Serialize) {
        #[derive(Serialize)]
        struct Object<'a, N> {
            note: &'a N,
        }
        match self.look.json && !self.look.quiet {
            true => self.say(&to_line(&Object { note }).unwrap_or_default()),
            false => self.note(text),
        }
    }

    /// Prints a warning and a hint on standard error, unless `--quiet` or `--json` is given.
    pub(crate) fn warning(&mut self, text: &str, hint: &str) {
        if !self.look.quiet && !self.look.json {
            let warning = tr!("warning: {warning}", warning = safe::one_line(text));
            let hint = tr!("hint: {hint}", hint = safe::one_line(hint));
            self.say(format!("{warning}\n{hint}\n").as_bytes());
        }
    }

    /// Writes to standard error; after the text if a pager may have to show that.
    fn say(&mut self, text: &[u8]) {
        self.late.extend_from_slice(text);
        if !(self.is_held() || self.is_paged()) {
            stderr::write(&std::mem::take(&mut self.late));
        }
    }

    /// Prints an error on standard error; a reader that closed its pipe is not an error.
    pub(crate) fn failure(&mut self, error: &CtlError) {
        let CtlError::Failed(failure) = error else { return };
        // Keeps the order where both streams are the same terminal. If flushing fails too, the error below is the
        // one that matters.
        drop(self.finish());
        if self.look.json {
            stderr::write(&failure::as_json(failure));
        } else {
            let palette = Palette::new(use_colour(self.look.color, &io::stderr()));
            stderr::write(failure::as_text(failure, palette, stderr::columns()).as_bytes());
        }
    }
}

/// An entry in JSON with its bytes in hexadecimal digits; gaps and notices have none.
#[derive(Serialize)]
struct WithHex<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl<'a> WithHex<'a> {
    fn of(entry: &'a Entry) -> Self {
        let hex = match entry {
            Entry::Message(message) => Some(hexdump::digits(&message.raw.0)),
            Entry::Gap(_) | Entry::Notice(_) => None,
        };
        Self { entry, hex }
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
