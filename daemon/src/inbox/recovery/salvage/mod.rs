//! Reads the rows of a damaged inbox in the order of their ids.
//!
//! Inner pages are not needed: all leaf pages of the file are visited once to learn which ids they hold, then read in the
//! order of these ids. The pointer map says which pages are free, so that removed entries do not come back, and which
//! overflow page belongs to which cell.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use super::btree::{self, Cell, INNER_INDEX, LEAF_INDEX, LEAF_TABLE, Value};
use super::pages::{Pages, Use};
use crate::inbox::address::unpack;
use crate::inbox::entry::Body;
use crate::inbox::learned_encodings::GIVEN;
use crate::inbox::row::Columns;

/// The limits of what is held in memory.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How many leaf pages are remembered. A file with more is visited several times.
    leaves: usize,
    /// How many leaf pages are read before the rows that were found are returned, though they are few.
    pages: u32,
}

/// Leaf pages of 16 GiB, and 64 MiB of pages.
const LIMITS: Limits = Limits { leaves: 1 << 20, pages: 4_096 };

/// How many read marks and encodings of peers are taken over at most.
const MAX_MARKS: usize = 10_000;
const MAX_PEERS: usize = 10_000;

/// How many free pages are remembered at most, where the pointer map does not show them: those of 16 GiB.
const MAX_FREE_PAGES: usize = 1 << 20;

/// How many pages are visited between two questions whether to go on.
const PAGES_PER_STEP: u32 = 256;

/// The longest payload of a datagram, in bytes.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// A row of the table `entry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) at_ns: i64,
    pub(crate) kind: i64,
    pub(crate) peer: Option<Vec<u8>>,
    pub(crate) local: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) detail: Option<String>,
}

impl Row {
    /// Returns how much memory it takes, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.payload.as_ref().map_or(0, Vec::len)
    }

    /// Checks a record as readers do; none if this program does not write such a row.
    fn of(id: u64, values: &[Value<'_>]) -> Option<Self> {
        let [Value::Null, Value::Int(at_ns), Value::Int(kind), peer, local, payload, detail] = values else {
            return None;
        };
        let blob = |value: &Value<'_>| match value {
            Value::Null => Some(None),
            Value::Blob(bytes) => Some(Some(bytes.to_vec())),
            _ => None,
        };
        let detail = match detail {
            Value::Null => None,
            Value::Text(text) => Some(std::str::from_utf8(text).ok()?.to_owned()),
            _ => return None,
        };
        let row = Self {
            id,
            at_ns: *at_ns,
            kind: *kind,
            peer: blob(peer)?,
            local: blob(local)?,
            payload: blob(payload)?,
            detail,
        };
        row.is_valid().then_some(row)
    }

    fn is_valid(&self) -> bool {
        let columns = Columns {
            id: self.id,
            kind: self.kind,
            peer: self.peer.as_deref(),
            local: self.local.as_deref(),
            // Any bytes are a datagram.
            payload: None,
            detail: self.detail.as_deref(),
        };
        match columns.entry() {
            Ok((Body::Gap(_) | Body::Notice(_), _)) => self.peer.is_none() && self.payload.is_none(),
            Ok(_) => {
                self.local.as_deref().is_none_or(|local| unpack(local).is_some())
                    && self.payload.as_ref().is_none_or(|payload| payload.len() <= MAX_DATAGRAM_BYTES)
            }
            Err(_) => false,
        }
    }
}

/// What a damaged inbox holds besides entries.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Read marks of consumers.
    pub(crate) marks: BTreeMap<String, u64>,
    /// Packed addresses, encodings, and the entries these were learned from.
    pub(crate) peers: Vec<(Vec<u8>, String, u64)>,
}

/// A leaf page, with its first wanted id before its number.
type Leaf = (u64, u32);

/// Rows in rising order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// There are no further rows before this id.
    pub(crate) next: u64,
}

/// Reads a damaged inbox.
#[derive(Debug)]
pub(crate) struct Salvage {
    pages: Pages,
    /// The ranges of ids that are wanted, in rising order.
    wanted: Vec<(u64, u64)>,
    /// The ids before this one are no longer wanted.
    from: u64,
    /// Leaf pages with wanted rows that are not yet read, the last one first.
    leaves: Vec<Leaf>,
    limits: Limits,
    /// The first leaf page that is not among them because there were too many.
    rest: Option<Leaf>,
    /// The last wanted id of a leaf page that is certain; 0 if none is.
    last_id: u64,
    /// The ids of the leaf page that was visited before.
    before: (u64, u64),
    /// Rows that were read and are not yet returned.
    pending: BTreeMap<u64, Row>,
    others: Others,
}

