//! What a test needs and not every machine has: programs, and what only root may do.

use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// One of these is set where every tool must exist, as in CI.
const REQUIRED: [&str; 2] = ["UDPCHAT_REQUIRE_TOOLS", "CI"];

/// Returns whether this machine has a program; as [`missing`] otherwise.
#[track_caller]
pub(crate) fn available(tool: &str) -> bool {
    path(tool).is_some() || missing(&format!("`{tool}`"))
}

/// Returns whether this process is root's; as [`missing`] otherwise.
#[track_caller]
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root() || missing("root")
}

/// Returns whether this machine has IPv6; as [`missing`] otherwise.
#[track_caller]
pub(crate) fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok() || missing("IPv6")
}

/// Finds a program, also among those of the administrator, which are not in everybody's `PATH`.
pub(crate) fn path(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(tool)).find(|file| file.is_file())
}

/// Reports that the running test is skipped, since it needs something that this machine does not have, and returns false.
/// Fails the test where one of [`REQUIRED`] is set.
#[track_caller]
pub(crate) fn missing(needed: &str) -> bool {
    let place = Location::caller().to_string();
    // The test harness names the thread of a test after it, unless all tests run on the main thread.
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or(&place);
    assert!(REQUIRED.iter().all(|name| std::env::var_os(name).is_none()), "{test} needs {needed}");
    // Not by a macro: the test harness hides what the macros of a passing test print.
    std::io::stderr().write_all(format!("skipped: {test}: needs {needed}\n").as_bytes()).unwrap();
    false
}

/// Returns whether a test can mount disks, in a mount namespace of its own; as [`available`] otherwise.
#[track_caller]
pub(crate) fn can_mount() -> bool {
    is_root() && available("unshare")
}

/// Returns the search path with the project's own programs in front.
pub(crate) fn path_with_programs() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_udpchatctl")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
