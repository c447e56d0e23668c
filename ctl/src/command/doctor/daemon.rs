//! Whether a daemon answers, and if not, what is there instead.

use std::path::PathBuf;

use udpchat_api::ErrorObject;
use udpchat_api::call::{SelfTest, Status};

use super::{Facts, Finding, Tried, shown};

const TOPIC: &str = "daemon";

/// What came of asking the daemon.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// It answers.
    Reached(Box<Reached>),
    /// It does not.
    NotReached {
        /// Where it was looked for, and what was there.
        tried: Vec<Tried>,
        /// The first daemon that does not let this user in.
        closed_door: Option<ClosedDoor>,
        /// The processes that are called `udpchatd`.
        running: Vec<Process>,
    },
}

/// A daemon that does not let this user in.
#[derive(Clone, Debug)]
pub(crate) struct ClosedDoor {
    pub(crate) path: PathBuf,
    /// What stands in the way.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// A daemon that answers.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) status: Status,
    /// None where the daemon is of a release without a self-test, or refused it.
    pub(crate) self_tests: Option<Vec<SelfTest>>,
    /// Why this user may not have a self-test.
    pub(crate) self_test_refused: Option<ErrorObject>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) user: String,
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {}, {})", self.name, self.pid, self.user)
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match &facts.daemon {
        Reach::Reached(reached) => reachable(reached),
        Reach::NotReached { tried, closed_door: None, running } => {
            let mut found = vec![absent(tried, running)];
            found.extend(configuration(facts));
            found
        }
        Reach::NotReached { closed_door: Some(door), .. } => vec![closed(door)],
    }
}

fn reachable(reached: &Reached) -> Vec<Finding> {
    let Status { version, pid, socket, .. } = &reached.status;
    let mut found =
        vec![Finding::ok(TOPIC, format!("udpchatd {version} (pid {pid}) answers at {}", shown(socket)))];
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        let seen = format!("udpchatd is {version}, udpchatctl is {own}");
        found.push(Finding::warning(TOPIC, seen).hint("start the daemon anew after installing a release"));
    }
    found
}

fn absent(tried: &[Tried], running: &[Process]) -> Finding {
    let tried: Vec<_> = tried.iter().map(|(path, why)| format!("{} ({why})", shown(path))).collect();
    let seen = format!("no daemon answers; tried {}", tried.join(", "));
    let Some(process) = running.first() else {
        return Finding::problem(TOPIC, format!("{seen}; no process udpchatd runs"))
            .hint("start one with `udpchatd`");
    };
    Finding::problem(TOPIC, format!("{seen}; {process} runs, but at none of these")).hint(
        "`--socket PATH` names its control socket, which its log tells in the line `ready`; one that hangs has to be \
         started anew",
    )
}

fn closed(door: &ClosedDoor) -> Finding {
    let finding = Finding::problem(TOPIC, format!("{} {}", shown(&door.path), door.why));
    finding.hint(door.advice.as_deref().unwrap_or("ask the administrator"))
}

/// Tells of a configuration with which no daemon starts.
fn configuration(facts: &Facts) -> Option<Finding> {
    let error = facts.configured.as_ref().err()?;
    let seen = format!("the configuration is refused: {error}");
    Some(Finding::problem("configuration", seen).hint("`udpchatd --check-config` shows the place"))
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text};
    use super::*;

    fn not_reached(running: &[Process], closed: bool) -> Facts {
        let closed_door = closed.then(|| ClosedDoor {
            path: "/run/udpchat/control.sock".into(),
            why: "may not be opened: it belongs to user root (0)".to_owned(),
            advice: None,
        });
        let tried = vec![("/a".into(), "no such socket".to_owned())];
        Facts {
            daemon: Reach::NotReached { tried, closed_door, running: running.to_vec() },
            configured: Ok(vec!["[::]:7788".parse().unwrap()]),
            ..facts()
        }
    }

    #[test]
    fn a_daemon_that_answers_is_named() {
        let mut facts = facts();
        assert_eq!(levels(&findings(&facts)), [Fine]);
        let Reach::Reached(reached) = &mut facts.daemon else { panic!() };
        reached.status.version = "0.0.7".to_owned();
        assert_eq!(levels(&findings(&facts)), [Fine, Warning]);
    }

    #[test]
    fn without_one_it_is_said_where_it_was_looked_for_and_what_runs() {
        let found = findings(&not_reached(&[], false));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("tried /a (no such socket); no process udpchatd runs"));
        let process = Process { pid: 7, name: "udpchatd".to_owned(), user: "user bob".to_owned() };
        let found = findings(&not_reached(&[process], false));
        assert!(text(&found).contains("udpchatd (pid 7, user bob) runs, but at none"), "{found:?}");
    }

    #[test]
    fn a_closed_door_has_an_owner() {
        let found = findings(&not_reached(&[], true));
        assert!(text(&found).contains("control.sock may not be opened: it belongs to user root (0)"));
    }

    #[test]
    fn a_refused_configuration_is_a_problem_of_its_own() {
        let facts = Facts { configured: Err("/c:1: no".to_owned()), ..not_reached(&[], false) };
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem, Problem]);
        assert!(text(&found).contains("the configuration is refused: /c:1: no"));
    }
}
