//! Reads one configuration file and applies it to the settings; every mistake is reported with its place.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::unistd::{User, geteuid};
use toml::Spanned;
use toml::de::{DeString, DeTable};

use crate::diagnosis::syntax_mistake;
use crate::file_hint::{Need, access_hint};
use crate::hints::{example_for, hint_for_unknown};
use crate::key::{Key, split};
use crate::paths::{Environment, system_config_file};
use crate::settings::{KEYS, PEER_KEYS, Peer};
use crate::value::{Mistake, Node, quoted};
use crate::{ConfigError, Origin, PeerName, Settings};

/// The maximum size of a configuration file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The table of a peer in the list of keys.
const ANY_PEER: &str = "peers.NAME";

/// States whether a missing file is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A flag or a variable names the file.
    Required,
    /// It is one of the usual files.
    Optional,
}

/// Reads the text of a file; `None` if an optional file does not exist.
pub(crate) fn read(path: &Path, presence: Presence) -> Result<Option<String>, ConfigError> {
    if is_named_pipe(path) {
        return Err(unusable(
            path,
            "it is a named pipe",
            "a configuration is a file: reading a pipe may never end",
        ));
    }
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if is_absence(&error) && fs::symlink_metadata(path).is_ok() => {
            let hint = "create that file, or remove the link; is its file system mounted?";
            return Err(unusable(path, "it is a symbolic link to a file that does not exist", hint));
        }
        Err(error) if presence == Presence::Optional && is_absence(&error) => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let hint = "a configuration file has at most 1 MiB; is this the right file?";
        return Err(unusable(path, "the file is too large", hint));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| not_text(path, &error))
}

/// Replaces every setting that the text of a file sets; returns all mistakes in it, in their order. After a syntax error, nothing
/// more of the file is known.
pub(crate) fn apply(settings: &mut Settings, text: &str, path: &Path) -> Vec<ConfigError> {
    let line_ends = text.match_indices('\n').map(|(end, _)| end).collect();
    let mut source = Source { path, line_ends, mistakes: Vec::new() };
    match DeTable::parse(text) {
        Ok(document) => source.apply(document.get_ref(), "", settings),
        Err(error) => source.mistakes.push(syntax_mistake(&error, text)),
    }
    source.mistakes.sort_by_key(|mistake| mistake.span.start);
    source.mistakes.into_iter().map(|mistake| ConfigError::malformed(mistake, text, path)).collect()
}

/// A file whose values are applied.
struct Source<'a> {
    path: &'a Path,
    /// Where the lines end, in bytes: a file may have thousands of values.
    line_ends: Vec<usize>,
    mistakes: Vec<Mistake>,
}

