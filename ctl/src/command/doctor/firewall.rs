//! Checks the firewalls of this machine, as far as their rules can be read. Only the kernel decides what happens to a
//! datagram, so this reports warnings, never problems.

use udpchat_api::safe;
use udpchat_config::word;
use udpchat_locale::tr;

use super::facts::{Facts, Firewall, Rules};
use super::finding::Finding;

const TOPIC: &str = "firewall";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let ports = facts.ports();
    if ports.is_empty() {
        return Vec::new();
    }
    let found: Vec<_> =
        facts.firewalls.iter().filter_map(|firewall| check_firewall(firewall, &ports)).collect();
    if !found.is_empty() {
        return found;
    }
    let unreadable: Vec<_> =
        facts.firewalls.iter().filter(|it| it.rules == Rules::Unreadable).map(|it| it.name).collect();
    vec![match unreadable.as_slice() {
        [] => Finding::ok(TOPIC, tr!("no firewall that rejects datagrams was found on this machine")),
        names => {
            let seen = tr!(
                "neither ufw nor firewalld is active; only root can read the rules of {names}",
                names = names.join(tr!(" and "))
            );
            Finding::warning(TOPIC, seen).hint(as_root(facts))
        }
    }]
}

/// Returns the command that checks the rules for the same daemon.
fn as_root(facts: &Facts) -> String {
    match facts.status() {
        // Without the path, root would reach the daemon of the system.
        Some(status) => {
            tr!("`sudo udpchatctl --socket {socket} doctor` checks them", socket = word(&status.socket))
        }
        None => tr!("`sudo udpchatctl doctor` checks them").to_owned(),
    }
}

fn check_firewall(firewall: &Firewall, ports: &[u16]) -> Option<Finding> {
    let Firewall { name, rules } = firewall;
    let list: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let ports_shown = list.join(tr!(", "));
    match rules {
        Rules::Open | Rules::Unreadable => None,
        Rules::AllowPort => Some(Finding::ok(
            TOPIC,
            tr!(
                "{name} rejects some incoming datagrams, and allows UDP port {ports}",
                name,
                ports = ports_shown
            ),
        )),
        Rules::AllowSome(rule) => {
            let seen = tr!(
                "{name} rejects some incoming datagrams, and allows UDP port {ports} under conditions only: {rule}",
                name,
                ports = ports_shown,
                rule = safe::one_line(rule)
            );
            Some(Finding::warning(TOPIC, seen).hint(how_to_open(name, ports)))
        }
        Rules::MayRefuse => {
            let seen = tr!(
                "{name} rejects some incoming datagrams, and no rule was found that allows UDP port {ports}: it may block \
                 datagrams",
                name,
                ports = ports_shown
            );
            Some(Finding::warning(TOPIC, seen).hint(how_to_open(name, ports)))
        }
        Rules::ActiveUnreadable => {
            let seen =
                tr!("{name} is active, and only root can read its rules: it may block datagrams", name);
            Some(Finding::warning(TOPIC, seen).hint(how_to_open(name, ports)))
        }
    }
}

fn how_to_open(name: &str, ports: &[u16]) -> String {
    let port = ports.first().copied().unwrap_or_default();
    match name {
        "ufw" => tr!("`sudo ufw allow {port}/udp` allows datagrams", port),
        "firewalld" => tr!(
            "`sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload` allows datagrams",
            port
        ),
        "nftables" => {
            tr!("`sudo nft list ruleset` shows the rules; `udp dport {port} accept` allows datagrams", port)
        }
        _ => tr!(
            "`sudo iptables -S INPUT` shows the rules; `-p udp --dport {port} -j ACCEPT` allows datagrams",
            port
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Warning};
    use super::super::testing::{facts, levels, text, with_status, without_daemon};
    use super::*;

    #[test]
    fn a_firewall_is_a_warning_at_most() {
        let found = |name, rules| findings(&Facts { firewalls: vec![Firewall { name, rules }], ..facts() });
        assert_eq!(levels(&found("nftables", Rules::Open)), [Fine]);
        assert_eq!(levels(&found("nftables", Rules::AllowPort)), [Fine]);
        assert_eq!(levels(&found("ufw", Rules::ActiveUnreadable)), [Warning]);
        let unreadable = found("nftables", Rules::Unreadable);
        assert_eq!(levels(&unreadable), [Warning]);
        assert!(text(&unreadable).contains("only root can read the rules of nftables"));
        let hint = |facts: &Facts| findings(facts)[0].hint.clone().unwrap();
        let firewalls = vec![Firewall { name: "nftables", rules: Rules::Unreadable }];
        let mut with = with_status(|status| status.socket = "/run/my chat/s".into());
        with.firewalls.clone_from(&firewalls);
        assert_eq!(hint(&with), "`sudo udpchatctl --socket '/run/my chat/s' doctor` checks them");
        let without = Facts { firewalls, ..without_daemon("[::]:7788") };
        assert_eq!(hint(&without), "`sudo udpchatctl doctor` checks them");
        for name in ["ufw", "firewalld", "nftables", "iptables"] {
            let found = found(name, Rules::MayRefuse);
            assert_eq!(levels(&found), [Warning]);
            assert!(text(&found).contains("may block datagrams"));
            assert!(found[0].hint.as_ref().unwrap().contains("7788"));
        }
    }
}
