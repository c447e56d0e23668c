//! A test that cannot run here says so, although the test harness hides what passing tests print.

use std::process::{Command, Output};

use crate::support::available;

const TEST: &str = "project::skipping::a_skipped_test_says_what_it_needs";

/// Makes the second run of this program skip the test.
const SKIP: &str = "UDPCHAT_TEST_SKIP";

/// Runs this test alone, where it is skipped.
fn skip(required: Option<&str>) -> Output {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", TEST, "--test-threads=2"]).env(SKIP, "1");
    again.env_remove("CI").env_remove("UDPCHAT_REQUIRE_TOOLS");
    again.envs(required.map(|name| (name, "1"))).output().unwrap()
}

#[test]
fn a_skipped_test_says_what_it_needs() {
    if std::env::var_os(SKIP).is_some() {
        assert!(!available("a-program-of-no-machine"));
        return;
    }
    let skipped = skip(None);
    let line = format!("skipped: {TEST}: needs `a-program-of-no-machine`\n");
    assert_eq!((skipped.status.code(), String::from_utf8_lossy(&skipped.stderr)), (Some(0), line.into()));
    for required in ["CI", "UDPCHAT_REQUIRE_TOOLS"] {
        assert!(!skip(Some(required)).status.success(), "{required}");
    }
}
