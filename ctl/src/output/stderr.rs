//! Standard error.

use std::io::{self, Write};

use rustix::termios::{LocalModes, tcgetattr};

/// Writes to standard error. A failure is ignored: there is no further place to report it.
pub(super) fn write(text: &[u8]) {
    drop(io::stderr().write_all(text));
}

/// Returns how many columns the terminal has that standard error is; none if it is none.
pub(super) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(terminal_size::Width(columns), _)| columns.into())
}

/// Returns whether standard error is a terminal that passes single keys to a program, and not lines.
pub(super) fn is_raw_terminal() -> bool {
    tcgetattr(io::stderr()).is_ok_and(|terminal| !terminal.local_modes.contains(LocalModes::ICANON))
}
