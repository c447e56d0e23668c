//! Checks the access list and the limits, and whose datagrams they have dropped.

use udpchat_api::call::{AccessStatus, Refusal, Status};
use udpchat_api::safe;
use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;
use crate::output::{counted, grouped};

const TOPIC: &str = "access";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    [Some(lists(facts, status)), limits(facts, status)].into_iter().flatten().collect()
}

/// Reports what the access list has refused.
fn lists(facts: &Facts, status: &Status) -> Finding {
    let access = &status.access;
    let rules = match (access.allow.as_slice(), access.deny.as_slice()) {
        ([], []) => tr!("everyone may send").to_owned(),
        ([], deny) => tr!("everyone may send, except {networks}", networks = deny.join(tr!(", "))),
        (allow, []) => tr!("only {networks} may send", networks = allow.join(tr!(", "))),
        (allow, deny) => tr!(
            "only {allowed} may send, except {denied}",
            allowed = allow.join(tr!(", ")),
            denied = deny.join(tr!(", "))
        ),
    };
    let refused = status.dropped.denied;
    if refused == 0 {
        return Finding::ok(TOPIC, rules);
    }
    let refused = last_refused(facts, refusals(refused), &access.refused);
    let seen = tr!("{rules}; {refused}", rules, refused);
    let hint =
        tr!("change `access.allow` and `access.deny` in the configuration, then run `udpchatctl reload`");
    let finding = if were_all_refused(status) {
        Finding::problem(TOPIC, tr!("every received datagram was refused: {seen}", seen))
    } else {
        Finding::warning(TOPIC, seen)
    };
    finding.hint(hint)
}

/// Reports what was over the limits, unless there are none and were none.
fn limits(facts: &Facts, status: &Status) -> Option<Finding> {
    let AccessStatus { limit, bytes, peers_have_limits, limited, .. } = &status.access;
    let rule = match (limit.as_str(), bytes.as_str()) {
        ("", "") => tr!("there is no limit for all addresses").to_owned(),
        (limit, "") => tr!("an address may send {limit}", limit = safe::one_line(limit)),
        ("", bytes) => tr!("an address may send {limit}", limit = safe::one_line(bytes)),
        (limit, bytes) => {
            tr!(
                "an address may send {limit} and {bytes}",
                limit = safe::one_line(limit),
                bytes = safe::one_line(bytes)
            )
        }
    };
    if status.dropped.limited == 0 {
        return (limit.len() + bytes.len() > 0).then(|| Finding::ok(TOPIC, rule));
    }
    let datagrams = counted(status.dropped.limited, "datagram");
    let over = last_refused(facts, tr!("{datagrams} over the limit were left out", datagrams), limited);
    let seen = tr!("{rules}; {refused}", rules = rule, refused = over);
    if limit.is_empty() && bytes.is_empty() && !*peers_have_limits {
        // The limit that left them out has been removed since.
        return Some(Finding::ok(TOPIC, seen));
    }
    Some(Finding::warning(TOPIC, seen).hint(higher_limit()))
}

/// Returns what to do about datagrams over a limit.
pub(super) fn higher_limit() -> &'static str {
    tr!(
        "if this is a flood, the limit does its work; otherwise raise the `limit` and `bytes` of the peer, or give it its own, or raise \
         `access.limit` and `access.bytes` for those without, then run `udpchatctl reload`"
    )
}

/// Returns how many datagrams were refused.
fn refusals(datagrams: u64) -> String {
    match datagrams {
        1 => tr!("1 datagram was refused").to_owned(),
        number => tr!("{number} datagrams were refused", number = grouped(number)),
    }
}

/// Adds the last addresses whose datagrams were dropped.
fn last_refused(facts: &Facts, refused: String, last: &[Refusal]) -> String {
    match last.iter().map(|each| crate::output::refused(each, &facts.zone)).collect::<Vec<_>>() {
        none if none.is_empty() => refused,
        list => tr!("{refused}, most recently from {addresses}", refused, addresses = list.join(tr!(", "))),
    }
}

fn were_all_refused(status: &Status) -> bool {
    Facts::received_of_others(status) == status.dropped.denied
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
                vec![Refusal { address: "10.1.1.1".to_owned(), name: None, at, datagrams: denied }];
        })
    }

    #[test]
    fn the_access_list_and_refused_addresses_are_shown() {
        assert_eq!(text(&findings(&facts())), "everyone may send");
        let found = findings(&refusing(3));
        assert_eq!(levels(&found), [Warning]);
        let expected = "everyone may send, except 10.0.0.0/8; 3 datagrams were refused, most recently from 10.1.1.1 (3, at \
                        2026-11-22 11:00:00)";
        assert_eq!(text(&found), expected);
        assert_eq!(levels(&findings(&refusing(0))), [Fine]);
    }

    #[test]
    fn addresses_over_the_limit_are_named() {
        let limited = |limit: &str, bytes: &str, datagrams| {
            findings(&with_status(|status| {
                (status.access.limit, status.access.bytes) = (limit.to_owned(), bytes.to_owned());
                status.dropped.limited = datagrams;
                let at = "2026-11-22T11:00:00Z".parse().unwrap();
                let over = Refusal { address: "10.0.0.5".to_owned(), name: None, at, datagrams };
                status.access.limited = vec![over].into_iter().filter(|over| over.datagrams > 0).collect();
            }))
        };
        let found = limited("500/s", "1MiB/s", 5_120);
        assert_eq!(levels(&found), [Fine, Warning]);
        let expected = "an address may send 500/s and 1MiB/s; 5,120 datagrams over the limit were left out, most recently \
                        from 10.0.0.5 (5,120, at 2026-11-22 11:00:00)";
        assert_eq!(text(&found[1..]), expected);
        assert_eq!(text(&limited("500/s", "", 0)[1..]), "an address may send 500/s");
        assert_eq!(text(&limited("", "1MiB/s", 0)[1..]), "an address may send 1MiB/s");
        assert_eq!(levels(&limited("", "", 0)), [Fine]);
        assert!(found[1].hint.as_deref().unwrap().starts_with("if this is a flood, the limit does its work"));
        let removed = limited("", "", 1);
        assert_eq!(levels(&removed), [Fine, Fine]);
        assert!(text(&removed[1..]).starts_with("there is no limit for all addresses; 1 datagram over"));
    }

    #[test]
    fn refusing_everything_is_a_problem() {
        let found = findings(&refusing(12));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).starts_with("every received datagram was refused: "));
    }
}
