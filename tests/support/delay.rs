//! Delays system calls, as a slow disk or an unresponsive driver does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Daemon, Guard, eventually, proc};

/// Longer than any test waits.
const HANG: Duration = Duration::from_secs(600);

/// Delays system calls of one thread by strace(1). Dropping it lets the thread continue.
pub(crate) struct Delay {
    _strace: Guard,
}

impl Delay {
    /// Makes a thread of a daemon hang in its next call of these names, separated by commas.
    pub(crate) fn hang(daemon: &Daemon, thread: &str, calls: &str) -> Self {
        let task = proc::thread(Path::new("/proc"), daemon.pid(), thread);
        Self::start(&mut Command::new("strace"), &task, calls, HANG)
    }

    /// Delays calls of the thread with this folder in a procfs. The command runs strace where the thread has the same
    /// number as there.
    pub(crate) fn start(strace: &mut Command, task: &Path, calls: &str, delay: Duration) -> Self {
        let inject = format!("inject={calls}:delay_enter={}", delay.as_micros());
        strace.args(["-qq", "-o", "/dev/null", "-e", &inject, "-p"]).arg(task.file_name().unwrap());
        let quiet = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let delay = Self { _strace: Guard::start(quiet) };
        eventually("strace to attach", || {
            let status = fs::read_to_string(task.join("status")).unwrap();
            (!status.contains("TracerPid:\t0\n")).then_some(())
        });
        delay
    }
}
