//! Multicast groups and broadcasts between two hosts with virtual cables, while
//! interfaces come and go.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Network, eventually, texts};

/// The words of a configuration that make the daemon listen where every test here expects it.
const LISTEN: &str = "listen = ['[::]:7788']\n";

/// Two hosts with two cables, `eth0` and `eth1`; none where this machine cannot have them.
fn two_cables() -> Option<Network> {
    let network = Network::new()?;
    network.connect("eth0", 1);
    network.connect("eth1", 2);
    Some(network)
}

/// Makes a daemon send a text to an address.
#[track_caller]
fn send_text(daemon: &Daemon, to: &str, text: &str) {
    let _receipt = daemon.ctl(&["send", to, text]).ok();
}

/// Waits until a message with a text has come in, and returns it.
#[track_caller]
fn received(daemon: &Daemon, text: &str) -> Value {
    eventually(&format!("the message `{text}`"), || {
        let is_it = |entry: &Value| entry["text"] == text && entry["direction"] == "in";
        daemon.entries().into_iter().find(is_it)
    })
}

/// Returns the texts that have come in.
fn all_received(daemon: &Daemon) -> Vec<String> {
    let received: Vec<_> = daemon.entries().into_iter().filter(|entry| entry["direction"] == "in").collect();
    texts(&received).into_iter().map(str::to_owned).collect()
}

/// Waits until the status lists these interfaces for the first group, and returns it.
#[track_caller]
fn joined_on(daemon: &Daemon, interfaces: &[&str]) -> Value {
    eventually(&format!("the group to be joined on {interfaces:?}"), || {
        let status = daemon.status();
        (status["groups"][0]["interfaces"] == json!(interfaces)).then_some(status)
    })
}

/// Checks that the state is degraded by one problem, which has all of these texts.
#[track_caller]
fn assert_problem(status: &Value, parts: &[&str]) {
    assert_eq!(status["state"], "degraded", "{status}");
    let problem = status["problems"][0].as_str().unwrap();
    assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
    assert_eq!(status["problems"].as_array().unwrap().len(), 1, "{status}");
}

#[test]
fn a_group_is_received_on_every_interface() {
    let Some(network) = two_cables() else { return };
    let config = format!("{LISTEN}groups = ['239.1.2.3', 'ff02::7788']");
    let here = Daemon::start_on(&network.here, &config);
    let there = Daemon::start_on(&network.there, LISTEN);
    let status = joined_on(&here, &["eth0", "eth1"]);
    assert_eq!(status["groups"][0]["group"], "239.1.2.3");
    assert_eq!(status["groups"][1], json!({ "group": "ff02::7788", "interfaces": ["eth0", "eth1"] }));
    assert_eq!(status["state"], "ok");
    for (to, peer, local, answered) in [
        ("239.1.2.3%eth0", "10.1.0.2:7788", "239.1.2.3:7788", "10.1.0.1:7788"),
        ("239.1.2.3%eth1", "10.2.0.2:7788", "239.1.2.3:7788", "10.2.0.1:7788"),
        ("ff02::7788%eth0", "[fe80::1:2%", "[ff02::7788]:7788", "[fe80::1:1%"),
        ("[ff02::7788%eth1]:7788", "[fe80::2:2%", "[ff02::7788]:7788", "[fe80::2:1%"),
    ] {
        send_text(&there, to, to);
        let message = received(&here, to);
        assert!(message["peer"].as_str().unwrap().starts_with(peer), "{message}");
        assert_eq!(message["local"], local);
        let _receipt = here.ctl(&["reply", &message["id"].to_string(), &format!("answer {to}")]).ok();
        let answer = received(&there, &format!("answer {to}"));
        assert!(answer["peer"].as_str().unwrap().starts_with(answered), "{answer}");
    }
}

#[test]
fn groups_of_other_programs_are_not_received() {
    let Some(network) = two_cables() else { return };
    let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.2.3']"));
    let other = "listen = ['[::]:7789']\ngroups = ['239.9.9.9', 'ff02::9']";
    let _other = Daemon::start_on(&network.here, other);
    let there = Daemon::start_on(&network.there, LISTEN);
    for to in ["239.9.9.9%eth0", "ff02::9%eth0", "ff02::1%eth0", "224.0.0.1%eth0"] {
        send_text(&there, to, "not for you");
    }
    send_text(&there, "239.1.2.3%eth0", "for you");
    received(&here, "for you");
    assert_eq!(all_received(&here), ["for you"]);
}

