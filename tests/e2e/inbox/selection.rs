//! Which entries `inbox` shows: all that match, by sender, id, time of day and text.

use serde_json::{Value, json};

use crate::support::{Daemon, Peer, ids, texts};

/// More than a person sees at once, and more than a page of the protocol has by default.
const MANY: usize = 250;

fn having_received_many() -> Daemon {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..MANY).map(|number| format!("{number} Message")));
    daemon
}

#[track_caller]
fn lines(daemon: &Daemon, args: &[&str]) -> usize {
    daemon.ctl(&[&["inbox"], args].concat()).ok().lines().count()
}

#[test]
fn a_filter_shows_all_that_matches() {
    let daemon = having_received_many();
    let filters: [&[&str]; 6] = [
        &["--grep", "Message"],
        &["--since", "2h"],
        &["--until", "now"],
        &["--from", "127.0.0.1"],
        &["--direction", "in"],
        &["--since", "2h", "-r"],
    ];
    for filter in filters {
        assert_eq!(lines(&daemon, filter), MANY, "{filter:?}");
        let json = daemon.ctl(&[&["--json", "inbox"], filter].concat()).json();
        assert_eq!(json.len(), MANY, "{filter:?}");
        assert_eq!(lines(&daemon, &[filter, &["-n", "7"]].concat()), 7, "{filter:?}");
    }
}

#[test]
fn a_pipe_gets_the_whole_history() {
    let daemon = having_received_many();
    for args in [&["-r"][..], &["--direction", "both"], &["-a"]] {
        assert_eq!(lines(&daemon, args), MANY, "{args:?}");
    }
}

#[test]
fn a_follower_gets_what_a_filter_matches_first() {
    let daemon = having_received_many();
    let mut follower = daemon.ctl_running(&["--json", "inbox", "-f", "--grep", "Message"]);
    let shown: Vec<Value> = (0..MANY).map(|_| follower.json()).collect();
    assert!(ids(&shown).into_iter().eq(1..=MANY as u64));
    daemon.receive_from(&Peer::new(), ["no", "one Message more"]);
    assert_eq!(follower.json()["text"], "one Message more");
}

#[test]
fn a_large_number_is_shown_in_order() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..2_500).map(|number| number.to_string()));
    let shown = daemon.ctl(&["--json", "inbox", "-n", "1500"]).json();
    assert!(ids(&shown).into_iter().eq(1_001..=2_500));
    let matching = daemon.ctl(&["--json", "inbox", "-n", "1200", "--grep", "[02468]$"]).json();
    assert!(ids(&matching).into_iter().eq((101..2_500).step_by(2)));
}

/// A daemon that three peers on three addresses have sent their names to; `a` is configured.
fn of_three() -> Daemon {
    let peers = ["127.0.0.1:0", "127.0.0.2:0", "127.1.0.3:0"].map(Peer::at);
    let config = format!("[peers.a]\naddress = \"{}\"\n", peers[0].name());
    let daemon = Daemon::start_with(&config, &["--listen", "0.0.0.0:0"]);
    for (peer, text) in peers.iter().zip(["a", "b", "c"]) {
        daemon.receive_from(peer, [text]);
    }
    daemon
}

#[track_caller]
fn shown(daemon: &Daemon, args: &[&str]) -> String {
    texts(&daemon.ctl(&[&["--json", "inbox"], args].concat()).json()).concat()
}

#[test]
fn several_senders_and_networks_are_selected() {
    let daemon = of_three();
    let table: [(&[&str], &str); 6] = [
        (&["--from", "a", "--from", "127.1.0.3"], "ac"),
        (&["--from", "127.0.0.0/8"], "abc"),
        (&["--from", "127.0.0.0/24"], "ab"),
        (&["--from", "127.1.0.0/16", "--from", "127.0.0.2"], "bc"),
        (&["--from", "10.0.0.0/8"], ""),
        (&["--from", "127.0.0.0/8", "--grep", "[bc]"], "bc"),
    ];
    for (args, expected) in table {
        assert_eq!(shown(&daemon, args), expected, "{args:?}");
    }
    let capitals = ["--direction", "IN", "--only", "Received", "--from", "127.1.0.3"];
    assert_eq!(shown(&daemon, &capitals), "c", "letters may be of either case");
    daemon.ctl(&["inbox", "--from", "127.0.0.*"]).fails(2, &["hint: write `127.0.0.0/24`\n"]);
    let mut rpc = daemon.rpc();
    let listed = rpc.call("inbox", json!({ "from": ["a", "127.1.0.0/16"] }));
    assert_eq!(texts(listed["entries"].as_array().unwrap()).concat(), "ac");
    let error = rpc.error("inbox", json!({ "from": vec!["a"; 65] }));
    assert!(error["message"].as_str().unwrap().contains("at most 64"), "{error}");
    rpc.call("subscribe", json!({ "after": 0, "from": ["127.0.0.2", "127.1.0.3"] }));
    assert_eq!([rpc.entry(), rpc.entry()].map(|entry| entry["text"].clone()), ["b", "c"]);
}

