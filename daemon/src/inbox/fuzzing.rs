//! What fuzz targets call of the inbox: rows of the log, the page of the in-flight journal, and what recovery reads.
#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};
use tokio::sync::watch;
use udpchat_config::Settings;

use super::address::pack;
use super::entry::{Body, GapDetail, Kind, Stored};
use super::file::{self, FILE_NAME, OpenError};
use super::inflight::InflightJournal;
use super::reader::{Range, Reader};
use super::recovery::plan::{self, Segment};
use super::recovery::salvage::Salvage;
use super::recovery::segment;
use super::writer::{Parts, Writer};
use crate::health::Health;
use crate::index::checksum;
use crate::net::platform;
use crate::service::data_dir::DataDir;
use crate::service::watchdog::Heartbeat;

/// A row of the log, as bytes of any content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The id.
    pub id: u32,
    /// The time in nanoseconds since 1970.
    pub at_ns: i64,
    /// The number of the kind.
    pub kind: i64,
    /// The columns.
    pub peer: Option<Vec<u8>>,
    /// The local address.
    pub local: Option<Vec<u8>>,
    /// The datagram.
    pub payload: Option<Vec<u8>>,
    /// JSON, or anything else.
    pub detail: Option<Vec<u8>>,
}

/// An inbox that a target writes.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    connection: Connection,
    reader: Reader,
}

/// How a row reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// The row as the writer would write it; none if it cannot be read.
    pub written: Option<Row>,
    /// Whether recovery finds it.
    pub is_recovered: bool,
}

impl Log {
    /// Creates an empty inbox in a folder.
    pub fn create(folder: &Path) -> Self {
        let connection = file::open_unused(folder, &|| ()).unwrap().connection;
        let reader = Reader::new(folder);
        reader.publish(u64::MAX);
        Self { folder: folder.to_owned(), connection, reader }
    }

    /// Writes directly to the file, which is faster.
    #[must_use]
    pub fn without_durability(self) -> Self {
        self.connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(())).unwrap();
        self.connection.pragma_update(None, "synchronous", "OFF").unwrap();
        self
    }

    /// Adds a row; false if the table refuses it.
    pub fn add(&self, row: &Row) -> bool {
        let insert = "INSERT INTO entry (id, at_ns, kind, peer, local, payload, detail)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS TEXT))";
        let values = params![row.id, row.at_ns, row.kind, row.peer, row.local, row.payload, row.detail];
        self.connection.execute(insert, values).is_ok()
    }

    /// Removes all rows.
    pub fn clear(&self) {
        self.connection.execute("DELETE FROM entry", []).unwrap();
        self.reader.damage().reset(Vec::new(), None, || {});
    }

    /// Adds the plan of a recovery.
    pub fn plan_recovery(&self, first: u64, last: u64, file: &str) {
        plan::add(&self.connection, &self.folder, &[Segment { first, last, file: file.into() }]).unwrap();
    }

    /// Reads the only row, as clients do and as recovery does.
    pub fn read(&self) -> Reading {
        let mut read = None;
        let all = Range { received: true, sent: true, gaps: true, notices: true, ..Range::default() };
        let visit = |entry| {
            assert!(read.replace(entry).is_none(), "one row is one entry");
            ControlFlow::Continue(())
        };
        self.reader.scan(&all, visit, || true).unwrap();
        let is_damaged = !self.reader.damage().within(0..=u64::MAX).is_empty();
        let written = read.filter(|_| !is_damaged).map(written);
        let path = self.folder.join(FILE_NAME);
        let mut salvage = Salvage::open(&path, vec![(1, u64::MAX)], &|| true).unwrap().unwrap();
        let found = salvage.next_rows((1, u64::MAX), 1, &|| true).unwrap();
        Reading { written, is_recovered: !found.rows.is_empty() }
    }

    /// Starts with an in-flight journal of any content. Returns how many datagrams it reports as lost, at this start and at
    /// another one directly after it.
    pub fn compare_journal(&self, page: &[u8]) -> [u64; 2] {
        fs::write(self.folder.join("books"), page).unwrap();
        [(); 2].map(|()| {
            let mut journal = InflightJournal::open(&self.folder, &Arc::new(Health::default()));
            journal.compare(&self.connection, false).unwrap();
            let (_, lost) = journal.carry_over();
            journal.save();
            lost.losses().fold(0_u64, |sum, (_, lost)| sum.saturating_add(lost))
        })
    }
}

