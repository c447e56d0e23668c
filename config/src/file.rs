//! One configuration file: read, parsed, and every mistake in it told with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use crate::diagnosis::{explain, line_of};
use crate::layer::{Layer, PeerLayer};
use crate::value::{AbsolutePath, WholeNumber};
use crate::{
    ConfigError, Encoding, Group, ListenAddress, LogFormat, LogLevel, MaxAge, MetricsAddress, Network,
    Origin, PeerAddress, PeerName, Setting, Size, UserGroup,
};

/// The most bytes that a configuration file may have.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Tells whether a file has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Somebody named it.
    Required,
    /// It is one of the usual places.
    Optional,
}

/// Reads a file's layer; `None` if an optional file is not there.
pub(crate) fn read(path: &Path, presence: Presence) -> Result<Option<Layer>, ConfigError> {
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if presence == Presence::Optional && is_absence(&error) => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let hint = "a configuration has at most 1 MiB; is this the right file?";
        return Err(unusable(path, "the file is too large", hint));
    }
    let text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
    parse(&text, path).map(Some)
}

/// Parses a file's text.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Layer, ConfigError> {
    let Table(root) = toml::from_str::<Table<Root>>(text).map_err(|error| explain(&error, text, path))?;
    Ok(root.into_layer(&Source { path, text }))
}

/// Reads a byte more than allowed, so that a longer file is noticed without being read whole.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    match error.kind() {
        io::ErrorKind::NotFound => {
            unusable(path, "no such file", "check the name given by `--config` or UDPCHAT_CONFIG")
        }
        io::ErrorKind::PermissionDenied => unusable(
            path,
            "permission denied",
            "let the user who starts the daemon read it, or name another file with `--config`",
        ),
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

/// What a value's place is looked up in.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn origin<T>(&self, spanned: &Spanned<T>) -> Origin {
        let line = line_of(self.text, spanned.span().start);
        Origin::File { path: self.path.to_owned(), line }
    }

    fn locate<T>(&self, spanned: Option<Spanned<T>>) -> Option<Setting<T>> {
        spanned.map(|spanned| {
            let origin = self.origin(&spanned);
            Setting::new(spanned.into_inner(), origin)
        })
    }
}

/// Holds what was written as a table. Serde's derive alone would take a list of the values as well.
struct Table<T>(T);

impl<T: Default> Default for Table<T> {
    fn default() -> Self {
        Self(T::default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData)).map(Table)
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

type Field<T> = Option<Spanned<T>>;

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Root {
    listen: Field<Vec<ListenAddress>>,
    groups: Field<Vec<Group>>,
    data_dir: Field<AbsolutePath>,
    receive_buffer: Field<Size>,
    socket: Field<AbsolutePath>,
    inbox: Table<InboxTable>,
    text: Table<TextTable>,
    log: Table<LogTable>,
    access: Table<AccessTable>,
    control: Table<ControlTable>,
    metrics: Table<MetricsTable>,
    peers: Table<BTreeMap<PeerName, Spanned<Table<PeerTable>>>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct InboxTable {
    max_size: Field<Size>,
    max_age: Field<MaxAge>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TextTable {
    encoding: Field<Encoding>,
    fallback: Field<Encoding>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    level: Field<LogLevel>,
    format: Field<LogFormat>,
    messages_per_second: Field<WholeNumber>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AccessTable {
    allow: Field<Vec<Network>>,
    deny: Field<Vec<Network>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ControlTable {
    read: Field<Vec<UserGroup>>,
    send: Field<Vec<UserGroup>>,
    admin: Field<Vec<UserGroup>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MetricsTable {
    listen: Field<MetricsAddress>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PeerTable {
    address: Field<PeerAddress>,
    encoding: Field<Encoding>,
}

impl Root {
    fn into_layer(self, source: &Source<'_>) -> Layer {
        let (Table(inbox), Table(text), Table(log)) = (self.inbox, self.text, self.log);
        let (Table(access), Table(control)) = (self.access, self.control);
        let (Table(metrics), Table(peers)) = (self.metrics, self.peers);
        let path = |field: Field<AbsolutePath>| -> Option<Setting<PathBuf>> {
            source.locate(field).map(|setting| setting.map(|path| path.0))
        };
        Layer {
            listen: source.locate(self.listen),
            groups: source.locate(self.groups),
            data_dir: path(self.data_dir),
            receive_buffer: source.locate(self.receive_buffer),
            socket: path(self.socket),
            max_size: source.locate(inbox.max_size),
            max_age: source.locate(inbox.max_age),
            encoding: source.locate(text.encoding),
            fallback: source.locate(text.fallback),
            level: source.locate(log.level),
            format: source.locate(log.format),
            messages_per_second: source.locate(log.messages_per_second).map(|setting| setting.map(|n| n.0)),
            allow: source.locate(access.allow),
            deny: source.locate(access.deny),
            read: source.locate(control.read),
            send: source.locate(control.send),
            admin: source.locate(control.admin),
            metrics_listen: source.locate(metrics.listen),
            peers: peers.into_iter().map(|(name, peer)| (name, peer_layer(peer, source))).collect(),
        }
    }
}

fn peer_layer(peer: Spanned<Table<PeerTable>>, source: &Source<'_>) -> PeerLayer {
    let origin = source.origin(&peer);
    let Table(peer) = peer.into_inner();
    PeerLayer { origin, address: source.locate(peer.address), encoding: source.locate(peer.encoding) }
}

#[cfg(test)]
mod tests;
