//! Metrics: from `udpchatctl status --format` and over HTTP, also with hostile clients.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Daemon, Peer, available, eventually, has_ipv6, new_folder};

/// Returns the fields of the status with their metrics, from the table in PROTOCOL.md.
fn documented() -> impl Iterator<Item = (&'static str, &'static str)> {
    const TEXT: &str = include_str!("../../../daemon/api/PROTOCOL.md");
    let rows = TEXT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    rows.filter_map(|(field, rest)| Some((field, rest.split_once("` | ")?.0)))
}

/// Starts a daemon that serves metrics at any port, and returns where.
fn serving(config: &str) -> (Daemon, SocketAddr) {
    let config = format!("{config}\n[metrics]\nlisten = '127.0.0.1:0'\n");
    let daemon = Daemon::start_with(&config, &["--listen", "127.0.0.1:0"]);
    let address = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    (daemon, address)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends a request, and returns the head and the body of the answer.
fn ask(to: SocketAddr, request: &str) -> (String, String) {
    let mut stream = connect(to);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    (head.to_owned(), body.to_owned())
}

/// Reads the metrics over HTTP, with an `Accept` header.
fn scrape(from: SocketAddr, accept: &str) -> String {
    let (head, body) =
        ask(from, &format!("GET /metrics HTTP/1.1\r\nHost: {from}\r\nAccept: {accept}\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    body
}

/// Reads the samples of either format.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap()).collect()
}

#[track_caller]
fn assert_same(text: &str, status: &Value) {
    let samples = samples(text);
    // These are compared below.
    let special = ["version", "at", "started", "state", "inbox.disk_free_bytes", "watched_peers"];
    let mut expected = Vec::new();
    for (field, metric) in documented().filter(|(field, _)| !special.contains(field)) {
        let name = format!("udpchat_{metric}");
        match status.pointer(&format!("/{}", field.replace('.', "/"))).expect(field) {
            Value::Array(list) => expected.push((name, json!(list.len()))),
            Value::Object(reasons) => expected.extend(
                reasons
                    .iter()
                    .map(|(reason, count)| (format!("{name}{{reason=\"{reason}\"}}"), count.clone())),
            ),
            number => expected.push((name, number.clone())),
        }
    }
    for (name, value) in &expected {
        assert_eq!(samples[name.as_str()], value.to_string(), "{name}\n{text}");
    }
    assert_eq!((samples["udpchat_up"], samples["udpchat_degraded"]), ("1", "0"));
    let version = format!("udpchat_build_info{{version=\"{}\"}}", status["version"].as_str().unwrap());
    assert_eq!(samples[version.as_str()], "1");
    let started: f64 = samples["udpchat_start_time_seconds"].parse().unwrap();
    let at: f64 = samples["udpchat_status_timestamp_seconds"].parse().unwrap();
    assert!(0.0 < started && started <= at, "{started} {at}");
    assert!(samples["udpchat_disk_free_bytes"].parse::<u64>().unwrap() > 0);
    // The others are `up` and the five.
    assert!(expected.len() >= 28, "{expected:?}");
    let watched: Vec<_> = status["watched_peers"].as_array().into_iter().flatten().collect();
    let heard = watched.iter().filter(|peer| peer.get("last_heard").is_some()).count();
    for peer in &watched {
        let series = format!("udpchat_peer_silent{{peer=\"{}\"}}", peer["name"].as_str().unwrap());
        assert_eq!(samples[series.as_str()], u64::from(peer.get("silent_since").is_some()).to_string());
    }
    assert_eq!(samples.len(), expected.len() + 6 + watched.len() + heard, "{text}");
}

/// Reads the metrics while nothing changes, and returns them with the status of that time.
fn while_idle(daemon: &Daemon, read: impl Fn() -> String) -> (String, Value) {
    let status = || {
        let mut status = daemon.status();
        // These change by themselves, and are checked separately.
        let varying = [status["at"].take(), status["inbox"]["disk_free_bytes"].take()];
        assert!(varying[0].is_string() && varying[1].is_u64(), "{varying:?}");
        status
    };
    eventually("an idle moment", || {
        let (before, text, after) = (status(), read(), status());
        (before == after).then_some((text, after))
    })
}

#[test]
fn metrics_equal_the_status_in_every_format() {
    let (daemon, address) = serving(
        "[access]\ndeny = ['127.0.0.2']\n[peers.dev]\naddress = '127.0.0.1'\nsilent_after = '1h'\n[peers.other]\naddress = \
         '127.0.0.3'\nsilent_after = '1h'",
    );
    let peer = Peer::new();
    daemon.receive_from(&peer, (0..300).map(|number| format!("message {number}")));
    Peer::at("127.0.0.2:0").send(daemon.address(), "not taken");
    let _receipt = daemon.ctl(&["send", &peer.name(), "an answer"]).ok();
    let status = eventually("the denied datagram to be counted", || {
        Some(daemon.status()).filter(|status| status["dropped"]["denied"] == 1)
    });
    assert_eq!(status["sent"]["datagrams"], 1);

    let printed = |format| daemon.ctl(&["status", "--format", format]).ok();
    let ways: [&dyn Fn() -> String; 4] =
        [&|| printed("prometheus"), &|| printed("openmetrics"), &|| scrape(address, "text/plain"), &|| {
            scrape(address, "application/openmetrics-text")
        }];
    for way in ways {
        let (text, status) = while_idle(&daemon, way);
        assert_same(&text, &status);
    }
    let now: Value = serde_json::from_str(&printed("json")).unwrap();
    assert_eq!(now["received"], status["received"]);
    assert!(printed("text").starts_with("state: "));
}

#[test]
fn the_formats_follow_their_standards() {
    let (daemon, address) = serving("");
    let open = scrape(address, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(
        open.ends_with("\n# EOF\n") && open.contains("# TYPE udpchat_received_bytes counter\n"),
        "{open}"
    );
    assert!(open.contains("# UNIT udpchat_received_bytes bytes\n"));
    let old = scrape(address, "*/*");
    assert!(!old.contains("EOF") && !old.contains("UNIT"), "{old}");
    assert!(old.contains("# TYPE udpchat_received_bytes_total counter\n"), "{old}");
    if !available("promtool") {
        return;
    }
    for text in [old, daemon.ctl(&["status", "--format", "prometheus"]).ok()] {
        let mut promtool = Command::new("promtool");
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut promtool = promtool.spawn().unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}

#[test]
fn the_alerts_use_existing_metrics_and_fire() {
    const RULES: &str = include_str!("../../../daemon/docs/metrics-alerts.yml");
    let daemon = Daemon::start_with("[peers.dev]\naddress = '127.0.0.3'\nsilent_after = '1h'\n", &[]);
    let text = daemon.ctl(&["status", "--format", "prometheus"]).ok();
    let there = samples(&text);
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let used: Vec<&str> = RULES
        .match_indices("udpchat_")
        .map(|(at, _)| RULES[at..].split(|c| !is_part(c)).next().unwrap())
        .collect();
    assert!(used.len() > 12);
    for name in used {
        assert!(there.keys().any(|series| series.split('{').next() == Some(name)), "{name}");
    }
    if available("promtool") {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/daemon/docs");
        for arguments in
            [["check", "rules", "metrics-alerts.yml"], ["test", "rules", "metrics-alerts-test.yml"]]
        {
            let output = Command::new("promtool").args(arguments).current_dir(docs).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}

#[test]
fn the_metrics_file_reports_a_lost_daemon() {
    let mut daemon = Daemon::start();
    let file = daemon.path("udpchat.prom");
    let name = file.to_str().unwrap();
    let write = |daemon: &Daemon| daemon.ctl(&["status", "--format", "prometheus", "--output", name]);
    assert_eq!(write(&daemon).ok(), "");
    assert_same(&fs::read_to_string(&file).unwrap(), &daemon.status());

    let _stopped = daemon.ctl(&["stop"]).ok();
    assert!(daemon.wait().success());
    write(&daemon).fails(3, &["no daemon found", "hint: "]);
    let down = "# HELP udpchat_up Whether the daemon answered.\n# TYPE udpchat_up gauge\nudpchat_up 0\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), down);
    let printed = daemon.ctl(&["status", "--format", "openmetrics"]);
    assert_eq!(printed.stdout, format!("{down}# EOF\n"));
    printed.fails(3, &["no daemon found"]);
    daemon.ctl(&["status", "--format", "json"]).fails(3, &["\"kind\":\"no_daemon\""]);
}

#[test]
fn invalid_arguments_keep_the_file() {
    let daemon = Daemon::start();
    let file = daemon.path("x.prom");
    fs::write(&file, "before").unwrap();
    let name = file.to_str().unwrap();
    for (arguments, text) in [
        (&["status", "--format", "text", "-o", name][..], "only metrics can be written to a file"),
        (&["status", "--format", "json", "-o", name], "only metrics can be written to a file"),
        (&["--json", "status", "--format", "prometheus", "-o", name], "metrics cannot be printed as JSON"),
        (&["status", "--format", "prometheus", "--watch", "-o", name], "cannot be used with"),
    ] {
        daemon.ctl(arguments).fails(2, &[text]);
    }
    daemon.ctl(&["status", "--format", "prometheus", "-o", "/dev/null"]).fails(1, &["is not a regular file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
}

#[test]
fn no_endpoint_is_served_by_default() {
    let mut daemon = Daemon::start();
    assert!(daemon.status().get("metrics").is_none());
    assert!(!daemon.log().iter().any(|line| line.contains("http://")));
    assert!(!daemon.ctl(&["status"]).ok().contains("metrics"));
}

#[test]
fn status_shows_the_address_and_refusals_have_hints() {
    let (mut daemon, address) = serving("");
    let url = format!("http://{address}/metrics");
    assert!(daemon.log().iter().any(|line| line.contains(&format!("metrics are at {url}"))));
    assert!(daemon.ctl(&["status"]).ok().contains(&format!("metrics:         {url}\n")));
    for (request, status, text) in [
        ("GET / HTTP/1.1\r\nHost: localhost", "404 Not Found", "the metrics are at /metrics"),
        (
            "PUT /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
            "405 Method Not Allowed",
            "GET or HEAD",
        ),
        ("GET /metrics HTTP/1.1\r\nHost: rebound.example", "421 Misdirected Request", "Host: localhost"),
    ] {
        let (head, body) = ask(address, &format!("{request}\r\n\r\n"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(body.contains(text) && !body.contains("udpchat_"), "{body}");
    }
    let (head, body) = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.is_empty(), "{head}");
}

#[test]
fn a_non_loopback_address_is_refused() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "[metrics]\nlisten = '0.0.0.0:17788'\n").unwrap();
    let refused = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for text in ["config.toml:2:10: ", "is not a loopback address", "hint: ", "reverse proxy"] {
        assert!(refused.stderr.contains(text), "{refused:?}");
    }
}

#[test]
fn a_metrics_port_in_use_names_the_key() {
    let folder = new_folder();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    fs::write(folder.path().join("config.toml"), format!("[metrics]\nlisten = '{address}'\n")).unwrap();
    let refused = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let holder = format!("hint: another program holds TCP port {}", address.port());
    for text in [&*format!("cannot serve metrics on TCP {address}"), "`metrics.listen`", &holder] {
        assert!(refused.stderr.contains(text), "{refused:?}");
    }
    assert!(!folder.path().join("s").exists() && !folder.path().join("data/inbox.db").exists());
}

#[test]
fn another_address_needs_a_restart() {
    let (daemon, address) = serving("");
    for config in ["", "[metrics]\nlisten = '127.0.0.1:1'"] {
        fs::write(daemon.path("config.toml"), config).unwrap();
        assert_eq!(daemon.rpc().call("reload", json!({}))["needs_restart"], json!(["metrics.listen"]));
        assert_eq!(daemon.status()["metrics"], json!(address));
        assert!(scrape(address, "*/*").contains("udpchat_up 1\n"));
    }
}

#[test]
fn both_families_of_loopback_serve() {
    if !has_ipv6() {
        return;
    }
    let daemon = Daemon::start_with("[metrics]\nlisten = '[::1]:0'\n", &["--listen", "127.0.0.1:0"]);
    let address: SocketAddr = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    assert!(address.ip().is_loopback() && address.is_ipv6());
    assert!(scrape(address, "*/*").contains("udpchat_up 1\n"));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_err());
}

/// Opens hostile connections: silent ones, ones that never finish a request, and ones that send without end.
fn besiege(address: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let endless = "X: x\r\n".repeat(10_000);
    (0..connections)
        .map(|number| {
            let mut stream = connect(address);
            match number % 3 {
                0 => {}
                1 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").unwrap(),
                _ => {
                    stream.set_nonblocking(true).unwrap();
                    // As much as there is room for, if it is not cut off before.
                    let _sent = stream.write(format!("GET /metrics HTTP/1.1\r\n{endless}").as_bytes());
                }
            }
            stream
        })
        .collect()
}

fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}

#[test]
fn a_thousand_hostile_connections_do_no_harm() {
    const AT_ONCE: usize = 100;
    let (daemon, address) = serving("");
    let peer = Peer::new();
    let before = open_files(&daemon);
    for round in 1..=10 {
        let held = besiege(address, AT_ONCE);
        daemon.receive_from(&peer, (0..20).map(|number| format!("{round} {number}")));
        assert!(daemon.ctl(&["status"]).ok().starts_with("state:           ok\n"));
        let _receipt = daemon.ctl(&["send", &peer.name(), "still here"]).ok();
        let more = open_files(&daemon).saturating_sub(before);
        // 16 of them are served. The rest is what the control socket and readers of the inbox need.
        assert!(more < AT_ONCE / 2, "{more} files more are open");
        drop(held);
        assert!(scrape(address, "*/*").contains(&format!("udpchat_stored_datagrams_total {}\n", 20 * round)));
    }
    assert_eq!(daemon.status()["received"]["datagrams"], 200);
    eventually("the connections to be closed", || (open_files(&daemon) < before + AT_ONCE / 2).then_some(()));
}

#[test]
fn half_requests_delay_no_scrape() {
    let (_daemon, address) = serving("");
    let half = || {
        let mut stream = connect(address);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").unwrap();
        stream
    };
    // Many more than there are places: each would keep its place for two seconds, all of them for twelve.
    let halves: Vec<_> = (0..100).map(|_| half()).collect();
    let began = Instant::now();
    assert!(scrape(address, "*/*").contains("udpchat_up 1\n"));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(halves);
}

#[test]
fn a_silent_connection_does_not_delay_the_stop() {
    let (mut daemon, address) = serving("");
    let mut silent = connect(address);
    // So that it is accepted by now.
    assert!(scrape(address, "*/*").contains("udpchat_up 1\n"));
    assert_eq!(daemon.ctl(&["stop"]).ok(), "stopped\n");
    assert!(daemon.wait().success());
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}
