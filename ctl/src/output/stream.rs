//! Where output goes: standard output, or a pager once a terminal cannot show everything at once.

use std::ffi::OsString;
use std::io::{self, Stdout, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anstream::adapter::strip_str;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use udpchat_api::safe;
use udpchat_locale::{tr, translated};
use unicode_width::UnicodeWidthStr;

use super::pager::Pager;
use crate::error::without_number;

/// Standard output, or what is in front of it.
pub(super) enum Stream {
    /// Standard output itself.
    Direct { is_pipe: bool },
    /// A terminal on which the text may still fit.
    Held(Held),
    /// The text did not fit.
    Paged(Pager),
}

/// Text for a terminal, held until it is complete or longer than the screen.
pub(super) struct Held {
    text: Vec<u8>,
    pager: OsString,
    columns: usize,
    rows: usize,
}

impl Held {
    /// Creates it for a terminal of this size.
    pub(super) fn new(pager: OsString, (columns, rows): (u16, u16)) -> Self {
        Self { text: Vec::new(), pager, columns: columns.max(1).into(), rows: rows.into() }
    }

    /// Returns whether the text and the prompt below it fit on the screen.
    fn fits(&self) -> bool {
        let text = String::from_utf8_lossy(&self.text);
        let rows_of = |line: &str| strip_str(line).to_string().width().div_ceil(self.columns).max(1);
        text.lines().map(rows_of).sum::<usize>() < self.rows
    }
}

impl Stream {
    /// Returns standard output.
    pub(super) fn direct() -> Self {
        let mode = fstat(io::stdout()).map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT);
        Self::Direct { is_pipe: mode == Ok(SFlag::S_IFIFO) }
    }

    /// Prints text that is held because it fits on the screen.
    pub(super) fn release(&mut self) -> io::Result<()> {
        let Self::Held(held) = self else { return Ok(()) };
        let text = std::mem::take(&mut held.text);
        *self = Self::Direct { is_pipe: false };
        self.write_all(&text)?;
        self.flush()
    }

    /// Prints what is held, or waits for the end of the pager.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.release()?;
        // It stays: what the user did not want to see must not reach the terminal after it.
        if let Self::Paged(pager) = self {
            pager.wait();
        }
        Ok(())
    }

    /// Returns whether a pager runs.
    pub(super) fn is_paged(&self) -> bool {
        matches!(self, Self::Paged(_))
    }

    /// Returns whether the text is held because it may still fit on the screen.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Returns the pipe that another program reads, if output goes into one.
    fn pipe<'a>(&'a self, stdout: &'a Stdout) -> Option<BorrowedFd<'a>> {
        match self {
            Self::Direct { is_pipe } => is_pipe.then(|| stdout.as_fd()),
            Self::Held(_) => None,
            Self::Paged(pager) => pager.pipe(),
        }
    }

    /// Returns whether another program reads the output through a pipe.
    pub(super) fn is_piped(&self) -> bool {
        self.pipe(&io::stdout()).is_some()
    }

    /// Returns how many bytes were written and are not read yet, as far as the system shows it: those in a pipe, and those
    /// that are held.
    pub(super) fn unread_bytes(&self) -> u64 {
        match self {
            Self::Held(held) => held.text.len() as u64,
            _ => self.pipe(&io::stdout()).map_or(0, in_pipe),
        }
    }

    /// Returns whether output goes into a pipe that no process reads any more.
    pub(super) fn is_abandoned(&self) -> bool {
        let stdout = io::stdout();
        let Some(pipe) = self.pipe(&stdout) else { return false };
        let mut polled = [PollFd::new(pipe, PollFlags::empty())];
        let found = poll(&mut polled, PollTimeout::ZERO);
        found.is_ok() && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
    }
}

/// Returns how many bytes a pipe holds. Linux reports it at the writing end, too.
#[cfg(target_os = "linux")]
fn in_pipe(pipe: BorrowedFd<'_>) -> u64 {
    rustix::io::ioctl_fionread(pipe).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn in_pipe(_: BorrowedFd<'_>) -> u64 {
    0
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Direct { .. } => io::stdout().write(bytes),
            Self::Paged(pager) => pager.write(bytes),
            Self::Held(held) => {
                held.text.extend_from_slice(bytes);
                if !held.fits() {
                    let text = std::mem::take(&mut held.text);
                    *self = match Pager::start(&held.pager) {
                        Ok(pager) => Self::Paged(pager),
                        Err(error) => {
                            let (pager, error) =
                                (held.pager.to_string_lossy(), without_number(&error.to_string()));
                            let error = translated(&error);
                            let note = tr!("the pager `{pager}` cannot be started: {error}", pager, error);
                            let note = tr!("note: {note}", note = safe::one_line(&note));
                            super::stderr::write(format!("{note}\n").as_bytes());
                            Self::Direct { is_pipe: false }
                        }
                    };
                    self.write_all(&text)?;
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Direct { .. } => io::stdout().flush(),
            Self::Held(_) => Ok(()),
            Self::Paged(pager) => pager.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_counted_in_rows_of_the_screen() {
        let held = |text: &str| Held { text: text.into(), ..Held::new("less".into(), (10, 4)) };
        for fits in ["", "1\n2\n3\n", "一二三四五\n2\n3", "\x1b[1m1234567890\x1b[0m\n2\n3\n"] {
            assert!(held(fits).fits(), "{fits:?}");
        }
        for long in ["1\n2\n3\n4\n", "12345678901\n2\n3\n", "一二三四五六\n2\n3\n", "\n\n\n\n"] {
            assert!(!held(long).fits(), "{long:?}");
        }
    }
}
