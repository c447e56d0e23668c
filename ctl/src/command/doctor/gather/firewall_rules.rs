//! Parses the rules that `nft` and `iptables` print.

use super::super::facts::Rules;

/// Words of rules that concern some interfaces or senders only.
const NFT_CONDITIONS: &[&str] =
    &["iif", "iifname", "iifgroup", "saddr", "daddr", "sport", "mark", "ibrname", "ibriport"];
const IPTABLES_CONDITIONS: &[&str] = &["-i", "-s", "-d", "--sport", "--mark", "--match-set", "--mac-source"];

/// Parses the output of `nft list ruleset`. An input chain may reject by its policy, or by any rule of the set, since
/// chains can jump to one another.
pub(super) fn nft(ruleset: &str, ports: &[u16]) -> Rules {
    let lines = || ruleset.lines().map(str::trim);
    let has = |line: &str, word: &str| words(line).any(|found| found == word);
    let guards_input = lines().any(|line| line.contains("hook input"));
    let input_policy = lines().any(|line| line.contains("hook input") && line.contains("policy drop"));
    let rejects = input_policy
        || lines().any(|line| !line.contains("hook ") && (has(line, "drop") || has(line, "reject")));
    let is_of = |line: &str, port: u16| {
        has(line, "udp") && has(line, "dport") && has(line, "accept") && has(line, &port.to_string())
    };
    let allowing = |port: &u16| lines().filter(|line| is_of(line, *port)).collect();
    combine(guards_input && rejects, ports.iter().map(allowing), NFT_CONDITIONS)
}

/// Parses the output of `iptables -S`.
pub(super) fn iptables(rules: &str, ports: &[u16]) -> Rules {
    let rejects = |line: &str| {
        line.starts_with("-P INPUT DROP")
            || (line.starts_with("-A ") && (line.contains("-j DROP") || line.contains("-j REJECT")))
    };
    let is_of = |line: &str, port: &str| {
        line.contains("udp") && line.contains("-j ACCEPT") && words(line).any(|word| word == port)
    };
    let allowing = |port: &u16| {
        let port = port.to_string();
        rules.lines().filter(|line| is_of(line, &port)).collect()
    };
    combine(rules.lines().any(rejects), ports.iter().map(allowing), IPTABLES_CONDITIONS)
}

/// Returns what the rules do, of which some allow a port each; a rule with one of the words allows only some senders.
fn combine<'a>(reject: bool, mut allowing: impl Iterator<Item = Vec<&'a str>>, conditions: &[&str]) -> Rules {
    if !reject {
        return Rules::Open;
    }
    let is_conditional = |rule: &&str| rule.split_ascii_whitespace().any(|word| conditions.contains(&word));
    let found = allowing.try_fold(None, |narrow: Option<&str>, rules| match rules.first() {
        None => Err(Rules::MayRefuse),
        Some(first) if rules.iter().all(is_conditional) => Ok(narrow.or(Some(*first))),
        Some(_) => Ok(narrow),
    });
    match found {
        Err(rules) => rules,
        Ok(Some(rule)) => Rules::AllowSome(rule.to_owned()),
        Ok(None) => Rules::AllowPort,
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(rule: &str) -> Rules {
        Rules::AllowSome(rule.to_owned())
    }

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
            (
                chain("drop", "iifname \"eth1\" udp dport 7788 accept"),
                narrow("iifname \"eth1\" udp dport 7788 accept"),
            ),
            (
                chain("drop", "ip saddr 10.0.0.7 udp dport 7788 accept\nudp dport 7788 accept"),
                Rules::AllowPort,
            ),
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
            (
                "-P INPUT DROP\n-A INPUT -i eth1 -p udp -m udp --dport 7788 -j ACCEPT\n",
                narrow("-A INPUT -i eth1 -p udp -m udp --dport 7788 -j ACCEPT"),
            ),
            ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 7788 -j ACCEPT\n", Rules::MayRefuse),
        ] {
            assert_eq!(iptables(text, &[7788]), rules, "{text}");
        }
    }
}
