//! Interfaces that the configuration names after `%`: they come and go while the daemon runs.

use std::process::Stdio;

use crate::support::{Daemon, Network, Refused, command_in, eventually};

use super::folder_with;

const PEERS: &str =
    "groups = ['ff02::7788%nosuch1']\n[peers.bob]\naddress = 'fe80::1:2%nosuch2'\nencoding = 'gbk'\n";

#[test]
fn a_missing_interface_is_noted_and_prevents_no_start() {
    let folder = folder_with(&format!("listen = ['[fe80::1%nosuch0]:9']\n{PEERS}"));
    let checked = command_in(folder.path()).arg("--check-config").stdout(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success() && stderr.ends_with("the configuration is valid\n"), "{stderr}");
    let notes =
        ["`listen` names the interface `nosuch0`", "`nosuch1`", "peer `bob` names the interface `nosuch2`"];
    for (note, line) in notes.iter().zip(stderr.lines()) {
        assert!(line.starts_with("note: ") && line.contains(note), "{stderr}");
    }
    let shown = String::from_utf8(checked.stdout).unwrap();
    assert!(shown.contains("\"[fe80::1%nosuch0]:9\"") && shown.contains("\"fe80::1:2%nosuch2\""), "{shown}");

    let daemon = Daemon::start_with(PEERS, &["--listen", "127.0.0.1:0"]);
    let peers = daemon.rpc().call("peers", serde_json::json!({}));
    let bob = &peers["peers"][0];
    assert_eq!((&bob["address"], &bob["encoding"]), (&"fe80::1:2%nosuch2".into(), &"gbk".into()), "{peers}");
    daemon.ctl(&["send", "bob", "hi"]).fails(5, &["`nosuch2`", "ip link"]);
    daemon.ctl(&["inbox", "--from", "bob", "-a"]).ok();
    daemon.ctl(&["inbox", "--from", "fe80::1%nosuch3"]).fails(2, &["`nosuch3`", "ip link"]);
}

#[test]
fn a_start_without_its_interface_is_worth_repeating() {
    let folder = folder_with("");
    let refused = Daemon::refused(folder.path(), &["--listen", "[fe80::1%nosuch0]:9"]);
    let Refused { code, stderr } = refused;
    // Not 2: with that code systemd does not start it again.
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no interface `nosuch0` now") && stderr.contains("ip link"), "{stderr}");
}

#[test]
fn a_peer_stays_known_when_its_interface_is_made_again() {
    let Some(network) = Network::new() else { return };
    let listen = "listen = ['[::]:7788']\n";
    let here = Daemon::start_on(&network.here, &format!("{listen}[peers.bob]\naddress = 'fe80::1:2%eth0'\n"));
    let there = Daemon::start_on(&network.there, listen);
    here.ctl(&["send", "bob", "without a cable"]).fails(5, &["`eth0`"]);
    for round in ["one", "two"] {
        network.connect("eth0", 1);
        here.ctl(&["send", "bob", round]).ok();
        let received = eventually("the message", || {
            there.entries().into_iter().rev().find(|entry| entry["text"] == round)
        });
        there.ctl(&["reply", &received["id"].to_string(), round]).ok();
        let answer = eventually("the answer", || {
            here.entries()
                .into_iter()
                .rev()
                .find(|entry| entry["text"] == round && entry["direction"] == "in")
        });
        assert_eq!(answer["name"], "bob", "{answer}");
        // The next interface of that name gets another number.
        network.here.ip("link delete eth0");
        // What is stored stays known under both names, with both numbers.
        let stored = if round == "one" { 2 } else { 4 };
        for from in ["bob", "fe80::1:2%eth0"] {
            let found = here.rpc().call("inbox", serde_json::json!({"from": [from]}));
            let found = found["entries"].as_array().unwrap().clone();
            assert_eq!(found.len(), stored, "{from}: {found:?}");
            assert!(found.iter().all(|entry| entry["name"] == "bob"), "{from}: {found:?}");
        }
    }
}