impl Salvage {
    /// Visits the pages of a file, for the rows of these ranges of ids, which are in rising order. Asks `go_on` now and then;
    /// none if it refuses.
    pub(crate) fn open(
        path: &Path,
        wanted: Vec<(u64, u64)>,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        Self::with_limits(path, wanted, LIMITS, go_on)
    }

    fn with_limits(
        path: &Path,
        wanted: Vec<(u64, u64)>,
        limits: Limits,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let pages = Pages::open(path)?;
        let mut salvage = Self {
            pages,
            wanted,
            from: 0,
            leaves: Vec::new(),
            limits,
            rest: None,
            last_id: 0,
            before: (0, 0),
            pending: BTreeMap::new(),
            others: Others::default(),
        };
        let whole = salvage.visit(go_on);
        Ok(whole.then_some(salvage))
    }

    /// Returns the first wanted id that leaf pages have, and the last one that is certain, before any row was read.
    pub(crate) fn ids(&self) -> Option<(u64, u64)> {
        self.leaves.last().map(|(first, _)| (*first, self.last_id))
    }

    /// Returns read marks and encodings.
    pub(crate) fn take_others(&mut self) -> Others {
        std::mem::take(&mut self.others)
    }

    /// Returns the next rows from an id up to another, and up to this size in bytes, plus or minus a row; fewer where many pages
    /// have no readable row. None if `go_on` refuses.
    pub(crate) fn next_rows(
        &mut self,
        (first, last): (u64, u64),
        max_bytes: usize,
        go_on: &dyn Fn() -> bool,
    ) -> Option<Rows> {
        let (mut rows, mut bytes, mut pages) = (Vec::new(), 0, 0);
        self.from = self.from.max(first);
        while bytes < max_bytes {
            let next_leaf = self.leaves.last().copied().or(self.rest).map(|(first, _)| first);
            let next_row = self.pending.first_key_value().map(|(id, _)| *id);
            let Some(next) = next_leaf.into_iter().chain(next_row).min().filter(|next| *next <= last) else {
                self.from = self.from.max(last.saturating_add(1));
                break;
            };
            // What is found later comes behind `next`.
            if pages >= self.limits.pages && next > first {
                self.from = next;
                break;
            }
            // A row is next if no leaf that was not yet read can have one before it.
            if next_leaf.is_none_or(|first| next < first) {
                let Some((id, row)) = self.pending.pop_first() else { break };
                self.from = id + 1;
                bytes += row.size_bytes();
                rows.push(row);
            } else if let Some((_, number)) = self.leaves.pop() {
                self.read_leaf(number);
                pages += 1;
                if pages % PAGES_PER_STEP == 0 && !go_on() {
                    return None;
                }
            } else if !self.visit(go_on) {
                return None;
            }
        }
        Some(Rows { rows, next: self.from })
    }

    /// Finds the leaf pages with wanted rows, those from `rest` on; false if it was interrupted.
    fn visit(&mut self, go_on: &dyn Fn() -> bool) -> bool {
        let read_before = self.rest.take();
        let free = self.free_pages();
        // Counted: behind the end of the file, the numbers have gaps.
        for (visited, number) in (1_u32..).zip(self.pages.numbers()) {
            if visited % PAGES_PER_STEP == 0 && !go_on() {
                return false;
            }
            let Some(page) = self.pages.read(number) else { continue };
            let Some(kind @ (LEAF_TABLE | LEAF_INDEX | INNER_INDEX)) = page.first().copied() else {
                continue;
            };
            // Whatever the map says, these are no overflow pages: one begins with the number of the next, which is lower.
            let is_free = match self.pages.use_of(number) {
                Use::Free => true,
                Use::Unknown => free.contains(&number),
                _ => false,
            };
            if is_free {
                continue;
            }
            if kind == LEAF_TABLE {
                self.note_leaf(number, &page, read_before);
            } else if read_before.is_none() {
                self.note_others(&page);
            }
        }
        self.leaves.sort_unstable_by(|one, other| other.cmp(one));
        true
    }

