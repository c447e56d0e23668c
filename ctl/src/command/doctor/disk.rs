//! Checks the disk of the inbox.

use udpchat_locale::tr;

use super::facts::{Facts, shown};
use super::finding::Finding;
use crate::output::size;

const TOPIC: &str = "disk";

/// With less free space than this, the next burst may not be stored; on a small disk, with less than a tenth of it.
const SCARCE_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let (Some(disk), Some(status)) = (&facts.disk, facts.status()) else { return Vec::new() };
    let (path, free) = (shown(&disk.path), size(disk.free_bytes));
    if disk.is_read_only {
        let seen = tr!("{path} is mounted read-only: nothing can be stored", path);
        return vec![
            Finding::problem(TOPIC, seen).hint(tr!("mount it read-write, or configure another `data_dir`")),
        ];
    }
    if disk.free_bytes < SCARCE_BYTES.min(disk.bytes / 10) || disk.free_files == Some(0) {
        let (seen, hint) = match disk.free_files {
            Some(0) => (
                tr!("no file can be created at {path}: the file system has no free inodes", path),
                tr!("delete files on that file system; the daemon continues by itself"),
            ),
            _ => (
                tr!("only {free} are free at {path}", free, path),
                tr!(
                    "delete or move other files on that file system; the daemon continues by itself. Then lower \
                     `inbox.max_size` and run `udpchatctl reload`: on a full disk that alone does not help, since removing \
                     entries takes space too"
                ),
            ),
        };
        return vec![Finding::problem(TOPIC, seen).hint(hint)];
    }
    let inbox = &status.inbox;
    let used = inbox.bytes + status.index.bytes;
    let may_grow = inbox.max_bytes.saturating_sub(used);
    let (used, most) = (size(used), size(inbox.max_bytes));
    let seen = tr!("{free} are free at {path}; the inbox uses {used} of {most}", free, path, used, most);
    if may_grow > disk.free_bytes {
        return vec![
            Finding::warning(TOPIC, seen).hint(tr!(
                "the disk will be full before the inbox reaches its limit: lower `inbox.max_size`"
            )),
        ];
    }
    vec![Finding::ok(TOPIC, seen)]
}

#[cfg(test)]
mod tests {
    use super::super::facts::Disk;
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels};
    use super::*;

    #[test]
    fn low_disk_space_is_a_problem() {
        let roomy = Disk {
            path: "/data".into(),
            bytes: 16 << 30,
            free_bytes: 9 << 30,
            free_files: Some(9),
            is_read_only: false,
        };
        for (disk, level) in [
            (roomy.clone(), Fine),
            (Disk { free_files: None, ..roomy.clone() }, Fine),
            (Disk { free_bytes: 1 << 30, ..roomy.clone() }, Warning),
            (Disk { free_bytes: 1 << 20, ..roomy.clone() }, Problem),
            (Disk { free_bytes: 9 << 20, bytes: 14 << 20, ..roomy.clone() }, Warning),
            (Disk { free_bytes: 1 << 20, bytes: 14 << 20, ..roomy.clone() }, Problem),
            (Disk { free_files: Some(0), ..roomy.clone() }, Problem),
            (Disk { is_read_only: true, ..roomy }, Problem),
        ] {
            let found = findings(&Facts { disk: Some(disk), ..facts() });
            assert_eq!(levels(&found), [level], "{found:?}");
        }
        assert!(findings(&facts()).is_empty(), "no finding for an unknown disk");
    }
}
