//! Running programs as other real users, which takes root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Completed, Daemon, Running, ctl};

/// A user by numbers; no name is needed. The primary group has the number of the user.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) groups: Vec<u32>,
}

impl Account {
    /// The user `nobody`, who owns nothing.
    const NOBODY: Self = Self { uid: 65_534, groups: Vec::new() };

    pub(crate) fn new(uid: u32, groups: &[u32]) -> Self {
        Self { uid, groups: groups.to_vec() }
    }

    /// Prepares a program to run as this user.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let (uid, groups) = (self.uid.to_string(), self.groups.iter().map(u32::to_string));
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid]);
        match groups.collect::<Vec<_>>().join(",") {
            none if none.is_empty() => command.arg("--clear-groups"),
            groups => command.args(["--groups", &groups]),
        };
        command.arg("--").arg(program).current_dir("/").env_remove("XDG_RUNTIME_DIR");
        command
    }

    /// Connects to a control socket.
    pub(crate) fn connect(&self, socket: &Path) -> UserConnection {
        UserConnection(Running::start(self.command("nc").arg("-U").arg(socket)))
    }
}

/// A connection of another user's to a control socket.
pub(crate) struct UserConnection(Running);

impl UserConnection {
    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, text: &str) {
        self.0.type_in(text);
    }

    /// Shuts down the writing side.
    pub(crate) fn end_writing(&mut self) {
        self.0.end_input();
    }

    /// Reads the next line.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Value {
        self.0.json()
    }

    /// Calls a method and returns the whole reply.
    #[track_caller]
    pub(crate) fn reply(&mut self, method: &str, params: Value) -> Value {
        self.write(&format!(
            "{}\n",
            json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
        ));
        self.line()
    }

    /// Reads to the end of the connection, and returns the lines.
    #[track_caller]
    pub(crate) fn remaining_lines(mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(line) = self.0.next_line() {
            lines.push(serde_json::from_str(&line).unwrap());
        }
        self.0.wait();
        lines
    }
}

/// Runs programs as other users, with a folder that all users may read.
pub(crate) struct OtherUser {
    folder: TempDir,
}

impl OtherUser {
    /// Returns none, and prints why, where this test may not become another user; in CI that is a failure.
    #[track_caller]
    pub(crate) fn get() -> Option<Self> {
        if !super::is_root() || !super::available("setpriv") || !super::available("nc") {
            return None;
        }
        let folder = super::new_folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { folder })
    }

    /// Returns the folder; it belongs to the user who runs the tests.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Prepares one of our programs to be run by the user `nobody`.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.command_of(&Account::NOBODY, program)
    }

    /// Runs `udpchatctl` as a user.
    pub(crate) fn ctl(&self, account: &Account, daemon: &Daemon, args: &[&str]) -> Completed {
        let mut command = self.command_of(account, env!("CARGO_BIN_EXE_udpchatctl"));
        ctl::finish(command.arg("--socket").arg(daemon.socket()).args(args), b"")
    }

    /// Prepares one of our programs to be run by a user, from a copy: the original may be inaccessible.
    pub(crate) fn command_of(&self, account: &Account, program: &str) -> Command {
        let copy = self.folder().join(Path::new(program).file_name().unwrap());
        if !copy.exists() {
            // By another program: a file that a thread of this process has open for writing cannot be executed.
            let copied =
                Command::new("install").args(["-m", "755"]).arg(program).arg(&copy).status().unwrap();
            assert!(copied.success());
        }
        let mut command = account.command(copy);
        command.env("HOME", self.folder());
        command
    }
}
