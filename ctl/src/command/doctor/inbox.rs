//! Reports the problems in the daemon's status.

use udpchat_api::call::Status;
use udpchat_locale::{tr, translated};

use super::facts::{Facts, shown};
use super::finding::Finding;
use super::groups::is_of_group;
use crate::command::status::is_full_disk;
use crate::output::counted;

const TOPIC: &str = "state";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let mut found: Vec<_> = status
        .problems
        .iter()
        .filter(|problem| !is_of_any_group(problem, status))
        .map(|problem| finding(problem).hint(hint(problem, status)))
        .collect();
    if found.is_empty() {
        let entries = counted(status.inbox.entries, "entry");
        found.push(Finding::ok(TOPIC, tr!("the inbox is in order, with {entries}", entries)));
    }
    if status.inbox.removed_unread > 0 {
        let seen = tr!(
            "{entries} removed from the inbox since the start before any consumer had read them",
            entries = counted(status.inbox.removed_unread, "entry")
        );
        found.push(Finding::warning(TOPIC, seen).hint(tr!(
            "increase `inbox.max_size` or `inbox.max_age`, or read more often; `udpchatctl consumers` lists the read marks"
        )));
    }
    if status.log_lines_lost > 0 {
        let lines = counted(status.log_lines_lost, "line");
        let seen = tr!("{lines} of the daemon's log were lost: its reader is too slow", lines);
        found.push(
            Finding::warning(TOPIC, seen)
                .hint(tr!("the program that reads the daemon's standard error must keep reading")),
        );
    }
    found
}

/// Returns a problem of the daemon as a finding. A refused configuration changes nothing until the next start.
fn finding(problem: &str) -> Finding {
    let seen = translated(problem);
    if is_refused_configuration(problem) {
        Finding::warning(TOPIC, seen)
    } else {
        Finding::problem(TOPIC, seen)
    }
}

fn is_refused_configuration(problem: &str) -> bool {
    problem.starts_with("the configuration is refused")
}

/// Returns what to do about a problem.
fn hint(problem: &str, status: &Status) -> String {
    if is_full_disk(problem) {
        let path = shown(&status.data_dir);
        return tr!("free some space on the file system of {path}; the daemon continues by itself", path);
    }
    if is_refused_configuration(problem) {
        return tr!("correct the file, then run `udpchatctl reload`; the next start would fail with it")
            .to_owned();
    }
    if problem.contains("it is read-only") {
        return tr!(
            "mount its file system read-write; under systemd, `systemctl edit udpchatd` with `ReadWritePaths={path}` lets the daemon write \
             there",
            path = shown(&status.data_dir)
        );
    }
    // Of a role: a group of users that does not exist.
    let hint = match problem.starts_with("control.") && problem.contains(" is unknown and gives no access") {
        true => tr!(
            "correct the name in the configuration, then `udpchatctl reload`; `getent group` lists the groups"
        ),
        false => tr!(
            "the daemon's log has details; what is over and still shown is removed by `udpchatctl status --acknowledge`"
        ),
    };
    hint.to_owned()
}

/// Returns whether a problem is about a group; groups have findings of their own.
fn is_of_any_group(problem: &str, status: &Status) -> bool {
    status.groups.iter().any(|group| is_of_group(problem, &group.group))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text, with_status};
    use super::*;

    #[test]
    fn a_misspelt_group_has_its_own_hint() {
        let problem =
            "control.admin: group `amdin` is unknown and gives no access (/etc/udpchat/config.toml:5)";
        let facts = facts();
        let hint = |problem| hint(problem, facts.status().unwrap());
        assert!(hint(problem).contains("`getent group` lists the groups"));
        let event = hint("the inbox was damaged; it was moved to /data/inbox.db.damaged");
        assert!(
            event.starts_with("the daemon's log has details; ") && event.contains("--acknowledge"),
            "{event}"
        );
        let full = hint("the inbox cannot be written, new messages wait in memory: database or disk is full");
        assert!(full.contains("the file system of /data"), "{full}");
        let read_only = hint("the inbox cannot be written: cannot use /data/inbox.db: it is read-only");
        assert!(read_only.contains("`ReadWritePaths=/data`"), "{read_only}");
    }

    #[test]
    fn each_problem_of_the_status_is_a_finding() {
        assert_eq!(text(&findings(&facts())), "the inbox is in order, with 12 entries");
        assert_eq!(levels(&findings(&facts())), [Fine]);
        let facts = with_status(|status| {
            status.problems =
                ["the disk is full", "group 239.1.2.3 is not joined", "the configuration is refused: x"]
                    .map(str::to_owned)
                    .into();
            status.groups =
                vec![udpchat_api::call::GroupStatus { group: "239.1.2.3".to_owned(), ..Default::default() }];
            status.inbox.removed_unread = 21_970;
            status.log_lines_lost = 1;
        });
        assert_eq!(levels(&findings(&facts)), [Problem, Warning, Warning, Warning]);
        let told = text(&findings(&facts));
        assert!(told.contains("21,970 entries removed from the inbox since the start before any"), "{told}");
    }
}
