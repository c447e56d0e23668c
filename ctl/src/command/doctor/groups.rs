//! Checks on which interfaces the multicast groups are joined.

use udpchat_api::call::{GroupStatus, Status};
use udpchat_locale::{tr, translated};

use super::facts::Facts;
use super::finding::Finding;

const TOPIC: &str = "groups";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    status.groups.iter().map(|group| check_group(group, status)).collect()
}

fn check_group(group: &GroupStatus, status: &Status) -> Finding {
    let name = &group.group;
    let interfaces = group.interfaces.join(tr!(", "));
    match problem(name, status) {
        None if group.interfaces.is_empty() => {
            Finding::problem(TOPIC, tr!("group {name} is not joined on any interface", name))
        }
        None => Finding::ok(TOPIC, tr!("group {name} is joined on {interfaces}", name, interfaces)),
        Some(problem) => {
            let problem = translated(problem);
            let seen = match interfaces.is_empty() {
                true => problem.into_owned(),
                false => tr!("{problem}; it is joined on {interfaces}", problem, interfaces),
            };
            let hint =
                tr!("`ip link` lists the interfaces; the daemon joins automatically as soon as it can");
            Finding::problem(TOPIC, seen).hint(hint)
        }
    }
}

/// Returns the problem that the daemon reports about a group.
fn problem<'a>(group: &str, status: &'a Status) -> Option<&'a String> {
    status.problems.iter().find(|problem| is_of_group(problem, group))
}

/// Returns whether a problem of the status is about a group.
pub(super) fn is_of_group(problem: &str, group: &str) -> bool {
    problem
        .strip_prefix("group ")
        .and_then(|rest| rest.strip_prefix(group))
        .is_some_and(|rest| rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem};
    use super::super::testing::{levels, text, with_status};
    use super::*;

    #[test]
    fn an_unjoined_group_has_a_reason() {
        let group = |name: &str, on: &[&str]| GroupStatus {
            group: name.to_owned(),
            interfaces: on.iter().map(|&name| name.to_owned()).collect(),
        };
        let facts = with_status(|status| {
            status.groups =
                vec![group("239.1.2.3", &["eth0"]), group("239.1.2.30", &["eth0"]), group("ff02::1", &[])];
            status.problems = vec!["group 239.1.2.30 is not joined on eth7: it is down".to_owned()];
        });
        let found = findings(&facts);
        assert_eq!(levels(&found), [Fine, Problem, Problem]);
        let expected = "group 239.1.2.3 is joined on eth0\n\
                        group 239.1.2.30 is not joined on eth7: it is down; it is joined on eth0\n\
                        group ff02::1 is not joined on any interface";
        assert_eq!(text(&found), expected);
    }
}
