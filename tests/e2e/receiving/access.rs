//! Who may send to the daemon: the lists `access.allow` and `access.deny`.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Daemon, Peer, texts};

/// Sends a message from each of two addresses, the second last, and returns the texts in the inbox with the status.
fn receive_both(daemon: &Daemon, port: u16) -> (Vec<String>, Value) {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let before = daemon.status()["stored"].as_u64().unwrap();
    for address in ["127.0.0.2", "127.0.0.1"] {
        Peer::at(&format!("{address}:0")).send(to, address);
    }
    // The lists of these tests accept the second one.
    let status = daemon.stored(before + 1);
    (texts(&daemon.entries()).into_iter().map(str::to_owned).collect(), status)
}

fn write_config(daemon: &Daemon, text: &str) {
    std::fs::write(daemon.path("config.toml"), text).unwrap();
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
}

#[track_caller]
fn assert_only_allowed_senders_are_received(config: &str, listen: &str) {
    let daemon = Daemon::start_with(config, &["--listen", listen]);
    let (received, status) = receive_both(&daemon, daemon.address().port());
    assert_eq!(received, ["127.0.0.1"], "{config}: neither the denied message nor a gap is stored");
    assert_eq!(status["dropped"]["denied"], 1, "{config}");
    assert_eq!(status["received"]["datagrams"], 2, "{config}");
    assert_eq!(status["received"]["bytes"], 18, "{config}");
    assert_eq!(status["state"], "ok", "{config}");
}

#[test]
fn a_denied_sender_is_only_counted() {
    assert_only_allowed_senders_are_received("[access]\ndeny = ['127.0.0.2']", "127.0.0.1:0");
}

#[test]
fn an_allow_list_denies_all_other_networks() {
    assert_only_allowed_senders_are_received(
        "[access]\nallow = ['10.0.0.0/8', '127.0.0.1/32']",
        "127.0.0.1:0",
    );
}

#[test]
fn deny_precedes_allow() {
    let config = "[access]\nallow = ['127.0.0.0/8']\ndeny = ['127.0.0.2/31']\n";
    assert_only_allowed_senders_are_received(config, "127.0.0.1:0");
}

#[test]
fn ipv4_over_a_dual_stack_socket_matches_ipv4_rules() {
    for config in ["[access]\ndeny = ['127.0.0.2']", "[access]\ndeny = ['::ffff:127.0.0.2']"] {
        assert_only_allowed_senders_are_received(config, "[::]:0");
    }
}

#[test]
fn a_reload_changes_the_lists_at_once() {
    let daemon = Daemon::start();
    let port = daemon.address().port();
    write_config(&daemon, "[access]\ndeny = ['127.0.0.2']");
    assert_eq!(receive_both(&daemon, port).0, ["127.0.0.1"]);
    write_config(&daemon, "[access]\nallow = ['127.0.0.1']");
    assert_eq!(receive_both(&daemon, port).0, ["127.0.0.1"; 2]);
    write_config(&daemon, "");
    receive_both(&daemon, port);
    daemon.stored(4);
    assert_eq!(texts(&daemon.entries())[2..], ["127.0.0.2", "127.0.0.1"]);
    assert_eq!(daemon.status()["dropped"]["denied"], 2);
}
