//! Who may do what by the control socket, with real users: each method for each role, and what a reload gives and takes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Account, Daemon, Manager, OtherUser, Peer, Running, available, command_in, new_folder, texts,
};

/// Groups by numbers that nobody has.
const READERS: u32 = 4_000_000_001;
const SENDERS: u32 = 4_000_000_002;
pub(crate) const ADMINS: u32 = 4_000_000_003;

/// A user whom no test puts into a group by the way.
pub(crate) const UID: u32 = 4_000_000_100;

pub(crate) fn config() -> String {
    format!("[control]\nread = [{READERS}]\nsend = ['{SENDERS}']\nadmin = [{ADMINS}]\n")
}

pub(crate) fn account(groups: &[u32]) -> Account {
    Account::new(UID, groups)
}

/// Starts a daemon that others can reach.
pub(crate) fn start(config: &str, flags: &[&str]) -> Daemon {
    let daemon = Daemon::start_with(config, flags);
    open_folder(&daemon);
    daemon
}

fn open_folder(daemon: &Daemon) {
    fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o755)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Reads a new configuration.
fn reload(daemon: &Daemon, config: &str) {
    fs::write(daemon.path("config.toml"), config).unwrap();
    daemon.rpc().call("reload", json!({}));
}

// The methods.

/// Every method, parameters with which it succeeds, and the role that it takes. What stops the daemon comes last.
fn methods(peer: &Peer) -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        ("version", json!({}), None),
        ("status", json!({}), None),
        ("inbox", json!({}), Some("read")),
        ("ack", json!({ "id": 0 }), Some("read")),
        ("peers", json!({}), Some("read")),
        ("talkers", json!({}), Some("read")),
        ("self_test", json!({}), Some("read")),
        ("subscribe", json!({}), Some("read")),
        ("unsubscribe", json!({}), Some("read")),
        ("send", json!({ "to": peer.name(), "text": "x" }), Some("send")),
        ("recode", json!({ "as": "gbk" }), Some("admin")),
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
            assert!(error.is_null(), "{who}: {method}: {reply}");
            continue;
        }
        assert_eq!(error["data"]["kind"], "not_permitted", "{who}: {method}: {reply}");
        assert_eq!((&error["code"], &reply["id"]), (&json!(-32015), &json!(7)), "{reply}");
        let (message, hint) = (error["message"].as_str().unwrap(), error["data"]["hint"].as_str().unwrap());
        assert!(message.contains(&format!("`{method}`")) && message.contains(role.unwrap()), "{reply}");
        assert!(hint.contains("usermod -aG 400000000"), "{reply}");
    }
}

#[test]
fn every_method_is_in_the_matrix() {
    let daemon = Daemon::start();
    let unknown = daemon.rpc().error("none", json!({}));
    let mut all: Vec<_> = unknown["data"]["hint"].as_str().unwrap().split(", ").map(str::to_owned).collect();
    let mut here: Vec<_> = methods(&Peer::new()).iter().map(|(method, ..)| (*method).to_owned()).collect();
    all.sort();
    here.sort();
    assert_eq!(here, all);
}

#[test]
fn the_text_of_the_protocol_has_each_method_with_its_role() {
    let text = include_str!("../../daemon/api/PROTOCOL.md");
    for (method, _, role) in methods(&Peer::new()) {
        let begin = role.map_or("| any of them |".to_owned(), |role| format!("| `{role}` |"));
        let row = text.lines().find(|line| line.starts_with(&begin)).unwrap();
        assert!(row.contains(&format!("`{method}`")), "{method}: {row}");
    }
}

