//! `udpchatctl doctor`: no finding on a healthy system, and the cause of each fault that a test makes.

mod network;
mod users;

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Completed, Daemon, Network, Peer, ctl_without_daemon, eventually, missing, new_folder};

/// Reads the findings of a run that ended with this code.
#[track_caller]
fn findings(ran: &Completed, code: i32) -> Vec<Value> {
    assert_eq!(ran.code, Some(code), "{ran:#?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the findings of a level about a topic, a line each.
fn of(findings: &[Value], level: &str, topic: &str) -> String {
    let meant = |finding: &&Value| finding["level"] == level && finding["topic"] == topic;
    let line = |finding: &Value| format!("{} hint: {}\n", finding["seen"], finding["hint"]);
    findings.iter().filter(meant).map(line).collect()
}

/// Checks that there is a finding of this level and topic with all of these texts.
#[track_caller]
fn assert_finding(findings: &[Value], level: &str, topic: &str, parts: &[&str]) {
    let found = of(findings, level, topic);
    let all_there = parts.iter().all(|part| found.contains(part));
    assert!(!found.is_empty() && all_there, "no {level} about {topic} with {parts:?}: {findings:#?}");
}

/// Returns the topics of all problems.
fn problems(findings: &[Value]) -> Vec<&str> {
    let is_problem = |finding: &&Value| finding["level"] == "problem";
    findings.iter().filter(is_problem).map(|finding| finding["topic"].as_str().unwrap()).collect()
}

/// A network, and a daemon with a configuration on its first host, without any fault.
fn healthy(config: &str) -> Option<(Network, Daemon)> {
    let network = Network::new()?;
    network.connect("eth0", 1);
    let daemon = Daemon::start_on(&network.here, config);
    Some((network, daemon))
}

const LISTEN: &str = "listen = ['[::]:7788']\n";

#[test]
fn a_healthy_system_has_no_findings() {
    let Some((network, daemon)) = healthy(LISTEN) else { return };
    let ran = daemon.ctl_on(&network.here, &["--json", "doctor"]);
    let found = findings(&ran, 0);
    assert_eq!(ran.stderr, "");
    assert!(problems(&found).is_empty(), "{found:#?}");
    for (topic, part) in [
        ("daemon", &*format!("pid {}", daemon.pid())),
        ("listen", "[::]:7788"),
        ("network", "eth0: peers send to 10.1.0.1:7788"),
        ("network", "broadcast is 10.1.0.255:7788"),
        ("self-test", "127.0.0.1:7788 arrived"),
        ("self-test", "[::1]:7788 arrived"),
        ("access", "everyone may send"),
        ("traffic", "nothing has arrived"),
        ("state", "in order"),
        ("disk", "are free"),
    ] {
        assert_finding(&found, "ok", topic, &[part]);
    }
    let text = daemon.ctl_on(&network.here, &["doctor"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.starts_with("ok       daemon     udpchatd "), "{}", text.stdout);
}

#[test]
fn findings_are_chinese_in_a_chinese_locale() {
    let daemon =
        Daemon::start_with("[peers.bob]\naddress = '127.0.0.1:9'\n[access]\ndeny = ['10.9.0.0/16']", &[]);
    let (address, pid) = (daemon.address(), daemon.pid());
    let ran = daemon.ctl_in_chinese(&["doctor", "bob"]);
    for line in [
        &*format!(
            "正常     守护进程   udpchatd {}（进程号 {pid}）在 {} 应答\n",
            env!("CARGO_PKG_VERSION"),
            daemon.socket().display()
        ),
        &format!("问题     监听       只监听 {address}：其他机器无法访问\n"),
        &format!(
            "                    提示：要监听 IPv4 和 IPv6 的所有地址，在配置中设置 `listen = [\"[::]:{}\"]`，然后重启守护进程\n",
            address.port()
        ),
        &format!("正常     自检       发往 {address} 的数据报已通过实际端口到达\n"),
        "正常     访问列表   任何主机都可以发送，10.9.0.0/16 除外\n",
        "正常     状态       收件箱正常，有 0 个条目\n",
        "正常     对端       bob 即 127.0.0.1:9：有路由，源地址为 127.0.0.1\n",
        "警告     对端       收件箱中没有来自 127.0.0.1:9 的消息\n",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {}", ran.stdout);
    }
    // No word of ours is left in English.
    let words = ["ok ", "problem", "warning", "hint", "the ", " is "];
    assert!(!words.iter().any(|word| ran.stdout.contains(word)), "{}", ran.stdout);
    // A machine without a network has one more.
    let problems = ran.stdout.lines().filter(|line| line.starts_with("问题")).count();
    ran.fails(1, &[&format!("错误：发现 {problems} 个问题\n")]);
    let (english, in_chinese) =
        (daemon.ctl(&["--json", "doctor", "bob"]), daemon.ctl_in_chinese(&["--json", "doctor", "bob"]));
    let without_time = |ran: &Completed| {
        let lines =
            ran.stdout.lines().filter(|line| !line.contains("\"clock\"") && !line.contains("\"disk\""));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_time(&in_chinese), without_time(&english));
}

#[test]
fn without_a_daemon_findings_are_chinese_too() {
    let folder = new_folder();
    std::fs::write(folder.path().join("config.toml"), "lisen = []").unwrap();
    let environment = [
        ("HOME", folder.path()),
        ("UDPCHAT_CONFIG", &folder.path().join("config.toml")),
        ("UDPCHAT_SOCKET", &folder.path().join("s")),
        ("UDPCHAT_LANG", Path::new("zh")),
    ];
    let ran = ctl_without_daemon(&["doctor"], &environment);
    let tried = format!("没有守护进程应答；已尝试 {}/s（没有该套接字）", folder.path().display());
    assert!(ran.stdout.starts_with(&format!("问题     守护进程   {tried}")), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("问题     配置       配置无效：")
            && ran.stdout.contains("提示：是否想写 `listen`？"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("正常     时钟       20"), "{}", ran.stdout);
}

#[test]
fn the_self_test_leaves_no_trace() {
    for (listen, tested) in [
        ("[::]:0", &["127.0.0.1", "[::1]"][..]),
        ("0.0.0.0:0", &["127.0.0.1"]),
        ("127.0.0.2:0", &["127.0.0.2"]),
        ("[::1]:0", &["[::1]"]),
    ] {
        let daemon = Daemon::start_with("", &["--listen", listen]);
        let peer = if listen == "[::1]:0" { Peer::at("[::1]:0") } else { Peer::new() };
        let port = daemon.address().port();
        let to = format!("{}:{port}", tested[0]).parse().unwrap();
        peer.send(to, "before");
        let _status = daemon.stored(1);
        let tests = daemon.rpc().call("self_test", json!({}));
        let expected: Vec<_> =
            tested.iter().map(|ip| json!({ "to": format!("{ip}:{port}"), "outcome": "received" })).collect();
        assert_eq!(tests, json!({ "tests": expected }));
        peer.send(to, "after");
        let status = daemon.stored(2);
        assert_eq!(status["received"], json!({ "datagrams": 2, "bytes": 11 }));
        assert_eq!(daemon.entries().len(), 2);
    }
}

/// Returns a datagram of the self-test with a guessed secret.
fn like_a_self_test() -> String {
    format!("udpchat self-test {:032x}", 0)
}

#[test]
fn without_a_daemon_it_lists_sockets_and_a_free_port() {
    let folder = new_folder();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = findings(&without_daemon(folder.path(), &format!("listen = ['{free}']")), 1);
    assert_finding(&found, "problem", "daemon", &["no daemon answers", "/s (no such socket)", "udpchatd"]);
    assert_finding(&found, "ok", "port", &[&format!("UDP port {} is free", free.port())]);
    assert_eq!(problems(&found).iter().filter(|topic| **topic != "network").count(), 1, "{found:#?}");
}

/// Runs the doctor where no daemon is, with a configuration.
fn without_daemon(folder: &Path, config: &str) -> Completed {
    let file = folder.join("config.toml");
    std::fs::write(&file, config).unwrap();
    let environment = [("HOME", folder), ("UDPCHAT_CONFIG", &*file), ("UDPCHAT_SOCKET", &*folder.join("s"))];
    ctl_without_daemon(&["--json", "doctor"], &environment)
}

#[test]
fn a_port_held_by_another_program_is_a_problem() {
    let folder = new_folder();
    for (holder, listen) in [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "[::]"), ("[::]:0", "0.0.0.0")] {
        let held = UdpSocket::bind(holder).unwrap();
        let port = held.local_addr().unwrap().port();
        let config = format!("listen = ['{listen}:{port}']");
        let own = std::fs::read_to_string("/proc/self/comm").unwrap();
        let holder = format!("held by {} (pid {}", own.trim_end(), std::process::id());
        // A child of another test has it too, until it becomes another program.
        let found = eventually("this process to be named", || {
            let found = findings(&without_daemon(folder.path(), &config), 1);
            found.iter().any(|one| one["seen"].to_string().contains(&holder)).then_some(found)
        });
        assert_finding(&found, "problem", "port", &[&format!("UDP port {port} is"), &holder]);
    }
}

#[test]
fn an_invalid_configuration_is_a_problem() {
    let folder = new_folder();
    let found = findings(&without_daemon(folder.path(), "lisen = []"), 1);
    assert_finding(&found, "problem", "configuration", &["config.toml:1:1: unknown key `lisen`"]);
}

#[test]
fn the_configuration_that_is_checked_can_be_given() {
    let folder = new_folder();
    let file = folder.path().join("other.toml");
    std::fs::write(&file, "lisen = []").unwrap();
    // The one that counts otherwise is valid.
    let own = folder.path().join("config.toml");
    std::fs::write(&own, "").unwrap();
    let environment =
        [("HOME", folder.path()), ("UDPCHAT_CONFIG", &*own), ("UDPCHAT_SOCKET", &*folder.path().join("s"))];
    let args = ["--json", "doctor", "--config", file.to_str().unwrap()];
    let found = findings(&ctl_without_daemon(&args, &environment), 1);
    assert_finding(&found, "problem", "configuration", &["other.toml:1:1: unknown key `lisen`"]);
}

#[test]
fn a_small_buffer_with_drops_is_a_problem() {
    const LINE_BYTES: usize = 60_000;
    let Some((network, here)) = healthy(&format!("{LISTEN}receive_buffer = '1GiB'")) else { return };
    let buffer = here.status()["receive_buffer"].take();
    if buffer["granted"] == buffer["asked"] {
        missing("a kernel that limits receive buffers");
        return;
    }
    let neighbour = Daemon::start_on(&network.here, "listen = ['127.0.0.1:7789']");
    // More than fits, the kernel reckoning with the double of what it grants.
    let lines = usize::try_from(buffer["granted"].as_u64().unwrap()).unwrap() * 2 / LINE_BYTES + 50;
    let input = format!("{}\n", "x".repeat(LINE_BYTES)).repeat(lines);
    here.signal(Signal::SIGSTOP);
    let _receipts =
        neighbour.ctl_with_input(&["send", "127.0.0.1:7788", "--lines", "--quiet"], input.as_bytes()).ok();
    here.signal(Signal::SIGCONT);
    eventually("the drops to be counted", || (here.status()["kernel_drops"] != 0).then_some(()));
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 1);
    let asked = "net.core.rmem_max=1073741824";
    assert_finding(&found, "problem", "buffer", &["the kernel dropped", "the requested 1.0 GiB", asked]);
    assert_eq!(problems(&found), ["buffer"]);
}

#[test]
fn a_full_disk_is_a_problem() {
    let Some(network) = Network::new() else { return };
    network.connect("eth0", 1);
    // The daemon's folder, on a small disk of its own.
    let folder = new_folder();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    network
        .here
        .run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=700", "udpchat"]).arg(&data));
    let here = Daemon::start_on_in(&network.here, folder, LISTEN);
    // Another program takes all the free space.
    let fill = format!("cat /dev/zero > '{}' 2>&1 || true", data.join("filler").display());
    network.here.run(Command::new("sh").args(["-c", &fill]));
    let there = Daemon::start_on(&network.there, LISTEN);
    let line = "x".repeat(1000);
    eventually("the daemon to run out of room", || {
        let _receipt = there.ctl(&["send", "10.1.0.1", &line]).ok();
        here.status()["problems"].to_string().contains("cannot be written").then_some(())
    });
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 1);
    assert_finding(&found, "problem", "state", &["cannot be written", "disk is full"]);
    let hint = "delete or move other files on that file system; the daemon continues by itself";
    assert_finding(&found, "problem", "disk", &["are free at", data.to_str().unwrap(), hint]);
    assert_eq!(problems(&found), ["state", "disk"]);
    network.here.run(Command::new("rm").arg(data.join("filler")));
    eventually("the daemon to continue", || (here.status()["state"] == "ok").then_some(()));
    assert_eq!(here.status()["queued"], 0);
}

#[test]
fn the_socket_of_a_running_daemon_is_found() {
    let (_daemon, folder) = (Daemon::start(), new_folder());
    let found = findings(&without_daemon(folder.path(), ""), 1);
    assert_finding(&found, "problem", "daemon", &["is running, and listens at /", "udpchatctl --socket /"]);
}
