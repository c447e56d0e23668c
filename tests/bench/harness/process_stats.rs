//! Processor time and memory of a process, and sizes of files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::support::proc::status_number;

/// The figures of a running process. A process that has just ended has no memory.
#[derive(Clone, Copy)]
pub(crate) struct ProcessStats {
    pid: u32,
}

impl ProcessStats {
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Returns the processor time of all its threads, those that have ended too, in user and kernel mode.
    ///
    /// The process's own clock counts nanoseconds. `/proc/PID/stat` rounds the same sum to hundredths of a second, and
    /// the `schedstat` of its threads does not include those that have ended.
    pub(crate) fn cpu(self) -> Duration {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid.cast_signed())).unwrap();
        clock_gettime(clock).unwrap().into()
    }

    /// Returns the most memory that it ever had resident, in bytes.
    pub(crate) fn peak_memory(self) -> u64 {
        status_number(self.pid, "VmHWM:").unwrap_or(0) * 1024
    }

    /// Returns the memory that it has resident, in bytes.
    pub(crate) fn memory(self) -> u64 {
        status_number(self.pid, "VmRSS:").unwrap_or(0) * 1024
    }

    /// Returns how many threads it has.
    pub(crate) fn threads(self) -> u64 {
        status_number(self.pid, "Threads:").unwrap_or(0)
    }
}

/// Returns the size of the files in a folder, in bytes. A file that disappears meanwhile counts as empty.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}

/// Formats bytes as mebibytes, with one decimal.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}
