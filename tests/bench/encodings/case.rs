//! One message as it arrives, and how it is meant.

use std::fmt::Write;

/// Bytes that arrive, and the text that they should be read as.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
    /// The text before and behind the damage.
    pub(crate) before: String,
    pub(crate) damage: Damage,
    pub(crate) after: String,
}

/// What happened to one character on the way.
#[derive(Clone)]
pub(crate) enum Damage {
    None,
    /// Only these of its bytes arrive.
    Cut(Vec<u8>),
    /// One of its bytes is another one; so many bytes it has.
    Replaced(usize),
}

impl Case {
    pub(crate) fn whole(bytes: Vec<u8>, text: &str) -> Self {
        Self { bytes, before: text.to_owned(), damage: Damage::None, after: String::new() }
    }

    /// Returns whether a reading is right: every whole character is there, and nothing else except in the place of the
    /// damaged one. There, a cut character may be U+FFFD, missing, or those of its bytes that are ASCII.
    ///
    /// A byte-order mark in front and NULs at the end make no difference: programs that show text leave them out.
    pub(crate) fn is_right(&self, read: &str) -> bool {
        let read = without_padding(read);
        let after = self.after.trim_end_matches('\0');
        let middle = match after {
            "" => read.strip_prefix(self.before.trim_end_matches('\0')),
            _ => read.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(after)),
        };
        middle.is_some_and(|middle| self.damage.explains(middle))
    }

    /// Describes the message and a wrong reading of it.
    pub(crate) fn describe(&self, read: &str) -> String {
        let damage = if matches!(self.damage, Damage::None) { "" } else { "\u{fffd}" };
        let mut hex = String::new();
        for byte in self.bytes.iter().take(48) {
            // Writing to a string cannot fail.
            let _written = write!(hex, "{byte:02x}");
        }
        let more = if self.bytes.len() > 48 { "..." } else { "" };
        let shown = |text: &str| text.chars().take(40).flat_map(char::escape_debug).collect::<String>();
        let meant = format!("{}{damage}{}", self.before, self.after);
        format!("{hex}{more} meant '{}' read '{}'", shown(&meant), shown(read))
    }
}

impl Damage {
    fn explains(&self, middle: &str) -> bool {
        match self {
            Self::None => middle.is_empty(),
            Self::Cut(bytes) => {
                let is_left = |character: char| {
                    character == '\u{fffd}'
                        || u8::try_from(character).is_ok_and(|byte| byte.is_ascii() && bytes.contains(&byte))
                };
                middle.chars().count() <= bytes.len() && middle.chars().all(is_left)
            }
            Self::Replaced(bytes) => middle.chars().count() <= *bytes,
        }
    }
}

fn without_padding(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches('\0')
}
