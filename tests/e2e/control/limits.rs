//! What clients together may take: turns to read, and memory for requests, answers and patterns.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::support::proc::status_number;
use crate::support::{Account, Daemon, OtherUser, Peer, Rpc, eventually, scaled};

const MIB: u64 = 1024;

/// Returns the memory of a daemon in KiB: what it has now, and the most that it had.
fn memory(daemon: &Daemon) -> (u64, u64) {
    let number = |field| status_number(daemon.pid(), field).unwrap();
    (number("VmRSS:"), number("VmHWM:"))
}

fn request(method: &str, params: &Value) -> Vec<u8> {
    let line = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    format!("{line}\n").into_bytes()
}

/// Opens a connection whose client writes as much as the daemon takes, and reads nothing.
fn pour(daemon: &Daemon, lines: &[u8], times: usize) -> UnixStream {
    let mut client = UnixStream::connect(daemon.socket()).unwrap();
    client.set_nonblocking(true).unwrap();
    let all = lines.repeat(times);
    let mut written = 0;
    while written < all.len() {
        match client.write(&all[written..]) {
            Ok(bytes) => written += bytes,
            // The daemon takes no more, or has closed the connection.
            Err(_) => break,
        }
    }
    client
}

/// Checks that what needs neither turns nor memory is answered.
fn assert_responsive(daemon: &Daemon, peer: &Peer) {
    let mut rpc = daemon.rpc();
    assert_eq!(rpc.call("version", json!({}))["protocol"], 1);
    assert_eq!(rpc.call("status", json!({}))["pid"], daemon.pid());
    assert_eq!(rpc.call("send", json!({ "to": peer.name(), "text": "hi" }))["text"], "hi");
}

// Patterns.

#[test]
fn a_pattern_over_a_limit_is_refused_with_the_limit() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    for (pattern, texts) in [
        ("x".repeat(1_025), ["1025 bytes", "maximum is 1024"]),
        ("(".repeat(51) + &")".repeat(51), ["`grep`: invalid regular expression", "nest"]),
        (r"\w{100}".to_owned(), ["`grep`: ", "1024 KiB when compiled"]),
    ] {
        for (method, more) in
            [("inbox", json!({})), ("subscribe", json!({})), ("recode", json!({ "as": "gbk" }))]
        {
            let mut params = more;
            params["grep"] = json!(pattern);
            let error = rpc.error(method, params);
            assert_eq!(error["data"]["kind"], "invalid_params", "{error}");
            assert!(texts.iter().all(|text| error["message"].as_str().unwrap().contains(text)), "{error}");
            assert!(error["data"]["hint"].is_string(), "{error}");
        }
    }
    rpc.call("inbox", json!({ "grep": "x".repeat(1_024) }));
    let ctl = daemon.ctl(&["inbox", "--grep", &"x".repeat(1_025)]);
    ctl.fails(2, &["the pattern has 1025 bytes; the maximum is 1024", "hint: "]);
}

#[test]
fn a_hostile_pattern_takes_little_memory() {
    let daemon = Daemon::start();
    let (before, _) = memory(&daemon);
    let mut clients: Vec<_> = (0..8).map(|_| daemon.rpc()).collect();
    for (number, rpc) in clients.iter_mut().enumerate() {
        for pattern in
            [r"(?i)".to_owned() + &r"\PL".repeat(5_000), format!("(?i){number}{}", r"\PL".repeat(330))]
        {
            rpc.write(&request("inbox", &json!({ "grep": pattern })));
        }
    }
    for rpc in &mut clients {
        for _ in 0..2 {
            assert_eq!(rpc.line().unwrap()["error"]["data"]["kind"], "invalid_params");
        }
    }
    let most = memory(&daemon).1 - before;
    assert!(most < 48 * MIB, "{} MiB more", most / MIB);
}

