//! The pages of a database that may be damaged: each in its newest version, from the write-ahead log or from the file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::MAX_PLAUSIBLE_ID;
use super::btree::{self, INNER_INDEX, INNER_TABLE, LEAF_INDEX, LEAF_TABLE, Value};
use super::plan::{self, Segment};
use super::skipped;
use super::wal::Frames;
use crate::inbox::file::suffixed;

/// The page size of our files, in bytes, where no header says another.
const USUAL_PAGE_BYTES: usize = 16 * 1024;

/// The offset of the bytes that SQLite locks, in bytes; their page is never used.
const LOCK_BYTES_AT: usize = 1 << 30;

/// The depth of a tree at most; a longer path is a loop.
const MAX_DEPTH: usize = 20;

/// Up to which page the root of a table is searched where the schema is damaged. New files have those of their tables in front.
const MAX_ROOT: u32 = 64;

/// How many pages of a small table are read at most.
const MAX_TABLE_PAGES: usize = 4_096;

/// The use of a page, by the pointer map of a database with `auto_vacuum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Tree,
    Free,
    /// The first overflow page of a cell of this page.
    FirstOverflow(u32),
    /// The overflow page behind this one.
    Overflow(u32),
    Unknown,
}

/// Which version of a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// From the newest valid frame of the write-ahead log.
    Newest,
    /// From the newest frame that SQLite accepts.
    Accepted,
}

/// A database that is read page by page.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    frames: Option<Frames>,
    pub(super) page_bytes: usize,
    /// How many pages the file has; the last one may be incomplete.
    in_file: u32,
    /// How many pages the database seems to have.
    count: u32,
    has_map: bool,
    /// Pages of the pointer map; empty where one is damaged.
    maps: HashMap<u32, Vec<u8>>,
}

