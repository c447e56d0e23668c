//! Runs `udpchatctl`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value;

/// The result of a run of `udpchatctl`.
#[must_use]
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Completed {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Completed {
    /// Fails the test unless it succeeded with nothing on standard error; returns its output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:#?}");
        self.stdout
    }

    /// Fails the test unless it succeeded; returns each line of its output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Fails the test unless it ended with this code and all these texts on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, texts: &[&str]) {
        let all_there = texts.iter().all(|text| self.stderr.contains(text));
        assert!(self.code == Some(code) && all_there, "wanted exit {code} and {texts:?}: {self:#?}");
    }
}

/// Prepares `udpchatctl` with nothing of this process's environment.
pub(crate) fn command(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatctl"));
    command.env_clear().env("TZ", "UTC").arg("--socket").arg(socket);
    command
}

/// Runs `udpchatctl` to its end.
pub(crate) fn run(socket: &Path, args: &[&str], input: &[u8]) -> Completed {
    finish(command(socket).args(args), input)
}

/// Runs `udpchatctl` without flags for a daemon, in an environment of the test.
pub(crate) fn ctl_without_daemon(args: &[&str], environment: &[(&str, &Path)]) -> Completed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatctl"));
    finish(command.env_clear().envs(environment.iter().copied()).args(args), b"")
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Completed {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // It may end without reading its input.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.into()
}