#[test]
fn followers_with_one_pattern_share_it() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before"]);
    // It takes a megabyte, and fits the limits.
    let params = json!({ "grep": r"(?i)\w{3,8}@\w{3,8}|now" });
    let mut followers = vec![daemon.rpc()];
    followers[0].call("subscribe", params.clone());
    let (with_one, _) = memory(&daemon);
    for _ in 1..120 {
        let mut rpc = daemon.rpc();
        rpc.call("subscribe", params.clone());
        followers.push(rpc);
    }
    daemon.receive_from(&peer, ["now"]);
    for rpc in &mut followers {
        assert_eq!(rpc.entry()["text"], "now");
    }
    let more = memory(&daemon).1 - with_one;
    assert!(more < 40 * MIB, "{} MiB more for 119 followers", more / MIB);
}

// Turns.

/// So much memory that turns alone limit the searches.
const MUCH_MEMORY: &str = "control.max_memory = '1GiB'\nlog.messages_per_second = 0";

/// Starts many more searches than there are turns, each long.
fn many_searches(daemon: &Daemon) -> Vec<Rpc> {
    let search = request("inbox", &json!({ "after": 0, "grep": "(x+x+)+y|(.*)z" }));
    let mut searches: Vec<_> = (0..60).map(|_| daemon.rpc()).collect();
    searches.iter_mut().for_each(|rpc| rpc.write(&search));
    searches
}

/// Checks that most searches still wait for their turn: what was answered by now did not wait behind them.
#[track_caller]
fn assert_few_are_answered(searches: &mut [Rpc]) {
    let answered = searches.iter_mut().filter_map(|rpc| rpc.has_line().then_some(())).count();
    assert!(answered < searches.len() / 2, "{answered} of {} searches", searches.len());
}

#[test]
fn reads_delay_neither_status_nor_send() {
    let daemon = Daemon::start_with(MUCH_MEMORY, &[]);
    let peer = Peer::new();
    daemon.receive_from(
        &peer,
        (0..scaled(4_000, 20_000)).map(|number| format!("{number} {}", "x".repeat(1_000))),
    );
    let mut searches = many_searches(&daemon);
    assert_responsive(&daemon, &peer);
    assert_few_are_answered(&mut searches);
    for mut rpc in searches {
        assert!(rpc.line().unwrap().get("result").is_some());
    }
}

