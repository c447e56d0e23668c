//! `plot`: a line for each number in a pipe, and curves on a full screen.

use std::process::Command;

use serde_json::json;

use crate::support::{Daemon, Peer, Running, Tmux};

fn with_sensor() -> (Daemon, Peer) {
    let peer = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.sensor]\naddress = '{}'\n", peer.name()), &[]);
    (daemon, peer)
}

#[test]
fn a_pipe_gets_a_line_for_each_number() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, ["temp=1 hum=2", "nothing", "a\u{1b}=3 temp=4.5\ntemp=5"]);
    let mut plot = daemon.ctl_running(&["plot", "temp", "-S", "1h"]);
    let values = |line: &str| line.split('\t').skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ");
    for expected in ["sensor temp 1", "sensor temp 4.5", "sensor temp 5"] {
        assert_eq!(values(&plot.line()), expected);
    }
    let other = Peer::new();
    daemon.receive_from(&other, ["temp=6"]);
    assert_eq!(values(&plot.line()), format!("{} temp 6", other.name()));
}

#[test]
fn a_pipe_ends_at_the_given_time() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, ["temp=1 hum=2 other=3"]);
    let values = |args: &[&str]| {
        let lines = daemon.ctl(&[&["plot"], args].concat()).ok();
        lines.lines().filter_map(|line| line.rsplit('\t').next()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values(&["temp,hum", "-U", "now"]), "1 2");
    assert_eq!(values(&["temp， other", "-S", "1h", "-U", "now"]), "1 3");
    assert_eq!(values(&["-U", "1h"]), "");
    daemon.ctl(&["plot", "-U", "2999-01-01"]).fails(2, &["--until is in the future"]);
    daemon.ctl(&["plot", "-S", "2999-01-01"]).fails(2, &["--since is in the future"]);
    daemon.ctl(&["plot", "-S", "1m", "-U", "1h"]).fails(2, &["ends before it begins"]);
}

#[test]
fn a_plot_is_of_selected_messages() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, ["ok t=1", "no t=2", "OK t=3", "ok t=4"]);
    let plot = |args: &[&str]| {
        let lines = daemon.ctl(&[&["plot", "t"], args].concat()).ok();
        lines.lines().filter_map(|line| line.rsplit('\t').next()).collect::<Vec<_>>().join(" ")
    };
    let until = ["-S", "1h", "-U", "now"];
    for (args, expected) in [
        (&["--where", "t > 1"][..], "2 3 4"),
        (&["--where", "@0:u8 = 111", "--where", "t != 1"], "4"),
        (&["--grep-hex", "4f 4b"], "3"),
        (&["--grep", "^ok"], "1 4"),
        (&["--grep", "^ok", "-i"], "1 3 4"),
    ] {
        assert_eq!(plot(&[args, &until].concat()), expected, "{args:?}");
    }
    let mut live = daemon.ctl_running(&["plot", "t", "-S", "1h", "--where", "t > 3", "--grep", "ok"]);
    assert!(live.line().ends_with("\tt\t4"));
    daemon.receive_from(&peer, ["ok t=3", "no t=5", "ok t=6"]);
    assert!(live.line().ends_with("\tt\t6"));
    let twice = daemon.ctl(&["plot", "t=@0:u8", "t"]);
    twice.fails(2, &["two numbers have the name `t`", "t2=@6:i16"]);
}

#[test]
fn a_plot_shows_the_span_of_its_times() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, ["temp=1", "temp=7"]);
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let program = env!("CARGO_BIN_EXE_udpchatctl");
    let plot = |args: &str| {
        tmux.shell(&format!("LC_ALL=C.UTF-8 {program} --socket {} plot {args}", daemon.socket().display()));
    };
    plot("-S 10m");
    tmux.until("ten minutes", |screen| screen.contains("sensor  10m") && screen.contains("[1 7]"));
    tmux.type_in("q");
    tmux.until("the shell", |screen| !screen.contains("sensor  10m"));
    plot("-S 2m -U now");
    let past = tmux.until("two minutes", |screen| screen.contains("sensor  2m") && screen.contains("[1 7]"));
    assert!(past.contains("+ - zoom") && !past.contains("space"), "{past}");
    tmux.type_in("-");
    tmux.shows("sensor  4m");
}

#[test]
fn json_has_an_object_for_each_number() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&Peer::new(), ["temp=1"]);
    daemon.receive_from(&peer, [r#"{"v":[2,true]}"#]);
    let mut plot = daemon.ctl_running(&["--json", "plot", "--from", "sensor", "-S", "1h"]);
    let (first, second) = (plot.json(), plot.json());
    assert_eq!(
        (&first["field"], &first["value"], &first["name"]),
        (&json!("v.0"), &json!(2.0), &json!("sensor"))
    );
    assert_eq!((&second["field"], &second["value"]), (&json!("v.1"), &json!(1.0)));
    let entry = &daemon.entries()[1];
    for number in [&first, &second] {
        assert_eq!(
            (&number["id"], &number["at"], &number["peer"]),
            (&entry["id"], &entry["at"], &entry["peer"])
        );
    }
}

#[test]
fn lines_end_with_their_reader() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, ["temp=1"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$0" --socket "$1" plot temp -S 1h | head -n 1"#]);
    let mut plot = Running::start(shell.arg(env!("CARGO_BIN_EXE_udpchatctl")).arg(daemon.socket()));
    assert!(plot.line().ends_with("\tsensor\ttemp\t1"));
    // Nothing else arrives.
    assert!(plot.wait().success());
}

#[test]
fn a_plot_continues_in_another_inbox() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, (0..20).map(|number| format!("temp={number}")));
    let Some(tmux) = Tmux::start(80, 24) else { return };
    tmux.shell(&format!(
        "LC_ALL=C.UTF-8 {} --socket {} plot",
        env!("CARGO_BIN_EXE_udpchatctl"),
        daemon.socket().display()
    ));
    tmux.shows("temp 19 [0 19]");
    let (folder, flags) = daemon.into_folder();
    tmux.shows("no connection");
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let daemon = Daemon::start_in(folder, flags);
    tmux.until("the connection", |screen| screen.contains("space holds"));
    daemon.receive_from(&peer, ["temp=50"]);
    tmux.shows("temp 50 [0 50]");
}

#[test]
fn curves_are_drawn_held_and_hidden() {
    let (daemon, peer) = with_sensor();
    daemon.receive_from(&peer, (0..20).map(|number| format!("temp={number} h\u{1b}=1,hum=40")));
    let Some(tmux) = Tmux::start(80, 24) else { return };
    tmux.shell(&format!(
        "TZ=UTC LC_ALL=C.UTF-8 {} --socket {} plot --span 30s",
        env!("CARGO_BIN_EXE_udpchatctl"),
        daemon.socket().display()
    ));
    let screen = tmux.until("the values", |screen| screen.contains("temp 19 [0 19]"));
    assert!(screen.contains("hum 40") && screen.contains('┤') && screen.contains("sensor  30s"), "{screen}");
    tmux.type_in("1");
    tmux.shows("1:(temp)");
    tmux.type_in("1+");
    tmux.shows("sensor  15s");
    tmux.type_in(" ");
    let held = tmux.shows("space continues");
    assert!(!held.contains("temp 50"));
    daemon.receive_from(&peer, ["temp=50"]);
    tmux.type_in(" ");
    tmux.until("the new value", |screen| screen.contains("temp 50") && screen.contains("space holds"));
    tmux.type_in("q");
    tmux.until("the shell", |screen| !screen.contains("sensor  15s") && screen.contains("$ "));
}
