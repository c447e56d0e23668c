//! Which methods each role permits.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{Account, Daemon, OtherUser, Peer, command_in, new_folder, texts};

use super::{ADMINS, READERS, SENDERS, UID, account, config, start};

/// Every method, parameters with which it succeeds, and the role that it requires. `stop` is last.
fn methods(peer: &Peer) -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        ("version", json!({}), None),
        ("status", json!({}), None),
        ("inbox", json!({}), Some("read")),
        ("ack", json!({ "id": 0 }), Some("read")),
        ("consumers", json!({}), Some("read")),
        ("set_mark", json!({ "id": 0 }), Some("read")),
        ("remove_mark", json!({}), Some("read")),
        ("peers", json!({}), Some("read")),
        ("talkers", json!({}), Some("read")),
        ("targets", json!({ "to": ["127.0.0.1"] }), Some("send")),
        ("self_test", json!({}), Some("read")),
        ("subscribe", json!({}), Some("read")),
        ("unsubscribe", json!({}), Some("read")),
        ("send", json!({ "to": peer.name(), "text": "x" }), Some("send")),
        ("held", json!({}), None),
        // Nothing is held, which is the answer of a method that is permitted.
        ("cancel", json!({ "held": 1 }), Some("send")),
        ("recode", json!({ "as": "gbk" }), Some("admin")),
        ("acknowledge", json!({}), Some("admin")),
        ("reload", json!({}), Some("admin")),
        ("stop", json!({}), Some("admin")),
    ]
}

/// Checks that of all methods just those succeed for a caller that the roles permit; `call` returns a reply.
#[track_caller]
fn assert_permits(who: &str, roles: &[&str], peer: &Peer, mut call: impl FnMut(&str, Value) -> Value) {
    for (method, params, role) in methods(peer) {
        let reply = call(method, params);
        let is_permitted = role.is_none_or(|role| roles.contains(&role));
        let error = &reply["error"];
        if is_permitted {
            let is_done = error.is_null() || error["data"]["kind"] == "no_such_held";
            assert!(is_done, "{who}: {method}: {reply}");
            continue;
        }
        assert_eq!(error["data"]["kind"], "not_permitted", "{who}: {method}: {reply}");
        assert_eq!((&error["code"], &reply["id"]), (&json!(-32015), &json!(7)), "{reply}");
        let (message, hint) = (error["message"].as_str().unwrap(), error["data"]["hint"].as_str().unwrap());
        assert!(message.contains(&format!("`{method}`")) && message.contains(role.unwrap()), "{reply}");
        assert!(hint.contains("usermod -aG 400000000"), "{reply}");
        let reply = call(method, json!({ "unknown": 1 }));
        assert_eq!(reply["error"]["data"]["kind"], "not_permitted", "before its parameters: {reply}");
    }
}

#[test]
fn the_test_matrix_has_every_method() {
    let daemon = Daemon::start();
    let unknown = daemon.rpc().error("none", json!({}));
    let mut all: Vec<_> = unknown["data"]["hint"].as_str().unwrap().split(", ").map(str::to_owned).collect();
    let mut here: Vec<_> = methods(&Peer::new()).iter().map(|(method, ..)| (*method).to_owned()).collect();
    all.sort();
    here.sort();
    assert_eq!(here, all);
}

#[test]
fn the_protocol_text_lists_the_role_of_each_method() {
    let text = include_str!("../../../../daemon/api/PROTOCOL.md");
    for (method, _, role) in methods(&Peer::new()) {
        let begin = role.map_or("| any role |".to_owned(), |role| format!("| `{role}` |"));
        let row = text.lines().find(|line| line.starts_with(&begin)).unwrap();
        assert!(row.contains(&format!("`{method}`")), "{method}: {row}");
    }
}

#[test]
fn each_role_permits_only_its_methods() {
    let Some(_) = OtherUser::get() else { return };
    let peer = Peer::new();
    for (groups, roles) in [
        (&[READERS][..], &["read"][..]),
        (&[SENDERS], &["send"]),
        (&[1, SENDERS, 2, READERS], &["read", "send"]),
        (&[ADMINS], &["read", "send", "admin"]),
    ] {
        let mut daemon = start(&config(), &[]);
        let mut caller = account(groups).connect(&daemon.socket());
        assert_permits(&format!("{groups:?}"), roles, &peer, |method, params| caller.reply(method, params));
        if roles.contains(&"admin") {
            assert!(daemon.wait().success(), "it was stopped");
        } else {
            let sent = usize::from(roles.contains(&"send"));
            assert_eq!(texts(&daemon.entries()), vec!["x"; sent], "what is refused is not done");
            assert_eq!(daemon.status()["pid"], daemon.pid());
        }
    }
}

#[test]
fn hints_name_no_command_that_the_user_may_not_run() {
    let Some(_) = OtherUser::get() else { return };
    for (groups, may_list) in [(&[SENDERS][..], false), (&[SENDERS, READERS], true)] {
        let daemon = start(&config(), &[]);
        let mut caller = account(groups).connect(&daemon.socket());
        let text = "x".repeat(99 * 16);
        let mut hold = || {
            let params = json!({ "to": "127.0.0.2", "text": text, "split": 16, "when_seen": true });
            caller.reply("send", params)
        };
        let full = (0..11).map(|_| hold()).last().unwrap();
        let none = caller.reply("cancel", json!({ "held": 9_999 }));
        for (answer, kind) in [(full, "held_full"), (none, "no_such_held")] {
            assert_eq!(answer["error"]["data"]["kind"], kind, "{answer}");
            let hint = answer["error"]["data"]["hint"].as_str().unwrap_or_default();
            assert_eq!(hint.contains("udpchatctl held"), may_list, "{hint}");
        }
    }
}

#[test]
fn root_and_the_daemons_user_have_every_role() {
    let Some(_) = OtherUser::get() else { return };
    let (owner, peer) = (Account::new(UID + 1, &[]), Peer::new());
    for config in ["", &config()] {
        let mut daemon = start_as(&owner, config);
        let mut rpc = daemon.rpc();
        assert_permits("root", &["read", "send", "admin"], &peer, |method, params| rpc.reply(method, params));
        assert!(daemon.wait().success());
        let mut daemon = start_as(&owner, config);
        let mut caller = owner.connect(&daemon.socket());
        assert_permits("owner", &["read", "send", "admin"], &peer, |method, params| {
            caller.reply(method, params)
        });
        assert!(daemon.wait().success());
    }
}

/// Starts a daemon that runs as a user.
fn start_as(owner: &Account, config: &str) -> Daemon {
    let other = OtherUser::get().unwrap();
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let daemon = command_in(folder.path());
    let mut command = other.command_of(owner, env!("CARGO_BIN_EXE_udpchatd"));
    command.args(daemon.get_args()).args(["--listen", "127.0.0.1:0"]);
    command.env_clear().env("HOME", folder.path()).stdin(std::process::Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap()).stdout(std::process::Stdio::null());
    std::os::unix::fs::chown(folder.path(), Some(owner.uid), Some(owner.uid)).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    Daemon::start_by(folder, &mut command)
}
