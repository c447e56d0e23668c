//! Makes system calls of a daemon fail, as a fault of the kernel or a disk does.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::{Guard, eventually};

/// A fault of system calls, made by strace(1). Dropping it ends the fault.
pub(crate) struct Injection {
    strace: Guard,
}

impl Injection {
    /// Makes calls of a process fail. `calls` are names separated by commas; `when` says which calls of each thread:
    /// `1` the first, `1+2` every second one, `1+` all.
    pub(crate) fn start(pid: u32, calls: &str, errno: &str, when: &str) -> Self {
        let inject = format!("inject={calls}:error={errno}:when={when}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
        strace.arg("-p").arg(pid.to_string());
        let quiet = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let injection = Self { strace: Guard::start(quiet) };
        eventually("strace to attach", || is_traced(pid).then_some(()));
        injection
    }
}

/// Returns whether every thread of a process is traced.
fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path());
    let mut states = threads.map(|thread| fs::read_to_string(thread.join("status")).unwrap_or_default());
    states.all(|state| !state.contains("TracerPid:\t0\n"))
}

impl Drop for Injection {
    fn drop(&mut self) {
        // Killed by SIGKILL, it could leave a call half-way.
        self.strace.signal(Signal::SIGTERM);
        self.strace.wait();
    }
}