    /// Remembers a leaf page with wanted rows, unless it comes before `from` or behind those that are remembered already.
    fn note_leaf(&mut self, number: u32, page: &[u8], from: Option<Leaf>) {
        let mut ids = btree::entry_ids(page).into_iter().filter(|id| self.is_wanted(*id));
        let Some(first) = ids.next() else { return };
        let last = ids.next_back().unwrap_or(first);
        // The ids in a page follow one another. A single one is certain if it follows those of the page before.
        if first < last || first == self.before.1 + 1 || first + 1 == self.before.0 {
            self.last_id = self.last_id.max(last);
        }
        self.before = (first, last);
        let leaf = (first, number);
        if from.is_some_and(|from| leaf < from) || self.rest.is_some_and(|rest| leaf >= rest) {
            return;
        }
        self.leaves.push(leaf);
        if self.leaves.len() > 2 * self.limits.leaves {
            let (_, rest, _) = self.leaves.select_nth_unstable(self.limits.leaves);
            self.rest = Some(*rest);
            self.leaves.truncate(self.limits.leaves);
        }
    }

    fn is_wanted(&self, id: u64) -> bool {
        let at = self.wanted.partition_point(|(_, last)| *last < id);
        id >= self.from && self.wanted.get(at).is_some_and(|(first, _)| *first <= id)
    }

    fn note_others(&mut self, page: &[u8]) {
        let last = self.wanted.last().map_or(0, |(_, last)| *last);
        for record in btree::index_records(page) {
            match btree::record(record).as_deref() {
                Some([Value::Text(name), Value::Int(read)]) if self.others.marks.len() < MAX_MARKS => {
                    let Ok(name) = std::str::from_utf8(name) else { continue };
                    let read = u64::try_from(*read).unwrap_or(0).min(last);
                    self.others.marks.insert(name.to_owned(), read);
                }
                Some([Value::Blob(address), Value::Text(encoding), Value::Int(learned)])
                    if self.others.peers.len() < MAX_PEERS && unpack(address).is_some() =>
                {
                    let Ok(encoding) = std::str::from_utf8(encoding) else { continue };
                    let learned = u64::try_from(*learned).unwrap_or(0);
                    let learned = if learned == GIVEN { learned } else { learned.min(last) };
                    self.others.peers.push((address.to_vec(), encoding.to_owned(), learned));
                }
                _ => {}
            }
        }
    }

    fn read_leaf(&mut self, number: u32) {
        let Some(page) = self.pages.read(number) else { return };
        for cell in btree::entry_cells(&page) {
            let id = cell.rowid.cast_unsigned();
            if self.is_wanted(id)
                && let Some(payload) = self.payload(&cell, number)
                && let Some(row) = btree::record(&payload).and_then(|values| Row::of(id, &values))
            {
                self.pending.entry(id).or_insert(row);
            }
        }
    }

    /// Returns the whole payload of a cell; none if one of its overflow pages is not its own.
    fn payload(&mut self, cell: &Cell<'_>, page: u32) -> Option<Vec<u8>> {
        let mut payload = cell.local.to_vec();
        let (mut next, mut before) = (cell.overflow, None);
        while payload.len() < cell.length {
            match (self.pages.use_of(next), before) {
                (Use::FirstOverflow(parent), None) if parent == page => {}
                (Use::Overflow(parent), Some(before)) if parent == before => {}
                (Use::Unknown, _) => {}
                _ => return None,
            }
            let content = self.pages.read(next)?;
            let length = (content.len() - 4).min(cell.length - payload.len());
            // A page that was overwritten with zeros looks like the last one of a chain.
            let ends_with_zeros = payload.iter().rev().take(64).all(|byte| *byte == 0);
            if !ends_with_zeros && content.iter().all(|byte| *byte == 0) {
                return None;
            }
            payload.extend_from_slice(&content[4..4 + length]);
            before = Some(next);
            next = u32::from_be_bytes(content[..4].try_into().ok()?);
        }
        Some(payload)
    }

    /// Returns the list of free pages, as far as it can be read.
    fn free_pages(&self) -> HashSet<u32> {
        let mut free = HashSet::new();
        let word = |page: &[u8], at: usize| {
            page.get(at..at + 4).map_or(0, |word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
        };
        let mut trunk = self.pages.read(1).map_or(0, |page| word(&page, 32));
        while trunk != 0 && free.len() < MAX_FREE_PAGES && free.insert(trunk) {
            let Some(page) = self.pages.read(trunk) else { break };
            let count = (word(&page, 4) as usize).min(page.len() / 4 - 2);
            free.extend((0..count).map(|leaf| word(&page, 8 + 4 * leaf)));
            trunk = word(&page, 0);
        }
        free
    }
}

#[cfg(test)]
mod tests;
