//! What the values of settings have in common: they are parsed once, from text, and say what was wrong with it.

mod address;
mod choice;
mod group;
mod metrics;
mod name;
mod path;
mod quantity;
mod user_group;

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

pub use address::{ListenAddress, Network, PeerAddress};
pub use choice::{LogFormat, LogLevel};
pub use group::Group;
pub use metrics::MetricsAddress;
pub use name::PeerName;
pub(crate) use path::AbsolutePath;
pub(crate) use quantity::WholeNumber;
pub use quantity::{MaxAge, Size};
pub use user_group::UserGroup;

/// Tells why a text is no value of the kind wanted.
///
/// `Display` gives what is wrong, without the [hint](Self::hint).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    message: String,
    hint: Option<String>,
}

impl ValueError {
    /// Makes an error that says what is wrong and what to write instead.
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

    /// Makes serde's error of this one. Serde carries a text only, so the hint travels inside it;
    /// [`split_hint`] takes it out again.
    pub(crate) fn into_serde<E: Error>(self) -> E {
        match self.hint {
            Some(hint) => E::custom(format_args!("{}{HINT_MARK}{hint}", self.message)),
            None => E::custom(self.message),
        }
    }
}

const HINT_MARK: &str = "\nhint: ";

/// Splits a message that went through serde into what is wrong and the hint.
pub(crate) fn split_hint(message: &str) -> (&str, Option<&str>) {
    match message.split_once(HINT_MARK) {
        Some((message, hint)) => (message, Some(hint)),
        None => (message, None),
    }
}

/// Quotes what somebody wrote for a message: one line, no invisible characters, not endless.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut quoted = String::from("`");
    for character in text.chars().take(SHOWN) {
        match character {
            '\'' | '"' | '\\' => quoted.push(character),
            _ => quoted.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}

/// Deserializes a string through `FromStr`, within the visitor, so that the format knows the place of an error.
pub(crate) fn deserialize_text<'de, T, D>(deserializer: D, expecting: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err = ValueError>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(TextVisitor { expecting, value: PhantomData })
}

struct TextVisitor<T> {
    expecting: &'static str,
    value: PhantomData<T>,
}

impl<T: FromStr<Err = ValueError>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(ValueError::into_serde)
    }
}

/// Implements `Deserialize` for a type that is written as a string.
macro_rules! deserialize_from_text {
    ($type:ty, $expecting:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::value::deserialize_text(deserializer, $expecting)
            }
        }
    };
}
pub(crate) use deserialize_from_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_survives_the_way_through_serde() {
        let error: serde::de::value::Error = ValueError::new("bad", "write good").into_serde();
        assert_eq!(split_hint(&error.to_string()), ("bad", Some("write good")));
        assert_eq!(split_hint("plain"), ("plain", None));
    }

    #[test]
    fn quoted_text_is_one_visible_line() {
        assert_eq!(quoted("a\n\u{1b}[1m\u{202e}张\""), "`a\\n\\u{1b}[1m\\u{202e}张\"`");
        assert_eq!(quoted(&"x".repeat(81)), format!("`{}…`", "x".repeat(80)));
    }
}
