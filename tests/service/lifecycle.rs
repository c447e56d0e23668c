//! The daily tasks of an administrator: start, status, reload, restart, stop, and reading the journal.

use serde_json::Value;

use crate::machine::{Machine, SERVICE, SOCKET};
use crate::support::eventually;

const CONFIGURATION: &str = "/etc/udpchat/config.toml";

/// Returns level (of syslog(3)) and text of lines that the daemon itself wrote.
fn logged(lines: &[Value]) -> Vec<(&str, &str)> {
    let own = lines.iter().filter(|line| line["_COMM"] == "udpchatd");
    own.map(|line| (line["PRIORITY"].as_str().unwrap(), line["MESSAGE"].as_str().unwrap())).collect()
}

#[test]
fn the_service_starts_shows_its_status_and_stops() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    // The unit is active only when the daemon serves.
    let status = machine.status();
    assert_eq!(status["pid"].to_string(), machine.show(SERVICE, "MainPID"));
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active", "the service brings its sockets along");
    assert_eq!(machine.show(SERVICE, "StatusText"), "Receiving on [::]:7788: 0 messages stored, 0 lost");
    machine.udp().send_to(b"hello", ("127.0.0.1", crate::machine::PORT)).unwrap();
    machine.until(SERVICE, "StatusText", |text| text.contains("1 messages stored"));
    machine.systemctl(&["stop", SOCKET, SERVICE]).done();
    assert_eq!(
        (&*machine.show(SERVICE, "ActiveState"), &*machine.show(SERVICE, "Result")),
        ("inactive", "success")
    );
    assert!(!machine.path("/run/udpchat/control.sock").exists(), "the socket is still there");
    let lines = machine.journal(&[]);
    assert!(
        logged(&lines).iter().any(|(level, text)| (*level, *text) == ("6", "stopped clean=true")),
        "{lines:#?}"
    );
    assert_eq!(machine.journal(&["--unit", SOCKET, "--priority=warning"]), [Value::Null; 0], "all went well");
}

#[test]
fn the_daemon_runs_as_its_own_user() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let stat = |path: &str| machine.run(&["stat", "--format=%U:%G %a", path]).done();
    assert_eq!(stat("/var/lib/udpchat"), "udpchat:udpchat 700\n");
    assert_eq!(stat("/var/lib/udpchat/inbox.db"), "udpchat:udpchat 600\n");
    assert_eq!(stat("/run/udpchat/control.sock"), "udpchat:udpchat 660\n");
    let process = format!("/proc/{}/status", machine.serves());
    let status = machine.run(&["cat", &process]).done();
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{status}");
    }
}

#[test]
fn the_journal_has_levels_and_one_time_stamp() {
    let Some(machine) = Machine::boot() else { return };
    // More than the kernel grants without privileges.
    machine.write(CONFIGURATION, "listen = ['[::]:7788', '127.0.0.1:7799']\nreceive_buffer = '1GiB'\n");
    machine.systemctl(&["start", SERVICE]).done();
    machine.udp().send_to(b"a line\nof two", ("127.0.0.1", crate::machine::PORT)).unwrap();
    machine.journal_line("received id=1");
    let lines = machine.journal(&[]);
    let logged = logged(&lines);
    let level =
        |text: &str| logged.iter().find(|(_, text_of)| text_of.starts_with(text)).map(|(level, _)| *level);
    assert_eq!(level("ready"), Some("6"), "{logged:#?}");
    assert_eq!(level("received"), Some("6"), "{logged:#?}");
    assert_eq!(
        level("the kernel grants a smaller receive buffer on 127.0.0.1:7799"),
        Some("4"),
        "{logged:#?}"
    );
    // The text contains no time and no level.
    assert!(logged.iter().all(|(_, text)| !text.starts_with("20") && !text.contains("INFO")), "{logged:#?}");
    let warnings = machine.journal(&["--priority=warning"]);
    assert!(warnings.iter().any(|line| line["MESSAGE"].as_str().unwrap().starts_with("the kernel grants")));
    assert!(!warnings.iter().any(|line| line["MESSAGE"].as_str().unwrap().starts_with("ready")));
}

#[test]
fn a_refused_reload_fails_with_the_reason() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let process = machine.serves();
    machine.write(CONFIGURATION, "[peers.bob]\naddress = '127.0.0.1:9'\n");
    machine.systemctl(&["reload", SERVICE]).done();
    assert!(machine.ctl(&["--json", "peers"]).done().contains("\"bob\""));

    machine.write(CONFIGURATION, "lisen = []\n");
    machine.systemctl(&["reload", SERVICE]).refused();
    let why = machine.journal_line("unknown key `lisen`");
    assert_eq!(why["PRIORITY"], "4", "{why:#}");
    assert_eq!(machine.serves(), process, "the daemon goes on as it was");
    assert!(machine.ctl(&["--json", "peers"]).done().contains("\"bob\""));
    machine.write(CONFIGURATION, "");
    machine.systemctl(&["reload", SERVICE]).done();
    eventually("the peer to be gone", || {
        (!machine.ctl(&["--json", "peers"]).done().contains("\"bob\"")).then_some(())
    });
}

#[test]
fn received_messages_survive_a_power_cycle() {
    let Some(mut machine) = Machine::boot() else { return };
    machine.systemctl(&["enable", "--now", SERVICE]).done();
    let peer = machine.udp();
    for number in 0..100 {
        peer.send_to(number.to_string().as_bytes(), ("127.0.0.1", crate::machine::PORT)).unwrap();
    }
    // The reboot does not wait for datagrams that are still queued.
    machine.reboot();
    machine.serves();
    assert_eq!(machine.status()["inbox"]["entries"], 100);
    assert_eq!(machine.inbox().numbers(), (0..100).collect::<Vec<_>>());
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active");
}