#[test]
fn a_selection_that_cannot_be_meant_is_refused() {
    let daemon = of_three();
    for command in ["inbox", "export"] {
        let reversed = [command, "--since", "2026-11-22 14:00", "--until", "2026-11-22 13:00"];
        daemon.ctl(&reversed).fails(2, &["begins at 2026-11-22 14:00:00 and ends at 2026-11-22 13:00:00"]);
    }
    for list in ["a, 127.1.0.3", "a，127.1.0.3", "a、127.1.0.3"] {
        assert_eq!(shown(&daemon, &["--from", list]), "ac");
    }
    daemon.ctl(&["inbox", "--from", "a,x..y"]).fails(2, &["`x..y` is not a configured peer"]);
    daemon.ctl(&["inbox", "--direction", "收"]).fails(2, &["`in` (received messages and gaps), `out`"]);
    daemon.ctl(&["inbox", "a"]).fails(2, &["`--from PEER` selects the messages of a peer"]);
    assert_eq!(shown(&daemon, &["--since", "昨天", "--until", "现在"]), "abc");
}

#[test]
fn senders_can_be_hosts() {
    let daemon = of_three();
    assert_eq!(shown(&daemon, &["--from", "localhost"]), "a");
    assert_eq!(shown(&daemon, &["--from", "localhost:1"]), "");
    let waited = daemon.ctl(&["--json", "wait", "--after", "0", "--from", "localhost"]).json();
    assert_eq!(texts(&waited), ["a"]);
    assert_eq!(daemon.ctl(&["export", "--from", "localhost"]).json().len(), 1);
    for unknown in ["127.1", "127.0.0.010", "nobody.invalid"] {
        daemon.ctl(&["inbox", "--from", unknown]).fails(2, &[unknown, "udpchatctl peers"]);
    }
}

#[test]
fn entries_are_shown_by_id() {
    let daemon = having_received_many();
    let of = |args: &[&str]| ids(&daemon.ctl(&[&["--json", "inbox"], args].concat()).json());
    assert_eq!(of(&["12"]), [12]);
    assert_eq!(of(&["#12", "3-5"]), [12, 3, 4, 5]);
    assert_eq!(of(&["249-300"]), [249, 250]);
    let missing = daemon.ctl(&["inbox", "251", "7"]);
    assert!(missing.stdout.starts_with("#7 "), "{missing:?}");
    missing.fails(1, &["there is no entry #251: the newest is #250", "`udpchatctl inbox -n 20`"]);
    Daemon::start().ctl(&["inbox", "3"]).fails(1, &["there is no entry #3: the inbox is empty"]);
    for args in [&["12", "-n", "3"][..], &["12", "--from", "a"], &["12", "--consumer", "x"], &["0"], &["x"]] {
        daemon.ctl(&[&["inbox"], args].concat()).fails(2, &["error: "]);
    }
}

#[test]
fn json_has_the_bytes_in_hexadecimal_on_request() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), [b"\xc4\xe3\0"]);
    let entry = |args: &[&str]| daemon.ctl(&[&["--json"], args].concat()).json().remove(0);
    let plain = entry(&["inbox", "-n", "1"]);
    assert_eq!(plain.get("hex"), None);
    for args in [
        &["inbox", "--hex", "-n", "1"][..],
        &["inbox", "--hex", "--peek"],
        &["wait", "--hex", "--after", "0"],
    ] {
        let mut entry = entry(args);
        assert_eq!(entry["hex"].take(), "c4e300", "{args:?}");
        entry.as_object_mut().unwrap().remove("hex");
        assert_eq!(entry, plain, "{args:?}");
    }
}

#[test]
fn case_is_ignored_on_request() {
    let daemon = having_received_many();
    assert_eq!(lines(&daemon, &["--grep", "message"]), 0);
    assert_eq!(lines(&daemon, &["-i", "--grep", "message|nothing"]), MANY);
    let waited = daemon.ctl(&["wait", "--after", "0", "-i", "--grep", "7 mESSAGE"]).ok();
    assert!(waited.ends_with("  7 Message\n"), "{waited}");
    daemon.ctl(&["inbox", "-i"]).fails(2, &["--grep"]);
}

#[test]
fn times_of_day_select_and_milliseconds_are_shown() {
    let daemon = having_received_many();
    // A minute ago and a minute from now, whatever the time is: the test runs in UTC.
    let entry = daemon.entries().remove(0);
    let at: udpchat_api::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
    let clock = |shift: i64| {
        let at = udpchat_api::Timestamp::from_second(at.as_second() + shift).unwrap().to_string();
        at[11..19].to_owned()
    };
    let (before, after) = (clock(-60), clock(3_600));
    assert_eq!(lines(&daemon, &["--since", &before, "--until", &after]), MANY);
    assert_eq!(lines(&daemon, &["--since", &before]), MANY);
    assert_eq!(lines(&daemon, &["--until", &before]), 0);
    let milliseconds = &entry["at"].as_str().unwrap()[..23].replace('T', " ");
    let shown = daemon.ctl(&["inbox", "--milliseconds", "1"]).ok();
    assert!(shown.contains(&format!("#1  {milliseconds}  < ")), "{shown} {milliseconds}");
    let shown = daemon.ctl(&["inbox", "--ms", "--seconds", "1"]).ok();
    assert!(shown.contains(&format!("#1  {}  < ", &milliseconds[..19])), "{shown}");
}
