//! A program in the background whose standard error is read line by line, in whatever format it writes.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use nix::sys::signal::Signal;

use super::daemon::read_lines;
use super::{DEADLINE, Process, Rpc, eventually};

/// A running program. Dropping it kills it.
pub(crate) struct Background {
    process: Process,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Background {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
        let lines = read_lines(process.stderr());
        Self { process, lines, seen: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the next line that holds a text.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(DEADLINE) else {
                panic!("no line with `{text}`:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the next line that holds a text; none if the program ends without it.
    #[track_caller]
    pub(crate) fn line_with_or_end(&mut self, text: &str) -> Option<String> {
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("neither `{text}` nor an end:\n{}", self.seen.join("\n"))
                }
            }
            if let Some(line) = self.seen.last().filter(|line| line.contains(text)) {
                return Some(line.clone());
            }
        }
    }

    /// Waits until a daemon answers on a socket, and returns a connection to it.
    #[track_caller]
    pub(crate) fn answers_on(&mut self, socket: &Path) -> Rpc {
        eventually("the daemon's socket", || match self.process.try_wait() {
            None => std::os::unix::net::UnixStream::connect(socket).ok(),
            Some(ended) => panic!("{ended}:\n{}", self.lines.iter().collect::<Vec<_>>().join("\n")),
        });
        Rpc::connect(socket)
    }

    /// Waits for its end; returns how it ended and all that it wrote.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let process = &mut self.process;
        let ended = eventually("the end of the program", || process.try_wait());
        self.seen.extend(self.lines.iter());
        (ended, std::mem::take(&mut self.seen))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.process.kill();
        self.process.wait();
    }
}
