//! Checks the access list, and which addresses it has refused.

use udpchat_api::call::{Refusal, Status};
use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;
use crate::output::grouped;

const TOPIC: &str = "access";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let access = &status.access;
    let rules = match (access.allow.as_slice(), access.deny.as_slice()) {
        ([], []) => tr!("everyone may send").to_owned(),
        ([], deny) => tr!("everyone may send, except {networks}", networks = deny.join(", ")),
        (allow, []) => tr!("only {networks} may send", networks = allow.join(", ")),
        (allow, deny) => tr!(
            "only {allowed} may send, except {denied}",
            allowed = allow.join(", "),
            denied = deny.join(", ")
        ),
    };
    let refused = status.dropped.denied;
    if refused == 0 {
        return vec![Finding::ok(TOPIC, rules)];
    }
    let refused = refusals(facts, refused, &access.refused);
    let seen = tr!("{rules}; {refused}", rules, refused);
    let hint =
        tr!("change `access.allow` and `access.deny` in the configuration, then run `udpchatctl reload`");
    let finding = if were_all_refused(status) {
        Finding::problem(TOPIC, tr!("every received datagram was refused: {seen}", seen))
    } else {
        Finding::warning(TOPIC, seen)
    };
    vec![finding.hint(hint)]
}

/// Returns how many datagrams were refused, and the last refused addresses.
fn refusals(facts: &Facts, datagrams: u64, last: &[Refusal]) -> String {
    let refused = match datagrams {
        1 => tr!("1 datagram was refused").to_owned(),
        number => tr!("{number} datagrams were refused", number = grouped(number)),
    };
    let each = |refusal: &Refusal| {
        let Refusal { address, datagrams, at } = refusal;
        let time = facts.local_time(*at);
        tr!("{address} ({datagrams}, at {time})", address, datagrams = grouped(*datagrams), time)
    };
    match last.iter().map(each).collect::<Vec<_>>() {
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
                vec![Refusal { address: "10.1.1.1".parse().unwrap(), at, datagrams: denied }];
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
    fn refusing_everything_is_a_problem() {
        let found = findings(&refusing(12));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).starts_with("every received datagram was refused: "));
    }
}
