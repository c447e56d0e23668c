//! A program that runs beside the test.

use std::io::Write;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::daemon::read_lines;
use super::{DEADLINE, Guard};

/// A running program, whose output is read line by line as it comes. Dropping it kills it.
pub(crate) struct Running {
    process: Guard,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Guard::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (stdin, stdout) = process.pipes();
        Self { process, stdin, lines: read_lines(stdout.unwrap()) }
    }

    /// Writes to its standard input.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for the next line that it prints.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line from the program")
    }

    /// Waits for the next line that it prints; none at the end of its output.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("neither a line nor the end of the program's output"),
        }
    }

    /// Waits for the next line that it prints, and reads it as JSON.
    #[track_caller]
    pub(crate) fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Returns its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }
}