#[test]
fn each_role_permits_its_methods_and_no_others() {
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
fn root_and_the_daemons_own_user_may_do_everything_whatever_the_groups_are() {
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

#[test]
fn the_primary_group_and_one_of_very_many_count() {
    let Some(_) = OtherUser::get() else { return };
    let daemon = start(&format!("[control]\nread = [{READERS}, {UID}]"), &[]);
    let many: Vec<u32> = (1..1_000).chain([READERS]).collect();
    for account in [account(&[]), Account::new(UID + 1, &many)] {
        let reply = account.connect(&daemon.socket()).reply("inbox", json!({}));
        assert!(reply.get("result").is_some(), "{account:?}: {reply}");
    }
}

#[test]
fn groups_go_by_their_names_and_one_that_is_unknown_lets_nobody_in() {
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
    assert_eq!(mode(&daemon.socket()), 0o600, "nobody needs it open");
}

// Those without a role.

#[test]
fn an_outsider_gets_one_line_and_nothing_of_theirs_is_read() {
    let Some(_) = OtherUser::get() else { return };
    let mut daemon = start(&config(), &[]);
    assert_eq!(mode(&daemon.socket()), 0o666);
    for words in ["", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\"}\n{\n", "no JSON\n", "\u{1b}[31m"] {
        let mut outsider = account(&[7]).connect(&daemon.socket());
        outsider.write(words);
        outsider.end_writing();
        let lines = outsider.rest();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["id"], Value::Null);
        let error = &lines[0]["error"];
        assert_eq!(error["data"]["kind"], "not_permitted");
        assert_eq!(error["message"], format!("user {UID} has no role with this daemon"));
        let expected = format!(
            "`read` is for the group {READERS}, `send` is for the group {SENDERS}, `admin` is for the group \
             {ADMINS}; an administrator adds a user with `usermod -aG {READERS} NAME`, which takes effect at the next \
             login"
        );
        assert_eq!(error["data"]["hint"], expected);
    }
    let line: Value = serde_json::from_str(&daemon.log_with("refused")).unwrap();
    assert_eq!((&line["level"], &line["uid"]), (&json!("WARN"), &json!(UID)));
    assert_eq!(line["message"], format!("refused: user {UID} has no role with this daemon"));
    assert_eq!(daemon.status()["state"], "ok");
}

/// Holds 200 connections open, gives up the oldest for each new one, and tells of the first thousand.
const FLOOD: &str = r#"
    use Socket; $| = 1;
    while (1) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
        push @held, $s; shift @held if @held > 200; print "flooding\n" if ++$n == 1000;
    }
"#;

#[test]
fn outsiders_take_no_place_from_members_however_many_they_are() {
    let Some(_) = OtherUser::get() else { return };
    if !available("perl") {
        return;
    }
    let daemon = start(&config(), &[]);
    let flood = || Running::start(account(&[]).command("perl").args(["-e", FLOOD]).arg(daemon.socket()));
    let mut floods = [flood(), flood()];
    for flood in &mut floods {
        assert_eq!(flood.line(), "flooding");
    }
    let mut member = account(&[READERS]).connect(&daemon.socket());
    let mut others: Vec<_> = (0..255).map(|_| daemon.rpc()).collect();
    assert!(others.iter_mut().all(|rpc| rpc.call("version", json!({}))["protocol"] == 1));
    assert!(member.reply("inbox", json!({})).get("result").is_some());
    assert!(floods.iter_mut().all(|flood| flood.ended().is_none()), "they go on");
}

/// Opens 400 connections, and holds them.
const CROWD: &str = r#"
    use Socket; $| = 1;
    for (1..400) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!; push @held, $s;
    }
    print "held\n"; sleep;
"#;

#[test]
fn few_outsiders_are_told_why_at_once() {
    let Some(_) = OtherUser::get() else { return };
    if !available("perl") {
        return;
    }
    let daemon = start(&config(), &[]);
    let mut rpc = daemon.rpc();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let before = descriptors();
    let mut crowd = Running::start(account(&[]).command("perl").args(["-e", CROWD]).arg(daemon.socket()));
    assert_eq!(crowd.line(), "held");
    // Whoever comes behind them is served, so all of them were looked at.
    assert_eq!(daemon.status()["state"], "ok");
    let more = descriptors().saturating_sub(before);
    assert!(more < 100, "{more} descriptors for those who are turned away");
    assert_eq!(rpc.call("version", json!({}))["protocol"], 1);
}

/// Opens 129 connections, and prints what comes over the last one.
const MANY: &str = r#"
    use Socket;
    for (1..129) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!; push @held, $s;
    }
    print readline($held[128]); close STDOUT; sleep;
"#;

