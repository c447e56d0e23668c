//! The source of a replay: the inbox, a file that `export` wrote, or a capture.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::fd::AsFd;
use std::path::Path;

use serde::Deserialize;
use serde_json::error::Category;
use tokio::io::{AsyncReadExt, Chain};
use tokio::sync::mpsc;
use udpchat_api::call::DirectionFilter;
use udpchat_api::line::{LineError, LineReader};
use udpchat_api::{Direction, Raw, Timestamp};
use udpchat_config::Need;
use udpchat_locale::tr;

use super::args::ReplayArgs;
use super::capture::{self, MAGIC_BYTES};
use super::item::{Item, Recorded};
use crate::command::context::Context;
use crate::command::filter::Filter;
use crate::command::pages::Pages;
use crate::command::senders;
use crate::error::{CtlError, Exit, Result};
use crate::output::Reached;

/// The entries of a recording, in order.
pub(super) enum Source {
    Inbox(Box<Stored>),
    File(Box<Written>),
    Capture(mpsc::Receiver<Result<Item>>),
}

/// Entries of the inbox.
pub(super) struct Stored {
    pages: Pages,
    items: VecDeque<Item>,
    cursor: u64,
    direction: DirectionFilter,
}

/// Lines of a file.
pub(super) struct Written {
    lines: LineReader<Chain<Cursor<Vec<u8>>, tokio::fs::File>>,
    name: String,
    number: u64,
    direction: DirectionFilter,
}

/// The parts of an entry that a replay needs.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Entry {
    Message {
        #[serde(default)]
        id: Option<u64>,
        at: Timestamp,
        direction: Direction,
        raw: Raw,
        #[serde(default)]
        error: Option<String>,
    },
    Gap {},
    Notice {},
}

impl Source {
    /// Opens the file, or selects messages of the inbox; by default received ones.
    pub(super) async fn open(context: &Context<'_>, arguments: &ReplayArgs) -> Result<Self> {
        let mut filter =
            Filter::of(&arguments.filter, crate::time::now)?.of_conditions(&arguments.conditions);
        let direction = *filter.direction.get_or_insert(DirectionFilter::In);
        if let Some(path) = &arguments.file {
            return Self::of_file(path, direction, arguments.filter.direction.is_some());
        }
        let mut client = context.connect().await?;
        senders::resolve(&mut client, &mut filter.from).await?;
        senders::resolve(&mut client, &mut filter.not_from).await?;
        let pages = Pages::select(client, &filter, arguments.filter.number).await?;
        let cursor = pages.span().after;
        Ok(Self::Inbox(Box::new(Stored { pages, items: VecDeque::new(), cursor, direction })))
    }

    fn of_file(path: &Path, direction: DirectionFilter, is_direction_given: bool) -> Result<Self> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { tr!("standard input").to_owned() } else { path.display().to_string() };
        let file = match is_stdin {
            true => std::io::stdin().as_fd().try_clone_to_owned().map(File::from),
            false => File::open(path),
        };
        let file = file.map_err(|error| unreadable(&name, &error))?;
        let mut magic = Vec::new();
        (&file).take(MAGIC_BYTES).read_to_end(&mut magic).map_err(|error| unreadable(&name, &error))?;
        if !capture::is_capture(&magic) {
            return Ok(Self::File(Box::new(Written::new(magic, file, name, direction))));
        }
        if is_direction_given {
            return Err(CtlError::usage(tr!(
                "--direction does not apply to a capture, whose packets have none"
            )));
        }
        Ok(Self::Capture(capture::packets(magic, file, name)))
    }

    /// Returns the next entry; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Self::Inbox(stored) => stored.next().await,
            Self::File(written) => written.next().await,
            Self::Capture(packets) => packets.recv().await.transpose(),
        }
    }

    /// Returns a note on a number of `--where` that no message has had.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Inbox(stored) => stored.pages.note(),
            Self::File(_) | Self::Capture(_) => None,
        }
    }

    /// Returns the progress when `done` messages are sent.
    pub(super) fn reached(&self, done: u64) -> Reached {
        let looked_at = match self {
            Self::Inbox(stored) => {
                let span = stored.pages.span();
                Some((stored.cursor.saturating_sub(span.after), span.ids()))
            }
            Self::File(_) | Self::Capture(_) => None,
        };
        Reached { done, looked_at, total: None }
    }
}

impl Stored {
    async fn next(&mut self) -> Result<Option<Item>> {
        while self.items.is_empty() {
            let Some(page) = self.pages.next().await? else { return Ok(None) };
            self.cursor = page.next;
            for entry in page.entries.iter() {
                let item =
                    item(entry.as_bytes(), self.direction, |id| format!("#{}", id.unwrap_or_default()));
                self.items.push_back(item.map_err(|error| {
                    let what = tr!("the answer of the daemon contains an invalid entry");
                    CtlError::new(Exit::Failed, "protocol", what).caused_by(&error)
                })?);
            }
        }
        Ok(self.items.pop_front())
    }
}

impl Written {
    /// Creates it for a file of which `beginning` was read already.
    fn new(beginning: Vec<u8>, file: File, name: String, direction: DirectionFilter) -> Self {
        let file = AsyncReadExt::chain(Cursor::new(beginning), tokio::fs::File::from_std(file));
        Self { lines: LineReader::new(file), name, number: 0, direction }
    }

