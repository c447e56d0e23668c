//! Peers with `silent_after`: one notice when they fall silent, one when they are heard again.
//!
//! The shortest time is ten seconds, so the tests are few; the rules of time are tested in `daemon/src/inbox/kept/silence.rs`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::clock::{Clocks, HOUR};
use crate::support::{Daemon, Peer, eventually_within};

/// The shortest `silent_after`, and how long a notice may take on a machine that has other work.
const AFTER: Duration = Duration::from_secs(10);
const WITHIN: Duration = Duration::from_secs(30);

fn notices(daemon: &Daemon) -> Vec<Value> {
    let entries = daemon.rpc().call("inbox", json!({ "notices": true, "limit": 1_000 }));
    entries["entries"].as_array().unwrap().iter().filter(|entry| entry["type"] == "notice").cloned().collect()
}

/// Waits until there are so many notices, and returns them.
fn some_notices(daemon: &Daemon, number: usize) -> Vec<Value> {
    eventually_within(WITHIN, "the notices", || {
        let notices = notices(daemon);
        (notices.len() >= number).then_some(notices)
    })
}

fn kinds(notices: &[Value]) -> Vec<&str> {
    notices.iter().map(|notice| notice["notice"].as_str().unwrap()).collect()
}

fn config(peer: &str) -> String {
    format!("[peers.dev]\naddress = '{peer}'\nsilent_after = '10s'\n")
}

fn reload(daemon: &Daemon, text: &str) {
    std::fs::write(daemon.path("config.toml"), text).unwrap();
    // There may be a note on what is denied.
    assert_eq!(daemon.ctl(&["-q", "reload"]).code, Some(0));
}

fn peer_row(daemon: &Daemon) -> Value {
    daemon.rpc().call("peers", json!({}))["peers"][0].take()
}

#[test]
fn a_peer_falls_silent_once_and_is_heard_again() {
    let (dev, other) = (Peer::at("127.0.0.5:0"), Peer::at("127.0.0.5:0"));
    let mut daemon = Daemon::start_with("[peers.dev]\naddress = '127.0.0.5'\n", &[]);
    daemon.receive_from(&dev, ["one"]);
    let last = daemon.entries()[0]["id"].clone();
    // It is watched from here on, however long the steps before took.
    let began = Instant::now();
    reload(&daemon, &config("127.0.0.5"));
    let silent = &some_notices(&daemon, 1)[0];
    assert!(began.elapsed() >= AFTER, "{:?}", began.elapsed());
    assert_eq!(
        (&silent["notice"], &silent["name"], &silent["peer"]),
        (&json!("silent"), &json!("dev"), &json!("127.0.0.5"))
    );
    assert_eq!((&silent["last_id"], &silent["seconds"]), (&last, &json!(10)));
    assert_eq!(silent.get("first"), None);
    let row = peer_row(&daemon);
    assert_eq!((&row["silent_after"], &row["silent_since"]), (&json!(10), &silent["at"]));
    let status = daemon.status();
    assert_eq!(status["watched_peers"][0]["silent_since"], silent["at"], "{status}");
    assert!(
        daemon
            .ctl(&["status", "--format", "prometheus"])
            .ok()
            .contains("udpchat_peer_silent{peer=\"dev\"} 1\n")
    );
    // Neither a kill nor a stop has it told again.
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    // It does not fall silent again before the test ends.
    std::fs::write(daemon.path("config.toml"), config("127.0.0.5").replace("10s", "1h")).unwrap();
    let daemon = daemon.start_again().start_again();
    assert_eq!(peer_row(&daemon)["silent_since"], silent["at"]);
    // Any port of the address is the peer.
    daemon.receive_from(&other, ["back"]);
    let heard = &some_notices(&daemon, 2)[1];
    assert_eq!((&heard["notice"], &heard["name"]), (&json!("heard"), &json!("dev")));
    let message = daemon.entries().pop().unwrap();
    assert_eq!((&heard["about"], &message["text"]), (&message["id"], &json!("back")));
    assert!(heard["seconds"].as_u64().unwrap() >= 10, "{heard}");
    assert_eq!(peer_row(&daemon).get("silent_since"), None);
    assert_eq!(kinds(&notices(&daemon)), ["silent", "heard"]);
}

