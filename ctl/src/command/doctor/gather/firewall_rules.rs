//! Parses the rules that `nft` and `iptables` print.

use super::super::facts::Rules;

/// Parses the output of `nft list ruleset`. An input chain may reject by its policy, or by any rule of the set, since
/// chains can jump to one another.
pub(super) fn nft(ruleset: &str, ports: &[u16]) -> Rules {
    let lines = || ruleset.lines().map(str::trim);
    let has = |line: &str, word: &str| words(line).any(|found| found == word);
    let guards_input = lines().any(|line| line.contains("hook input"));
    let input_policy = lines().any(|line| line.contains("hook input") && line.contains("policy drop"));
    let rejects = input_policy
        || lines().any(|line| !line.contains("hook ") && (has(line, "drop") || has(line, "reject")));
    let allows = |port: &u16| {
        lines().any(|line| {
            has(line, "udp") && has(line, "dport") && has(line, "accept") && has(line, &port.to_string())
        })
    };
    combine(guards_input && rejects, ports.iter().all(allows))
}

/// Parses the output of `iptables -S`.
pub(super) fn iptables(rules: &str, ports: &[u16]) -> Rules {
    let rejects = |line: &str| {
        line.starts_with("-P INPUT DROP")
            || (line.starts_with("-A ") && (line.contains("-j DROP") || line.contains("-j REJECT")))
    };
    let allows = |port: &u16| {
        let port = port.to_string();
        let named = |line: &str| words(line).any(|word| word == port);
        rules.lines().any(|line| line.contains("udp") && line.contains("-j ACCEPT") && named(line))
    };
    combine(rules.lines().any(rejects), ports.iter().all(allows))
}

fn combine(reject: bool, allow: bool) -> Rules {
    match (reject, allow) {
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
    use super::*;

    #[test]
    fn nftables_rules_are_parsed() {
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
    fn iptables_rules_are_parsed() {
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
}
