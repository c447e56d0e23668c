//! Why the daemon fails as a process: its error message, hint and exit status.

use std::io;
use std::io::Write;
use std::path::Path;

use serde_json::json;
use udpchat_api::Timestamp;
use udpchat_api::safe::{lines, one_line};
use udpchat_config::{ConfigErrors, Need, file_hint, unsafe_hint};
use udpchat_locale::{tr, translated};

use crate::backup::BackupError;
use crate::control::socket::SocketError;
use crate::error::chain;
use crate::inbox::file::OpenError;
use crate::metrics::BindError;
use crate::net::socket::ListenError;
use crate::recover::RecoverError;
use crate::service::file_limit::FileLimitError;
use crate::service::systemd::{InheritError, stderr_is_journal};

/// Exit codes beside 0.
const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

/// How many mistakes of a configuration are shown after the first one.
const MAX_FURTHER_MISTAKES: usize = 50;

/// Describes why the daemon does not start, or ends with an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("the configuration names groups that give no access: {}", .0.join("; "))]
    Groups(Vec<String>),
    #[error("cannot use the data directory {path}")]
    DataDir { path: String, source: io::Error },
    #[error("the data directory {path} is in use by {holder}")]
    DataDirHeld { path: String, holder: String },
    #[error("the data directory {path} is not safe: it {danger}")]
    UnsafeDataDir { path: String, danger: String },
    #[error(transparent)]
    Files(#[from] FileLimitError),
    #[error(transparent)]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Metrics(#[from] BindError),
    #[error(transparent)]
    Inbox(#[from] OpenError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("{0} entries could not be stored and are lost: the inbox could not be written up to the end")]
    GivenUp(usize),
    #[error("{what}")]
    System { what: &'static str, source: io::Error },
}

impl Failure {
    /// Returns a hint what to do next.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(errors) => errors.first.hint(),
            Self::Groups(_) => Some("`getent group` lists the groups; `groupadd` creates one. The daemon starts without them".to_owned()),
            Self::DataDir { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => Some(
                "it is read-only here: `--data-dir` takes another; under systemd `ReadWritePaths=` opens this one".to_owned(),
            ),
            Self::DataDir { path, source } => Some(match file_hint(Path::new(path), Need::Directory, source) {
                Some(hint) => format!("{hint}; `--data-dir` names another directory"),
                None => "`--data-dir` takes another; it must be writable for this user".to_owned(),
            }),
            Self::DataDirHeld { .. } => {
                Some("stop that one, or give this one its own `--data-dir`".to_owned())
            }
            Self::UnsafeDataDir { path, .. } => {
                let hint = unsafe_hint(Path::new(path));
                Some(format!("{hint}; `--data-dir` names another directory"))
            }
            Self::Files(error) => Some(error.hint()),
            Self::Inherit(error) => error.hint().map(str::to_owned),
            Self::Listen(error) => error.hint(),
            Self::Metrics(error) => error.hint(),
            Self::Inbox(error) => error.hint(),
            Self::Backup(error) => error.hint(),
            Self::Recover(error) => error.hint(),
            Self::Socket(error) => Some(error.hint()),
            Self::GivenUp(_) => Some(
                "the next start records a gap for the received messages; `status` and the log name the problem while the daemon runs"
                    .to_owned(),
            ),
            Self::System { .. } => None,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Config(_) | Self::Groups(_)) { WRONG_USE } else { FAILED }
    }

    /// Writes what went wrong as a line of the log in JSON, which is English.
    pub(crate) fn log(&self) {
        let mut line = json!({
            "timestamp": Timestamp::now().to_string(),
            "level": "ERROR",
            "message": chain(self).join(": "),
        });
        if let Some(hint) = self.hint() {
            line["hint"] = hint.into();
        }
        let priority = if stderr_is_journal() { "<3>" } else { "" };
        // If this fails, the error cannot be reported in any other way.
        let _written = io::stderr().write_all(format!("{priority}{line}\n").as_bytes());
    }

    /// Writes what went wrong to standard error: what, why, what to do next.
    pub(crate) fn print(&self) {
        let mut texts = chain(self).into_iter();
        let message = texts.next().unwrap_or_default();
        let message = match self {
            Self::Config(_) => with_excerpt(&message),
            _ => one_line(&translated(&message)).into_owned(),
        };
        let mut text = labelled(&message);
        for cause in texts {
            text += &format!("  {}\n", tr!("caused by: {cause}", cause = one_line(&translated(&cause))));
        }
        if let Some(hint) = self.hint() {
            text += &hinted(&hint);
        }
        if let Self::Config(errors) = self {
            for error in errors.others.iter().take(MAX_FURTHER_MISTAKES) {
                text += &labelled(&with_excerpt(&error.to_string()));
                text += &error.hint().map(|hint| hinted(&hint)).unwrap_or_default();
            }
        }
        if stderr_is_journal() {
            text = text.lines().map(|line| format!("<3>{line}\n")).collect();
        }
        // If this fails, the error cannot be reported in any other way.
        let _written = io::stderr().write_all(text.as_bytes());
    }
}

fn labelled(message: &str) -> String {
    tr!("{label} {message}", label = tr!("error:"), message) + "\n"
}

fn hinted(hint: &str) -> String {
    tr!("hint: {hint}", hint = one_line(&translated(hint))) + "\n"
}

/// Shows an error of the configuration, which quotes the file below its first line.
fn with_excerpt(error: &str) -> String {
    match error.split_once('\n') {
        Some((first, excerpt)) => lines(&format!("{}\n{excerpt}", translated(first))).into_owned(),
        None => one_line(&translated(error)).into_owned(),
    }
}

/// Returns a conversion of system errors to failures.
pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |source| Failure::System { what, source }
}
