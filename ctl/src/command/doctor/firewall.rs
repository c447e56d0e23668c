//! Firewalls of this machine, as far as they can be seen. What they do to a datagram in the end nobody but the kernel can
//! tell, so there are hints here, no problems.

use super::{Facts, Finding};

const TOPIC: &str = "firewall";

/// A firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firewall {
    /// What it is called: `ufw`, `firewalld`, `nftables`, `iptables`.
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
}

/// What its rules do to what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// They refuse nothing that comes in.
    Open,
    /// They refuse some of it, and a rule names every port of the daemon.
    AllowPort,
    /// They refuse some of it, and no rule names every port of the daemon.
    MayRefuse,
    /// It is active, and its rules are for privileged users to read.
    ActiveUnreadable,
    /// Whether it has any rules is for privileged users to read.
    Unreadable,
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let ports = facts.ports();
    if ports.is_empty() {
        return Vec::new();
    }
    let found: Vec<_> = facts.firewalls.iter().filter_map(|firewall| judge(firewall, &ports)).collect();
    if !found.is_empty() {
        return found;
    }
    let unreadable: Vec<_> =
        facts.firewalls.iter().filter(|it| it.rules == Rules::Unreadable).map(|it| it.name).collect();
    vec![match unreadable.as_slice() {
        [] => Finding::ok(TOPIC, "no firewall of this machine is seen to refuse anything"),
        names => {
            let seen = format!(
                "no ufw and no firewalld is active; the rules of {} are for root",
                names.join(" and ")
            );
            Finding::ok(TOPIC, seen).hint("`sudo udpchatctl doctor` looks at them")
        }
    }]
}

fn judge(firewall: &Firewall, ports: &[u16]) -> Option<Finding> {
    let Firewall { name, rules } = *firewall;
    let list: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let list = format!("UDP port {}", list.join(", "));
    match rules {
        Rules::Open | Rules::Unreadable => None,
        Rules::AllowPort => {
            Some(Finding::ok(TOPIC, format!("{name} refuses some of what comes in, and allows {list}")))
        }
        Rules::MayRefuse => {
            let seen = format!(
                "{name} refuses some of what comes in, and no rule is seen that allows {list}: it may be \
                                in the way"
            );
            Some(Finding::warning(TOPIC, seen).hint(how_to_open(name, ports)))
        }
        Rules::ActiveUnreadable => {
            let seen = format!("{name} is active, and its rules are for root to read: it may be in the way");
            Some(Finding::warning(TOPIC, seen).hint(how_to_open(name, ports)))
        }
    }
}

fn how_to_open(name: &str, ports: &[u16]) -> String {
    let port = ports.first().copied().unwrap_or_default();
    match name {
        "ufw" => format!("`sudo ufw allow {port}/udp` lets datagrams in"),
        "firewalld" => format!(
            "`sudo firewall-cmd --permanent --add-port={port}/udp && sudo firewall-cmd --reload` lets datagrams in"
        ),
        "nftables" => {
            format!("`sudo nft list ruleset` shows the rules; `udp dport {port} accept` lets datagrams in")
        }
        _ => format!(
            "`sudo iptables -S INPUT` shows the rules; `-p udp --dport {port} -j ACCEPT` lets datagrams in"
        ),
    }
}

/// Reads what `nft list ruleset` prints. A chain at the hook of what comes in may refuse by its policy, or by any rule of
/// the set, since chains call one another.
pub(crate) fn nft(ruleset: &str, ports: &[u16]) -> Rules {
    let lines = || ruleset.lines().map(str::trim);
    let has = |line: &str, word: &str| words(line).any(|found| found == word);
    let guards_input = lines().any(|line| line.contains("hook input"));
    let input_policy = lines().any(|line| line.contains("hook input") && line.contains("policy drop"));
    let refuses = input_policy
        || lines().any(|line| !line.contains("hook ") && (has(line, "drop") || has(line, "reject")));
    let allows = |port: &u16| {
        lines().any(|line| {
            has(line, "udp") && has(line, "dport") && has(line, "accept") && has(line, &port.to_string())
        })
    };
    judge_rules(guards_input && refuses, ports.iter().all(allows))
}

