//! Programs that some tests need and that are no part of the project.

/// Tells whether this machine has a program. Where it has not, the test is to end without a result, and this says so;
/// where the tools must be there (`UDPCHAT_REQUIRE_TOOLS`), this fails the test.
#[track_caller]
pub(crate) fn available(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    assert!(found || std::env::var_os("UDPCHAT_REQUIRE_TOOLS").is_none(), "this machine has no `{tool}`");
    if !found {
        eprintln!("skipped: this machine has no `{tool}`");
    }
    found
}