impl Pages {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut header = [0; 100];
        // A header that cannot be read is as good as one that is damaged.
        let _read = read_some(&file, 0, &mut header);
        let page_bytes = page_bytes(&header);
        let frames = Frames::read(&suffixed(path, "-wal"), page_bytes)?;
        let in_log = frames.as_ref().and_then(|frames| frames.newest.keys().max().copied()).unwrap_or(0);
        let in_frames = frames.as_ref().map_or(0, |frames| frames.newest.len());
        let in_frames = u32::try_from(in_frames).unwrap_or(u32::MAX);
        let in_file = u32::try_from(length.div_ceil(page_bytes as u64)).unwrap_or(u32::MAX);
        let mut pages = Self {
            file,
            frames,
            page_bytes,
            in_file,
            // A page number in a log may be any; behind the file, the log has no more pages than frames.
            count: in_file.max(in_log.min(in_file.saturating_add(in_frames))),
            has_map: true,
            maps: HashMap::new(),
        };
        // The first page in the map is the root of the first table.
        let map = pages.read(2);
        let is_map = map.is_some_and(|map| map.starts_with(&[1, 0, 0, 0, 0]));
        pages.has_map = is_map || header[52..56] != [0; 4];
        Ok(pages)
    }

    /// Returns the numbers of the pages that are in the file or in the log. A file that was cut off has fewer than its log.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let in_log = self.frames.iter().flat_map(|frames| frames.newest.keys().copied());
        let mut behind: Vec<u32> = in_log.filter(|number| *number > self.in_file).collect();
        behind.sort_unstable();
        (1..=self.in_file).chain(behind)
    }

    /// Returns the newest version of a page; none if it is neither in the file nor in the log. What is missing of it is 0.
    pub(super) fn read(&self, number: u32) -> Option<Vec<u8>> {
        self.read_version(number, Version::Newest)
    }

    fn read_version(&self, number: u32, version: Version) -> Option<Vec<u8>> {
        let in_log = self.frames.as_ref().and_then(|frames| {
            let of_page = match version {
                Version::Newest => &frames.newest,
                Version::Accepted => &frames.accepted,
            };
            of_page.get(&number).map(|at| (frames, *at))
        });
        if number == 0 || (number > self.in_file && in_log.is_none()) {
            return None;
        }
        let mut page = vec![0; self.page_bytes];
        if let Some((frames, at)) = in_log
            && frames.content(at, &mut page).is_ok()
        {
            return Some(page);
        }
        let at = u64::from(number - 1) * self.page_bytes as u64;
        // A sector that cannot be read is as good as an empty one.
        if read_some(&self.file, at, &mut page).is_err() {
            page.fill(0);
        }
        Some(page)
    }

    /// Returns the use of a page.
    pub(super) fn use_of(&mut self, number: u32) -> Use {
        if !self.has_map || number < 3 {
            return Use::Unknown;
        }
        let map = self.map_of(number);
        // Beside the bytes that SQLite locks, the map follows the page that it would have been.
        if map >= number {
            return Use::Free;
        }
        let at = 5 * (number - map - 1) as usize;
        if !self.maps.contains_key(&map) {
            // One after the other is used.
            if self.maps.len() >= 64 {
                self.maps.clear();
            }
            let page = self.read(map).filter(|page| self.is_sound_map(map, page));
            self.maps.insert(map, page.unwrap_or_default());
        }
        let Some([kind, parent @ ..]) = self.maps[&map].get(at..at + 5) else { return Use::Unknown };
        let parent = u32::from_be_bytes([parent[0], parent[1], parent[2], parent[3]]);
        match kind {
            1 | 5 => Use::Tree,
            2 => Use::Free,
            3 => Use::FirstOverflow(parent),
            4 => Use::Overflow(parent),
            _ => Use::Unknown,
        }
    }

    /// Returns whether a page of the pointer map has a valid use for each page that it describes.
    fn is_sound_map(&self, number: u32, map: &[u8]) -> bool {
        let described = (self.count.saturating_sub(number) as usize).min(self.page_bytes / 5);
        map.chunks_exact(5).take(described).all(|use_of| matches!(use_of[0], 1..=5))
    }

    /// Returns the page of the pointer map that describes a page.
    fn map_of(&self, number: u32) -> u32 {
        let each = u32::try_from(self.page_bytes / 5 + 1).unwrap_or(u32::MAX);
        let map = (number - 2) / each * each + 2;
        if map as usize == LOCK_BYTES_AT / self.page_bytes + 1 { map + 1 } else { map }
    }

    /// Returns names and root pages of the tables and indexes, as far as the first page shows them.
    fn schema(&self, version: Version) -> Vec<(String, u32)> {
        let Some(page) = self.read_version(1, version) else { return Vec::new() };
        let mut found = Vec::new();
        for cell in btree::leaf_cells(&page, 100) {
            let Some(payload) = cell.whole() else { continue };
            if let Some([_, Value::Text(name), _, Value::Int(root), ..]) = btree::record(payload).as_deref()
                && let Ok(name) = std::str::from_utf8(name)
            {
                found.push((name.to_owned(), u32::try_from(*root).unwrap_or(0)));
            }
        }
        found
    }

    /// Returns whether the first page shows all tables and indexes.
    fn has_whole_schema(&self) -> bool {
        self.read(1).is_some_and(|page| btree::is_whole_leaf(&page, 100))
    }

    pub(super) fn root(&self, table: &str, version: Version) -> Option<u32> {
        self.schema(version).into_iter().find_map(|(name, root)| (name == table).then_some(root))
    }

    /// Returns the ids of the first or the last leaf of the table `entry`, by the path along that side of its tree; none if
    /// that path is damaged, or leads to ids that do not belong there.
    fn outermost_ids(&self, last: bool, version: Version) -> Option<Vec<u64>> {
        let mut number = self.root("entry", version)?;
        let mut expected = i64::MIN..=i64::MAX;
        for _ in 0..MAX_DEPTH {
            let page = self.read_version(number, version)?;
            match *page.first()? {
                INNER_TABLE => {
                    let children = btree::children(&page)?;
                    let child = if last { children.last() } else { children.first() }?;
                    let (first, last) =
                        (*expected.start().max(&child.first), *expected.end().min(&child.last));
                    (number, expected) = (child.page, first..=last);
                }
                LEAF_TABLE => {
                    let ids = btree::entry_ids(&page);
                    let are_expected = ids.iter().all(|id| expected.contains(&id.cast_signed()));
                    return (are_expected && ids.len() == btree::cell_count(&page, 0)).then_some(ids);
                }
                _ => return None,
            }
        }
        None
    }

    /// Calls `visit` with each leaf page of a table, in the order of its ids, as far as they can be read.
    pub(super) fn for_each_leaf(&self, root: u32, mut visit: impl FnMut(&[u8])) {
        let mut left = vec![root];
        // Damaged pages may lead in a circle.
        let mut pages = 0;
        while let Some(number) = left.pop().filter(|_| pages < MAX_TABLE_PAGES) {
            pages += 1;
            let Some(page) = self.read(number) else { continue };
            match page[0] {
                INNER_TABLE => {
                    let children = btree::children(&page).unwrap_or_default();
                    left.extend(children.iter().rev().map(|child| child.page));
                }
                LEAF_TABLE => visit(&page),
                _ => {}
            }
        }
    }

    /// Returns the pages of the index-like tree of a table without row ids, as far as they can be read.
    pub(super) fn index_pages(&self, root: u32) -> Vec<Vec<u8>> {
        let (mut left, mut pages) = (vec![root], Vec::new());
        while let Some(number) = left.pop().filter(|_| pages.len() < MAX_TABLE_PAGES) {
            let Some(page) = self.read(number) else { continue };
            match page[0] {
                INNER_INDEX => left.extend(btree::index_children(&page)),
                LEAF_INDEX => {}
                _ => continue,
            }
            pages.push(page);
        }
        pages
    }

    /// Returns the whole payload of a cell; none if its overflow pages end before.
    pub(super) fn whole_payload(&self, cell: &btree::Cell<'_>) -> Option<Vec<u8>> {
        let (mut payload, mut next) = (cell.local.to_vec(), cell.overflow);
        while payload.len() < cell.length {
            let content = self.read(next)?;
            let length = (content.len() - 4).min(cell.length - payload.len());
            payload.extend_from_slice(&content[4..4 + length]);
            next = u32::from_be_bytes(content[..4].try_into().ok()?);
        }
        Some(payload)
    }

    /// Returns the first id of the log, as its table `log` says.
    fn first_id(&self, version: Version) -> Option<u64> {
        let page = self.read_version(self.root("log", version)?, version)?;
        let cell = btree::leaf_cells(&page, 0).next()?;
        match btree::record(cell.whole()?)?.as_slice() {
            [Value::Null, Value::Int(first), Value::Int(_), Value::Text(_)] => u64::try_from(*first).ok(),
            _ => None,
        }
    }

    /// Returns the newest id in the pages of the write-ahead log.
    fn newest_in_log(&self) -> Option<u64> {
        let frames = self.frames.as_ref()?;
        let pages = frames.newest.keys().filter_map(|number| self.read(*number));
        let leaves = pages.filter(|page| page.first() == Some(&LEAF_TABLE));
        leaves.filter_map(|page| btree::entry_ids(&page).last().copied()).max()
    }

    fn known_ids(&self) -> KnownIds {
        let first = self.first_id(Version::Newest);
        let last_leaf = self.outermost_ids(true, Version::Newest);
        let found = last_leaf.iter().flatten().copied().chain(self.newest_in_log());
        let found = found.chain(first.map(|first| first.saturating_sub(1)));
        KnownIds {
            oldest: self.outermost_ids(false, Version::Newest).and_then(|ids| ids.first().copied()),
            first,
            newest: found.filter(|id| *id <= MAX_PLAUSIBLE_ID).max().unwrap_or(0),
        }
    }

    /// Returns the plan of a recovery into this database, in the order of ids, and whether all of it could be read.
    fn unfinished(&mut self, data_dir: &Path) -> (Vec<Segment>, bool) {
        let segment = |cell: btree::Cell<'_>| match btree::record(cell.whole()?)?.as_slice() {
            [Value::Null, Value::Int(last), Value::Text(file)] => {
                Segment::of(u64::try_from(cell.rowid).ok()?, u64::try_from(*last).ok()?, file, data_dir)
            }
            _ => None,
        };
        let roots = self.possible_roots(plan::TABLE);
        let may_have_plan = !roots.is_empty();
        let (mut segments, mut leaves, mut is_whole) = (Vec::new(), 0, true);
        let mut read = |page: &[u8]| {
            let before = segments.len();
            segments.extend(btree::leaf_cells(page, 0).filter_map(segment));
            leaves += 1;
            is_whole &= segments.len() - before == btree::cell_count(page, 0);
        };
        roots.into_iter().for_each(|root| self.for_each_leaf(root, &mut read));
        segments.sort_by_key(|segment| segment.first);
        segments.dedup_by(|next, before| next.first <= before.last);
        (segments, !may_have_plan || (leaves > 0 && is_whole))
    }

    /// Returns the ids that the log has skipped, as far as they can be read, in rising order.
    fn skipped(&mut self) -> Vec<skipped::Ids> {
        let ids = |cell: btree::Cell<'_>| match btree::record(cell.whole()?)?.as_slice() {
            [Value::Null, Value::Int(last)] => skipped::ids_of(cell.rowid, *last),
            _ => None,
        };
        let mut ranges = Vec::new();
        for root in self.possible_roots(skipped::TABLE) {
            self.for_each_leaf(root, |page| ranges.extend(btree::leaf_cells(page, 0).filter_map(ids)));
        }
        ranges.sort_unstable();
        ranges.dedup();
        ranges
    }

    /// Returns the pages that may be the root of a table whose rows look like no others. There are several where the schema is
    /// damaged, and none if there is no such table.
    fn possible_roots(&mut self, table: &str) -> Vec<u32> {
        match self.root(table, Version::Newest) {
            Some(root) => vec![root],
            None if self.has_whole_schema() => Vec::new(),
            None => (2..=MAX_ROOT).filter(|number| self.use_of(*number) != Use::Free).collect(),
        }
    }
}

