//! `status --watch`: a line or an object for each interval in a pipe, a full screen on a terminal, and a
//! terminal that is restored at every exit.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Daemon, Peer, Running, Tmux, ctl_without_daemon, eventually};

/// The shortest permitted interval.
const FAST: [&str; 4] = ["status", "--watch", "--interval", "100ms"];

/// Starts the watch into a pipe, with its standard error in a file.
fn watching(daemon: &Daemon, flags: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatctl"));
    let stderr = File::create(daemon.path("stderr")).unwrap();
    command.env_clear().env("TZ", "UTC").arg("--socket").arg(daemon.socket()).args(flags).args(FAST);
    Running::start(command.stderr(stderr))
}

/// Reads objects until one meets a condition, and returns all of them.
#[track_caller]
fn until(watch: &mut Running, is_so: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut seen = Vec::new();
    eventually("such an object", || {
        seen.push(watch.json());
        seen.last().is_some_and(&is_so).then_some(())
    });
    seen
}

fn number(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap()
}

#[test]
fn each_interval_prints_an_object_with_rising_counters() {
    let daemon = Daemon::start();
    let mut watch = watching(&daemon, &["--json"]);
    let first = watch.json();
    let names = |status: &Value| status.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((number(&first, "/stored"), names(&first)), (0, names(&daemon.status())));
    let peer = Peer::new();
    let mut seen = vec![first];
    for round in 1..=3 {
        daemon.receive_from(&peer, ["a", "b"]);
        seen.extend(until(&mut watch, |status| number(status, "/stored") == 2 * round));
    }
    for pair in seen.windows(2) {
        assert!(pair[0]["at"].as_str() < pair[1]["at"].as_str(), "{pair:?}");
        for counter in ["/received/datagrams", "/stored", "/inbox/newest_id"] {
            assert!(number(&pair[0], counter) <= number(&pair[1], counter), "{counter}");
        }
    }
}

#[test]
fn without_json_each_line_shows_rates() {
    let daemon = Daemon::start();
    let mut watch = watching(&daemon, &[]);
    let first = watch.line();
    assert!(first.ends_with("  ok  received 0  stored 0  queued 0  dropped 0  unread 0"), "{first}");
    daemon.receive_from(&Peer::new(), ["a", "b", "c"]);
    let line =
        eventually("a line of all", || Some(watch.line()).filter(|line| line.contains("received 3 +")));
    assert!(!line.contains("received 3 +0/s"), "they came in this interval: {line}");
    let quiet = "  ok  received 3 +0/s  stored 3 +0/s  queued 0  dropped 0  unread 3";
    eventually("a quiet line", || watch.line().ends_with(quiet).then_some(()));
}

