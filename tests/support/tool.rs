//! Programs that a test needs and that are no part of the project.

use std::path::{Path, PathBuf};

/// One of these is set where every tool must exist, as in CI.
const REQUIRED: [&str; 2] = ["UDPCHAT_REQUIRE_TOOLS", "CI"];

/// Returns whether this machine has a program. Without it the test ends without a result, and this prints why;
/// where one of [`REQUIRED`] is set, that fails the test.
#[track_caller]
pub(crate) fn available(tool: &str) -> bool {
    path(tool).is_some() || missing(&format!("this machine has no `{tool}`"))
}

/// Finds a program, also among those of the administrator, which are not in everybody's `PATH`.
pub(crate) fn path(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(tool)).find(|file| file.is_file())
}

/// Prints what is missing for a test, and returns false; where nothing may be missing, fails the test.
#[track_caller]
pub(crate) fn missing(what: &str) -> bool {
    assert!(REQUIRED.iter().all(|name| std::env::var_os(name).is_none()), "{what}");
    eprintln!("skipped: {what}");
    false
}

/// Returns whether a test can mount disks, in a mount namespace of its own; as [`available`] otherwise.
#[track_caller]
pub(crate) fn can_mount() -> bool {
    if !nix::unistd::geteuid().is_root() {
        return missing("only root can mount a disk");
    }
    available("unshare")
}

/// Returns the search path with the project's own programs in front.
pub(crate) fn path_with_programs() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_udpchatctl")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
