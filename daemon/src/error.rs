//! The causes behind an error, each said once.

use std::error::Error;
use std::io;

/// Returns what an error says, then what each of its causes adds. A cause that only repeats the text before it (as
/// those of SQLite do, with a number in front) is left out.
pub(crate) fn of(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        // The number behind what the system says tells people nothing.
        let text = error.to_string();
        let text = text.split(" (os error ").next().unwrap_or_default().to_owned();
        if !texts.last().is_some_and(|last| text.contains(last)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts
}

/// Returns what failed, followed by an error and its sources, in one line.
pub(crate) fn explain(what: &str, error: &dyn Error) -> String {
    format!("{what}: {}", of(error).join(": "))
}

/// Returns why a system call failed, as a fragment in lower case: `network is unreachable`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    };
    text.to_lowercase()
}
