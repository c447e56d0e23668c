//! Programs that are no part of the project, and that not every machine has.

use std::path::Path;

/// Tells whether this machine has a tool. Where it has not, the test is to end without a result, and this says so; with
/// `UDPCHAT_REQUIRE_TOOLS=1`, as on the machines of CI, that fails the test.
#[track_caller]
pub(crate) fn available(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let required = std::env::var_os("UDPCHAT_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(found || !required, "this machine has no `{tool}`");
    if !found {
        eprintln!("skipped: this machine has no `{tool}`");
    }
    found
}

/// Returns the search path with the project's own programs in front.
pub(crate) fn path_with_programs() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_udpchatctl")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
