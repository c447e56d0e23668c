//! That a panic gives the terminal back is seen on a real one: this program is run again, in one.

use std::process::Command;

use crate::terminal::*;

/// Tells the program, run again, to panic.
const PANIC: &str = "UDPCHAT_TEST_PANIC";
const TEST: &str = "terminal::tests::a_panic_gives_the_terminal_back";

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_panic_gives_the_terminal_back() {
    if std::env::var_os(PANIC).is_some() {
        let _screen = Screen::enter_to_talk().unwrap();
        panic!("on purpose");
    }
    let program = std::env::current_exe().unwrap();
    let again = format!("stty -g; {} --exact {TEST} --nocapture; stty -g", program.display());
    let script = Command::new("script").args(["-qec", &again, "/dev/null"]).env(PANIC, "1").output();
    let Ok(output) = script else {
        assert!(std::env::var_os("UDPCHAT_REQUIRE_TOOLS").is_none(), "this machine has no `script`");
        eprintln!("skipped: this machine has no `script`");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown:?}"));
    let last = |text: &str| shown.rfind(text).unwrap();
    // Taken, given back, and only then told.
    assert!(at("\x1b[?1049h") < at("\x1b[?1049l") && at("\x1b[?1049l") < at("on purpose"));
    assert!(last("\x1b[?25l") < last("\x1b[?25h") && last("\x1b[?1000h") < last("\x1b[?1000l"));
    assert!(last("\x1b[?2004h") < last("\x1b[?2004l"));
    // What `stty -g` prints are numbers with colons between them, without a blank.
    let modes: Vec<_> =
        shown.lines().filter(|line| !line.contains(' ') && line.matches(':').count() > 10).collect();
    assert_eq!(modes.len(), 2, "{shown:?}");
    assert_eq!(modes[0], modes[1]);
}
