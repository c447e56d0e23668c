//! A value with its origin.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

use crate::value::shown;

/// Names the layer that a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No layer set it.
    Default,
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the value, from 1.
        line: u32,
    },
    /// An environment variable, by name.
    Environment(&'static str),
    /// A flag, by name and with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", shown(path)),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Holds a value and its origin; dereferences to the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value in effect.
    pub value: T,
    /// The layer that set it.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// Pairs a value with its origin.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Creates a setting with its default value.
    pub fn default_of(value: T) -> Self {
        Self::new(value, Origin::Default)
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_read_as_documented() {
        let file = Origin::File { path: "/etc/udpchat/config.toml".into(), line: 3 };
        assert_eq!(Origin::Default.to_string(), "default");
        assert_eq!(file.to_string(), "/etc/udpchat/config.toml:3");
        assert_eq!(Origin::Environment("UDPCHAT_LISTEN").to_string(), "environment UDPCHAT_LISTEN");
        assert_eq!(Origin::Flag("--listen").to_string(), "flag --listen");
    }
}
