//! The service with and without its socket unit, in whatever order they start and stop.

use crate::machine::{Machine, PORT, SERVICE, SOCKET};
use crate::support::eventually;

#[track_caller]
fn assert_receives(machine: &Machine) {
    let before = machine.status()["stored"].as_u64().unwrap();
    machine.udp().send_to(b"1", ("127.0.0.1", PORT)).unwrap();
    eventually("a message", || (machine.status()["stored"].as_u64() == Some(before + 1)).then_some(()));
}

/// Returns whether the daemon receives on the socket that the manager keeps.
fn is_handed_over(machine: &Machine) -> bool {
    machine.show(SOCKET, "SubState") == "running"
}

#[test]
fn the_first_datagram_starts_the_daemon() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SOCKET]).done();
    assert_eq!(machine.show(SERVICE, "ActiveState"), "inactive");
    machine.udp().send_to(b"7", ("127.0.0.1", PORT)).unwrap();
    machine.serves();
    eventually("the message", || (machine.inbox().numbers() == [7]).then_some(()));
    assert!(is_handed_over(&machine));
}

#[test]
fn the_first_command_starts_the_daemon() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SOCKET]).done();
    assert!(machine.ctl(&["version"]).done().contains("udpchatd"));
    assert!(is_handed_over(&machine));
    machine.systemctl(&["stop", SERVICE]).done();
    assert!(machine.ctl(&["version"]).done().contains("udpchatd"), "the socket outlives the daemon");
}

#[test]
fn socket_and_service_start_in_any_order() {
    let Some(machine) = Machine::boot() else { return };
    for order in [&[SOCKET, SERVICE][..], &[SERVICE, SOCKET]] {
        for unit in order {
            machine.systemctl(&["start", unit]).done();
        }
        assert_receives(&machine);
        assert!(is_handed_over(&machine), "{order:?}");
        machine.systemctl(&[&["stop"], order].concat()).done();
        assert_eq!(machine.show(SERVICE, "ActiveState"), "inactive", "{order:?}");
        machine.systemctl(&[&["start"], order].concat()).done();
        assert_receives(&machine);
        assert!(is_handed_over(&machine), "{order:?}");
        machine.systemctl(&["stop", SOCKET, SERVICE]).done();
    }
}

#[test]
fn traffic_starts_a_service_stopped_alone() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let process = machine.serves();
    machine.systemctl(&["stop", SERVICE]).done();
    assert_eq!(machine.show(SERVICE, "ActiveState"), "inactive");
    machine.udp().send_to(b"5", ("127.0.0.1", PORT)).unwrap();
    machine.serves_as_another_process(process);
    machine.systemctl(&["stop", SOCKET, SERVICE]).done();
    machine.udp().send_to(b"6", ("127.0.0.1", PORT)).unwrap();
    assert_eq!(machine.show(SERVICE, "ActiveState"), "inactive", "with both units stopped no socket is open");
    machine.systemctl(&["start", SERVICE]).done();
    assert_receives(&machine);
    assert_eq!(machine.inbox().numbers(), [5, 1]);
}

#[test]
fn without_the_socket_unit_the_daemon_binds_itself() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["mask", SOCKET]).done();
    machine.systemctl(&["start", SERVICE]).done();
    assert_receives(&machine);
    let process = machine.serves();
    machine.systemctl(&["restart", SERVICE]).done();
    assert_ne!(machine.serves(), process);
    assert_receives(&machine);
    machine.kill("KILL");
    machine.until(SERVICE, "NRestarts", |restarts| restarts == "1");
    machine.serves();
    assert_receives(&machine);
    // And the unit takes over again.
    machine.systemctl(&["stop", SERVICE]).done();
    machine.systemctl(&["unmask", SOCKET]).done();
    machine.systemctl(&["start", SERVICE]).done();
    assert_receives(&machine);
    assert!(is_handed_over(&machine));
}

#[test]
fn a_failed_socket_unit_does_not_stop_the_daemon() {
    let Some(machine) = Machine::boot() else { return };
    // An address that no machine has, as `[::]` is on a kernel without IPv6.
    machine.edit(SOCKET, "[Socket]\nListenDatagram=\nListenDatagram=192.0.2.1:7788\n");
    machine.systemctl(&["start", SERVICE]).done();
    assert_eq!(machine.show(SOCKET, "ActiveState"), "failed");
    assert_receives(&machine);
    machine.systemctl(&["restart", SERVICE]).done();
    assert_receives(&machine);
}

#[test]
fn without_ipv6_it_receives_over_ipv4() {
    let Some(machine) = Machine::boot() else { return };
    machine.run(&["sysctl", "--write", "net.ipv6.conf.all.disable_ipv6=1"]).done();
    machine.systemctl(&["start", SERVICE]).done();
    assert!(is_handed_over(&machine), "the address of the unit can be had all the same");
    assert_receives(&machine);
    machine.systemctl(&["stop", SOCKET, SERVICE]).done();
    // As on a kernel without it: the daemon cannot even make such a socket.
    machine.systemctl(&["mask", SOCKET]).done();
    machine.edit(
        SERVICE,
        "[Service]\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_INET AF_UNIX AF_NETLINK\n",
    );
    machine.systemctl(&["start", SERVICE]).done();
    assert_eq!(machine.status()["listen"], serde_json::json!(["0.0.0.0:7788"]));
    assert_receives(&machine);
}
