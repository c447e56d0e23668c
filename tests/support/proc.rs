//! Reads procfs.

use std::fs;
use std::path::{Path, PathBuf};

use super::eventually;

/// Returns a number from `/proc/PID/status`, for example that of `VmRSS:` in KiB; none if the process has ended or has
/// no such field any more.
pub(crate) fn status_number(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Waits until a process has a thread with a name, and returns the thread's folder below a mounted procfs.
#[track_caller]
pub(crate) fn thread(procfs: &Path, pid: u32, name: &str) -> PathBuf {
    // Other threads may end meanwhile.
    let has_name =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    // A thread sets its name a moment after its start.
    eventually(&format!("the thread {name}"), || {
        let tasks = fs::read_dir(procfs.join(format!("{pid}/task"))).unwrap();
        tasks.map(|task| task.unwrap().path()).find(has_name)
    })
}
