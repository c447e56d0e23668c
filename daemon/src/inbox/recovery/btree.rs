//! Cells and records of SQLite's b-tree pages, read without trust in any of their numbers.

use crate::inbox::entry::{GapDetail, Kind};

/// The first byte of a page: a leaf or an inner page of a table, a leaf or an inner page of an index.
pub(super) const LEAF_TABLE: u8 = 13;
pub(super) const INNER_TABLE: u8 = 5;
pub(super) const LEAF_INDEX: u8 = 10;
pub(super) const INNER_INDEX: u8 = 2;

/// The columns of the table `entry`.
pub(super) const ENTRY_COLUMNS: usize = 7;

/// The longest payload of a cell, in bytes: a datagram, addresses and details.
const MAX_PAYLOAD_BYTES: u64 = 128 * 1024;

/// A cell of a leaf page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    pub(super) rowid: i64,
    /// The length of the whole payload, in bytes.
    pub(super) length: usize,
    /// The part of the payload that is in the page.
    pub(super) local: &'a [u8],
    /// The first overflow page; 0 if the payload is all in the page.
    pub(super) overflow: u32,
}

impl<'a> Cell<'a> {
    /// Returns the payload if it is all in the page.
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        (self.overflow == 0).then_some(self.local)
    }
}

/// A value of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Real,
    Blob(&'a [u8]),
    /// UTF-8, unless it is damaged.
    Text(&'a [u8]),
}

/// A child of an inner page of a table, with the first and the last id that it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) page: u32,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// Reads a variable-length integer; returns also its length, in bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn short(page: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?]).into())
}

/// Returns how many cells a page says it has; its b-tree header begins at `head`.
pub(super) fn cell_count(page: &[u8], head: usize) -> usize {
    short(page, head + 3).unwrap_or(0)
}

/// Returns whether all cells of a table's leaf page can be read and the first one in the page is among them. A changed count
/// hides cells.
pub(super) fn is_whole_leaf(page: &[u8], head: usize) -> bool {
    let count = cell_count(page, head);
    let is_leaf = page.get(head) == Some(&LEAF_TABLE);
    let first = offsets(page, head, 8).min().unwrap_or(page.len());
    // A content area that begins at 65,536 is written as 0.
    let content = short(page, head + 5).map_or(0, |at| if at == 0 { 1 << 16 } else { at });
    is_leaf && leaf_cells(page, head).count() == count && first == content
}

/// Returns the offsets of a page's cells, those within the page only.
fn offsets(page: &[u8], head: usize, header_bytes: usize) -> impl Iterator<Item = usize> {
    let pointers = head + header_bytes;
    let fitting = page.len().saturating_sub(pointers) / 2;
    (0..cell_count(page, head).min(fitting))
        .filter_map(move |cell| short(page, pointers + 2 * cell).filter(|at| *at > pointers))
}

/// Returns the children of a table's inner page, in the order of their ids; none if they are not in order.
pub(super) fn children(page: &[u8]) -> Option<Vec<Child>> {
    let number = |at: usize| page.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let mut children = Vec::new();
    let mut first = i64::MIN;
    for at in offsets(page, 0, 12) {
        let (last, _) = varint(page.get(at + 4..)?)?;
        let last = last.cast_signed();
        if last < first || last == i64::MAX {
            return None;
        }
        children.push(Child { page: number(at)?, first, last });
        first = last + 1;
    }
    children.push(Child { page: number(8)?, first, last: i64::MAX });
    (children.len() == cell_count(page, 0) + 1).then_some(children)
}

/// Returns the readable cells of a table's leaf page.
pub(super) fn leaf_cells(page: &[u8], head: usize) -> impl Iterator<Item = Cell<'_>> {
    offsets(page, head, 8).filter_map(|at| {
        let (length, read) = varint(page.get(at..)?)?;
        let (rowid, more) = varint(page.get(at + read..)?)?;
        payload(page, at + read + more, length, page.len() - 35).map(|(length, local, overflow)| Cell {
            rowid: rowid.cast_signed(),
            length,
            local,
            overflow,
        })
    })
}

/// Returns the readable records of an index page, those without overflow only.
pub(super) fn index_records(page: &[u8]) -> Vec<&[u8]> {
    let (header_bytes, skipped) = if page.first() == Some(&INNER_INDEX) { (12, 4) } else { (8, 0) };
    let record = |at: usize| {
        let (length, read) = varint(page.get(at + skipped..)?)?;
        let (_, local, overflow) =
            payload(page, at + skipped + read, length, (page.len() - 12) * 64 / 255 - 23)?;
        (overflow == 0).then_some(local)
    };
    offsets(page, 0, header_bytes).filter_map(record).collect()
}

/// Returns the children of an index's inner page.
pub(super) fn index_children(page: &[u8]) -> Vec<u32> {
    let number = |at: usize| page.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    offsets(page, 0, 12).chain([8]).filter_map(number).collect()
}

