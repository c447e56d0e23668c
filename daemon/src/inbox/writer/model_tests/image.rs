//! A data directory as a crash leaves it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::operations::Place;
use crate::inbox::file::FILE_NAME;

/// The header of a write-ahead log, and the header and the page of each frame in it, in bytes.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const FRAME: usize = FRAME_HEADER + 16_384;

/// The contents of the files, without those that no next process uses: locks, and SQLite's index of the write-ahead log.
#[derive(Clone, Debug)]
pub(super) struct Image {
    files: BTreeMap<String, Vec<u8>>,
}

impl Image {
    pub(super) fn of(data_dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        for file in fs::read_dir(data_dir).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if !name.ends_with("-shm") && !name.starts_with("lock") {
                files.insert(name, fs::read(file.path()).unwrap());
            }
        }
        Self { files }
    }

    pub(super) fn write(&self, data_dir: &Path) {
        for (name, bytes) in &self.files {
            fs::write(data_dir.join(name), bytes).unwrap();
        }
    }

    /// Replaces the page of the in-flight journal.
    pub(super) fn set_journal(&mut self, page: &[u8]) {
        self.files.insert("books".to_owned(), page.to_vec());
    }

    /// Returns the image after a part of what a transaction has written: what `at` says of its writes, one after the other.
    /// Returns also whether that is all.
    pub(super) fn in_transaction(&self, after: &Self, at: Place) -> (Self, bool) {
        let (begin, end) = changed(self.log(), after.log());
        let written = write_border(begin + at.index(end - begin + 1)).max(begin);
        if written >= end {
            return (after.clone(), true);
        }
        let mut image = self.clone();
        let mut log = self.log().to_vec();
        log.resize(log.len().max(written), 0);
        log[..written].copy_from_slice(&after.log()[..written]);
        image.set_log(log);
        (image, false)
    }

    /// Returns the image in which some of the frames that a transaction has written are lost, since they were not synced. Returns
    /// also whether none is lost.
    pub(super) fn without_unsynced(&self, after: &Self, kept: u64) -> (Self, bool) {
        let (begin, end) = changed(self.log(), after.log());
        let mut log = self.log().to_vec();
        log.resize(log.len().max(end), 0);
        let mut at = begin;
        let first = begin.saturating_sub(HEADER) / FRAME;
        while at < end {
            let frame = at.saturating_sub(HEADER) / FRAME;
            let next = if at < HEADER { HEADER } else { HEADER + (frame + 1) * FRAME }.min(end);
            // The header is synced before the frames.
            if at < HEADER || kept >> ((frame - first) % 64) & 1 == 1 {
                log[at..next].copy_from_slice(&after.log()[at..next]);
            }
            at = next;
        }
        if log[..end] == after.log()[..end] {
            return (after.clone(), true);
        }
        let mut image = self.clone();
        image.set_log(log);
        (image, false)
    }

    /// Returns whether the write-ahead log of a later image continues this one.
    pub(super) fn continues_in(&self, after: &Self) -> bool {
        let (log, later) = (self.log(), after.log());
        log.len() >= HEADER && later.len() >= log.len() && log[..HEADER] == later[..HEADER]
    }

    fn log(&self) -> &[u8] {
        self.files.get(&log_name()).map_or(&[], Vec::as_slice)
    }

    fn set_log(&mut self, log: Vec<u8>) {
        self.files.insert(log_name(), log);
    }
}

fn log_name() -> String {
    format!("{FILE_NAME}-wal")
}

/// Returns which part of the write-ahead log a later one has changed.
fn changed(before: &[u8], after: &[u8]) -> (usize, usize) {
    let begin = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let mut end = after.len();
    if after.len() <= before.len() {
        while end > begin && before[end - 1] == after[end - 1] {
            end -= 1;
        }
    }
    (if begin < HEADER { 0 } else { begin }.min(end), end)
}

/// Returns the last place up to this one at which a killed process can have stopped writing: between two calls, or between two
/// pages of memory within one.
fn write_border(at: usize) -> usize {
    if at < HEADER {
        return 0;
    }
    let within = (at - HEADER) % FRAME;
    let border =
        if within < FRAME_HEADER { 0 } else { FRAME_HEADER + (within - FRAME_HEADER) / 4_096 * 4_096 };
    at - within + border
}
