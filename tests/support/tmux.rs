//! A terminal that a test types into and reads, in a detached tmux.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::daemon::new_folder;
use super::{eventually, tool};

/// A terminal with an interactive shell in it, of a tmux server of its own. Dropping it ends the server.
pub(crate) struct Tmux {
    folder: TempDir,
}

impl Tmux {
    /// Starts a terminal of a size; returns none, and prints why, where this machine has no tmux.
    pub(crate) fn start(columns: u16, rows: u16) -> Option<Self> {
        if !tool::available("tmux") {
            return None;
        }
        let tmux = Self { folder: new_folder() };
        let shell = format!("env PS1='$ ' TZ=UTC HOME={} sh -i", tmux.folder.path().display());
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.run(&["new-session", "-d", "-x", &columns, "-y", &rows, &shell]);
        tmux.shows("$");
        Some(tmux)
    }

    /// Runs a command of tmux, and returns what it prints.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let socket = self.folder.path().join("t");
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).args(["-f", "/dev/null", "-u"]).args(arguments);
        // Nothing of the terminal that the tests run in, and a locale that every system has.
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8").env("TERM", "screen");
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns a file of this terminal's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types text as it is.
    pub(crate) fn type_in(&self, text: &str) {
        self.run(&["send-keys", "-l", "--", text]);
    }

    /// Presses keys by tmux's names for them.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Presses a key several times.
    pub(crate) fn press_often(&self, key: &str, times: usize) {
        self.run(&["send-keys", "-N", &times.to_string(), key]);
    }

    /// Pastes text with bracketed paste.
    pub(crate) fn paste(&self, text: &str) {
        self.run(&["set-buffer", "--", text]);
        self.run(&["paste-buffer", "-p"]);
    }

    /// Runs a command line in the shell.
    pub(crate) fn shell(&self, line: &str) {
        self.type_in(line);
        self.press(&["Enter"]);
    }

    /// Returns what the screen shows.
    pub(crate) fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Evaluates a format of tmux for the terminal.
    pub(crate) fn tmux_format(&self, format: &str) -> String {
        self.run(&["display-message", "-p", format]).trim_end().to_owned()
    }

    /// Waits until the screen meets a condition, and returns it.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let began = std::time::Instant::now();
        while began.elapsed() < super::DEADLINE {
            last = self.screen();
            if is_so(&last) {
                return last;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the screen does not show {what}:\n{last}");
    }

    /// Waits until the screen shows a text, and returns it.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.run(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
        let size = format!("{columns} {rows}");
        eventually("the new size", || {
            (self.tmux_format("#{pane_width} #{pane_height}") == size).then_some(())
        });
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let socket = self.folder.path().join("t");
        // It may have ended by itself.
        let _ended = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output();
    }
}