/// The ids that a damaged database had, as far as they are known without reading all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownIds {
    /// The oldest id, if it is certain.
    pub(crate) oldest: Option<u64>,
    /// The first id that the log ever had.
    pub(crate) first: Option<u64>,
    /// The newest id that was found; 0 if none was.
    pub(crate) newest: u64,
}

/// Returns the ids that a damaged database had.
pub(crate) fn known_ids(path: &Path) -> KnownIds {
    Pages::open(path).map(|pages| pages.known_ids()).unwrap_or_default()
}

/// What a damaged database shows without reading all of it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) known: KnownIds,
    /// What the plan of a recovery into it still has.
    pub(crate) unfinished: Vec<Segment>,
    /// Whether all of that plan could be read, if there may be one.
    pub(crate) has_whole_plan: bool,
    /// The ids that the log has skipped.
    pub(crate) skipped: Vec<skipped::Ids>,
}

/// Surveys a damaged database, as far as it can be read.
pub(crate) fn survey(path: &Path, data_dir: &Path) -> Survey {
    let Ok(mut pages) = Pages::open(path) else { return Survey::default() };
    let (unfinished, has_whole_plan) = pages.unfinished(data_dir);
    Survey { known: pages.known_ids(), unfinished, has_whole_plan, skipped: pages.skipped() }
}

