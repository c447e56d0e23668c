//! What a reload does to roles, to open connections and to the mode of the socket.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::support::{Account, Daemon, Injection, Manager, OtherUser, Peer, Running, Tmux, available};

use super::{READERS, SENDERS, UID, account, config, mode, open_folder, reload, start};

#[test]
fn a_reload_grants_and_revokes_roles() {
    let Some(_) = OtherUser::get() else { return };
    let mut daemon = start("", &[]);
    let user = account(&[READERS]);
    assert_eq!(mode(&daemon.socket()), 0o600);
    let kept_out = user.connect(&daemon.socket()).remaining_lines();
    assert_eq!(kept_out, Vec::<Value>::new(), "the file is closed");

    reload(&daemon, &config());
    assert_eq!(mode(&daemon.socket()), 0o666);
    let mut follower = user.connect(&daemon.socket());
    let mut sender = Account::new(UID + 1, &[SENDERS]).connect(&daemon.socket());
    assert!(follower.reply("subscribe", json!({})).get("result").is_some());
    assert!(sender.reply("status", json!({})).get("result").is_some());
    daemon.receive_from(&Peer::new(), ["heard"]);
    assert_eq!(follower.line()["params"]["text"], "heard");

    // A user who gains roles keeps the connection and has them at once.
    reload(&daemon, &format!("[control]\nread = [{READERS}, {SENDERS}]\nsend = [{SENDERS}]"));
    assert!(sender.reply("inbox", json!({})).get("result").is_some());

    // A user who loses a role gets an error and a disconnect, whatever roles are left.
    reload(&daemon, &format!("[control]\nsend = [{SENDERS}]"));
    let last = follower.remaining_lines();
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0]["error"]["data"]["kind"], "not_permitted");
    let last = sender.remaining_lines();
    assert_eq!(last.len(), 1, "{last:?}");
    let why = last[0]["error"]["message"].as_str().unwrap();
    assert!(why.contains("lost a role"), "{why}");
    let _line = daemon.log_with("lost a role");
    let mut sender = Account::new(UID + 1, &[SENDERS]).connect(&daemon.socket());
    assert!(sender.reply("version", json!({})).get("result").is_some());

    let own = nix::unistd::getegid();
    reload(&daemon, &format!("[control]\nread = [{own}]"));
    assert_eq!(mode(&daemon.socket()), 0o660);
    reload(&daemon, "");
    assert_eq!(mode(&daemon.socket()), 0o600);
    assert_eq!(daemon.status()["state"], "ok");
}

#[test]
fn a_client_that_loses_its_role_reports_why() {
    let Some(user) = OtherUser::get() else { return };
    let daemon = start(&config(), &[]);
    daemon.receive_from(&Peer::new(), ["heard"]);
    let account = account(&[READERS]);
    let begin = |name: &str, args: &[&str]| {
        let stderr = fs::File::create(daemon.path(name)).unwrap();
        let mut command = user.command_of(&account, env!("CARGO_BIN_EXE_udpchatctl"));
        command.arg("--json").arg("--socket").arg(daemon.socket()).args(args).stderr(stderr);
        let mut client = Running::start(&mut command);
        client.line();
        client
    };
    let mut follower = begin("follower", &["inbox", "--follow", "--peek"]);
    let mut watch = begin("watch", &["status", "--watch", "--interval", "100ms"]);
    // The watch needs no more than any role; only without one it ends.
    reload(&daemon, &format!("[control]\nsend = [{READERS}]"));
    let why = |name: &str| fs::read_to_string(daemon.path(name)).unwrap();
    let last_line = |name: &str| serde_json::from_str::<Value>(why(name).lines().last().unwrap()).unwrap();
    assert_eq!(follower.wait().code(), Some(6), "{}", why("follower"));
    let error = last_line("follower");
    assert_eq!(error["error"]["kind"], "not_permitted", "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("lost a role"), "{error}");
    (0..5).for_each(|_| drop(watch.line()));
    assert_eq!(why("watch"), "");
    reload(&daemon, "[control]\nsend = [0]");
    assert_eq!(watch.wait().code(), Some(6), "{}", why("watch"));
    let error = last_line("watch");
    assert_eq!(error["error"]["kind"], "not_permitted", "{error}");
}

#[test]
fn a_plot_on_a_screen_ends_without_the_role_to_read() {
    let Some(user) = OtherUser::get() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let daemon = start(&config(), &[]);
    daemon.receive_from(&Peer::new(), ["temp=1"]);
    let command = user.command_of(&account(&[READERS, SENDERS]), env!("CARGO_BIN_EXE_udpchatctl"));
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    tmux.shell(&format!("{} --socket {} plot; echo code $?", words.join(" "), daemon.socket().display()));
    tmux.shows("temp 1 [1 1]");
    // One role less closes the connection; the other one still permits to read.
    reload(&daemon, &format!("[control]\nread = [{READERS}]"));
    tmux.shows("no connection");
    tmux.shows("space holds");
    reload(&daemon, "[control]\nread = [0]");
    let screen = tmux.shows("code 6");
    assert!(screen.contains("error"), "{screen}");
}

#[test]
fn a_message_in_parts_is_finished_after_its_sender_lost_the_role() {
    let Some(_) = OtherUser::get() else { return };
    if !available("strace") {
        return;
    }
    let mut daemon = start(&config(), &[]);
    let (peer, mut sender) = (Peer::new(), account(&[SENDERS]).connect(&daemon.socket()));
    assert!(sender.reply("version", json!({})).get("result").is_some());
    // The first part is sent; the second waits for the kernel, and is given up after a second.
    let _fault = Injection::start(daemon.pid(), "sendmsg", "ENOBUFS", "2+");
    let params = json!({ "to": peer.name(), "raw": "AAAA".repeat(12), "split": 16 });
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "send", "params": params });
    sender.write(&format!("{request}\n"));
    assert_eq!(peer.receive().0.len(), 16);
    reload(&daemon, "");
    let line = daemon.log_line("could not be sent");
    assert_eq!((&line["datagrams"], &line["bytes"]), (&json!(2), &json!(32)), "{line}");
    let entries = daemon.entries();
    assert!(entries.len() == 2 && entries[1]["error"].is_string(), "{entries:?}");
}

