//! The types of setting values: each is parsed once, from text; its error contains a hint.
//!
//! A type that several settings can share belongs here. Rules about one setting belong in `check`. Nothing here depends
//! on the list of settings.

mod address;
mod choice;
mod encoding;
mod group;
mod interface;
mod member;
mod metrics;
mod name;
mod path;
mod quantity;
mod rate;
mod repertoire;
mod toml;
mod user_group;
mod width;

use std::path::Path;

pub use address::{
    ListenAddress, Network, PeerAddress, check_destination, check_ipv4, check_port_sign, check_wildcards,
};
pub use choice::{LogFormat, LogLevel};
pub use encoding::Encoding;
pub use group::Group;
pub use interface::Interface;
pub use member::Member;
pub use metrics::MetricsAddress;
pub use name::PeerName;
pub use quantity::{MaxAge, SilentAfter, Size};
pub use rate::{ByteRate, DatagramRate};
pub use repertoire::Repertoire;
pub use toml::peer_table;
pub(crate) use toml::{Mistake, Node, Text, Value, toml_key, toml_string};
pub use user_group::UserGroup;
pub use width::{check_width, narrowed};

/// Explains why a text is not a valid value.
///
/// `Display` shows the message without the [hint](Self::hint).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    message: String,
    hint: Option<String>,
}

impl ValueError {
    /// Creates an error with a message and a hint, both fragments.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns what to write instead, as a fragment.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.message, self.hint)
    }
}

/// Quotes input in a message: one line, without invisible characters, at most 80 characters.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut quoted = String::from("`");
    for character in text.chars().take(SHOWN) {
        match character {
            // The space of full width is seen as one.
            '\'' | '"' | '\\' | '\u{3000}' => quoted.push(character),
            _ => quoted.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}

/// Shows a path in a message that may have several lines: line ends and tabs in the path must not be taken for those of the
/// message. What prints the message escapes the rest.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string().replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_one_visible_line() {
        assert_eq!(quoted("a\n\u{1b}[1m\u{202e}张\""), "`a\\n\\u{1b}[1m\\u{202e}张\"`");
        assert_eq!(quoted("传感器　甲"), "`传感器　甲`");
        assert_eq!(quoted(&"x".repeat(81)), format!("`{}…`", "x".repeat(80)));
    }

    #[test]
    fn a_path_is_shown_in_one_line() {
        assert_eq!(shown(Path::new("/a\n/b\tc 张")), "/a\\n/b\\tc 张");
    }
}