#[test]
fn a_closed_pipe_ends_it_successfully() {
    let daemon = Daemon::start();
    for flags in [&[][..], &["--json"]] {
        let mut watch = daemon.ctl_start(&[flags, &FAST].concat());
        let mut line = String::new();
        let mut stdout = BufReader::new(watch.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        let ended = eventually("the end of the watch", || watch.try_wait().unwrap());
        let output = std::io::read_to_string(watch.stderr.take().unwrap()).unwrap();
        assert_eq!((ended.code(), output.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_lost_daemon_is_reported_once_and_awaited() {
    let daemon = Daemon::start();
    let mut watch = watching(&daemon, &["--json"]);
    let stderr = daemon.path("stderr");
    let first = number(&watch.json(), "/pid");
    assert_eq!(first, u64::from(daemon.pid()));
    let (folder, flags) = daemon.into_folder();
    let output = eventually("the report of the loss", || {
        fs::read_to_string(&stderr).ok().filter(|text| text.ends_with('\n'))
    });
    let output: Value = serde_json::from_str(&output).unwrap();
    let hint = "start one with `udpchatd`; `udpchatctl doctor` finds one that listens elsewhere; \
        waiting for it to come back";
    assert_eq!(output["error"]["hint"], hint);
    let again = Daemon::start_in(folder, flags);
    let second = u64::from(again.pid());
    for status in until(&mut watch, |status| number(status, "/pid") == second) {
        assert!([first, second].contains(&number(&status, "/pid")));
    }
    assert_eq!(fs::read_to_string(&stderr).unwrap().lines().count(), 1);
}

#[test]
fn it_needs_a_daemon_at_the_start() {
    let nowhere = crate::support::new_folder();
    let socket = nowhere.path().join("s");
    let socket = socket.to_str().unwrap();
    for flags in [&[][..], &["--json"]] {
        let ran = ctl_without_daemon(&[&["--socket", socket], flags, &FAST].concat(), &[]);
        ran.fails(3, &["no daemon found"]);
    }
}

/// Starts the watch in a terminal, from a shell that records the settings of the terminal before and after.
fn full_screen(tmux: &Tmux, daemon: &Daemon, environment: &str) {
    let [before, after, pid] = ["before", "after", "pid"].map(|name| tmux.path(name).display().to_string());
    let watch = format!(
        "{environment} {} --socket {} status --watch --interval 200ms",
        env!("CARGO_BIN_EXE_udpchatctl"),
        daemon.socket().display()
    );
    // `exec`, so that the process is the watch itself.
    let script = format!("echo $$ > {pid}\nexec env {watch}\n");
    let watch = tmux.path("watch");
    fs::write(&watch, script).unwrap();
    tmux.shell(&format!(
        "clear; stty -a > {before}; sh {}; echo ended $?; stty -a > {after}",
        watch.display()
    ));
}

/// Waits for the end, and checks that nothing of the screen is left.
#[track_caller]
fn has_ended(tmux: &Tmux) {
    let screen = tmux.shows("ended 0");
    assert!(!screen.contains("senders of the last"), "{screen}");
    is_as_before(tmux);
    assert_eq!(tmux.tmux_format("#{alternate_on} #{cursor_flag}"), "0 1");
}

#[track_caller]
fn is_as_before(tmux: &Tmux) {
    let set = |name: &str| fs::read_to_string(tmux.path(name)).ok().filter(|text| !text.is_empty());
    let after = eventually("what the terminal is set to", || set("after"));
    assert_eq!(set("before").as_deref(), Some(after.as_str()));
    fs::remove_file(tmux.path("after")).unwrap();
}

#[test]
fn a_full_screen_follows_the_daemon() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    full_screen(&tmux, &daemon, "");
    tmux.shows("  no messages");
    let screen = tmux.shows("udpchatd ok  up ");
    assert!(screen.contains(&daemon.listen()[0].to_string()), "{screen}");
    let peer = Peer::new();
    daemon.receive_from(&peer, ["a"; 40]);
    tmux.shows(&format!("100 %  ■■■■■■■■■■  {}", peer.name()));
    tmux.until("all of them", |screen| screen.contains("40 total\n") && screen.contains("40 unread"));
    tmux.resize(40, 12);
    tmux.until("the narrow screen", |screen| screen.lines().any(|line| line == "inbox     40 entries"));
    tmux.resize(120, 40);
    tmux.until("the wide screen", |screen| screen.contains("index 0 behind   write-ahead log"));
    tmux.resize(80, 24);
    tmux.until("the screen as it was", |screen| screen.contains("index 0 behind\n          write-ahead log"));
    tmux.press(&["q"]);
    has_ended(&tmux);
}

#[test]
fn every_exit_restores_the_terminal() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    let send = |signal: Signal| {
        let pid = fs::read_to_string(tmux.path("pid")).unwrap().trim().parse().unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    };
    let ways: [(&str, &dyn Fn()); 6] = [
        ("q", &|| tmux.press(&["q"])),
        ("Ctrl-C", &|| tmux.press(&["C-c"])),
        ("SIGINT", &|| send(Signal::SIGINT)),
        ("SIGTERM", &|| send(Signal::SIGTERM)),
        ("SIGHUP", &|| send(Signal::SIGHUP)),
        ("q again", &|| tmux.press(&["q"])),
    ];
    for (way, end) in ways {
        eprintln!("ended by {way}");
        full_screen(&tmux, &daemon, "");
        tmux.shows("senders of the last");
        assert_eq!(tmux.tmux_format("#{alternate_on} #{cursor_flag}"), "1 0");
        end();
        has_ended(&tmux);
    }
}

#[test]
fn a_suspended_watch_resumes_in_the_foreground() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    full_screen(&tmux, &daemon, "");
    tmux.shows("senders of the last");
    tmux.press(&["C-z"]);
    // The shell continues its line: it reports how the job ended, and records the settings of the terminal.
    tmux.shows("ended 1");
    is_as_before(&tmux);
    assert_eq!(tmux.tmux_format("#{alternate_on} #{cursor_flag}"), "0 1");
    daemon.receive_from(&Peer::new(), ["meanwhile"]);
    tmux.shell("clear; fg; stty -a > $HOME/after; echo ended $?");
    tmux.shows("1 total");
    assert_eq!(tmux.tmux_format("#{alternate_on} #{cursor_flag}"), "1 0");
    tmux.press(&["q"]);
    has_ended(&tmux);
}

#[test]
fn the_screen_shows_a_lost_daemon_and_reconnects() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    full_screen(&tmux, &daemon, "");
    tmux.shows("udpchatd ok");
    let (folder, flags) = daemon.into_folder();
    let screen = tmux.shows("udpchatd gone");
    assert!(screen.contains("trying again") && screen.contains("inbox     0 entries"), "{screen}");
    let daemon = Daemon::start_in(folder, flags);
    tmux.shows("the daemon restarted");
    daemon.receive_from(&Peer::new(), ["again"]);
    tmux.shows("inbox     1 entries");
    tmux.press(&["q"]);
    has_ended(&tmux);
}

#[test]
fn no_color_disables_colour() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    let coloured = |environment: &str| {
        full_screen(&tmux, &daemon, environment);
        tmux.shows("senders of the last");
        let screen = tmux.run(&["capture-pane", "-p", "-e"]);
        tmux.press(&["q"]);
        has_ended(&tmux);
        // The state is green.
        screen.contains("\u{1b}[38;5;2m") || screen.contains("\u{1b}[32m")
    };
    assert!(coloured("NO_COLOR="));
    assert!(!coloured("NO_COLOR=1"));
}

#[test]
fn unchanged_cells_are_not_redrawn() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = Daemon::start();
    full_screen(&tmux, &daemon, "");
    tmux.shows("senders of the last");
    let drawn = tmux.path("drawn");
    tmux.run(&["pipe-pane", "-O", &format!("cat > {}", drawn.display())]);
    let clock = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    for _ in 0..4 {
        let before = clock(&tmux.screen());
        tmux.until("another second", |screen| clock(screen) != before);
    }
    tmux.run(&["pipe-pane"]);
    let bytes = fs::metadata(&drawn).unwrap().len();
    // Some 20 intervals, of which a whole screen each would be 20,000 bytes and more.
    assert!((1..5_000).contains(&bytes), "{bytes} bytes were drawn");
    tmux.press(&["q"]);
    has_ended(&tmux);
}