#[test]
fn a_group_with_an_interface_uses_only_that_interface() {
    let Some(network) = two_cables() else { return };
    let config = format!("{LISTEN}groups = ['239.1.2.3%eth1', 'ff02::7788%eth0', 'ff05::7788%eth1']");
    let here = Daemon::start_on(&network.here, &config);
    let there = Daemon::start_on(&network.there, &config);
    for (wrong, right) in [
        ("239.1.2.3%eth0", "239.1.2.3%eth1"),
        ("ff02::7788%eth1", "ff02::7788%eth0"),
        ("ff05::7788%eth0", "ff05::7788%eth1"),
    ] {
        send_text(&there, wrong, "through the wrong one");
        send_text(&there, right, right);
        received(&here, right);
    }
    // Without an interface, it leaves through the configured one: no route selects any.
    for group in ["239.1.2.3", "ff02::7788", "ff05::7788"] {
        send_text(&there, group, group);
        received(&here, group);
    }
    assert!(!all_received(&here).contains(&"through the wrong one".to_owned()), "{:?}", all_received(&here));
}

#[test]
fn a_group_is_rejoined_when_its_interface_returns() {
    let Some(network) = two_cables() else { return };
    for group in ["239.1.2.3", "ff02::7788"] {
        let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['{group}']"));
        let there = Daemon::start_on(&network.there, LISTEN);
        let status = joined_on(&here, &["eth0", "eth1"]);
        assert_eq!(status["state"], "ok");
        network.here.ip("link set eth1 down");
        joined_on(&here, &["eth0"]);
        network.here.ip("link set eth1 up");
        // Taking an interface down takes its addresses of IPv6.
        network.here.ip("address replace fe80::2:1/64 dev eth1 nodad");
        joined_on(&here, &["eth0", "eth1"]);
        send_text(&there, &format!("{group}%eth1"), "up again");
        received(&here, "up again");
        network.here.ip("link delete eth1");
        joined_on(&here, &["eth0"]);
        network.connect("eth1", 2);
        let status = joined_on(&here, &["eth0", "eth1"]);
        assert_eq!(status["state"], "ok");
        send_text(&there, &format!("{group}%eth1"), "new interface");
        received(&here, "new interface");
    }
}

#[test]
fn a_reused_interface_index_is_joined_too() {
    let Some(network) = Network::new() else { return };
    let make = || {
        network.here.ip("link add eth0 index 77 type veth peer name far0");
        network.here.ip("address add 10.7.0.1/24 dev eth0");
        network.here.ip("link set eth0 up");
    };
    let kernel_has_it = || {
        eventually("the kernel to take part in the group", || {
            // 239.1.2.3, as the kernel shows it.
            network.here.output(Command::new("cat").arg("/proc/net/igmp")).contains("030201EF").then_some(())
        });
    };
    make();
    let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.2.3%eth0']"));
    joined_on(&here, &["eth0"]);
    kernel_has_it();
    // It sees both at once: that one is gone, and that there is one.
    here.signal(Signal::SIGSTOP);
    network.here.ip("link delete eth0");
    make();
    here.signal(Signal::SIGCONT);
    kernel_has_it();
}

#[test]
fn a_failed_join_is_a_problem_until_fixed() {
    let Some(network) = Network::new() else { return };
    let mut here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.2.3%eth7']"));
    let there = Daemon::start_on(&network.there, LISTEN);
    assert_problem(&here.status(), &["group 239.1.2.3%eth7", "not joined on eth7", "no such interface"]);
    let problem = |part: &str| {
        eventually(&format!("the problem `{part}`"), || {
            here.status()["problems"][0].as_str().filter(|problem| problem.contains(part)).map(drop)
        });
    };
    network.cable("eth7");
    problem("it has no IPv4 address");
    network.here.ip("link set eth7 down");
    problem("it is down");
    network.here.ip("link set eth7 up");
    network.here.ip("address add 10.7.0.1/24 dev eth7");
    network.there.ip("address add 10.7.0.2/24 dev eth7");
    assert_eq!(joined_on(&here, &["eth7"])["state"], "ok");
    send_text(&there, "239.1.2.3%eth7", "mended");
    received(&here, "mended");
    eventually("the log to report both", || {
        let log = here.log().join("\n");
        let reported =
            log.contains("not joined on eth7: it is down") && log.contains("resolved: group 239.1.2.3%eth7");
        reported.then_some(())
    });
}

#[test]
fn a_reload_leaves_and_joins_groups() {
    let Some(network) = two_cables() else { return };
    let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.1.1', 'ff02::11%eth9']"));
    let there = Daemon::start_on(&network.there, LISTEN);
    assert_problem(&here.status(), &["ff02::11%eth9"]);
    std::fs::write(here.path("config.toml"), format!("{LISTEN}groups = ['239.2.2.2']")).unwrap();
    assert_eq!(here.ctl(&["reload"]).ok(), "reloaded\n");
    let status = here.status();
    assert_eq!(status["groups"], json!([{ "group": "239.2.2.2", "interfaces": ["eth0", "eth1"] }]));
    assert_eq!(status["state"], "ok");
    send_text(&there, "239.1.1.1%eth0", "to the old group");
    send_text(&there, "239.2.2.2%eth0", "to the new one");
    received(&here, "to the new one");
    assert_eq!(all_received(&here), ["to the new one"]);
}