#[test]
fn a_reload_adds_and_removes_silent_peers_without_a_word_about_removed_ones() {
    let mut daemon = Daemon::start_with("", &[]);
    reload(&daemon, &config("127.0.0.6"));
    let row = |daemon: &Daemon| {
        let inbox = rusqlite::Connection::open(daemon.database()).unwrap();
        inbox.query_row("SELECT count(*) FROM silent", [], |row| row.get::<_, u64>(0)).unwrap()
    };
    assert_eq!(kinds(&some_notices(&daemon, 1)), ["silent"]);
    let silent = &notices(&daemon)[0];
    assert_eq!((silent.get("last_id"), &silent["first"]), (None, &json!(true)), "it was never heard");
    assert_eq!(row(&daemon), 1);
    let is_known_never_heard = |daemon: &Daemon| {
        let status = daemon.rpc().call("status", json!({}));
        let watched = &status["watched_peers"][0];
        assert!(watched["silent_since"].is_string() && watched["last_heard"].is_null(), "{watched}");
    };
    is_known_never_heard(&daemon);
    // The next daemon does not take the beginning of the silence for a message.
    daemon = daemon.start_again();
    is_known_never_heard(&daemon);
    reload(&daemon, "[peers.dev]\naddress = '127.0.0.6'\n");
    eventually_within(WITHIN, "the row to be removed", || (row(&daemon) == 0).then_some(()));
    daemon.receive_from(&Peer::at("127.0.0.6:0"), ["nobody waits for this"]);
    assert_eq!(kinds(&notices(&daemon)), ["silent"]);
    assert_eq!(daemon.status().get("watched_peers"), None);
}

#[test]
fn a_denied_peer_is_not_called_silent() {
    let mut daemon = Daemon::start_with("", &[]);
    reload(&daemon, &config("127.0.0.8"));
    assert_eq!(kinds(&some_notices(&daemon, 1)), ["silent"]);
    reload(&daemon, &format!("{}[access]\ndeny = ['127.0.0.8']\n", config("127.0.0.8")));
    let _warning = daemon.log_with("so their silence is not noticed: dev");
    let row = eventually_within(WITHIN, "the row of the peer", || {
        let row = peer_row(&daemon);
        row.get("silent_since").is_none().then_some(row)
    });
    assert_eq!((&row["denied"], &row["silent_after"]), (&json!(true), &json!(10)));
    assert_eq!(daemon.status().get("watched_peers"), None);
    assert!(!daemon.ctl(&["status", "--format", "prometheus"]).ok().contains("udpchat_peer_silent{"));
    // It is watched again from here on.
    reload(&daemon, &config("127.0.0.8"));
    assert_eq!(kinds(&some_notices(&daemon, 2)), ["silent", "silent"]);
    let status = daemon.rpc().call("status", json!({}));
    let watched = &status["watched_peers"][0];
    assert!(watched["silent_since"].is_string() && watched["last_heard"].is_null(), "{watched}");
    daemon.receive_from(&Peer::at("127.0.0.8:0"), ["at last"]);
    let heard = &some_notices(&daemon, 3)[2];
    assert_eq!((&heard["notice"], &heard["first"]), (&json!("heard"), &json!(true)));
}

#[test]
fn a_step_of_the_clock_makes_nobody_silent() {
    let folder = crate::support::new_folder();
    let Some(mut clocks) = Clocks::new(folder.path()) else { return };
    std::fs::write(folder.path().join("config.toml"), config("127.0.0.7")).unwrap();
    let mut command = crate::support::command_in(folder.path());
    Clocks::preload(folder.path(), command.args(["--listen", "127.0.0.1:0"]));
    let dev = Peer::at("127.0.0.7:0");
    let began = Instant::now();
    let daemon = Daemon::start_by(folder, &mut command);
    for step in [24 * HOUR, -48 * HOUR, 24 * HOUR] {
        clocks.step(step);
        daemon.receive_from(&dev, [step.to_string()]);
        assert!(notices(&daemon).is_empty() || began.elapsed() >= AFTER);
    }
    // On a slow machine there may be more.
    assert_eq!(kinds(&some_notices(&daemon, 1))[0], "silent");
    assert!(began.elapsed() >= AFTER);
}
