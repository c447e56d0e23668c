//! Checks on which addresses and address families the daemon listens.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use udpchat_locale::tr;

use super::facts::{Facts, Interface};
use super::finding::Finding;

const TOPIC: &str = "listen";

/// Says how to listen on every address.
pub(super) fn how_to_listen(facts: &Facts, listen: &[SocketAddr]) -> String {
    if facts.running.has_socket_unit {
        return tr!(
            "the socket unit holds the port: `systemctl edit udpchatd.socket` sets `ListenDatagram={address}` and \
             `ListenStream=/run/udpchat/control.sock` behind an empty `ListenDatagram=`, which clears both; then stop \
             udpchatd.socket and udpchatd.service, and start udpchatd.service, as the guide to administration has it under \
             \"Another port\"",
            address = every_address(listen)
        );
    }
    tr!(
        "set `listen = [\"{address}\"]` in the configuration for every address of both families, then restart the daemon",
        address = every_address(listen)
    )
}

/// Returns what to listen on for every address of both families, at the port that is in use.
fn every_address(listen: &[SocketAddr]) -> SocketAddr {
    const DEFAULT_PORT: u16 = 7788;
    let port = listen.first().map_or(DEFAULT_PORT, SocketAddr::port);
    SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let listen = &status.listen;
    let addresses = listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(tr!(", "));
    if listen.iter().all(|address| address.ip().is_loopback()) {
        let seen = tr!("listens on {addresses} only: no other machine can reach it", addresses);
        return vec![Finding::problem(TOPIC, seen).hint(how_to_listen(facts, listen))];
    }
    let mut found = vec![Finding::ok(TOPIC, tr!("listens on {addresses}", addresses))];
    found.extend(listen.iter().filter_map(|address| missing(facts, *address, listen)));
    found.extend(listen.iter().filter_map(|address| without_ipv4(*address, listen)));
    found.extend(unrestricted(facts, listen));
    found.extend(ipv6(facts, listen));
    found
}

/// Reports a `[::]` that must leave IPv4 to an address with the same port, which a service manager has bound.
fn without_ipv4(any: SocketAddr, listen: &[SocketAddr]) -> Option<Finding> {
    let mut same_port = listen.iter().filter(|other| other.is_ipv4() && other.port() == any.port());
    let is_complete = same_port.clone().any(|other| other.ip().is_unspecified());
    let other = same_port.next().filter(|_| any.is_ipv6() && any.ip().is_unspecified() && !is_complete)?;
    let seen = tr!(
        "{any} receives IPv6 only, since {other} has the same port: other IPv4 addresses receive nothing",
        any,
        other
    );
    Some(
        Finding::problem(TOPIC, seen)
            .hint(tr!("remove that ListenDatagram= from the socket unit: `[::]` includes the address")),
    )
}

/// Reports an address of the configuration that does not restrict reception, since the socket unit has a wildcard address with
/// its port.
fn unrestricted(facts: &Facts, listen: &[SocketAddr]) -> Option<Finding> {
    let configured = &facts.configured.as_ref().ok().filter(|_| facts.running.has_socket_unit)?.listen;
    // Beside its wildcard, an address restricts nothing.
    let is_named = |port| configured.iter().any(|other| other.ip().is_unspecified() && other.port() == port);
    let (address, any) =
        configured.iter().filter(|address| !is_named(address.port())).find_map(|address| {
            let serves = |any: &&SocketAddr| {
                any.ip().is_unspecified()
                    && any.port() == address.port()
                    && (any.is_ipv6() || address.is_ipv4())
            };
            Some((address, listen.iter().find(serves)?))
        })?;
    let seen = tr!(
        "`listen` in the configuration names {address}, but the socket unit has {any}, which receives on every address",
        address,
        any
    );
    let hint = tr!(
        "to restrict it: `systemctl edit udpchatd.socket` sets `ListenDatagram={address}` behind an empty `ListenDatagram=`; the \
         guide to administration has the steps under \"Another port\"",
        address
    );
    Some(Finding::warning(TOPIC, seen).hint(hint))
}

/// Reports a listening address that this machine no longer has.
fn missing(facts: &Facts, address: SocketAddr, listen: &[SocketAddr]) -> Option<Finding> {
    let ip = address.ip();
    if !facts.lacks(ip) {
        return None;
    }
    let seen = tr!("listens on {address}, but no interface has {ip} now", address, ip);
    Some(Finding::problem(TOPIC, seen).hint(how_to_listen(facts, listen)))
}