/// Returns length, part in the page and first overflow page of a payload that begins at `at`; `most` bytes fit the page.
fn payload(page: &[u8], at: usize, length: u64, most: usize) -> Option<(usize, &[u8], u32)> {
    let length = usize::try_from(length).ok().filter(|_| length <= MAX_PAYLOAD_BYTES)?;
    if length <= most {
        return Some((length, page.get(at..at + length)?, 0));
    }
    let least = (page.len() - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (page.len() - 4);
    let local = if fitting <= most { fitting } else { least };
    let overflow = page.get(at + local..at + local + 4)?;
    let overflow = u32::from_be_bytes([overflow[0], overflow[1], overflow[2], overflow[3]]);
    Some((length, page.get(at..at + local)?, overflow))
}

/// Returns the values of a record; none if it does not have exactly the length that its header says.
pub(super) fn record(bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let (types, mut at) = types(bytes)?;
    let mut values = Vec::with_capacity(types.len());
    for kind in types {
        let length = content_bytes(kind)?;
        let content = bytes.get(at..at + length)?;
        at += length;
        values.push(match kind {
            0 => Value::Null,
            1..=6 => Value::Int(integer(content)),
            7 => Value::Real,
            8 => Value::Int(0),
            9 => Value::Int(1),
            _ if kind % 2 == 0 => Value::Blob(content),
            _ => Value::Text(content),
        });
    }
    (at == bytes.len()).then_some(values)
}

/// Returns the types of a record's values and the length of its header; all of that must be in `bytes`.
fn types(bytes: &[u8]) -> Option<(Vec<u64>, usize)> {
    let (header, mut at) = varint(bytes)?;
    let header = usize::try_from(header).ok().filter(|header| *header <= 128)?;
    let mut types = Vec::with_capacity(ENTRY_COLUMNS);
    while at < header {
        let (kind, read) = varint(bytes.get(at..header)?)?;
        types.push(kind);
        at += read;
    }
    Some((types, at))
}

fn content_bytes(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

fn integer(content: &[u8]) -> i64 {
    let first = content.first().is_some_and(|byte| byte & 0x80 != 0);
    content.iter().fold(if first { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

/// Returns whether the beginning of a payload is that of a row of the table `entry`. The table `held` has as many columns, but no
/// integers behind the id.
fn is_entry(cell: &Cell<'_>) -> bool {
    let Some((types, header)) = types(cell.local) else { return false };
    let sizes: Option<Vec<_>> = types.iter().map(|kind| content_bytes(*kind)).collect();
    let sum = sizes.map_or(0, |sizes| sizes.iter().fold(header, |sum, bytes| sum.saturating_add(*bytes)));
    let is_integer = |kind: &u64| matches!(kind, 1..=6 | 8 | 9);
    types.len() == ENTRY_COLUMNS && types[0] == 0 && types[1..3].iter().all(is_integer) && sum == cell.length
}

/// Returns the cells of a leaf page that are rows of the table `entry`, in the order of their ids.
///
/// The ids of neighbours follow one another, so an id that follows neither of its neighbours is not to be trusted. A gap
/// follows the entry before the first id that is missing.
pub(super) fn entry_cells(page: &[u8]) -> Vec<Cell<'_>> {
    if page.first() != Some(&LEAF_TABLE) {
        return Vec::new();
    }
    let cells: Vec<_> = leaf_cells(page, 0).filter(|cell| cell.rowid > 0 && is_entry(cell)).collect();
    if cell_count(page, 0) == 1 {
        return cells;
    }
    let id = |at: usize| cells.get(at).map(|cell| cell.rowid);
    let succeeds = |before: usize, at: usize| {
        let expected = cells[before].rowid.checked_add(1);
        expected == Some(cells[at].rowid) || (expected.is_some() && expected == first_missing(&cells[at]))
    };
    let follows =
        |at: usize| (at > 0 && succeeds(at - 1, at)) || (at + 1 < cells.len() && succeeds(at, at + 1));
    let mut last = 0;
    let trusted = |(at, cell): (usize, &Cell<'_>)| {
        // Beside a row that is not readable, only the order is known.
        let between = last < cell.rowid && id(at + 1).is_none_or(|next| cell.rowid < next) && cells.len() < 4;
        let trusted = (follows(at) || between) && last < cell.rowid;
        if trusted {
            last = cell.rowid;
        }
        trusted
    };
    let kept: Vec<bool> = cells.iter().enumerate().map(trusted).collect();
    cells.iter().zip(kept).filter(|(_, kept)| *kept).map(|(cell, _)| *cell).collect()
}

/// Returns the first id that is missing at a gap for entries of the log.
fn first_missing(cell: &Cell<'_>) -> Option<i64> {
    let values = record(cell.whole()?)?;
    let [_, _, Value::Int(kind), .., Value::Text(detail)] = values.as_slice() else { return None };
    let gap: GapDetail = (*kind == Kind::Gap as i64).then(|| serde_json::from_slice(detail).ok())??;
    gap.first_id.and_then(|first| i64::try_from(first).ok()).filter(|first| *first <= cell.rowid)
}

/// Returns the ids in a leaf page of the table `entry`, in rising order.
pub(super) fn entry_ids(page: &[u8]) -> Vec<u64> {
    entry_cells(page).iter().map(|cell| cell.rowid.cast_unsigned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length_are_read() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0x80]), None);
        assert_eq!([&[0xff][..], &[0x7f, 0xff], &[0x80, 0, 0]].map(integer), [-1, 32_767, -8_388_608]);
    }

    #[test]
    fn a_record_of_another_length_is_rejected() {
        let bytes = [4, 1, 8, 17, 7, b'h', b'i'];
        assert_eq!(record(&bytes).unwrap(), [Value::Int(7), Value::Int(0), Value::Text(b"hi")]);
        assert_eq!(record(&bytes[..6]), None);
        assert_eq!(record(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(record(&[2, 10]), None, "a type that is reserved");
    }

    proptest::proptest! {
        #[test]
        fn any_page_is_read_without_a_panic(mut page in proptest::collection::vec(proptest::num::u8::ANY, 512..1024)) {
            for kind in [LEAF_TABLE, INNER_TABLE, LEAF_INDEX, INNER_INDEX] {
                page[0] = kind;
                let _ids = entry_ids(&page);
                for record_bytes in index_records(&page) {
                    let _values = record(record_bytes);
                }
            }
        }
    }
}