impl Source<'_> {
    /// Applies a table; the path of the top is empty.
    fn apply(&mut self, table: &DeTable<'_>, path: &str, settings: &mut Settings) {
        let is_table = |name: &str| {
            path.is_empty() && !name.is_empty() && KEYS.iter().any(|key| split(key.path).0 == name)
        };
        for (name, value) in table {
            if let Some(key) = KEYS.iter().find(|key| split(key.path) == (path, name.get_ref())) {
                self.set(key, settings, value);
            } else if path.is_empty() && name.get_ref() == "peers" {
                if let Some(peers) = self.table_of(value, "peers") {
                    self.apply_peers(peers, settings);
                }
            } else if is_table(name.get_ref()) {
                if let Some(table) = self.table_of(value, name.get_ref()) {
                    self.apply(table, name.get_ref(), settings);
                }
            } else {
                self.mistakes.push(unknown_key(name, path, path));
            }
        }
    }

    fn apply_peers(&mut self, peers: &DeTable<'_>, settings: &mut Settings) {
        for (name, value) in peers {
            let parsed = match name.get_ref().parse::<PeerName>() {
                Ok(parsed) => parsed,
                Err(error) => {
                    self.mistakes.push(Mistake::bad_value(name.span(), error));
                    continue;
                }
            };
            let Some(fields) = self.table_of(value, ANY_PEER) else { continue };
            let peer = settings.peers.entry(parsed);
            let peer = peer.or_insert_with(|| Peer::without_address(self.origin(value)));
            for (field, value) in fields {
                let Some(key) = PEER_KEYS.iter().find(|key| split(key.path) == (ANY_PEER, field.get_ref()))
                else {
                    self.mistakes.push(unknown_key(field, ANY_PEER, &format!("peers.{}", name.get_ref())));
                    continue;
                };
                self.set(key, peer, value);
            }
        }
    }

    fn set<S>(&mut self, key: &Key<S>, fields: &mut S, value: &Node<'_>) {
        let field = (key.field_mut)(fields);
        let set = field.set(value, self.origin(value));
        self.mistakes.extend(set.err().map(|mistake| with_example(mistake, key.path)));
    }

    /// Returns a value as a table; notes a mistake if it is none.
    fn table_of<'t, 'i>(&mut self, value: &'t Node<'i>, path: &str) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistakes.push(with_example(Mistake::wrong_type("a table", value), path));
        }
        table
    }

    fn origin(&self, value: &Node<'_>) -> Origin {
        let lines_before = self.line_ends.partition_point(|end| *end < value.span().start);
        // Files are far smaller than 4 GiB.
        let line = u32::try_from(lines_before).map_or(u32::MAX, |lines| lines.saturating_add(1));
        Origin::File { path: self.path.to_owned(), line }
    }
}

/// Adds an example as the hint, unless the mistake has a hint.
fn with_example(mistake: Mistake, path: &str) -> Mistake {
    Mistake { hint: mistake.hint.or_else(|| example_for(path)), ..mistake }
}

/// Refuses a key that its table does not have; `shown` is the table's path as written.
fn unknown_key(name: &Spanned<DeString<'_>>, table: &str, shown: &str) -> Mistake {
    let key = quoted(name.get_ref());
    let message = match shown {
        "" => format!("unknown key {key}"),
        shown => format!("unknown key {key} in [{shown}]"),
    };
    Mistake { span: name.span(), message, hint: Some(hint_for_unknown(table, name.get_ref())) }
}

/// Reads one byte more than the limit, to detect a longer file without reading all of it.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns whether this is the user of the daemon of the system, which must read its configuration. Nobody else gets its group.
fn is_user_of_system() -> bool {
    const USER: &str = "udpchat";
    User::from_uid(geteuid()).is_ok_and(|user| user.is_some_and(|user| user.name == USER))
}

/// Returns whether a path is a pipe that waits for a writer when it is opened. That of a shell's `<(...)` has one.
fn is_named_pipe(path: &Path) -> bool {
    let is_of_process = path.starts_with("/dev") || path.starts_with("/proc");
    !is_of_process && fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    match error.kind() {
        io::ErrorKind::NotFound => {
            unusable(path, "no such file", "check the name given by `--config` or UDPCHAT_CONFIG")
        }
        io::ErrorKind::PermissionDenied => {
            if path == system_config_file(&Environment::of_process()) && !is_user_of_system() {
                let hint = "it is that of the daemon of the system: `sudo -u udpchat udpchatd --system --check-config` reads it, and `--config` names \
                            another file for a daemon of your own";
                return unusable(path, "permission denied", hint);
            }
            let other = "name another file with `--config`";
            let hint = access_hint(path, Need::Configuration)
                .map(|hint| format!("{hint}; `--config` names another file"));
            unusable(path, "permission denied", hint.as_deref().unwrap_or(other))
        }
        io::ErrorKind::IsADirectory => {
            unusable(path, "it is a directory", "name a file, for example config.toml in it")
        }
        _ => unusable(path, &error.to_string(), "name another file with `--config`"),
    }
}

fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
    unusable(path, &format!("line {line} is not UTF-8"), "save the file in the encoding UTF-8")
}

fn unusable(path: &Path, reason: &str, hint: &str) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), reason: reason.to_owned(), hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests;
