//! The chain of an error and its sources as texts.

use std::error::Error;

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
