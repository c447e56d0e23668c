//! On which addresses and families the daemon listens.

use std::net::{IpAddr, SocketAddr};

use super::{Facts, Finding};

const TOPIC: &str = "listen";
const HOW_TO_LISTEN: &str = "`listen = [\"[::]:7788\"]` in the configuration takes every address of both families; then start the daemon anew";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let listen = &status.listen;
    let list = listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if listen.iter().all(|address| address.ip().is_loopback()) {
        let seen = format!("listens on {list} only: no other machine can reach it");
        return vec![Finding::problem(TOPIC, seen).hint(HOW_TO_LISTEN)];
    }
    let mut found = vec![Finding::ok(TOPIC, format!("listens on {list}"))];
    found.extend(listen.iter().filter_map(|address| missing(facts, *address)));
    found.extend(ipv6(facts, listen));
    found
}

/// Tells of an address that this machine no longer has.
fn missing(facts: &Facts, address: SocketAddr) -> Option<Finding> {
    let ip = address.ip();
    let is_there = || facts.interfaces.iter().any(|interface| interface.has(ip));
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_there() {
        return None;
    }
    let seen = format!("listens on {address}, but no interface has {ip} now");
    Some(Finding::problem(TOPIC, seen).hint(HOW_TO_LISTEN))
}

fn ipv6(facts: &Facts, listen: &[SocketAddr]) -> Option<Finding> {
    let has_ipv6 = facts.interfaces.iter().any(|interface| interface.addresses.iter().any(IpAddr::is_ipv6));
    let takes_ipv6 = listen.iter().any(SocketAddr::is_ipv6);
    if facts.ipv6_disabled || !has_ipv6 {
        let seen = "IPv6 is off on this machine: peers reach it over IPv4 only";
        return Some(Finding::warning(TOPIC, seen).hint(
            "if peers use IPv6: `sysctl -w net.ipv6.conf.all.disable_ipv6=0`, unless the kernel was started without it",
        ));
    }
    let is_wide = |interface: &super::network::Interface| interface.wide_ipv6().next().is_some();
    if !takes_ipv6 && facts.interfaces.iter().any(is_wide) {
        let seen = "listens on no address of IPv6, though this machine has some";
        return Some(Finding::warning(TOPIC, seen).hint(HOW_TO_LISTEN));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, listening_on, text};
    use super::*;

    #[test]
    fn every_address_is_fine_and_loopback_alone_is_not() {
        assert_eq!(levels(&findings(&facts())), [Fine]);
        let found = findings(&listening_on(&["127.0.0.1:7788", "[::1]:7788"]));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("127.0.0.1:7788, [::1]:7788 only: no other machine"));
        assert_eq!(levels(&findings(&listening_on(&["127.0.0.1:7788", "[::]:7789"]))), [Fine]);
    }

    #[test]
    fn an_address_that_is_gone_is_a_problem() {
        let found = findings(&listening_on(&["10.9.9.9:7788", "[::]:1"]));
        assert_eq!(levels(&found), [Fine, Problem]);
        assert!(text(&found).contains("no interface has 10.9.9.9 now"));
    }

    #[test]
    fn a_family_that_is_off_or_not_listened_on_is_a_warning() {
        assert_eq!(levels(&findings(&Facts { ipv6_disabled: true, ..facts() })), [Fine, Warning]);
        let mut without = facts();
        for interface in &mut without.interfaces {
            interface.addresses.retain(IpAddr::is_ipv4);
        }
        assert!(text(&findings(&without)).contains("IPv6 is off"));
        let found = findings(&listening_on(&["0.0.0.0:7788"]));
        assert!(text(&found).contains("no address of IPv6"), "{found:?}");
    }
}
