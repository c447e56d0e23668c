//! Users without a role, and the number of connections of one user.

use std::fs::{self};

use serde_json::{Value, json};

use crate::support::{Account, OtherUser, Running, available};

use super::{ADMINS, READERS, SENDERS, UID, account, config, mode, start};

#[test]
fn a_user_without_a_role_gets_one_error() {
    let Some(_) = OtherUser::get() else { return };
    let mut daemon = start(&config(), &[]);
    assert_eq!(mode(&daemon.socket()), 0o666);
    for words in ["", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\"}\n{\n", "no JSON\n", "\u{1b}[31m"] {
        let mut outsider = account(&[7]).connect(&daemon.socket());
        outsider.write(words);
        outsider.end_writing();
        let lines = outsider.remaining_lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["id"], Value::Null);
        let error = &lines[0]["error"];
        assert_eq!(error["data"]["kind"], "not_permitted");
        assert_eq!(error["message"], format!("user {UID} has no role with this daemon"));
        let expected = format!(
            "role `read` is for the group {READERS}; role `send` is for the group {SENDERS}; role `admin` is for the group \
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

/// Holds 200 connections open, closes the oldest for each new one, and prints a line after the first thousand.
const FLOOD: &str = r#"
    use Socket; $| = 1;
    while (1) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
        push @held, $s; shift @held if @held > 200; print "flooding\n" if ++$n == 1000;
    }
"#;

#[test]
fn users_without_a_role_take_no_connection_slots() {
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
fn few_refused_connections_are_open_at_once() {
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
    // A later connection is served, so all of these were handled before.
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
fn one_user_holds_at_most_half_the_connections() {
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

/// Connects 200 times in a row, writes a request, and prints how often it got the reason.
const REASONS: &str = r#"
    use Socket; $SIG{PIPE} = 'IGNORE'; my $n = 0;
    for (1..200) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
        syswrite($s, "{}\n"); my $line = readline($s); $n++ if ($line // "") =~ /has no role/;
    }
    print "$n\n";
"#;

#[test]
fn every_connection_of_a_user_without_a_role_gets_the_reason() {
    let Some(_) = OtherUser::get() else { return };
    if !available("perl") {
        return;
    }
    let daemon = start(&config(), &[]);
    let mut connecting =
        Running::start(account(&[]).command("perl").args(["-e", REASONS]).arg(daemon.socket()));
    assert_eq!(connecting.line(), "200");
}

/// Connects in a loop for three seconds, reads what comes, and prints how often it connected.
const LOOP: &str = r#"
    use Socket; $| = 1; my $end = time + 3;
    while (time < $end) {
        socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
        shutdown($s, 1); 1 while <$s>; ++$n;
    }
    print "$n\n";
"#;

#[test]
fn a_user_without_a_role_in_a_loop_causes_little_work() {
    let Some(_) = OtherUser::get() else { return };
    if !available("perl") {
        return;
    }
    let mut daemon = start(&config(), &[]);
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    let mut connecting = Running::start(account(&[]).command("perl").args(["-e", LOOP]).arg(daemon.socket()));
    let connections: u64 = connecting.line().parse().unwrap();
    let used = ticks() - before;
    // Without the pause they take most of a processor. How many there are depends on how often the client connects again before
    // a pause begins: 2,500 to 7,000 in three seconds were seen.
    assert!(used < 150, "{connections} connections, {used} hundredths of a second");
    let lines = daemon.log().iter().filter(|line| line.contains("refused")).count();
    assert!((1..=10).contains(&lines), "{lines} lines");
}
