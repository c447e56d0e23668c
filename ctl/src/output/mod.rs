//! The only place that prints: text or JSON on standard output, notes and errors on standard error.
//!
//! Everything that somebody else may have written is made safe here, by [`udpchat_api::safe`].

mod atomic_file;
mod entry;
mod failure;
mod hexdump;
mod progress;
mod sink;
pub(crate) mod style;

use std::cell::OnceCell;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use anstream::AutoStream;
use clap::ColorChoice;
use clap::builder::StyledStr;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use udpchat_api::call::{Peer, Status};
use udpchat_api::line::to_line;
use udpchat_api::{EncodingBy, Entry, safe};

pub(crate) use self::atomic_file::replace_file;
pub(crate) use self::entry::loss;
pub(crate) use self::progress::{Progress, Reached};
pub(crate) use self::sink::Sink;
use self::style::Palette;
use crate::cli::Look;
use crate::command::doctor::Finding;
pub(crate) use crate::command::recode::render::RecodeReport;
pub(crate) use crate::command::status::render::{size, span};
use crate::command::status::watch::Rates;
use crate::error::{CtlError, Result};

/// The buffer of standard output, in bytes: what a pipe takes at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Where everything is printed.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    look: Look,
    zone: LocalZone,
}

impl Output {
    /// Opens the process's streams.
    pub(crate) fn new(look: &Look) -> Self {
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout());
        Self { stdout, look: *look, zone: LocalZone::default() }
    }

    /// Changes how output looks.
    pub(crate) fn set_look(&mut self, look: &Look) {
        self.look = *look;
    }

    /// Prints JSON from here on, errors too.
    pub(crate) fn want_json(&mut self) {
        self.look.json = true;
    }

    /// Returns whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.look.json
    }

    /// Returns whether a person is looking at standard output.
    pub(crate) fn is_for_a_person(&self) -> bool {
        !self.look.json && self.stdout.get_ref().is_terminal()
    }

    /// Returns whether standard output is a terminal, whatever is to be printed.
    pub(crate) fn is_terminal(&self) -> bool {
        self.stdout.get_ref().is_terminal()
    }

    /// Returns whether standard output has colour.
    pub(crate) fn has_colour(&self) -> bool {
        self.palette().is_on()
    }

    /// Returns the time zone that times are shown in.
    pub(crate) fn zone(&self) -> &TimeZone {
        self.zone.get()
    }

    /// Returns whether a person is looking at standard error and wants notes there.
    pub(crate) fn is_watched(&self) -> bool {
        !self.look.quiet && !self.look.json && io::stderr().is_terminal()
    }

    /// Prints data as it is. It must be safe already, or not for terminals.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(bytes)
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let line = to_line(value).map_err(|error| CtlError::failed("cannot write JSON").caused_by(&error))?;
        self.write(&line)
    }

    /// Prints one line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        let line = format!("{}\n", safe::one_line(text));
        self.write(line.as_bytes())
    }

    /// Prints what was done, in a word, unless only data is wanted.
    pub(crate) fn done(&mut self, text: &str) -> Result<()> {
        if self.look.quiet { Ok(()) } else { self.line(text) }
    }

    /// Prints an entry as it is read: its text, or with `hex` its bytes.
    pub(crate) fn entry(&mut self, entry: &Entry, hex: bool) -> Result<()> {
        if self.look.json {
            return self.json(entry);
        }
        let palette = self.palette();
        let text = match hex {
            false => entry::as_text(entry, self.zone.get(), palette),
            true => entry::as_dump(entry, self.zone.get(), palette),
        };
        self.write(text.as_bytes())
    }

    /// Prints the text of a message and nothing else, for whoever asked for it.
    pub(crate) fn answer(&mut self, entry: &Entry) -> Result<()> {
        if self.look.json {
            return self.json(entry);
        }
        let text = entry::as_answer(entry);
        self.write(text.as_bytes())
    }

    /// Prints an entry that was sent just now; with `with_encoding` also what it was encoded with.
    pub(crate) fn sent(&mut self, entry: &Entry, with_encoding: bool) -> Result<()> {
        if self.look.json {
            return self.json(entry);
        }
        if self.look.quiet {
            return Ok(());
        }
        let text = entry::as_receipt(entry, with_encoding, self.palette());
        self.write(text.as_bytes())
    }

    /// Prints the peers: a table, or in JSON one a line.
    pub(crate) fn peers(&mut self, peers: &[Peer]) -> Result<()> {
        if self.look.json {
            return peers.iter().try_for_each(|peer| self.json(peer));
        }
        let table = match terminal_width(self.stdout.get_ref()) {
            Some(width) => crate::command::peers::table::table_for_terminal(
                peers,
                Timestamp::now(),
                self.zone.get(),
                width,
            ),
            None => crate::command::peers::table::table(peers, self.zone.get()),
        };
        self.write(table.as_bytes())
    }

    /// Prints what `recode` did, or would do.
    pub(crate) fn recoded(&mut self, report: &RecodeReport) -> Result<()> {
        if self.look.json {
            return self.json(report);
        }
        let examples = crate::command::recode::render::examples(report, self.palette());
        self.write(examples.as_bytes())?;
        self.done(&crate::command::recode::render::summary(report))
    }

    /// Prints the daemon's state.
    pub(crate) fn status(&mut self, status: &Status) -> Result<()> {
        if self.look.json {
            return self.json(status);
        }
        let text = crate::command::status::render::as_text(
            status,
            Timestamp::now(),
            self.zone.get(),
            self.palette(),
        );
        self.write(text.as_bytes())
    }

    /// Prints the daemon's state in one line, with its growth since the line before, if that is known.
    pub(crate) fn status_line(&mut self, status: &Status, rates: Option<&Rates>) -> Result<()> {
        if self.look.json {
            return self.json(status);
        }
        let text = crate::command::status::line::as_line(status, rates, self.zone.get(), self.palette());
        self.write(text.as_bytes())
    }

    /// Prints what the doctor found about one thing.
    pub(crate) fn finding(&mut self, finding: &Finding) -> Result<()> {
        if self.look.json {
            return self.json(finding);
        }
        let text = crate::command::doctor::render::as_text(finding, self.palette());
        self.write(text.as_bytes())
    }

    /// Prints help, which holds no text of anybody else.
    pub(crate) fn help(&mut self, help: &StyledStr) -> Result<()> {
        let palette = Palette::new(use_colour(self.look.color, &io::stdout()));
        let text = if palette.is_on() { help.ansi().to_string() } else { help.to_string() };
        self.write(text.as_bytes())
    }

    /// Hands everything printed so far to the system.
    ///
    /// # Errors
    /// What was printed may not have arrived; nothing of it may be counted as read.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(|error| CtlError::from_output(&error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(|error| CtlError::from_output(&error))
    }

    /// Tells a person something that is no error, on standard error; not with `--quiet` or `--json`.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.look.quiet && !self.look.json {
            complain(format!("note: {}\n", safe::one_line(text)).as_bytes());
        }
    }

    /// Tells a person what may become a problem, and what to do about it; not with `--quiet` or `--json`.
    pub(crate) fn warning(&mut self, text: &str, hint: &str) {
        if !self.look.quiet && !self.look.json {
            let (text, hint) = (safe::one_line(text), safe::one_line(hint));
            complain(format!("warning: {text}\nhint: {hint}\n").as_bytes());
        }
    }

    /// Prints an error on standard error; a reader that has gone is none.
    pub(crate) fn failure(&mut self, error: &CtlError) {
        let CtlError::Failed(failure) = error else { return };
        // What was printed before comes first where both streams are the same terminal. If this fails too, the
        // error below is the one to tell.
        drop(self.stdout.flush());
        if self.look.json {
            complain(&failure::as_json(failure));
        } else {
            let palette = Palette::new(use_colour(self.look.color, &io::stderr()));
            complain(failure::as_text(failure, palette).as_bytes());
        }
    }

    fn palette(&self) -> Palette {
        Palette::new(use_colour(self.look.color, self.stdout.get_ref()))
    }
}

