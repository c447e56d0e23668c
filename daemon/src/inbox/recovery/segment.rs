//! Recovers segments of the plan, in chunks of a bounded size.

use std::io;

use super::plan::Segment;
use super::salvage::{Others, Row, Rows, Salvage};

/// How much a chunk holds at most, in bytes, plus or minus a row: one transaction of the writer.
const CHUNK_BYTES: usize = 256 * 1024;

/// A part of a segment: what was found of the ids from `first` up to and without `next`.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) next: u64,
    /// In rising order of ids.
    pub(crate) rows: Vec<Row>,
    /// With the first chunk, what the file holds besides entries.
    pub(crate) others: Option<Others>,
}

impl Chunk {
    /// Returns how much memory it takes, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        let others =
            self.others.as_ref().map_or(0, |others| others.marks.len() * 128 + others.peers.len() * 64);
        self.rows.iter().map(Row::size_bytes).sum::<usize>() + others
    }
}

/// Reads what is readable of the first segments of a plan, as far as they are in one file, which is visited once. Passes it to
/// `store` in rising order of ids, until that or `go_on` refuses; returns whether it came to their end. A file that does not
/// exist has nothing readable.
pub(crate) fn recover(
    plan: &[Segment],
    go_on: &dyn Fn() -> bool,
    mut store: impl FnMut(Chunk) -> bool,
) -> io::Result<bool> {
    let Some(Segment { file, .. }) = plan.first() else { return Ok(true) };
    let segments = plan.iter().take_while(|segment| segment.file == *file);
    let wanted = segments.clone().map(|segment| (segment.first, segment.last)).collect();
    let mut salvage = match Salvage::open(file, wanted, go_on) {
        Ok(Some(salvage)) => Some(salvage),
        Ok(None) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut others = salvage.as_mut().map(Salvage::take_others);
    for segment in segments {
        let mut first = segment.first;
        while first <= segment.last {
            let rows = match &mut salvage {
                Some(salvage) => salvage.next_rows((first, segment.last), CHUNK_BYTES, go_on),
                None => Some(Rows { rows: Vec::new(), next: segment.last + 1 }),
            };
            let Some(Rows { rows, next }) = rows else { return Ok(false) };
            if !store(Chunk { first, next, rows, others: others.take() }) {
                return Ok(false);
            }
            first = next;
        }
    }
    Ok(true)
}