#[test]
fn too_many_groups_are_a_problem() {
    let Some(network) = two_cables() else { return };
    network.here.sysctl("net/ipv4/igmp_max_memberships", "1");
    let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.2.3']"));
    let status = joined_on(&here, &["eth0"]);
    assert_problem(&status, &["239.1.2.3 is not joined on eth1", "igmp_max_memberships"]);
    network.here.sysctl("net/ipv4/igmp_max_memberships", "20");
    let _reloaded = here.ctl(&["reload"]).ok();
    assert_eq!(joined_on(&here, &["eth0", "eth1"])["state"], "ok");
}

#[test]
fn broadcasts_are_sent_received_and_answered() {
    for listen in ["[::]:7788", "0.0.0.0:7788"] {
        let Some(network) = two_cables() else { return };
        let config = format!("listen = ['{listen}']");
        let (here, there) =
            (Daemon::start_on(&network.here, &config), Daemon::start_on(&network.there, &config));
        for (to, local) in [
            ("10.1.0.255", "10.1.0.255:7788"),
            ("10.2.0.255:7788", "10.2.0.255:7788"),
            ("255.255.255.255%eth0", "255.255.255.255:7788"),
            ("255.255.255.255%eth1", "255.255.255.255:7788"),
        ] {
            send_text(&there, to, to);
            let message = received(&here, to);
            assert_eq!(message["local"], local, "{listen}");
            let _receipt = here.ctl(&["reply", &message["id"].to_string(), &format!("answer {to}")]).ok();
            let answer = received(&there, &format!("answer {to}"));
            let ours =
                if local.starts_with("10.2") || to.ends_with("eth1") { "10.2.0.1" } else { "10.1.0.1" };
            assert_eq!(answer["peer"], format!("{ours}:7788"), "{listen}");
        }
    }
}

#[test]
fn own_multicast_is_ignored_but_other_programs_are_received() {
    let Some(network) = two_cables() else { return };
    let here = Daemon::start_on(&network.here, &format!("{LISTEN}groups = ['239.1.2.3', 'ff02::7788']"));
    let neighbour = Daemon::start_on(&network.here, "listen = ['[::]:7789']");
    let many = ["239.1.2.3%eth0", "ff02::7788%eth0", "10.1.0.255", "255.255.255.255%eth0"];
    for to in many {
        send_text(&here, to, "from ourselves");
    }
    send_text(&here, "10.1.0.1:7788", "to ourselves alone");
    for to in many {
        let with_port = to.replace("ff02::7788%eth0", "[ff02::7788%eth0]") + ":7788";
        send_text(&neighbour, &with_port, to);
        received(&here, to);
    }
    let mut expected = vec!["to ourselves alone"];
    expected.extend(many);
    assert_eq!(all_received(&here), expected);
    let status = here.status();
    assert_eq!(status["dropped"], json!({ "denied": 0, "limited": 0, "queue_full": 0, "own": 4 }));
    assert_eq!(status["received"]["datagrams"], 9);
    let text = here.ctl(&["status"]).ok();
    assert!(text.contains("copies of own messages 4"), "{text}");
    assert!(text.contains("group:           239.1.2.3, joined on eth0, eth1\n"), "{text}");
}

#[test]
fn without_a_route_the_hint_names_the_interface() {
    let Some(network) = two_cables() else { return };
    let here = Daemon::start_on(&network.here, LISTEN);
    for to in ["239.1.2.3", "255.255.255.255"] {
        let example = format!("name one after the address, for example {to}%eth0");
        here.ctl(&["send", to, "x"]).fails(5, &["unreachable", &example]);
    }
    for to in ["239.1.2.3%eth9", "ff02::1%eth9"] {
        here.ctl(&["send", to, "x"]).fails(2, &["no interface `eth9`", "ip link"]);
    }
    // With an interface, the kernel can send it.
    network.here.ip("route add default via 10.1.0.2");
    let there = Daemon::start_on(&network.there, &format!("{LISTEN}groups = ['239.1.2.3%eth0']"));
    for to in ["239.1.2.3", "255.255.255.255"] {
        send_text(&here, to, to);
        received(&there, to);
    }
}

#[test]
fn groups_on_an_unsuitable_address_are_a_problem() {
    let daemon = Daemon::start_with("groups = ['239.1.2.3', 'ff02::1']", &["--listen", "127.0.0.1:0"]);
    let problems = daemon.status()["problems"].to_string();
    for part in
        ["239.1.2.3 is not joined anywhere: no address in `listen` receives IPv4 groups", "[::] or 0.0.0.0"]
    {
        assert!(problems.contains(part), "{problems}");
    }
    assert!(problems.contains("ff02::1 is not joined anywhere: no address in `listen` receives IPv6 groups"));
    std::fs::write(daemon.path("config.toml"), "").unwrap();
    let _reloaded = daemon.ctl(&["reload"]).ok();
    assert_eq!(daemon.status()["state"], "ok");
}
