//! Reads what a damaged inbox keeps besides the log, without SQLite, which would change the file.

use std::path::Path;

use super::btree::{self, Value};
use super::pages::{Pages, Version};
use crate::inbox::kept::table::{KeptRows, held_of};
use crate::inbox::kept::{HeldRow, MAX_HELD, MAX_HELD_BYTES, SilentRow};

/// How many silent peers are read at most.
const MAX_SILENT: usize = 10_000;

/// Returns the readable rows of the tables `held` and `silent`.
pub(crate) fn kept_rows(path: &Path) -> KeptRows {
    let Ok(pages) = Pages::open(path) else { return KeptRows::default() };
    let mut rows = KeptRows { silent: silent(&pages), ..KeptRows::default() };
    let mut bytes = 0;
    if let Some(root) = pages.root("held", Version::Newest) {
        pages.for_each_leaf(root, |page| {
            for cell in btree::leaf_cells(page, 0) {
                let row = pages.whole_payload(&cell).and_then(|payload| held(cell.rowid, &payload));
                let Some(row) = row else { continue };
                bytes += row.payload.len();
                // Damaged pages may be visited twice.
                let is_next = rows.held.last().is_none_or(|last| last.id < row.id);
                if is_next && rows.held.len() < MAX_HELD && bytes <= MAX_HELD_BYTES {
                    rows.highest = rows.highest.max(row.id);
                    rows.held.push(row);
                }
            }
        });
    }
    rows.highest = rows.highest.max(highest(&pages));
    rows
}

fn held(rowid: i64, payload: &[u8]) -> Option<HeldRow> {
    let id = u64::try_from(rowid).ok().filter(|id| (1..=super::MAX_PLAUSIBLE_ID).contains(id))?;
    let values = btree::record(payload)?;
    let [
        Value::Null,
        name,
        address,
        Value::Blob(payload),
        Value::Text(detail),
        Value::Int(at),
        Value::Int(until),
    ] = values.as_slice()
    else {
        return None;
    };
    let name = match name {
        Value::Text(name) => Some(std::str::from_utf8(name).ok()?.to_owned()),
        Value::Null => None,
        _ => return None,
    };
    let address = match address {
        Value::Blob(address) => Some(*address),
        Value::Null => None,
        _ => return None,
    };
    held_of(id, name, address, payload.to_vec(), std::str::from_utf8(detail).ok()?, (*at, *until))
}

fn silent(pages: &Pages) -> Vec<(String, SilentRow)> {
    let Some(root) = pages.root("silent", Version::Newest) else { return Vec::new() };
    let pages = pages.index_pages(root);
    let records = pages.iter().flat_map(|page| btree::index_records(page));
    let row = |record: &[u8]| match btree::record(record)?.as_slice() {
        [Value::Text(name), Value::Int(since_ns), Value::Int(last_ns)] => {
            let name = std::str::from_utf8(name).ok()?.to_owned();
            Some((name, SilentRow { since_ns: *since_ns, last_ns: *last_ns }))
        }
        _ => None,
    };
    let mut rows: Vec<_> = records.filter_map(row).take(MAX_SILENT).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows.dedup_by(|one, other| one.0 == other.0);
    rows
}

/// Returns the highest number that a held message ever had, as SQLite notes it.
fn highest(pages: &Pages) -> u64 {
    let mut highest = 0;
    if let Some(root) = pages.root("sqlite_sequence", Version::Newest) {
        pages.for_each_leaf(root, |page| {
            for cell in btree::leaf_cells(page, 0) {
                if let Some([Value::Text(b"held"), Value::Int(seq)]) =
                    cell.whole().and_then(btree::record).as_deref()
                {
                    highest = highest.max(u64::try_from(*seq).unwrap_or(0));
                }
            }
        });
    }
    highest.min(super::MAX_PLAUSIBLE_ID)
}
