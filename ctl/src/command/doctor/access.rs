//! Checks the access list, and which addresses it has refused.

use udpchat_api::call::{Refusal, Status};

use super::facts::Facts;
use super::finding::Finding;
use crate::output::{counted, grouped};

const TOPIC: &str = "access";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let access = &status.access;
    let rules = match (access.allow.as_slice(), access.deny.as_slice()) {
        ([], []) => "everyone may send".to_owned(),
        ([], deny) => format!("everyone may send, except {}", deny.join(", ")),
        (allow, []) => format!("only {} may send", allow.join(", ")),
        (allow, deny) => format!("only {} may send, except {}", allow.join(", "), deny.join(", ")),
    };
    let refused = status.dropped.denied;
    if refused == 0 {
        return vec![Finding::ok(TOPIC, rules)];
    }
    let seen = format!("{rules}; {} refused{}", was_or_were(refused), last(&access.refused));
    let hint = "change `access.allow` and `access.deny` in the configuration, then run `udpchatctl reload`";
    let finding = if were_all_refused(status) {
        Finding::problem(TOPIC, format!("every received datagram was refused: {seen}"))
    } else {
        Finding::warning(TOPIC, seen)
    };
    vec![finding.hint(hint)]
}

fn was_or_were(datagrams: u64) -> String {
    let were = if datagrams == 1 { "was" } else { "were" };
    format!("{} {were}", counted(datagrams, "datagram"))
}

fn were_all_refused(status: &Status) -> bool {
    Facts::received_of_others(status) == status.dropped.denied
}

/// Lists the last refused addresses.
fn last(refused: &[Refusal]) -> String {
    let each = |refusal: &Refusal| {
        format!("{} ({}, at {})", refusal.address, grouped(refusal.datagrams), refusal.at)
    };
    let list: Vec<_> = refused.iter().map(each).collect();
    if list.is_empty() { String::new() } else { format!(", most recently from {}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text, with_status};
    use super::*;

    fn refusing(denied: u64) -> Facts {
        with_status(|status| {
            status.access.deny = vec!["10.0.0.0/8".to_owned()];
            status.dropped.denied = denied;
            let at = "2026-11-22T11:00:00Z".parse().unwrap();
            status.access.refused =
                vec![Refusal { address: "10.1.1.1".parse().unwrap(), at, datagrams: denied }];
        })
    }

    #[test]
    fn the_access_list_and_refused_addresses_are_shown() {
        assert_eq!(text(&findings(&facts())), "everyone may send");
        let found = findings(&refusing(3));
        assert_eq!(levels(&found), [Warning]);
        let expected = "everyone may send, except 10.0.0.0/8; 3 datagrams were refused, most recently from 10.1.1.1 (3, at \
                        2026-11-22T11:00:00Z)";
        assert_eq!(text(&found), expected);
        assert_eq!(levels(&findings(&refusing(0))), [Fine]);
    }

    #[test]
    fn refusing_everything_is_a_problem() {
        let found = findings(&refusing(12));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).starts_with("every received datagram was refused: "));
    }
}
