//! The texts that were sent in this chat, which ↑ and ↓ bring back.

use std::collections::VecDeque;

/// The most texts that are kept.
const MAX_TEXTS: usize = 100;

/// An input, and whether it is read as hex digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) is_hex: bool,
}

/// The sent texts, oldest first.
#[derive(Debug, Default)]
pub(super) struct InputHistory {
    sent: VecDeque<Typed>,
    /// The text that is in the input.
    current: Option<usize>,
    /// The mode of the input before a text was brought back.
    was_hex: bool,
}

impl InputHistory {
    pub(super) fn push(&mut self, typed: Typed) {
        self.reset();
        if self.sent.back() == Some(&typed) {
            return;
        }
        self.sent.push_back(typed);
        if self.sent.len() > MAX_TEXTS {
            self.sent.pop_front();
        }
    }

    /// Returns the text before (or after) the current one; after the last text, an empty one in the mode `is_hex` in which
    /// the first step was made.
    pub(super) fn step(&mut self, back: bool, is_hex: bool) -> Option<Typed> {
        let next = match (self.current, back) {
            (None, true) => {
                let newest = self.sent.len().checked_sub(1)?;
                self.was_hex = is_hex;
                newest
            }
            (None, false) => return None,
            (Some(current), true) => current.checked_sub(1)?,
            (Some(current), false) => current + 1,
        };
        self.current = (next < self.sent.len()).then_some(next);
        let empty = || Typed { text: String::new(), is_hex: self.was_hex };
        Some(self.sent.get(next).cloned().unwrap_or_else(empty))
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