#[test]
fn one_user_takes_half_of_the_places_at_most() {
    let Some(_) = OtherUser::get() else { return };
    if !available("perl") {
        return;
    }
    let daemon = start(&config(), &[]);
    let reader = account(&[READERS]);
    let mut many = Running::start(reader.command("perl").args(["-e", MANY]).arg(daemon.socket()));
    let refused = many.json();
    assert_eq!(refused["error"]["data"]["kind"], "busy");
    assert!(refused["error"]["message"].as_str().unwrap().contains("one user: 128"), "{refused}");
    // There is room for others, root among them.
    let another = Account::new(UID + 1, &[READERS]).connect(&daemon.socket()).reply("version", json!({}));
    assert!(another.get("result").is_some(), "{another}");
    assert_eq!(daemon.status()["state"], "ok");
}

// Reload.

#[test]
fn a_reload_gives_and_takes_roles_and_the_file_follows() {
    let Some(_) = OtherUser::get() else { return };
    let mut daemon = start("", &[]);
    let user = account(&[READERS]);
    assert_eq!(mode(&daemon.socket()), 0o600);
    let kept_out = user.connect(&daemon.socket()).rest();
    assert_eq!(kept_out, Vec::<Value>::new(), "the file is closed");

    reload(&daemon, &config());
    assert_eq!(mode(&daemon.socket()), 0o666);
    let mut follower = user.connect(&daemon.socket());
    let mut sender = Account::new(UID + 1, &[SENDERS]).connect(&daemon.socket());
    assert!(follower.reply("subscribe", json!({})).get("result").is_some());
    assert!(sender.reply("status", json!({})).get("result").is_some());
    daemon.hear(&Peer::new(), ["heard"]);
    assert_eq!(follower.line()["params"]["text"], "heard");

    // Who gets more keeps the connection, and has it at once.
    reload(&daemon, &format!("[control]\nread = [{READERS}, {SENDERS}]\nsend = [{SENDERS}]"));
    assert!(sender.reply("inbox", json!({})).get("result").is_some());

    // Who has less is told so, whatever is left.
    reload(&daemon, &format!("[control]\nsend = [{SENDERS}]"));
    let last = follower.rest();
    assert_eq!(last.len(), 1, "{last:?}");
    assert_eq!(last[0]["error"]["data"]["kind"], "not_permitted");
    let last = sender.rest();
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
fn what_stands_in_the_place_of_the_socket_keeps_its_mode_at_a_reload() {
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    fs::write(daemon.path("config.toml"), config()).unwrap();
    fs::remove_file(daemon.socket()).unwrap();
    fs::write(daemon.path("precious"), "precious").unwrap();
    fs::set_permissions(daemon.path("precious"), Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("precious", daemon.socket()).unwrap();
    rpc.call("reload", json!({}));
    let _warning = daemon.log_with("is no longer the control socket");
    fs::remove_file(daemon.socket()).unwrap();
    fs::rename(daemon.path("precious"), daemon.socket()).unwrap();
    rpc.call("reload", json!({}));
    let _warning = daemon.log_with("is no longer the control socket");
    assert_eq!(mode(&daemon.socket()), 0o640);
    assert_eq!(fs::read(daemon.socket()).unwrap(), b"precious");
}

#[test]
fn a_directory_that_lets_nobody_through_is_warned_of() {
    let mut daemon = Daemon::start_with("", &[]);
    fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o700)).unwrap();
    reload(&daemon, &config());
    let _warning = daemon.log_with(&format!("other users cannot pass {}", daemon.folder.path().display()));
    open_folder(&daemon);
    reload(&daemon, &config());
    daemon.rpc().call("stop", json!({}));
    let _last = daemon.log_line("stopped");
    let log = daemon.log();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!([count("configuration reloaded"), count("other users cannot pass")], [2, 1], "{log:#?}");
}

#[test]
fn a_socket_that_is_handed_over_gets_the_mode_that_the_roles_need() {
    let mut manager = Manager::new();
    let socket = manager.folder().join("s");
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).unwrap();
    let daemon = manager.start(&[]);
    assert_eq!(mode(&daemon.socket()), 0o600);
    reload(&daemon, &config());
    assert_eq!(mode(&daemon.socket()), 0o666);
}

// The client.