/// Returns how many columns a terminal has; none if the stream is no terminal.
fn terminal_width(stream: &Stdout) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(terminal_size::Width(width), _)| width)
}

/// Writes to standard error. There is nobody to tell if that fails.
fn complain(text: &[u8]) {
    drop(io::stderr().write_all(text));
}

/// Decides about colour: as said, otherwise by NO_COLOR, TERM and whether the stream is a terminal.
fn use_colour(color: ColorChoice, stream: &impl anstream::stream::RawStream) -> bool {
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => !matches!(AutoStream::choice(stream), anstream::ColorChoice::Never),
    }
}

/// The time zone of this machine, looked up once and only if a time is shown.
#[derive(Default)]
struct LocalZone(OnceCell<TimeZone>);

impl LocalZone {
    fn get(&self) -> &TimeZone {
        self.0.get_or_init(crate::time::local_zone)
    }
}

/// Says what chose an encoding.
pub(crate) fn chosen_by(by: EncodingBy) -> &'static str {
    match by {
        EncodingBy::Given => "given",
        EncodingBy::Configured => "configured",
        EncodingBy::Remembered => "remembered",
        EncodingBy::Detected => "detected",
        EncodingBy::Fallback => "fallback",
    }
}

/// Shows a time for people: local, to the second.
pub(crate) fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Shows the time of day for people: local, to the second.
pub(crate) fn clock_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// Shows a number with separators between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Shows a number of things: `1 byte`, `2,000 bytes`, `3 entries`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let shown = grouped(number);
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("{shown} {thing}"),
        (_, Some(stem)) => format!("{shown} {stem}ies"),
        (_, None) => format!("{shown} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(counted(1, "byte"), "1 byte");
        assert_eq!(counted(2_000, "byte"), "2,000 bytes");
        assert_eq!(
            (counted(1, "entry"), counted(0, "entry")),
            ("1 entry".to_owned(), "0 entries".to_owned())
        );
    }

    #[test]
    fn colour_that_is_asked_for_or_forbidden_needs_no_terminal() {
        assert!(use_colour(ColorChoice::Always, &io::stdout()));
        assert!(!use_colour(ColorChoice::Never, &io::stdout()));
    }
}