/// Returns the ids that the log of a damaged database has skipped, as far as they can be read, in rising order.
pub(crate) fn skipped_ids(path: &Path) -> Vec<skipped::Ids> {
    Pages::open(path).map(|mut pages| pages.skipped()).unwrap_or_default()
}

/// Returns the names of the tables and indexes that a database has.
pub(crate) fn schema_tables(path: &Path) -> BTreeSet<String> {
    let Ok(pages) = Pages::open(path) else { return BTreeSet::new() };
    pages.schema(Version::Newest).into_iter().map(|(name, _)| name).collect()
}

/// Returns whether the first page has a schema that can be read, of whatever program. One without any table counts too.
pub(crate) fn has_schema(path: &Path) -> bool {
    let Some(page) = Pages::open(path).ok().and_then(|pages| pages.read(1)) else { return false };
    let cells = btree::cell_count(&page, 100);
    match page[100] {
        // A long definition need not be in the page.
        LEAF_TABLE => btree::leaf_cells(&page, 100).count() == cells,
        INNER_TABLE => cells > 0,
        _ => false,
    }
}

/// What is behind the last transaction that SQLite accepts of a write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEnd {
    Nothing,
    /// A part of a transaction that was not committed.
    Remains,
    /// Committed transactions, behind a damaged frame.
    Lost,
}

/// Returns what is behind the end of the write-ahead log beside a database.
///
/// `durable` is the newest entry that was durable, if that is known; `same_boot` whether the system runs since then. After a
/// power cut, frames of the last transaction may be missing, which was not yet synced: that is no damage. Each transaction is synced
/// before the next one is written.
pub(crate) fn log_end(path: &Path, durable: Option<u64>, same_boot: bool) -> LogEnd {
    let Ok(pages) = Pages::open(path) else { return LogEnd::Nothing };
    let Some(frames) = pages.frames.as_ref().filter(|frames| frames.has_more) else {
        return LogEnd::Nothing;
    };
    let may_be_unsynced = !same_boot && durable.is_some();
    if frames.commits_behind > u32::from(may_be_unsynced) {
        return LogEnd::Lost;
    }
    let Some(ids) = pages.outermost_ids(true, Version::Accepted) else { return LogEnd::Lost };
    let begins_behind = pages.first_id(Version::Accepted).map_or(0, |first| first.saturating_sub(1));
    let newest = ids.last().copied().unwrap_or(0).max(begins_behind);
    if newest < durable.unwrap_or(0) { LogEnd::Lost } else { LogEnd::Remains }
}

fn page_bytes(header: &[u8; 100]) -> usize {
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes if bytes >= 512 && bytes.is_power_of_two() => bytes.into(),
        _ => USUAL_PAGE_BYTES,
    }
}

/// Reads up to the end of the file; returns how much.
fn read_some(file: &File, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], at + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
