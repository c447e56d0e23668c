//! What a reload changes, and what it leaves to a restart.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use encoding_rs::GBK;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Background, Completed, Daemon, Peer, command_in, eventually, new_folder};

use super::{bare, folder_with};

fn rewrite(daemon: &Daemon, config: &str) {
    fs::write(daemon.path("config.toml"), config).unwrap();
}

#[test]
fn sighup_changes_peers_and_text_at_once() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    rewrite(&daemon, &format!("[peers.bob]\naddress = '{}'\nencoding = 'gbk'", peer.name()));
    daemon.signal(Signal::SIGHUP);
    daemon.log_line("configuration reloaded");
    peer.send_text(daemon.address(), "一", GBK);
    daemon.stored(1);
    let entry = daemon.entries().remove(0);
    assert_eq!((&entry["name"], &entry["text"]), (&json!("bob"), &json!("一")));
    let _receipt = daemon.ctl(&["send", "bob", "你好"]).ok();
    assert_eq!(peer.receive().0, GBK.encode("你好").0.as_ref());
}

#[test]
fn reload_changes_the_default_encoding() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    rewrite(&daemon, "[text]\nencoding = 'gbk'");
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    let _receipt = daemon.ctl(&["send", &peer.name(), "你好"]).ok();
    assert_eq!(peer.receive().0, GBK.encode("你好").0.as_ref());
}

#[test]
fn the_log_has_refusals_before_the_reload_that_ends_them() {
    let mut daemon = Daemon::start();
    for unknown in ["one", "two", "three"] {
        rewrite(&daemon, &format!("{unknown} = 1"));
        daemon.ctl(&["reload"]).fails(1, &[unknown]);
    }
    rewrite(&daemon, "");
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    daemon.rpc().call("stop", json!({}));
    let _last = daemon.log_line("stopped");
    let log = daemon.log();
    let place = |text: &str| log.iter().rposition(|line| line.contains(text)).unwrap();
    assert!(place("is refused") < place("configuration reloaded"), "{log:#?}");
    assert!(place("`three`") < place("configuration reloaded"), "{log:#?}");
}

#[test]
fn a_reload_without_the_file_that_was_read_is_refused() {
    let folder = new_folder();
    let file = folder.path().join(".config/udpchat/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[access]\ndeny = ['10.0.0.0/8']").unwrap();
    let mut command = bare(folder.path());
    command
        .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
        .arg(folder.path().join("data"));
    command.arg("--socket").arg(folder.path().join("s")).stderr(Stdio::piped());
    let daemon = Daemon::start_by(folder, &mut command);
    fs::remove_file(&file).unwrap();
    let gone =
        ["the running one stays", "was read before, and is not there now", "create it again, also empty"];
    daemon.ctl(&["reload"]).fails(1, &gone);
    assert_eq!(daemon.status()["access"]["deny"], json!(["10.0.0.0/8"]));
    fs::write(&file, "").unwrap();
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    assert_eq!(daemon.status()["access"]["deny"], json!([]));
}

#[test]
fn a_reload_of_a_daemon_that_reads_no_file_says_so() {
    let folder = new_folder();
    let mut command = bare(folder.path());
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]);
    command
        .arg(folder.path().join("data"))
        .arg("--socket")
        .arg(folder.path().join("s"))
        .stderr(Stdio::piped());
    let daemon = Daemon::start_by(folder, &mut command);
    let note =
        "note: no configuration file was read: the defaults, the environment and the command line apply\n";
    assert_eq!(daemon.ctl(&["reload"]).stderr, note);
}

#[test]
fn a_reload_that_removes_entries_says_so() {
    let daemon = Daemon::start_with("inbox.max_size = '1GiB'", &[]);
    daemon.receive_from(&Peer::new(), (0..3_000).map(|_| [7; 1_000]));
    rewrite(&daemon, "inbox.max_size = '1MiB'");
    let reloaded = daemon.ctl(&["reload"]).stderr;
    assert!(
        reloaded.contains("more than its limit of 1.0 MiB: the oldest entries may be removed"),
        "{reloaded}"
    );
}

#[test]
fn a_reload_says_what_is_probably_not_meant() {
    let mut daemon = Daemon::start();
    rewrite(&daemon, "[access]\ndeny = ['10.50.0.1/24']");
    let reloaded = daemon.ctl(&["reload"]);
    let note =
        "`access.deny`: 10.50.0.1/24 is all of 10.50.0.0/24; one address is written without the prefix";
    assert_eq!((reloaded.code, reloaded.stderr), (Some(0), format!("note: {note}\n")));
    daemon.log_line(note);
    assert_eq!(daemon.rpc().call("reload", json!({}))["notes"], json!([note]));
    rewrite(&daemon, "[peers]\nbob.address = '127.0.0.9'");
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    let _held = daemon.ctl(&["send", "bob", "x", "--when-seen"]).ok();
    rewrite(&daemon, "");
    let reloaded = daemon.ctl(&["reload"]).stderr;
    assert!(reloaded.contains("no longer configured: 1, the first for `bob`"), "{reloaded}");
}

