//! More configured peers than one line of the protocol holds.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Daemon, Peer, texts};

const PEERS: usize = 2_400;

/// The limit of a line, in bytes.
const MAX_LINE_BYTES: usize = 512 * 1024;

fn name(number: usize) -> String {
    format!("设备{number:04}{}", "备".repeat(50))
}

/// Starts a daemon with many configured peers, the last of which is real.
fn with_many(last: &Peer) -> Daemon {
    let address = |number: usize| match number + 1 {
        PEERS => last.name(),
        _ => format!("10.9.{}.{}:9", number / 250, number % 250),
    };
    let tables = (0..PEERS).map(|number| {
        format!("[peers.'{}']\naddress = '{}'\nsilent_after = '1d'\n", name(number), address(number))
    });
    Daemon::start_with(&tables.collect::<String>(), &[])
}

#[test]
fn more_peers_than_a_line_holds_come_in_parts() {
    let (known, stranger) = (Peer::new(), Peer::new());
    let daemon = with_many(&known);
    daemon.receive_from(&known, ["known"]);
    daemon.receive_from(&stranger, ["unknown"]);
    let mut rpc = daemon.rpc();
    // A client that does not ask for more gets an answer too.
    let first = rpc.call("peers", json!({ "window": 10 }));
    let listed = first["peers"].as_array().unwrap();
    assert!(first["more"] == true && listed.len() > 500 && listed.len() < PEERS, "{}", listed.len());
    let bytes = first.to_string().len();
    assert!(bytes < MAX_LINE_BYTES && bytes > MAX_LINE_BYTES * 9 / 10, "{bytes}");
    let last = rpc.call("peers", json!({ "window": 10, "after": name(PEERS - 2) }));
    assert_eq!(last["peers"].as_array().map(Vec::len), Some(2));
    assert!(last.get("more").is_none());
    let all = daemon.ctl(&["--json", "peers"]).json();
    let names: BTreeSet<_> = all.iter().filter_map(|peer| peer["name"].as_str()).collect();
    assert_eq!((all.len(), names.len()), (PEERS + 1, PEERS));
    assert_eq!(all.last().unwrap()["address"], stranger.name());
    let from = daemon.ctl(&["--json", "inbox", "--from", &name(PEERS - 1)]).json();
    assert_eq!(texts(&from), ["known"]);
}
