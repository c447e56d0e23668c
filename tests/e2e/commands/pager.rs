//! Long output on a terminal is shown in a pager, which the user may leave at any time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Daemon, Guard, Peer, Tmux, available, eventually};

const ROWS: u16 = 12;

/// A terminal with a daemon that has received numbered messages.
struct Terminal {
    daemon: Daemon,
    tmux: Tmux,
}

impl Terminal {
    /// Returns none where this machine has no tmux or no less.
    fn start(messages: usize) -> Option<Self> {
        if !available("less") {
            return None;
        }
        let tmux = Tmux::start(100, ROWS)?;
        let daemon = Daemon::start();
        daemon.receive_from(&Peer::new(), (1..=messages).map(|number| format!("number {number}.")));
        Some(Self { daemon, tmux })
    }

    /// Runs `udpchatctl` in the shell, which says `[over N]` when it has ended with N.
    fn ctl(&self, environment: &str, args: &str) {
        let (program, socket) = (env!("CARGO_BIN_EXE_udpchatctl"), self.daemon.socket());
        // In parts, so that the command line itself is not taken for the end.
        let over = "echo \"[over\" $?]";
        // The end of the command before must not be taken for that of this one.
        self.tmux.run(&["send-keys", "-R"]);
        self.tmux.shell(&format!("{environment} {program} --socket {} {args}; {over}", socket.display()));
    }
}

#[test]
fn history_longer_than_the_screen_is_paged() {
    let Some(terminal) = Terminal::start(30) else { return };
    terminal.ctl("", "inbox --grep number");
    let screen = terminal.tmux.until("a full screen", |screen| screen.trim_end().ends_with(':'));
    assert!(screen.contains("number 1.") && screen.contains("number 11.") && !screen.contains("number 12."));
    terminal.tmux.press(&["G"]);
    terminal.tmux.shows("number 30.");
    terminal.tmux.press(&["q"]);
    terminal.tmux.shows("[over 0]");
}

#[test]
fn the_checks_of_doctor_are_paged() {
    let Some(terminal) = Terminal::start(1) else { return };
    terminal.ctl("", "doctor");
    let screen = terminal.tmux.until("a full screen", |screen| screen.trim_end().ends_with(':'));
    assert!(screen.contains("daemon  ") && !screen.contains("[over"), "{screen}");
    terminal.tmux.press(&["q"]);
    terminal.tmux.shows("[over");
}

#[test]
fn short_output_and_no_pager_end_at_once() {
    let Some(terminal) = Terminal::start(30) else { return };
    for (environment, args) in [
        ("", "inbox -n 5 --from 127.0.0.1"),
        ("", "--no-pager inbox -a"),
        ("", "inbox -a --no-pager"),
        ("PAGER=", "inbox -a"),
        ("UDPCHAT_PAGER=cat PAGER=false", "inbox -a"),
        ("TERM=dumb", "inbox -a"),
    ] {
        terminal.ctl(environment, args);
        let screen = terminal.tmux.shows("[over 0]");
        assert!(screen.contains("number 30."), "{environment} {args}: {screen}");
    }
}

#[test]
fn the_environment_names_the_pager() {
    let Some(terminal) = Terminal::start(30) else { return };
    for (environment, shown) in [
        ("PAGER='sed s/number/paged/ | tail -n 3'", "paged 30."),
        ("UDPCHAT_PAGER='tail -n 2' PAGER=false", "number 30."),
        ("PAGER=/no/such/pager", "number 30."),
    ] {
        terminal.ctl(environment, "inbox -a");
        let screen = terminal.tmux.shows("[over 0]");
        assert!(screen.contains(shown), "{environment}: {screen}");
    }
}

#[test]
fn a_missing_pager_is_said() {
    let Some(terminal) = Terminal::start(12) else { return };
    let stderr = terminal.tmux.path("stderr");
    terminal.ctl("PAGER=/no/such/pager", &format!("inbox -a 2> {}", stderr.display()));
    terminal.tmux.shows("[over 0]");
    let said = fs::read_to_string(&stderr).unwrap();
    assert!(said.starts_with("note: the pager `/no/such/pager` cannot be started: "), "{said}");
}

#[test]
fn a_bare_look_shows_twenty_and_says_so() {
    let Some(terminal) = Terminal::start(30) else { return };
    terminal.ctl("PAGER=", "inbox -r");
    let screen = terminal.tmux.shows("[over 0]");
    assert!(screen.contains("note: the last 20 of 30 entries; -a shows all"), "{screen}");
    assert!(screen.contains("number 11.") && !screen.contains("number 10."), "{screen}");
    terminal.ctl("PAGER=", "inbox -r --from 127.0.0.1");
    let screen = terminal.tmux.shows("[over 0]");
    assert!(screen.contains("number 1.") && !screen.contains("note:"), "{screen}");
    terminal.ctl("PAGER=", "inbox -r -n 25");
    assert!(!terminal.tmux.shows("[over 0]").contains("note:"));
}

