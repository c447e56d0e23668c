//! Checks whether a daemon answers.

use udpchat_api::call::Status;

use super::facts::{AccessDenied, Facts, Process, Reach, Reached, Tried, shown};
use super::finding::Finding;

const TOPIC: &str = "daemon";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match &facts.daemon {
        Reach::Reached(reached) => reachable(reached),
        Reach::NotReached { tried, denied: None, running } => {
            let mut found = vec![absent(tried, running)];
            found.extend(configuration(facts));
            found
        }
        Reach::NotReached { denied: Some(denied), .. } => vec![refused(denied)],
    }
}

fn reachable(reached: &Reached) -> Vec<Finding> {
    let Status { version, pid, socket, .. } = &reached.status;
    let mut found =
        vec![Finding::ok(TOPIC, format!("udpchatd {version} (pid {pid}) answers at {}", shown(socket)))];
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        let seen = format!("udpchatd is {version}, udpchatctl is {own}");
        found.push(Finding::warning(TOPIC, seen).hint("restart the daemon after installing a release"));
    }
    found
}

fn absent(tried: &[Tried], running: &[Process]) -> Finding {
    let tried: Vec<_> = tried.iter().map(|(path, why)| format!("{} ({why})", shown(path))).collect();
    let seen = format!("no daemon answers; tried {}", tried.join(", "));
    let Some(process) = running.first() else {
        return Finding::problem(TOPIC, format!("{seen}; no udpchatd process is running"))
            .hint("start one with `udpchatd`");
    };
    Finding::problem(TOPIC, format!("{seen}; {process} is running, but at none of these sockets")).hint(
        "give its control socket with `--socket PATH`; its log shows the path in the line `ready`. Restart it if it hangs",
    )
}

fn refused(denied: &AccessDenied) -> Finding {
    let finding = Finding::problem(TOPIC, format!("{} {}", shown(&denied.path), denied.why));
    finding.hint(denied.advice.as_deref().unwrap_or("ask the administrator"))
}

/// Reports an invalid configuration, with which no daemon starts.
fn configuration(facts: &Facts) -> Option<Finding> {
    let error = facts.configured.as_ref().err()?;
    let seen = format!("the configuration is invalid: {error}");
    Some(Finding::problem("configuration", seen).hint("`udpchatd --check-config` shows where"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text};
    use super::*;

    fn not_reached(running: &[Process], denied: bool) -> Facts {
        let denied = denied.then(|| AccessDenied {
            path: "/run/udpchat/control.sock".into(),
            why: "cannot be opened: it belongs to user root (0)".to_owned(),
            advice: None,
        });
        let tried = vec![("/a".into(), "no such socket".to_owned())];
        Facts {
            daemon: Reach::NotReached { tried, denied, running: running.to_vec() },
            configured: Ok(vec!["[::]:7788".parse().unwrap()]),
            ..facts()
        }
    }

    #[test]
    fn an_answering_daemon_is_named() {
        let mut facts = facts();
        assert_eq!(levels(&findings(&facts)), [Fine]);
        let Reach::Reached(reached) = &mut facts.daemon else { panic!() };
        reached.status.version = "0.0.7".to_owned();
        assert_eq!(levels(&findings(&facts)), [Fine, Warning]);
    }

    #[test]
    fn without_a_daemon_sockets_and_processes_are_listed() {
        let found = findings(&not_reached(&[], false));
        assert_eq!(levels(&found), [Problem]);
        assert!(text(&found).contains("tried /a (no such socket); no udpchatd process is running"));
        let process = Process { pid: 7, name: "udpchatd".to_owned(), user: "user bob".to_owned() };
        let found = findings(&not_reached(&[process], false));
        assert!(text(&found).contains("udpchatd (pid 7, user bob) is running, but at none"), "{found:?}");
    }

    #[test]
    fn a_denied_socket_names_its_owner() {
        let found = findings(&not_reached(&[], true));
        assert!(text(&found).contains("control.sock cannot be opened: it belongs to user root (0)"));
    }

    #[test]
    fn an_invalid_configuration_is_a_separate_problem() {
        let facts = Facts { configured: Err("/c:1: no".to_owned()), ..not_reached(&[], false) };
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem, Problem]);
        assert!(text(&found).contains("the configuration is invalid: /c:1: no"));
    }
}
