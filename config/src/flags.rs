//! The command line of `udpchatd`, the strongest layer of the settings. It is defined here because the manual is
//! generated from it and from the keys of the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser};

use crate::{ListenAddress, LogFormat, LogLevel, ValueError};

/// Holds a UDP port, keeps every message that arrives in a durable inbox, and takes commands over a local socket.
///
/// Without any argument it listens on [::]:7788 for IPv4 and IPv6, and keeps its inbox in
/// ~/.local/share/udpchat. It stays in the foreground and logs to standard error.
#[expect(rustdoc::broken_intra_doc_links, reason = "this text is the help, in which [::] is an address")]
#[derive(Debug, Parser)]
#[command(name = "udpchatd", version, after_help = AFTER_HELP)]
pub struct Flags {
    /// The flags that set settings.
    #[command(flatten)]
    pub overrides: Overrides,

    /// Checks the configuration, prints every value with its origin, and exits
    #[arg(long)]
    check_config: bool,

    /// Copies the inbox to this file, whether a daemon runs or not, prints what the copy contains, and exits
    #[arg(long, value_name = "FILE", conflicts_with = "check_config")]
    backup: Option<PathBuf>,

    /// Takes what is readable of this damaged inbox into the inbox, while no daemon runs, prints how much, and exits
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check_config", "backup"])]
    recover: Option<PathBuf>,
}

/// Holds what flags set; the strongest layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Overrides {
    /// Reads this configuration file, and no other
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Listens on this address, such as [::]:7788 or 192.168.1.5:7788; may be repeated; the system chooses for port 0
    #[expect(rustdoc::broken_intra_doc_links, reason = "this text is the help, in which [::] is an address")]
    #[arg(long, value_name = "ADDR", value_parser = parse::<ListenAddress>)]
    pub listen: Vec<ListenAddress>,

    /// Keeps the inbox in this directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Accepts commands on this socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Uses the paths of the system: /etc/udpchat, /var/lib/udpchat, /run/udpchat
    #[arg(long)]
    pub system: bool,

    /// Logs from this level on: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = parse::<LogLevel>)]
    pub log_level: Option<LogLevel>,

    /// Logs lines of text or of JSON
    #[arg(long, value_name = "FORMAT", value_parser = parse::<LogFormat>)]
    pub log_format: Option<LogFormat>,
}

const AFTER_HELP: &str = "\
Configuration, weakest first: defaults, /etc/udpchat/config.toml, ~/.config/udpchat/config.toml, \
UDPCHAT_LISTEN, UDPCHAT_DATA_DIR, UDPCHAT_SOCKET, UDPCHAT_LOG, flags. UDPCHAT_CONFIG names another file.

Signals: SIGTERM and SIGINT stop it, SIGHUP reads the configuration again.

Exit status: 0 stopped, 1 failed, 2 wrong use or configuration.

Language: UDPCHAT_LANG, if it is en or zh; otherwise the first that is set of LC_ALL, LC_MESSAGES and LANG decides. The log is English.

Backup: --backup copies one consistent state of the inbox, with messages, read marks and the encodings of peers, while \
the daemon continues. To restore a copy, stop the daemon, move inbox.db, inbox.db-wal and inbox.db-shm out of the data \
directory, put the copy there as inbox.db, owned by the daemon's user, and start. A newer version migrates an older copy \
to its schema; an older version refuses a newer copy, so make a copy before an upgrade. A copy of a running daemon's \
inbox.db made with cp lacks the content of inbox.db-wal and may be unusable.

Damage: a damaged inbox is renamed to inbox.db.damaged-TIME, and what is readable of it is recovered into a new one, while \
the daemon receives. --recover does the same by hand, for a file that an older version has moved away or that was copied \
from a failing disk: stop the daemon first. Only ids that the inbox lacks are filled; the file is not changed.

Examples:
  udpchatd                                    with the defaults
  udpchatd --listen 0.0.0.0:9000              another port, IPv4 only
  udpchatd --config my.toml --check-config    is the file valid?
  udpchatd --system --backup inbox-$(date +%F).db    a copy of the system's inbox
  udpchatd --system --recover inbox.db.damaged-20261127T080354.812643Z    what is readable of it";

impl Flags {
    /// Parses arguments; the first one is the name of the program.
    ///
    /// # Errors
    /// Fails if an argument is wrong, and if help is asked for, which is then in the error. Its text quotes arguments as
    /// they are: they may contain control characters.
    pub fn of(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }

    /// Returns the definition of the command line, for the manual.
    pub fn definition() -> clap::Command {
        Self::command()
    }

    /// Returns whether the configuration is only to be checked and printed.
    pub fn check_config(&self) -> bool {
        self.check_config
    }

    /// Returns the file to copy the inbox to, if that is requested.
    pub fn backup(&self) -> Option<&Path> {
        self.backup.as_deref()
    }

    /// Returns the damaged inbox to recover, if that is requested.
    pub fn recover(&self) -> Option<&Path> {
        self.recover.as_deref()
    }
}

/// Parses a value of the configuration; the hint goes into clap's message.
fn parse<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr<Err = ValueError>,
{
    text.parse().map_err(|error: ValueError| match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_definition_is_valid() {
        super::Flags::definition().debug_assert();
    }
}