#[test]
fn a_reload_keeps_the_mode_of_foreign_files() {
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    fs::write(daemon.path("config.toml"), config()).unwrap();
    fs::write(daemon.path("precious"), "precious").unwrap();
    fs::set_permissions(daemon.path("precious"), Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("precious", daemon.path("link")).unwrap();
    fs::rename(daemon.path("link"), daemon.socket()).unwrap();
    let _problem = daemon.log_with("the control socket was removed and cannot be created");
    rpc.call("reload", json!({}));
    assert_eq!(mode(&daemon.path("precious")), 0o640);
    fs::rename(daemon.path("precious"), daemon.socket()).unwrap();
    rpc.call("reload", json!({}));
    assert!(rpc.call("status", json!({}))["problems"].to_string().contains("not a socket"));
    assert_eq!(mode(&daemon.socket()), 0o640);
    assert_eq!(fs::read(daemon.socket()).unwrap(), b"precious");
}

#[test]
fn an_inaccessible_socket_directory_causes_a_warning() {
    let mut daemon = Daemon::start_with("", &[]);
    fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o700)).unwrap();
    reload(&daemon, &config());
    let warning = format!("other users cannot pass {}", daemon.folder.path().display());
    let _line = daemon.log_with(&warning);
    assert!(daemon.status()["problems"].to_string().contains(&warning));
    assert!(daemon.ctl(&["status"]).ok().contains(&warning));
    assert!(daemon.ctl(&["doctor"]).stdout.contains(&warning));
    open_folder(&daemon);
    reload(&daemon, &config());
    assert_eq!(daemon.status()["state"], "ok");
    daemon.rpc().call("stop", json!({}));
    let _last = daemon.log_line("stopped");
    let log = daemon.log();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!([count("configuration reloaded"), count("other users cannot pass")], [2, 2], "{log:#?}");
}

/// The group bits of the mode are then the mask of the list, not the permissions of the owning group.
#[test]
fn a_directory_that_an_access_control_list_opens_is_no_obstacle() {
    let daemon = Daemon::start_with("", &[]);
    let folder = daemon.folder.path();
    for (bits, state) in [(0_u16, "degraded"), (1, "ok")] {
        let entries = [(0x01_u16, 7), (0x04, 0), (0x08, bits), (0x10, bits), (0x20, 0)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, bits) in entries {
            // The group with this number is named; the others have none.
            let id = if tag == 0x08 { 12_345 } else { u32::MAX };
            list.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
        }
        match setxattr(folder, "system.posix_acl_access", &list, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {
                return eprintln!("skipped: the file system has no access control lists");
            }
            set => set.unwrap(),
        }
        assert_eq!(mode(folder), 0o700 + (u32::from(bits) << 3));
        reload(&daemon, &config());
        assert_eq!(daemon.status()["state"], state);
    }
}

#[test]
fn a_passed_socket_gets_the_mode_of_the_roles() {
    let mut manager = Manager::new();
    let socket = manager.folder().join("s");
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).unwrap();
    let daemon = manager.start(&[]);
    assert_eq!(mode(&daemon.socket()), 0o600);
    reload(&daemon, &config());
    assert_eq!(mode(&daemon.socket()), 0o666);
}