#[test]
fn udpchatctl_ends_with_6_and_says_which_group_may() {
    let Some(other) = OtherUser::get() else { return };
    let (daemon, peer) = (start(&config(), &[]), Peer::new());
    daemon.hear(&peer, ["heard"]);
    let (reader, sender) = (account(&[READERS]), account(&[SENDERS]));
    let to = peer.name();
    let reader_hint = format!("usermod -aG {READERS}");
    for (account, args, texts) in [
        (account(&[]), &["status"][..], ["has no role with this daemon", &reader_hint]),
        (account(&[]), &["send", &to, "x"], ["has no role", &reader_hint]),
        (sender.clone(), &["inbox"], ["`inbox` requires role `read`", &reader_hint]),
        (sender.clone(), &["wait"], ["`subscribe` requires role `read`", &reader_hint]),
        (sender.clone(), &["ask", &to, "unsent"], ["`inbox` requires role `read`", &reader_hint]),
        (sender.clone(), &["export"], ["requires role `read`", &reader_hint]),
        (reader.clone(), &["send", &to, "x"], ["`send` requires role `send`", "usermod"]),
        (reader.clone(), &["recode", "--as", "gbk", "-a"], ["`recode` requires role `admin`", "usermod"]),
        (reader.clone(), &["reload"], ["`reload` requires role `admin`", "usermod"]),
        (reader.clone(), &["stop"], ["`stop` requires role `admin`", "usermod"]),
    ] {
        let ran = other.ctl(&account, &daemon, args);
        ran.fails(6, &texts);
    }
    assert_eq!(texts(&daemon.entries()), ["heard"], "nothing was sent, the question neither");
    for (account, args) in [(&reader, &["status"][..]), (&sender, &["status"]), (&reader, &["inbox", "-a"])] {
        assert_eq!(other.ctl(account, &daemon, args).code, Some(0), "{args:?}");
    }
    assert_eq!(other.ctl(&sender, &daemon, &["send", &to, "x"]).code, Some(0));
}

#[test]
fn a_chat_that_may_not_read_ends_before_it_takes_the_screen() {
    let Some(other) = OtherUser::get() else { return };
    if !available("script") {
        return;
    }
    let daemon = start(&config(), &[]);
    let chat = other.command_of(&account(&[SENDERS]), env!("CARGO_BIN_EXE_udpchatctl"));
    let program = chat.get_args().last().unwrap().to_str().unwrap();
    let line = format!("{program} --socket {} chat", daemon.socket().display());
    let mut terminal = account(&[SENDERS]).command("script");
    let ran = terminal.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().unwrap();
    let shown = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(6), "{shown}");
    assert!(shown.contains("requires role `read`") && !shown.contains("\u{1b}[?1049h"), "{shown:?}");
}

#[test]
fn the_doctor_says_what_it_was_refused() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = start(&config(), &[]);
    let finding = |account: &Account, topic: &str| {
        let ran = other.ctl(account, &daemon, &["--json", "doctor"]);
        let findings = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        findings.into_iter().find(|finding| finding["topic"] == topic).unwrap()
    };
    let refused = finding(&account(&[SENDERS]), "self-test");
    assert_eq!(refused["level"], "warning", "{refused}");
    assert!(refused["seen"].as_str().unwrap().contains("requires role `read`"), "{refused}");
    assert_eq!(finding(&account(&[READERS]), "self-test")["level"], "ok");
    let closed = finding(&account(&[]), "daemon");
    assert_eq!(closed["level"], "problem");
    assert!(closed["seen"].as_str().unwrap().contains("has no role with this daemon"), "{closed}");
    assert!(closed["hint"].as_str().unwrap().contains("usermod"), "{closed}");
}

#[test]
fn a_socket_for_a_group_names_the_group_to_whoever_is_not_in_it() {
    let Some(other) = OtherUser::get() else { return };
    let group = nix::unistd::Group::from_name("daemon").unwrap().unwrap();
    let daemon = start("", &[]);
    std::os::unix::fs::chown(daemon.socket(), None, Some(group.gid.as_raw())).unwrap();
    reload(&daemon, "control.read = ['daemon']");
    assert_eq!(mode(&daemon.socket()), 0o660, "the file has the group by now");
    let ran = other.ctl(&account(&[]), &daemon, &["status"]);
    ran.fails(6, &["not permitted", "user root", "the group daemon may open it", "usermod -aG daemon NAME"]);
    assert_eq!(other.ctl(&account(&[group.gid.as_raw()]), &daemon, &["inbox", "-a"]).code, Some(0));
}
