//! The errors of a configuration, each with a hint that says how to correct it.

use std::path::PathBuf;

use crate::value::shown;
use crate::{Origin, ValueError};

/// Explains why the settings could not be loaded.
///
/// `Display` shows the error and its place, without the [hint](Self::hint).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A configuration file exists, or was named explicitly, and cannot be read.
    #[error("cannot read {}: {reason}", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, as a fragment.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A configuration file has a syntax error, an unknown key, a wrong type or a bad value.
    #[error("{}:{line}:{column}: {message}\n{excerpt}", shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
        /// What is wrong there, as a fragment.
        message: String,
        /// The line itself, with carets below the place.
        excerpt: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A value is well-formed but breaks a rule.
    #[error("{origin}: {message}")]
    Rejected {
        /// Where the value came from.
        origin: Origin,
        /// What is wrong with it, as a fragment.
        message: String,
        /// What to give instead.
        hint: Option<String>,
    },
    /// No layer names a data directory, and there is no home directory to put it in.
    #[error("no place for the inbox: neither XDG_DATA_HOME nor HOME is set")]
    NoDataDir,
}

/// Explains why the settings could not be loaded: all errors that are independent of each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{first}")]
pub struct ConfigErrors {
    /// The first error.
    pub first: Box<ConfigError>,
    /// The others, in the order of the file.
    pub others: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Fails if there are errors.
    pub(crate) fn none_of(errors: Vec<ConfigError>) -> Result<(), Self> {
        let mut errors = errors.into_iter();
        match errors.next() {
            Some(first) => Err(Self { first: Box::new(first), others: errors.collect() }),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(first: ConfigError) -> Self {
        Self { first: Box::new(first), others: Vec::new() }
    }
}

impl ConfigError {
    /// Returns what to do about the error, as a fragment to show after it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { hint, .. } | Self::Malformed { hint, .. } | Self::Rejected { hint, .. } => {
                hint.clone()
            }
            Self::NoDataDir => Some("name a directory with `--data-dir`".to_owned()),
        }
    }

    /// Creates the error for an invalid value of an environment variable or a flag.
    pub(crate) fn bad_value(origin: Origin, error: ValueError) -> Self {
        let (message, hint) = error.into_parts();
        Self::Rejected { origin, message, hint }
    }

    /// Creates the error for a file that was read before and is not there now: its settings would silently become the defaults.
    pub fn gone(path: PathBuf) -> Self {
        let reason = "it was read before, and is not there now".to_owned();
        Self::Unreadable {
            path,
            reason,
            hint: Some("create it again, also empty; if it is to be gone, restart the daemon".to_owned()),
        }
    }

    /// Creates the error for a value that breaks a rule.
    pub(crate) fn rejected(origin: &Origin, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Rejected { origin: origin.clone(), message: message.into(), hint: Some(hint.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_leaves_the_hint_out() {
        let error = ConfigError::rejected(&Origin::Flag("--listen"), "no good", "try another");
        assert_eq!(error.to_string(), "flag --listen: no good");
        assert_eq!(error.hint().as_deref(), Some("try another"));
    }

    #[test]
    fn a_missing_home_points_to_the_flag() {
        assert!(ConfigError::NoDataDir.to_string().starts_with("no place for the inbox"));
        assert!(ConfigError::NoDataDir.hint().unwrap().contains("--data-dir"));
    }
}