/// Returns an entry as the writer writes it.
fn written(Stored { id, at_ns, body, recoded }: Stored) -> Row {
    let packed = |address| Some(pack(address).as_slice().to_vec());
    let json = |value: serde_json::Result<String>| Some(value.unwrap().into_bytes());
    let mut row = Row { id: id.try_into().unwrap(), at_ns, ..Row::default() };
    match body {
        Body::Received { peer, local, payload } => {
            row.kind = Kind::Received as i64;
            (row.peer, row.local, row.payload) = (packed(peer), local.and_then(packed), Some(payload));
            row.detail = recoded.map(|encoding| format!(r#"{{"recoded":"{encoding}"}}"#).into_bytes());
        }
        Body::Sent { peer, local, payload, detail } => {
            row.kind = Kind::Sent as i64;
            (row.peer, row.local, row.payload) = (packed(peer), local.and_then(packed), Some(payload));
            row.detail = json(serde_json::to_string(&detail));
        }
        Body::Gap(gap) => {
            row.kind = Kind::Gap as i64;
            row.detail = json(serde_json::to_string(&gap));
        }
        Body::Notice(notice) => {
            row.kind = Kind::Notice as i64;
            row.detail = json(serde_json::to_string(&notice));
        }
    }
    row
}

/// Gives a page of the in-flight journal the checksum of its content, where that has a plausible length.
pub fn seal_page(page: &mut [u8; 512]) {
    let (slots, _) = page.as_chunks_mut::<8>();
    let word = |at: usize| u64::from_le_bytes(slots[at]);
    let sockets = usize::try_from(word(9)).unwrap_or(usize::MAX);
    let used = match slots[0][7] {
        1 => sockets.saturating_add(10),
        _ => sockets.saturating_mul(2).saturating_add(12),
    };
    if used <= slots.len() {
        slots[1] = checksum::sum(word(0), &slots[2..used]).to_le_bytes();
    }
}

/// The ids in a file, as recovery passes them on.
pub fn salvaged_ids(file: &Path, first: u64, last: u64) -> Vec<u64> {
    let (mut ids, mut expected) = (Vec::new(), first);
    let segment = Segment { first, last, file: file.to_owned() };
    let whole = segment::recover(&[segment], &|| true, |chunk| {
        assert!(chunk.first == expected && chunk.next > chunk.first, "chunks follow one another");
        expected = chunk.next;
        ids.extend(chunk.rows.iter().map(|row| row.id));
        assert!(ids.last().is_none_or(|last| *last < chunk.next));
        true
    });
    assert!(whole.unwrap());
    assert_eq!(expected, last + 1, "the chunks cover the segment");
    ids
}

/// Writes the in-flight journal of a daemon whose newest durable entry was this one, in this boot of the machine or before it.
pub fn write_journal(folder: &Path, newest: u64, this_boot: bool) {
    let mut page = [0; 512];
    let boot_id = if this_boot { platform::boot_id().unwrap_or(0) } else { 1 };
    let words = [u64::from_le_bytes(*b"udpbook\x02"), 0, newest, newest, 0, 0, 0, 0, 0, 0];
    let words = words.into_iter().chain([boot_id as u64, (boot_id >> 64) as u64]);
    page.chunks_exact_mut(8).zip(words).for_each(|(slot, word)| slot.copy_from_slice(&word.to_le_bytes()));
    seal_page(&mut page);
    fs::write(folder.join("books"), page).unwrap();
}

/// Opens the inbox of a folder as the writer does at a start; returns the next id. None if the file is refused: it is newer, or
/// of another program.
pub(crate) fn start(folder: &Path) -> Option<u64> {
    let (_sender, settings) = watch::channel(Arc::new(Settings::default_in(folder)));
    let parts = Parts {
        data_dir: Arc::new(DataDir::take(folder).unwrap()),
        queue: Arc::default(),
        reader: Arc::new(Reader::new(folder)),
        learned: Arc::default(),
        bounced_peers: Arc::default(),
        health: Arc::default(),
        settings,
        heartbeat: Heartbeat::unwatched(),
        kept: Arc::default(),
        interfaces: Arc::default(),
    };
    let open_journal = || InflightJournal::open(folder, &Arc::default());
    match Writer::open(parts, open_journal) {
        Ok((_writer, commits, _journal)) => Some(commits.now().newest_id + 1),
        Err(OpenError::Newer { .. } | OpenError::Foreign { .. }) => None,
        Err(error) => panic!("{}", crate::error::explain("the inbox cannot be opened", &error)),
    }
}

/// Reads all of an inbox; returns the first and the last id of each entry, which differ for a gap.
pub fn ids(folder: &Path) -> Vec<(u64, u64)> {
    let reader = Reader::new(folder);
    reader.publish(u64::MAX);
    let mut ids = Vec::new();
    let all = Range { received: true, sent: true, gaps: true, notices: true, ..Range::default() };
    let visit = |entry: Stored| {
        let first = match entry.body {
            Body::Gap(GapDetail { first_id: Some(first), .. }) => first,
            _ => entry.id,
        };
        ids.push((first, entry.id));
        ControlFlow::Continue(())
    };
    // What cannot be read at all is replaced by the writer.
    let _read = reader.scan(&all, visit, || true);
    ids
}