/// Reads what `iptables -S` prints.
pub(crate) fn iptables(rules: &str, ports: &[u16]) -> Rules {
    let refuses = |line: &str| {
        line.starts_with("-P INPUT DROP")
            || (line.starts_with("-A ") && (line.contains("-j DROP") || line.contains("-j REJECT")))
    };
    let allows = |port: &u16| {
        let port = port.to_string();
        let named = |line: &str| words(line).any(|word| word == port);
        rules.lines().any(|line| line.contains("udp") && line.contains("-j ACCEPT") && named(line))
    };
    judge_rules(rules.lines().any(refuses), ports.iter().all(allows))
}

fn judge_rules(refuse: bool, allow: bool) -> Rules {
    match (refuse, allow) {
        (false, _) => Rules::Open,
        (true, true) => Rules::AllowPort,
        (true, false) => Rules::MayRefuse,
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Warning};
    use super::super::testing::{facts, levels, text};
    use super::*;

    #[test]
    fn rules_of_nftables_are_read() {
        let chain = |policy: &str, rules: &str| {
            format!(
                "table inet filter {{\n\tchain input {{\n\t\ttype filter hook input priority filter; policy {policy};\n{rules}\n\t}}\n}}"
            )
        };
        for (ruleset, rules) in [
            (String::new(), Rules::Open),
            (chain("accept", ""), Rules::Open),
            (chain("drop", ""), Rules::MayRefuse),
            (chain("accept", "udp dport 9999 drop"), Rules::MayRefuse),
            (chain("accept", "reject with icmpx admin-prohibited"), Rules::MayRefuse),
            (chain("drop", "udp dport 7788 accept"), Rules::AllowPort),
            (chain("drop", "udp dport { 53, 7788 } accept"), Rules::AllowPort),
            (chain("drop", "udp dport 77880 accept"), Rules::MayRefuse),
            (chain("drop", "tcp dport 7788 accept"), Rules::MayRefuse),
            (
                "table ip nat {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n"
                    .to_owned(),
                Rules::Open,
            ),
        ] {
            assert_eq!(nft(&ruleset, &[7788]), rules, "{ruleset}");
        }
    }

    #[test]
    fn rules_of_iptables_are_read() {
        for (text, rules) in [
            ("-P INPUT ACCEPT\n-P FORWARD DROP\n", Rules::Open),
            ("-P INPUT DROP\n", Rules::MayRefuse),
            ("-P INPUT ACCEPT\n-A INPUT -p udp -m udp --dport 7788 -j DROP\n", Rules::MayRefuse),
            ("-P INPUT DROP\n-A INPUT -p udp -m udp --dport 7788 -j ACCEPT\n", Rules::AllowPort),
            ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 7788 -j ACCEPT\n", Rules::MayRefuse),
        ] {
            assert_eq!(iptables(text, &[7788]), rules, "{text}");
        }
    }

    #[test]
    fn a_firewall_is_a_warning_at_most() {
        let found = |name, rules| findings(&Facts { firewalls: vec![Firewall { name, rules }], ..facts() });
        assert_eq!(levels(&found("nftables", Rules::Open)), [Fine]);
        assert_eq!(levels(&found("nftables", Rules::AllowPort)), [Fine]);
        assert_eq!(levels(&found("ufw", Rules::ActiveUnreadable)), [Warning]);
        assert!(text(&found("nftables", Rules::Unreadable)).contains("the rules of nftables are for root"));
        for name in ["ufw", "firewalld", "nftables", "iptables"] {
            let found = found(name, Rules::MayRefuse);
            assert_eq!(levels(&found), [Warning]);
            assert!(text(&found).contains("may be in the way"));
            assert!(found[0].hint.as_ref().unwrap().contains("7788"));
        }
    }
}
