//! One thread of a process, halted: what a call to a disk or a driver that never answers looks like from outside.

use std::fs;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use nix::sys::ptrace;
use nix::unistd::Pid;

/// A thread that does not move, by ptrace(2). Dropping it lets the thread go on, if it still is.
pub(crate) struct Halted {
    let_go: Option<Sender<()>>,
    /// Whoever traces a thread must be the same thread from beginning to end.
    tracer: Option<JoinHandle<()>>,
}

impl Halted {
    /// Halts a thread of a process of a machine by its name.
    pub(super) fn new(machine: u32, process: u32, name: &str) -> Self {
        let id = thread_named(number_here(machine, process), name);
        let (let_go, told_to) = mpsc::channel::<()>();
        let (done, halted) = mpsc::channel();
        let tracer = thread::spawn(move || {
            ptrace::seize(id, ptrace::Options::empty()).unwrap();
            ptrace::interrupt(id).unwrap();
            done.send(()).unwrap();
            // Ends when the test lets go.
            let _closed = told_to.recv();
            // What traces no more lets go by itself when its thread ends; this says it in time.
            let _gone = ptrace::detach(id, None);
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
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let is_it = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let inner = numbers.and_then(|numbers| numbers.split_whitespace().last());
        inner == Some(&process.to_string()) && namespace(pid) == machines
    };
    let found = processes.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).find(is_it);
    found.expect("the process").parse().unwrap()
}

fn thread_named(process: u32, name: &str) -> Pid {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|thread| thread.unwrap().path());
    let named: Vec<_> = threads.map(|path| (fs::read_to_string(path.join("comm")).unwrap(), path)).collect();
    let found = named.iter().find(|(comm, _)| comm.trim_end().starts_with(name));
    let (_, path) = found.unwrap_or_else(|| panic!("no thread {name} among {named:?}"));
    Pid::from_raw(path.file_name().unwrap().to_str().unwrap().parse().unwrap())
}
