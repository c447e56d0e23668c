//! Which groups give a user a role.

use serde_json::json;

use crate::support::{Account, Daemon, OtherUser};

use super::{READERS, UID, account, mode, reload, start};

#[test]
fn primary_and_any_supplementary_groups_count() {
    let Some(_) = OtherUser::get() else { return };
    let daemon = start(&format!("[control]\nread = [{READERS}, {UID}]"), &[]);
    let many: Vec<u32> = (1..1_000).chain([READERS]).collect();
    for account in [account(&[]), Account::new(UID + 1, &many)] {
        let reply = account.connect(&daemon.socket()).reply("inbox", json!({}));
        assert!(reply.get("result").is_some(), "{account:?}: {reply}");
    }
}

#[test]
fn an_unknown_group_name_permits_no_user() {
    let Some(_) = OtherUser::get() else { return };
    let daemon_group = nix::unistd::Group::from_name("daemon").unwrap().unwrap().gid.as_raw();
    let config = "[control]\n\nread = ['no-such-group', 'daemon']\nsend = ['no-such-group']";
    let mut daemon = start(config, &[]);
    let line = |key: &str, line: u32| {
        let file = format!("config.toml:{line})");
        (format!("control.{key}: group `no-such-group` is unknown and gives no access ("), file)
    };
    let warned = |log: &[String], (text, file): &(String, String)| {
        log.iter().any(|line| line.contains(text) && line.contains(file) && line.contains("WARN"))
    };
    let log = daemon.log();
    assert!(warned(&log, &line("read", 3)) && warned(&log, &line("send", 4)), "{log:#?}");
    let mut caller = account(&[daemon_group]).connect(&daemon.socket());
    assert!(caller.reply("inbox", json!({})).get("result").is_some());
    let refused = caller.reply("send", json!({ "to": "127.0.0.1:9", "text": "x" }));
    let hint = refused["error"]["data"]["hint"].as_str().unwrap();
    assert!(hint.contains("`send` is for root"), "{hint}");

    reload(&daemon, "[control]\nadmin = ['nobody-has-this-group']");
    let _warning = daemon.log_with("control.admin: group `nobody-has-this-group` is unknown");
    assert_eq!(mode(&daemon.socket()), 0o600, "no other user needs it");
    // Each command reports it as a problem, until it is corrected.
    let problem = "control.admin: group `nobody-has-this-group` is unknown and gives no access";
    assert!(daemon.status()["problems"].to_string().contains(problem), "{}", daemon.status());
    let reloaded = daemon.ctl(&["reload"]);
    assert!(reloaded.code == Some(0) && reloaded.stderr.contains(problem), "{reloaded:?}");
    let doctor = daemon.ctl(&["doctor"]);
    assert!(doctor.code == Some(1) && doctor.stdout.contains(problem), "{doctor:?}");
    Daemon::refused(daemon.folder.path(), &["--check-config"]).fails_with(2, &[problem]);
    reload(&daemon, "");
    assert_eq!(daemon.status()["state"], "ok");
}