    async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            self.number += 1;
            let line = match self.lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(LineError::Io(error)) => return Err(unreadable(&self.name, &error)),
                Err(error @ LineError::TooLong) => {
                    return Err(self.invalid(&[]).caused_by(&error));
                }
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let number = self.number;
            let item = item(line, self.direction, |_| tr!("line {number}", number));
            return match item {
                Ok(item) => Ok(Some(item)),
                Err(error) => {
                    let what = match error.classify() {
                        Category::Data => tr!("the line is JSON, but not a whole entry"),
                        _ => tr!("the line is not JSON"),
                    };
                    let line = line.to_vec();
                    Err(self.invalid(&line).caused_by(&std::io::Error::other(what)))
                }
            };
        }
    }

    fn invalid(&self, line: &[u8]) -> CtlError {
        let error = CtlError::usage(tr!("invalid entry: not in the format of `export`"));
        let what = if self.number == 1 { known_format(line) } else { None };
        let formats = || tr!("a file is JSON Lines of `udpchatctl export`, or a capture (pcap or pcapng)");
        error.at_line(self.number).hint(what.unwrap_or_else(formats))
    }
}

fn item(
    entry: &[u8],
    wanted: DirectionFilter,
    place: impl FnOnce(Option<u64>) -> String,
) -> serde_json::Result<Item> {
    Ok(match serde_json::from_slice(entry)? {
        Entry::Gap {} => Item::Gap,
        Entry::Notice {} => Item::Notice,
        Entry::Message { direction, .. } if !is_wanted(direction, wanted) => Item::OtherDirection,
        Entry::Message { error: Some(_), .. } => Item::NeverSent,
        Entry::Message { id, at, raw, .. } => Item::Message(Recorded { place: place(id), at, raw }),
    })
}

fn is_wanted(direction: Direction, wanted: DirectionFilter) -> bool {
    match wanted {
        DirectionFilter::Both => true,
        DirectionFilter::In => direction == Direction::In,
        DirectionFilter::Out => direction == Direction::Out,
    }
}

/// Returns what to do with a file of another format that begins like this.
fn known_format(beginning: &[u8]) -> Option<&'static str> {
    let formats: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", tr!("the file is compressed: unpack it first, with gunzip")),
        (b"\x28\xb5\x2f\xfd", tr!("the file is compressed: unpack it first, with zstd -d")),
        (b"\xfd7zXZ", tr!("the file is compressed: unpack it first, with unxz")),
        (
            b"SQLite format 3",
            tr!("the file is a database: a daemon with a copy of that data directory can export it"),
        ),
        (b"PK", tr!("the file is a zip archive: unpack it first")),
    ];
    formats.into_iter().find(|(magic, _)| beginning.starts_with(magic)).map(|(_, hint)| hint)
}

fn unreadable(name: &str, error: &std::io::Error) -> CtlError {
    CtlError::failed(tr!("cannot read {path}", path = name)).caused_by_file(
        Path::new(name),
        Need::Read,
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &str, wanted: DirectionFilter) -> serde_json::Result<Item> {
        item(entry.as_bytes(), wanted, |id| format!("{id:?}"))
    }

    const MESSAGE: &str =
        r#"{"type":"message","id":7,"at":"2026-11-22T14:03:05.5Z","direction":"in","raw":"AAE=","new":{}}"#;

    #[test]
    fn only_fields_needed_for_sending_are_required() {
        let item = read(MESSAGE, DirectionFilter::In).unwrap();
        let Item::Message(message) = item else { panic!("{item:?}") };
        assert_eq!((message.place.as_str(), message.raw), ("Some(7)", Raw(vec![0, 1])));
        assert_eq!(message.at, "2026-11-22T14:03:05.5Z".parse().unwrap());
        for part in [r#""type":"message","#, r#""at":"2026-11-22T14:03:05.5Z","#, r#""direction":"in","#] {
            assert!(read(&MESSAGE.replace(part, ""), DirectionFilter::In).is_err(), "{part}");
        }
        for invalid in ["", "7", "{}", "[]", "null", r#"{"type":"news"}"#, &MESSAGE.replace("AAE=", "?")] {
            assert!(read(invalid, DirectionFilter::Both).is_err(), "{invalid}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (beginning, name) in [(&b"\x1f\x8b\x08"[..], "gunzip"), (b"SQLite format 3\0", "database")] {
            assert!(known_format(beginning).unwrap().contains(name));
        }
        assert_eq!(known_format(b"{}"), None);
    }

    #[test]
    fn skipped_entries_are_distinguished() {
        let out = MESSAGE.replace(r#""in""#, r#""out""#);
        let refused = out.replace(r#""new":{}"#, r#""error":"no route""#);
        assert_eq!(read(MESSAGE, DirectionFilter::Out).unwrap(), Item::OtherDirection);
        assert_eq!(read(&out, DirectionFilter::In).unwrap(), Item::OtherDirection);
        assert!(matches!(read(&out, DirectionFilter::Both).unwrap(), Item::Message(_)));
        assert_eq!(read(&refused, DirectionFilter::Out).unwrap(), Item::NeverSent);
        let gap = r#"{"type":"gap","id":813,"at":"2026-11-22T06:03:06Z","lost":37,"reason":"queue_full"}"#;
        assert_eq!(read(gap, DirectionFilter::Out).unwrap(), Item::Gap);
    }
}