#[test]
fn users_take_turns_to_read() {
    let Some(_) = OtherUser::get() else { return };
    let (uid, group) = (54_001, 54_002);
    let daemon = Daemon::start_with(&format!("control.read = [{group}]\n{MUCH_MEMORY}"), &[]);
    std::fs::set_permissions(daemon.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let peer = Peer::new();
    daemon.receive_from(
        &peer,
        (0..scaled(4_000, 20_000)).map(|number| format!("{number} {}", "x".repeat(1_000))),
    );
    let mut other = Account::new(uid, &[group]).connect(&daemon.socket());
    let _connected = other.reply("version", json!({}));
    let mut searches = many_searches(&daemon);
    // From here on all others wait or run.
    eventually("the first answer", || searches.iter_mut().any(Rpc::has_line).then_some(()));
    assert_eq!(other.reply("inbox", json!({ "limit": 1 }))["result"]["entries"][0]["id"], 1);
    assert_few_are_answered(&mut searches);
}

// Memory.

#[test]
fn unread_answers_of_many_connections_are_bounded() {
    const BUDGET: u64 = 16;
    let config = format!("control.max_memory = '{BUDGET}MiB'\nlog.messages_per_second = 0");
    let daemon = Daemon::start_with(&config, &[]);
    let peer = Peer::new();
    // Before anything is measured, so that what is needed anyway is there.
    for _ in 0..100 {
        daemon.rpc().call("send", json!({ "to": peer.name(), "raw": "AAAA".repeat(20_000) }));
    }
    assert_responsive(&daemon, &peer);
    let (before, _) = memory(&daemon);
    // 60,000 bytes, which take 440 KB in an answer.
    let send = request("send", &json!({ "to": peer.name(), "raw": "AAAA".repeat(20_000) }));
    let clients: Vec<_> = (0..100).map(|_| pour(&daemon, &send, 40)).collect();
    let inbox = request("inbox", &json!({ "after": 0, "limit": 1_000 }));
    let readers: Vec<_> = (0..100).map(|_| pour(&daemon, &inbox, 40)).collect();
    let halves: Vec<_> = (0..40).map(|_| pour(&daemon, &vec![b' '; 400_000], 1)).collect();
    assert_responsive(&daemon, &peer);
    // A large request waits until another connection is closed.
    let whole = json!({ "to": peer.name(), "raw": "AAAA".repeat(20_000) });
    eventually("a large request to be served", || {
        let reply = daemon.rpc().reply("send", whole.clone());
        assert!(reply["result"]["bytes"] == 60_000 || reply["error"]["data"]["kind"] == "busy", "{reply}");
        reply.get("result").map(drop)
    });
    let most = memory(&daemon).1 - before;
    assert!(most < (BUDGET + 4) * MIB, "{} MiB more", most / MIB);
    drop((clients, readers, halves));
    eventually("the memory to be given back", || {
        assert_responsive(&daemon, &peer);
        (memory(&daemon).0 < before + 8 * MIB).then_some(())
    });
    assert_eq!(daemon.status()["state"], "ok");
}

#[test]
fn a_line_that_waits_for_memory_takes_none() {
    const BUDGET: u64 = 16;
    let daemon = Daemon::start_with(&format!("control.max_memory = '{BUDGET}MiB'"), &[]);
    assert_responsive(&daemon, &Peer::new());
    let (before, _) = memory(&daemon);
    let mut halves: Vec<_> = (0..200).map(|_| pour(&daemon, &vec![b' '; 400_000], 1)).collect();
    eventually("a connection to be closed", || {
        halves.iter_mut().find_map(|half| half.read(&mut [0]).ok()).map(drop)
    });
    let most = memory(&daemon).1 - before;
    assert!(most < BUDGET * MIB, "{} MiB more", most / MIB);
}

#[test]
fn a_connection_that_holds_most_is_closed_with_busy() {
    let daemon = Daemon::start_with("control.max_memory = '10MiB'", &[]);
    // A line in the making takes memory, too.
    let mut half: Rpc = daemon.rpc();
    half.write(&vec![b' '; 500_000]);
    let mut others: Vec<_> = (0..5).map(|_| daemon.rpc()).collect();
    others.iter_mut().for_each(|rpc| rpc.write(&vec![b' '; 250_000]));
    let reply = half.line().expect("a reason");
    assert_eq!((&reply["id"], &reply["error"]["data"]["kind"]), (&Value::Null, &json!("busy")), "{reply}");
    assert!(reply["error"]["data"]["hint"].as_str().unwrap().contains("control.max_memory"), "{reply}");
    assert_eq!(half.line(), None);
    assert_eq!(daemon.rpc().call("version", json!({}))["protocol"], 1);
}

#[test]
fn an_unread_status_with_many_watched_peers_takes_memory() {
    // Each answer is 70 KB or more.
    let peer = |number: usize| {
        format!(
            "[peers.p{number:063}]\naddress = '10.9.{}.{}'\nsilent_after = '1d'\n",
            number / 250,
            number % 250
        )
    };
    let peers: String = (0..1_000).map(peer).collect();
    let mut daemon = Daemon::start_with(&format!("control.max_memory = '10MiB'\n{peers}"), &[]);
    let status = request("status", &json!({}));
    let _clients: Vec<_> = (0..100).map(|_| pour(&daemon, &status, 20)).collect();
    daemon.log_with("the connection is closed: it holds more memory than any other");
}

#[test]
fn a_long_id_or_method_is_not_repeated() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    rpc.write(
        format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{}\",\"method\":\"version\"}}\n", "x".repeat(513)).as_bytes(),
    );
    let reply = rpc.line().unwrap();
    assert_eq!((&reply["id"], &reply["error"]["data"]["kind"]), (&Value::Null, &json!("invalid_request")));
    let error = rpc.error(&"\u{1}".repeat(80_000), json!({}));
    assert!(error["message"].as_str().unwrap().chars().count() < 1_100);
}
