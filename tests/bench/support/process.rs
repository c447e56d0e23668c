//! What a process has cost: processor time, memory, and files.

use std::fs;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A running process.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
}

impl Process {
    /// Returns the processor time of all its threads, those that have ended too, in user and kernel mode.
    ///
    /// The process's own clock counts nanoseconds. `/proc/PID/stat` rounds the same sum to hundredths of a second, and
    /// the `schedstat` of its threads knows nothing of those that have ended.
    pub(crate) fn cpu(self) -> Duration {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid.cast_signed())).unwrap();
        clock_gettime(clock).unwrap().into()
    }

    pub(crate) fn signal(self, signal: Signal) {
        kill(Pid::from_raw(self.pid.cast_signed()), signal).unwrap();
    }

    /// Returns the most memory that it ever had resident, in bytes.
    pub(crate) fn peak_memory(self) -> u64 {
        self.status("VmHWM:") * 1024
    }

    /// Returns the memory that it has resident, in bytes.
    pub(crate) fn memory(self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// Returns how many threads it has.
    pub(crate) fn threads(self) -> u64 {
        self.status("Threads:")
    }

    /// Reads a number of its status; 0 if it has just ended.
    fn status(self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        line.split_whitespace().next().map_or(0, |number| number.parse().unwrap())
    }
}

/// A process that this one has started. Dropping it kills it.
pub(crate) struct Guard {
    child: Child,
}

impl Guard {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }

    pub(crate) fn process(&self) -> Process {
        Process { pid: self.child.id() }
    }

    /// Tells whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns its standard input and output, which were piped.
    pub(crate) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Returns how many bytes the files of a folder have; a file that disappears meanwhile has none.
pub(crate) fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}

/// Shows bytes as mebibytes, with one decimal.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}
