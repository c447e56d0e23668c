//! `plot`: a line for each number in a pipe, and curves on a full screen.

use serde_json::json;

use crate::support::{Daemon, Peer, Tmux};

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
