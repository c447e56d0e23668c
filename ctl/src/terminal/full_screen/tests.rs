//! Tests that a panic restores a real terminal: this program runs itself again inside `script`.

use std::io::{self, Write as _};
use std::process::Command;

use crate::terminal::full_screen::*;

/// Makes the second run of this program panic.
const PANIC: &str = "UDPCHAT_TEST_PANIC";
const TEST: &str = "terminal::full_screen::tests::a_panic_restores_the_terminal";

#[test]
fn a_panic_restores_the_terminal() {
    if std::env::var_os(PANIC).is_some() {
        let _screen = FullScreen::enter(Input::KeysMouseAndPaste).unwrap();
        panic!("on purpose");
    }
    let program = std::env::current_exe().unwrap();
    let again = format!("stty -g; {} --exact {TEST} --nocapture; stty -g", program.display());
    let script = Command::new("script").args(["-qec", &again, "/dev/null"]).env(PANIC, "1").output();
    let Ok(output) = script else {
        let is_required = ["UDPCHAT_REQUIRE_TOOLS", "CI"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(!is_required, "{TEST} needs `script`");
        // Not by a macro: the test harness hides what the macros of a passing test print.
        io::stderr().write_all(format!("skipped: {TEST}: needs `script`\n").as_bytes()).unwrap();
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
    let last = |text: &str| shown.rfind(text).unwrap();
    // The message of the panic comes after the terminal is restored.
    assert!(at("\x1b[?1049h") < at("\x1b[?1049l") && at("\x1b[?1049l") < at("on purpose"));
    assert!(last("\x1b[?25l") < last("\x1b[?25h") && last("\x1b[?1000h") < last("\x1b[?1000l"));
    assert!(last("\x1b[?2004h") < last("\x1b[?2004l"));
    // `stty -g` prints numbers separated by colons, without a blank.
    let modes: Vec<_> =
        shown.lines().filter(|line| !line.contains(' ') && line.matches(':').count() > 10).collect();
    assert_eq!(modes.len(), 2, "{shown:?}");
    assert_eq!(modes[0], modes[1]);
}
