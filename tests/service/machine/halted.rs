//! One thread of a process, halted: what a call to a disk or a driver that never answers looks like from outside.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How soon it is noticed that a halted thread was killed.
const REAPED_AFTER: Duration = Duration::from_millis(20);

/// A thread that does not move, by ptrace(2). Dropping it lets the thread go on, if it still is.
pub(crate) struct Halted {
    let_go: Option<Sender<()>>,
    /// Whoever traces a thread must be the same thread from beginning to end.
    tracer: Option<JoinHandle<()>>,
}

impl Halted {
    /// Halts a thread of a process of a machine by its name.
    pub(super) fn new(machine: u32, process: u32, name: &str) -> Self {
        let id = Pid::from_raw(find_thread(machine, process, name).0.cast_signed());
        let (let_go, told_to) = mpsc::channel::<()>();
        let (done, halted) = mpsc::channel();
        let tracer = thread::spawn(move || {
            ptrace::seize(id, ptrace::Options::empty()).unwrap();
            ptrace::interrupt(id).unwrap();
            done.send(()).unwrap();
            while told_to.recv_timeout(REAPED_AFTER) == Err(RecvTimeoutError::Timeout) {
                // Its end must be taken note of, or the whole process remains for ever.
                let state = waitpid(id, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
                if matches!(state, Err(_) | Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))) {
                    return;
                }
            }
            // It may have ended just now.
            let _ended = ptrace::detach(id, None);
        });
        halted.recv().unwrap();
        Self { let_go: Some(let_go), tracer: Some(tracer) }
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        drop(self.let_go.take());
        let _ended = self.tracer.take().unwrap().join();
    }
}

/// Returns the host's number of a machine's process.
fn number_here(machine: u32, process: u32) -> u32 {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let machines = namespace(&machine.to_string());
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_it = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        innermost_number(&status) == Some(process) && namespace(pid) == machines
    };
    let found = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find(is_it);
    found.expect("the process").parse().unwrap()
}

/// Reads from the status of a process or thread the number that it has in its own namespace.
fn innermost_number(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().last()?.parse().ok()
}

/// Finds a thread of a process of a machine by its name; returns the host's number of it and the machine's.
pub(super) fn find_thread(machine: u32, process: u32, name: &str) -> (u32, u32) {
    let tasks = fs::read_dir(format!("/proc/{}/task", number_here(machine, process))).unwrap();
    let named =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    let task =
        tasks.map(|task| task.unwrap().path()).find(named).unwrap_or_else(|| panic!("no thread {name}"));
    let here = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let there = innermost_number(&fs::read_to_string(task.join("status")).unwrap()).unwrap();
    (here, there)
}
