//! What the fuzz targets in `tests/fuzz` call: functions that are private otherwise. Only `--cfg fuzzing` compiles it, which
//! cargo-fuzz sets.

use std::path::Path;

pub use crate::control::fuzzing::{Found, Grep, Line, is_internal, parse_line};
pub use crate::inbox::fuzzing::{Log, Reading, Row, ids, salvaged_ids, seal_page, write_journal};
use crate::recover;
pub use crate::startup::fuzzing::Daemon;

/// Recovers a file into the inbox of a folder, as `--recover` does; returns how many entries it had, and how many are lost.
///
/// # Errors
/// Returns why it cannot be recovered.
pub fn recover(folder: &Path, file: &Path) -> Result<(u64, u64), String> {
    recover::recover(folder, file).map(|total| (total.entries, total.lost)).map_err(|error| error.to_string())
}

/// Opens the inbox of a folder as a start does, and recovers what it replaces; returns the next id before the recovery. None if
/// the file is newer, or of another program.
///
/// # Panics
/// If it cannot be opened or recovered.
#[expect(clippy::unwrap_used, reason = "this is a test")]
pub fn start_and_recover(folder: &Path) -> Option<u64> {
    let next = crate::inbox::fuzzing::start(folder)?;
    recover::recover_rest(folder).unwrap();
    Some(next)
}
