//! The disk that the inbox is on.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::{Facts, Finding, shown};

const TOPIC: &str = "disk";

/// With less room than this, the next burst may not be stored.
const SCARCE_BYTES: u64 = 16 * 1024 * 1024;

/// The file system of the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    /// What users may still write, in bytes.
    pub(crate) free_bytes: u64,
    /// How many files may still be made; none where the file system has no such limit.
    pub(crate) free_files: Option<u64>,
    pub(crate) is_read_only: bool,
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let (Some(disk), Some(status)) = (&facts.disk, facts.status()) else { return Vec::new() };
    let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
    let (path, free) = (shown(&disk.path), size(disk.free_bytes));
    if disk.is_read_only {
        let seen = format!("{path} is mounted read-only: nothing can be stored");
        return vec![Finding::problem(TOPIC, seen).hint("mount it read-write, or name another `data_dir`")];
    }
    if disk.free_bytes < SCARCE_BYTES || disk.free_files == Some(0) {
        let seen = match disk.free_files {
            Some(0) => format!("no further file can be made at {path}"),
            _ => format!("{free} are free at {path}"),
        };
        let hint =
            "make room there, or lower `inbox.max_size` and `udpchatctl reload`: the oldest entries go then";
        return vec![Finding::problem(TOPIC, seen).hint(hint)];
    }
    let inbox = &status.inbox;
    let used = inbox.bytes + status.index.bytes;
    let may_grow = inbox.max_bytes.saturating_sub(used);
    let seen =
        format!("{free} are free at {path}; the inbox has {} of {}", size(used), size(inbox.max_bytes));
    if may_grow > disk.free_bytes {
        return vec![
            Finding::warning(TOPIC, seen)
                .hint("the disk will be full before the inbox is: lower `inbox.max_size`"),
        ];
    }
    vec![Finding::ok(TOPIC, seen)]
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels};
    use super::*;

    #[test]
    fn a_disk_without_room_is_a_problem_before_it_is_full() {
        let roomy =
            Disk { path: "/data".into(), free_bytes: 9 << 30, free_files: Some(9), is_read_only: false };
        for (disk, level) in [
            (roomy.clone(), Fine),
            (Disk { free_files: None, ..roomy.clone() }, Fine),
            (Disk { free_bytes: 1 << 30, ..roomy.clone() }, Warning),
            (Disk { free_bytes: 1 << 20, ..roomy.clone() }, Problem),
            (Disk { free_files: Some(0), ..roomy.clone() }, Problem),
            (Disk { is_read_only: true, ..roomy }, Problem),
        ] {
            let found = findings(&Facts { disk: Some(disk), ..facts() });
            assert_eq!(levels(&found), [level], "{found:?}");
        }
        assert!(findings(&facts()).is_empty(), "what cannot be looked at is not judged");
    }
}