#[test]
fn reload_changes_the_log_level_at_once() {
    let folder = folder_with("[log]\nlevel = 'warn'");
    let mut daemon = Background::start(command_in(folder.path()).args(["--listen", "127.0.0.1:0"]));
    let mut rpc = daemon.answers_on(&folder.path().join("s"));
    let listen = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let mut set_level_and_receive = |level: &str, text: &str| {
        fs::write(folder.path().join("config.toml"), format!("log.level = '{level}'")).unwrap();
        rpc.call("reload", json!({}));
        Peer::new().send(listen, text);
    };
    set_level_and_receive("info", "now");
    daemon.line_with(r#""text":"now""#);
    set_level_and_receive("warn", "not now");
    daemon.signal(Signal::SIGTERM);
    let (ended, lines) = daemon.wait();
    assert!(ended.success());
    assert!(!lines.iter().any(|line| line.contains("not now")), "{lines:#?}");
}

#[test]
fn a_refused_reload_keeps_the_running_configuration() {
    let peer = Peer::new();
    let good = format!("[peers.bob]\naddress = '{}'", peer.name());
    let mut daemon = Daemon::start_with(&good, &[]);
    rewrite(&daemon, "[peers.al]\naddress = '1.2.3.4'\n[log]\nlevel = 'loud'");
    let place = format!("{}:4:9: unknown log level `loud`", daemon.path("config.toml").display());
    let refused = daemon.ctl(&["reload"]);
    assert_eq!(refused.stdout, "");
    refused.fails(1, &["the running one stays", &place, "hint: ", "error, warn, info"]);
    daemon.signal(Signal::SIGHUP);
    eventually("the refusal in the log", || {
        let refusals = daemon.log().iter().filter(|line| line.contains("unknown log level `loud`")).count();
        // One for each of the two ways.
        (refusals == 2).then_some(())
    });
    // The next start would fail, so it is a problem until it is corrected.
    let status = daemon.rpc().call("status", json!({}));
    assert_eq!(status["state"], "degraded");
    assert!(status["problems"][0].as_str().unwrap().contains(&place), "{status}");
    assert!(daemon.ctl(&["doctor"]).stdout.contains("hint: correct the file, then run `udpchatctl reload`"));
    let _receipt = daemon.ctl(&["send", "bob", "still bob"]).ok();
    assert_eq!(peer.receive().0, b"still bob");
    let Completed { stderr, .. } = daemon.ctl(&["send", "al", "hi"]);
    assert!(stderr.contains("`al`"), "nothing of the bad file is in force: {stderr}");
    rewrite(&daemon, &good);
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    assert_eq!(daemon.rpc().call("status", json!({}))["state"], "ok");
}

const NEEDS_RESTART: &str = "listen = ['127.0.0.1:0']\nreceive_buffer = '1MiB'\n\
                             [inbox]\nmax_size = '1GiB'\n";

fn needs_restart(reloaded: &Value) -> Vec<&str> {
    reloaded["needs_restart"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
}

#[test]
fn reload_names_the_keys_that_need_a_restart() {
    let mut daemon = Daemon::start_with("listen = ['127.0.0.1:0', '127.0.0.2:0']", &[]);
    let keys = ["listen", "receive_buffer"];
    rewrite(&daemon, NEEDS_RESTART);
    assert_eq!(needs_restart(&daemon.ctl(&["--json", "reload"]).json()[0]), keys);
    let line = format!("\nneeds restart:   {}\n", keys.join(", "));
    assert!(daemon.ctl(&["status"]).ok().contains(&line));
    daemon.log_line(&format!("configuration reloaded; only a restart changes: {}", keys.join(", ")));
    assert_eq!(daemon.listen().len(), 2);
}

#[test]
fn every_reload_names_pending_restart_keys() {
    let daemon = Daemon::start_with("listen = ['127.0.0.1:0', '127.0.0.2:0']", &[]);
    rewrite(&daemon, NEEDS_RESTART);
    let first = daemon.rpc().call("reload", json!({}));
    assert_eq!(daemon.rpc().call("reload", json!({})), first);
    rewrite(&daemon, "listen = ['127.0.0.1:0', '127.0.0.2:0']");
    assert!(needs_restart(&daemon.rpc().call("reload", json!({}))).is_empty(), "it runs with these");
}

#[test]
fn status_shows_running_values_until_a_restart() {
    let folder = new_folder();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let config = |data: &str, buffer: &str| format!("data_dir = {:?}\nreceive_buffer = '{buffer}'", at(data));
    fs::write(at("c.toml"), config("old", "64KiB")).unwrap();
    let mut command = bare(folder.path());
    command.args(["--listen", "127.0.0.1:0"]).arg("--socket").arg(at("s")).arg("--config").arg(at("c.toml"));
    let mut daemon = Background::start(&mut command);
    let mut rpc = daemon.answers_on(&at("s"));
    fs::write(at("c.toml"), config("new", "32KiB")).unwrap();
    assert_eq!(needs_restart(&rpc.call("reload", json!({}))), ["data_dir", "receive_buffer"]);
    assert_eq!(needs_restart(&rpc.call("status", json!({}))), ["data_dir", "receive_buffer"]);
    let status = rpc.call("status", json!({}));
    assert_eq!(status["data_dir"], json!(at("old")));
    assert_eq!(status["receive_buffer"]["asked"], 64 * 1024);
}
