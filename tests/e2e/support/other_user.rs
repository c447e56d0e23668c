//! Running a program as a second real user, which takes root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;
use tempfile::TempDir;

/// Nobody: a user who owns nothing.
const OTHER_UID: &str = "65534";

/// Another user, with a folder that all users may look into.
pub(crate) struct OtherUser {
    folder: TempDir,
}

impl OtherUser {
    /// Returns none, and says so, where this test may not become another user; in CI that is a failure.
    pub(crate) fn get() -> Option<Self> {
        if !geteuid().is_root() {
            super::missing("only root can become another user");
            return None;
        }
        if !super::available("setpriv") {
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

    /// Prepares one of our programs to be run by the other user, from a copy: the original may be out of reach.
    pub(crate) fn command(&self, program: &str) -> Command {
        let copy = self.folder().join(Path::new(program).file_name().unwrap());
        // By a program of its own: a file that any thread here has open for writing cannot be run.
        let copied = Command::new("install").args(["-m", "755"]).arg(program).arg(&copy).status().unwrap();
        assert!(copied.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", OTHER_UID, "--regid", OTHER_UID, "--clear-groups", "--"]);
        command.arg(copy).current_dir("/").env("HOME", self.folder()).env_remove("XDG_RUNTIME_DIR");
        command
    }
}
