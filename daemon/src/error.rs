//! The chain of an error and its sources as texts.

use std::error::Error;
use std::io;

/// Returns the text of an error, then that of each source. A source that only repeats the text before it is left out:
/// those of SQLite do, with a number in front.
pub(crate) fn chain(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        // The error number means nothing to people.
        let text = error.to_string();
        let text = text.split(" (os error ").next().unwrap_or_default().to_owned();
        if !texts.last().is_some_and(|last| text.contains(last)) {
            texts.push(text);
        }
        source = error.source();
    }
    texts
}

/// Returns what failed, followed by an error and its sources, in one line.
pub(crate) fn explain(what: &str, error: &dyn Error) -> String {
    format!("{what}: {}", chain(error).join(": "))
}

/// Returns why a system call failed, as a fragment in lower case: `network is unreachable`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    };
    text.to_lowercase()
}
