//! Standard error.

use std::io::{self, Write};

/// Writes to standard error. A failure is ignored: there is no further place to report it.
pub(super) fn write(text: &[u8]) {
    drop(io::stderr().write_all(text));
}
