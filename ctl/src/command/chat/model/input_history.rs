//! The texts that were sent in this chat, which ↑ and ↓ bring back.

use std::collections::VecDeque;

/// The most texts that are kept.
const MAX_TEXTS: usize = 100;

/// The sent texts, oldest first.
#[derive(Debug, Default)]
pub(super) struct InputHistory {
    texts: VecDeque<String>,
    /// The text that is in the input.
    current: Option<usize>,
}

impl InputHistory {
    pub(super) fn push(&mut self, text: &str) {
        self.reset();
        if self.texts.back().is_some_and(|last| last == text) {
            return;
        }
        self.texts.push_back(text.to_owned());
        if self.texts.len() > MAX_TEXTS {
            self.texts.pop_front();
        }
    }

    /// Returns the text before (or after) the current one; after the last text, an empty one.
    pub(super) fn step(&mut self, back: bool) -> Option<&str> {
        let next = match (self.current, back) {
            (None, true) => self.texts.len().checked_sub(1)?,
            (None, false) => return None,
            (Some(current), true) => current.checked_sub(1)?,
            (Some(current), false) => current + 1,
        };
        self.current = (next < self.texts.len()).then_some(next);
        Some(self.texts.get(next).map_or("", String::as_str))
    }

    /// Returns whether the input holds a text of the history.
    pub(super) fn is_active(&self) -> bool {
        self.current.is_some()
    }

    /// Starts from the newest text again.
    pub(super) fn reset(&mut self) {
        self.current = None;
    }
}