fn ipv6(facts: &Facts, listen: &[SocketAddr]) -> Option<Finding> {
    let has_ipv6 = facts.interfaces.iter().any(|interface| interface.addresses.iter().any(IpAddr::is_ipv6));
    let takes_ipv6 = listen.iter().any(SocketAddr::is_ipv6);
    if facts.ipv6_disabled || !has_ipv6 {
        let seen = tr!("IPv6 is disabled on this machine: peers reach it over IPv4 only");
        return Some(Finding::warning(TOPIC, seen).hint(tr!(
            "if peers use IPv6: `sysctl -w net.ipv6.conf.all.disable_ipv6=0`, unless the kernel was started without IPv6"
        )));
    }
    let is_wide = |interface: &Interface| interface.wide_ipv6().next().is_some();
    if !takes_ipv6 && facts.interfaces.iter().any(is_wide) {
        let seen = tr!("listens on no IPv6 address, although this machine has IPv6 addresses");
        return Some(Finding::warning(TOPIC, seen).hint(how_to_listen(facts, listen)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::facts::Configured;
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, listening_on, text};
    use super::*;

    #[test]
    fn all_addresses_are_ok_and_only_loopback_is_not() {
        assert_eq!(levels(&findings(&facts())), [Fine]);
        let found = findings(&listening_on(&["127.0.0.1:7788", "[::1]:7788"]));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("127.0.0.1:7788, [::1]:7788 only: no other machine"));
        let other_port = findings(&listening_on(&["127.0.0.1:9000"]));
        assert!(
            other_port[0].hint.as_deref().unwrap().contains("`listen = [\"[::]:9000\"]`"),
            "{other_port:?}"
        );
        assert_eq!(levels(&findings(&listening_on(&["127.0.0.1:7788", "[::]:7789"]))), [Fine]);
    }

    #[test]
    fn a_wildcard_that_leaves_ipv4_out_is_a_problem() {
        let found = findings(&listening_on(&["127.0.0.1:7788", "[::]:7788"]));
        assert!(text(&found).contains("[::]:7788 receives IPv6 only, since 127.0.0.1:7788"), "{found:?}");
        for whole in [&["[::]:7788"][..], &["[::]:7788", "0.0.0.0:7788"], &["[::]:7788", "127.0.0.1:7789"]] {
            assert!(!text(&findings(&listening_on(whole))).contains("IPv6 only"));
        }
    }

    #[test]
    fn under_a_socket_unit_that_sets_the_addresses() {
        let mut facts = listening_on(&["127.0.0.1:7788"]);
        let hint = |facts: &Facts| findings(facts)[0].hint.clone().unwrap();
        assert!(hint(&facts).contains("set `listen = "));
        facts.running.has_socket_unit = true;
        assert!(hint(&facts).contains("`ListenDatagram=[::]:7788`") && !hint(&facts).contains("listen ="));
        // An empty line clears the control socket, too.
        assert!(hint(&facts).contains("`ListenStream=/run/udpchat/control.sock`"));
    }

    #[test]
    fn an_address_that_the_socket_unit_does_not_restrict_to_is_a_warning() {
        let mut facts = listening_on(&["[::]:7788"]);
        let configure = |facts: &mut Facts, listen: &[&str]| {
            let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
            facts.configured = Ok(Configured { listen, closed: Vec::new() });
        };
        configure(&mut facts, &["192.168.7.5:7788"]);
        // A restart applies it.
        assert_eq!(levels(&findings(&facts)), [Fine]);
        facts.running.has_socket_unit = true;
        let found = findings(&facts);
        assert_eq!(levels(&found), [Fine, Warning]);
        assert!(
            text(&found).contains("names 192.168.7.5:7788, but the socket unit has [::]:7788"),
            "{found:?}"
        );
        assert!(found[1].hint.as_deref().unwrap().contains("`ListenDatagram=192.168.7.5:7788`"), "{found:?}");
        for listen in [&["[::]:7788"][..], &["192.168.7.5:7788", "[::]:7788"], &["192.168.7.5:9000"]] {
            configure(&mut facts, listen);
            assert_eq!(levels(&findings(&facts)), [Fine], "{listen:?}");
        }
    }

    #[test]
    fn a_missing_address_is_a_problem() {
        let found = findings(&listening_on(&["10.9.9.9:7788", "[::]:1"]));
        assert_eq!(levels(&found), [Fine, Problem]);
        assert!(text(&found).contains("no interface has 10.9.9.9 now"));
    }

    #[test]
    fn an_unused_address_family_is_a_warning() {
        assert_eq!(levels(&findings(&Facts { ipv6_disabled: true, ..facts() })), [Fine, Warning]);
        let mut without = facts();
        for interface in &mut without.interfaces {
            interface.addresses.retain(IpAddr::is_ipv4);
        }
        assert!(text(&findings(&without)).contains("IPv6 is disabled"));
        let found = findings(&listening_on(&["0.0.0.0:7788"]));
        assert!(text(&found).contains("no IPv6 address"), "{found:?}");
    }
}