#[test]
fn nothing_asked_for_is_no_note() {
    let Some(terminal) = Terminal::start(0) else { return };
    terminal.ctl("", "inbox -n 0");
    let screen = terminal.tmux.shows("[over 0]");
    assert!(!screen.contains("note:"), "{screen}");
    for (args, note) in [
        ("inbox -a", "note: the inbox is empty"),
        ("inbox --grep x", "note: no entry matches"),
        ("inbox --since 2999-01-01", "note: no entry matches: the time of --since is still to come"),
        ("inbox", "note: nothing new"),
    ] {
        terminal.ctl("", args);
        assert!(terminal.tmux.shows("[over 0]").contains(note), "{args}");
    }
}

#[test]
fn the_note_about_a_new_consumer_follows_the_pager() {
    let Some(terminal) = Terminal::start(30) else { return };
    terminal.ctl("", "inbox --consumer c");
    let screen = terminal.tmux.until("a full screen", |screen| screen.trim_end().ends_with(':'));
    assert!(screen.contains("number 1.") && !screen.contains("note:"), "{screen}");
    terminal.tmux.press(&["G"]);
    terminal.tmux.shows("number 30.");
    terminal.tmux.press(&["q"]);
    let screen = terminal.tmux.shows("[over 0]");
    assert!(screen.contains("note: consumer `c` is new"), "{screen}");
}

/// Starts a reader that takes nothing, and waits until it gets messages ahead: a pager would get some by then, too.
fn wait_until_another_reader_is_ahead(daemon: &Daemon) {
    let mut command = daemon.ctl_command(&["inbox", "--consumer", "other"]);
    let other = Guard::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    eventually("messages ahead for another reader", || {
        let counters = fs::read_to_string(format!("/proc/{}/io", other.pid())).unwrap();
        let written = counters.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
        (written.parse::<u64>().unwrap() > 16 * 1024).then_some(())
    });
}

#[test]
fn a_pager_gets_messages_as_it_shows_them() {
    let Some(terminal) = Terminal::start(2_000) else { return };
    terminal.ctl("", "inbox");
    terminal.tmux.until("a full screen", |screen| screen.trim_end().ends_with(':'));
    wait_until_another_reader_is_ahead(&terminal.daemon);
    terminal.tmux.press(&["Space"]);
    let next_page = |screen: &str| screen.contains("number 22.") && screen.trim_end().ends_with(':');
    let screen = terminal.tmux.until("the next page", next_page);
    let shown: Vec<u64> = screen
        .lines()
        .filter_map(|line| line.rsplit_once("number ")?.1.trim_end().strip_suffix('.')?.parse().ok())
        .collect();
    let last = shown.into_iter().max().unwrap();
    terminal.tmux.press(&["q"]);
    let screen = terminal.tmux.shows("stay unread");
    let unread = terminal.daemon.status()["inbox"]["unread"].as_u64().unwrap();
    // less reads a few lines more than it shows; another reader would have dozens.
    let expected = 2_000 - last - 20..=2_000 - last;
    assert!(expected.contains(&unread), "{unread}, not {expected:?}: {screen}");
}

#[test]
fn leaving_the_pager_keeps_the_rest_unread() {
    let Some(terminal) = Terminal::start(2_000) else { return };
    terminal.ctl("", "inbox");
    terminal.tmux.until("a full screen", |screen| screen.trim_end().ends_with(':'));
    // Ctrl-C is for the pager, which stays, and may discard the next key.
    terminal.tmux.press(&["C-c"]);
    let screen = eventually("the end of the pager", || {
        terminal.tmux.press(&["q"]);
        let screen = terminal.tmux.screen();
        screen.contains("[over 0]").then_some(screen)
    });
    terminal.tmux.press(&["Enter"]);
    assert!(screen.contains("messages stay unread"), "{screen}");
    let page = terminal.daemon.rpc().call("inbox", json!({ "consumer": "default", "limit": 1 }));
    let unread = page["unread"].as_u64().unwrap();
    assert!((1_000..=1_988).contains(&unread), "{unread}");
    let read_on = page["entries"][0]["id"].as_u64().unwrap();
    assert_eq!(read_on, 2_000 - unread + 1);
    terminal.ctl("", "inbox");
    terminal.tmux.until("a full screen", |screen| screen.contains(&format!("#{read_on} ")));
    terminal.tmux.press(&["G"]);
    terminal.tmux.shows("number 2000.");
    terminal.tmux.press(&["q"]);
    terminal.tmux.shows("[over 0]");
    assert_eq!(terminal.daemon.status()["inbox"]["unread"], 0);
}

#[test]
fn a_pager_that_ends_early_ends_the_command() {
    // More than fits into the pipe, too: what the pager has not taken must not reach the terminal after it.
    for messages in [100, 3_000] {
        let Some(terminal) = Terminal::start(messages) else { return };
        // It reads the first line and ends.
        let pager = terminal.tmux.path("pager");
        fs::write(&pager, "#!/bin/sh\nread -r line && echo \"$line\"\n").unwrap();
        fs::set_permissions(&pager, fs::Permissions::from_mode(0o755)).unwrap();
        terminal.ctl(&format!("PAGER={}", pager.display()), "inbox -a");
        let screen = terminal.tmux.shows("[over 0]");
        assert_eq!(screen.matches(" number ").count(), screen.matches("number 1.").count(), "{screen}");
    }
}
