//! Settings with a fixed set of words as values.

use std::fmt;
use std::str::FromStr;

use super::{Text, ValueError, quoted};

/// Defines an enum whose variants are written as words, in any case.
macro_rules! choice {
    (
        $(#[$meta:meta])* $name:ident, $expected:literal, $unknown:literal,
        { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Lists every choice, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the word that is written for the choice.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                let word = text.trim();
                let found = Self::ALL.iter().find(|choice| choice.as_str().eq_ignore_ascii_case(word));
                found.copied().ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|choice| choice.as_str()).collect();
                    ValueError::new(
                        format!($unknown, quoted(text)),
                        format!("choose one of {}", words.join(", ")),
                    )
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Text for $name {
            const EXPECTED: &str = $expected;
        }
    };
}

choice! {
    /// The least severe level that is logged; each level includes those before it.
    LogLevel, "a log level as text", "unknown log level {}",
    {
        /// Failures of the daemon.
        Error = "error",
        /// Problems that an administrator should look into.
        Warn = "warn",
        /// Events, with a line for each message.
        Info = "info",
        /// Details of events.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choice! {
    /// The format of log lines.
    LogFormat, "a log format as text", "unknown log format {}",
    {
        /// Text.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_in_any_case() {
        for level in LogLevel::ALL {
            assert_eq!(level.to_string().parse::<LogLevel>().unwrap(), *level);
            assert_eq!(level.to_string().to_uppercase().parse::<LogLevel>().unwrap(), *level);
        }
        for format in LogFormat::ALL {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), *format);
        }
        assert_eq!(LogLevel::ALL.len(), 5);
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "loud".parse::<LogLevel>().unwrap_err();
        assert_eq!(error.to_string(), "unknown log level `loud`");
        assert_eq!(error.hint(), Some("choose one of error, warn, info, debug, trace"));
        let error = "xml".parse::<LogFormat>().unwrap_err();
        assert_eq!(error.to_string(), "unknown log format `xml`");
        assert_eq!(error.hint(), Some("choose one of text, json"));
    }

    #[test]
    fn levels_are_ordered_from_least_to_most() {
        assert!(LogLevel::Error < LogLevel::Warn && LogLevel::Info < LogLevel::Debug);
    }
}
