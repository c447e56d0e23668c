//! Checks the interfaces of this machine, and shows the addresses that peers send to.

use std::net::{IpAddr, SocketAddr};

use udpchat_config::word;
use udpchat_locale::tr;

use super::facts::{Facts, Interface};
use super::finding::Finding;

const TOPIC: &str = "network";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let usable: Vec<_> = facts
        .interfaces
        .iter()
        .filter(|interface| !interface.is_loopback && interface.is_up && !interface.addresses.is_empty())
        .collect();
    if usable.is_empty() {
        let seen =
            tr!("no interface except loopback is up and has an address: this machine is not in a network");
        return vec![Finding::problem(TOPIC, seen).hint(tr!("`ip address` lists the interfaces"))];
    }
    usable.into_iter().filter_map(|interface| check_interface(interface, facts.listen())).collect()
}

/// Reports that the daemon has another network than this process.
pub(super) fn foreign(facts: &Facts) -> Option<Finding> {
    let status = facts.status()?;
    let seen = tr!(
        "udpchatd runs in another network namespace: the addresses, ports and firewalls here are not its own, and are not checked"
    );
    Some(Finding::warning(TOPIC, seen).hint(tr!(
        "`sudo nsenter -t {pid} -n udpchatctl --socket {socket} doctor` checks those of the daemon",
        pid = status.pid,
        socket = word(&status.socket)
    )))
}

/// Returns how peers reach the daemon through an interface; none if it does not listen there.
fn check_interface(interface: &Interface, listen: &[SocketAddr]) -> Option<Finding> {
    let name = &interface.name;
    if !interface.is_running {
        let seen =
            tr!("{name} is up, but has no carrier: no cable or no wireless network is connected", name);
        return Some(Finding::warning(TOPIC, seen).hint(tr!("peers on this network cannot be reached")));
    }
    let targets: Vec<_> =
        listen.iter().flat_map(|own| targets(interface, *own)).map(|target| target.to_string()).collect();
    let broadcasts: Vec<_> = interface
        .broadcasts
        .iter()
        .flat_map(|ip| listen.iter().filter(|own| takes(**own, (*ip).into())).map(|own| (*ip, own.port())))
        .map(|(ip, port)| format!("{ip}:{port}"))
        .collect();
    if targets.is_empty() {
        return None;
    }
    let targets = targets.join(tr!(" or "));
    Some(Finding::ok(
        TOPIC,
        match broadcasts.as_slice() {
            [] => tr!("{name}: peers send to {addresses}", name, addresses = targets),
            broadcasts => tr!(
                "{name}: peers send to {addresses}; broadcast is {broadcasts}",
                name,
                addresses = targets,
                broadcasts = broadcasts.join(tr!(", "))
            ),
        },
    ))
}

/// Returns the addresses of an interface that a listening socket receives on. Link-local addresses are listed only if there
/// are no others.
fn targets(interface: &Interface, own: SocketAddr) -> Vec<SocketAddr> {
    let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let all = interface.addresses.iter().copied().filter(|ip| takes(own, *ip));
    let (near, wide): (Vec<_>, Vec<_>) = all.partition(|ip| is_link_local(*ip));
    let best = if wide.is_empty() { near } else { wide };
    best.into_iter().map(|ip| SocketAddr::new(ip, own.port())).collect()
}

/// Returns whether a listening socket receives what is sent to an address of this machine.
fn takes(own: SocketAddr, to: IpAddr) -> bool {
    own.ip() == to || (own.ip().is_unspecified() && (own.is_ipv6() || to.is_ipv4()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Problem, Warning};
    use super::super::testing::{facts, levels, listening_on, text};
    use super::*;

    #[test]
    fn each_interface_shows_its_addresses() {
        let expected =
            "eth0: peers send to 192.168.7.5:7788 or [2001:db8::5]:7788; broadcast is 192.168.7.255:7788";
        assert_eq!(text(&findings(&facts())), expected);
        let seen = text(&findings(&listening_on(&["0.0.0.0:1"])));
        assert_eq!(seen, "eth0: peers send to 192.168.7.5:1; broadcast is 192.168.7.255:1");
        assert_eq!(text(&findings(&listening_on(&["192.168.7.5:9"]))), "eth0: peers send to 192.168.7.5:9");
        assert_eq!(text(&findings(&listening_on(&["127.0.0.1:9"]))), "");
    }

    #[test]
    fn the_network_of_another_namespace_is_not_checked() {
        let facts = Facts { is_network_foreign: true, ..facts() };
        let found = super::super::check_all(&facts);
        assert_eq!(levels(&found[..1]), [Warning]);
        assert!(
            found[0]
                .hint
                .as_deref()
                .unwrap()
                .contains("nsenter -t 4711 -n udpchatctl --socket /run/s doctor")
        );
        assert!(!text(&found).contains("eth0") && !text(&found).contains("listens on"), "{found:?}");
    }

    #[test]
    fn a_machine_without_network_is_a_problem() {
        let mut facts = facts();
        facts.interfaces[1].is_running = false;
        assert_eq!(levels(&findings(&facts)), [Warning]);
        facts.interfaces[1].is_up = false;
        assert_eq!(levels(&findings(&facts)), [Problem]);
    }
}
