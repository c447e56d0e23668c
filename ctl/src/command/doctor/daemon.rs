//! Checks whether a daemon answers.

use std::borrow::Cow;
use std::path::absolute;

use udpchat_api::call::Status;
use udpchat_config::word;
use udpchat_locale::{tr, translated};

use super::facts::{AccessDenied, Facts, Reach, Reached, Running, RunningDaemon, Tried, Unusable, shown};
use super::finding::Finding;
use crate::systemd;

const TOPIC: &str = "daemon";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match &facts.daemon {
        Reach::Reached(reached) => reachable(reached, facts.running),
        Reach::NotReached { denied: Some(denied), running, .. } => vec![refused(denied, running)],
        Reach::NotReached { tried, denied: None, running, sees_all, start } => {
            let mut found = vec![absent(tried, running, (*sees_all, start))];
            found.extend(configuration(facts));
            found
        }
    }
}

fn reachable(reached: &Reached, running: Running) -> Vec<Finding> {
    let Status { version, pid, socket, .. } = &reached.status;
    let socket = shown(socket);
    let answers = tr!("udpchatd {version} (pid {pid}) answers at {socket}", version, pid, socket);
    let mut found = vec![Finding::ok(TOPIC, answers)];
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        let seen = tr!("udpchatd is {daemon}, udpchatctl is {client}", daemon = version, client = own);
        found.push(Finding::warning(TOPIC, seen).hint(tr!("restart the daemon after installing a release")));
    }
    if running.is_replaced {
        let seen = tr!("the file of this program was replaced or removed since the daemon started");
        found.push(
            Finding::warning(TOPIC, seen).hint(tr!("restart the daemon to run the one that is installed")),
        );
    }
    if running.lacks_socket_unit {
        let seen =
            tr!("systemd does not hold the port: datagrams that come while the daemon restarts are lost");
        found.push(Finding::warning(TOPIC, seen).hint(tr!(
            "`systemctl status udpchatd.socket` shows why; `systemctl stop udpchatd` and then `systemctl start udpchatd` start \
             both again"
        )));
    }
    found
}

fn absent(tried: &[Tried], running: &[RunningDaemon], otherwise: (bool, &str)) -> Finding {
    let each = |(path, why): &Tried| tr!("{path} ({obstacle})", path = shown(path), obstacle = why);
    let listed: Vec<_> = tried.iter().map(each).collect();
    let seen = tr!("no daemon answers; tried {tried}", tried = listed.join(tr!(", ")));
    // One whose socket is known can be used at once.
    let Some(RunningDaemon { process, socket }) =
        running.iter().find(|daemon| daemon.socket.is_some()).or(running.first())
    else {
        return not_running(&seen, otherwise);
    };
    match socket {
        Some(socket) if tried.iter().any(|(path, _)| path == socket) && !socket.exists() => {
            let seen = tr!(
                "{seen}; {process} is running, and listens there, but the file of its socket was removed",
                seen,
                process
            );
            Finding::problem(TOPIC, seen).hint(systemd::how_to_make_again(socket))
        }
        Some(socket) if tried.iter().any(|(path, _)| path == socket) => {
            let seen = tr!("{seen}; {process} is running, listens there, and does not answer", seen, process);
            Finding::problem(TOPIC, seen)
                .hint(tr!("if this lasts, the daemon hangs: read its log, then restart it"))
        }
        Some(socket) => {
            let there = shown(socket);
            let seen =
                tr!("{seen}; {process} is running, and listens at {socket}", seen, process, socket = there);
            Finding::problem(TOPIC, seen)
                .hint(tr!("`udpchatctl --socket {socket} doctor` examines that one", socket = word(socket)))
        }
        None => {
            let seen = tr!("{seen}; {process} is running, but at none of these sockets", seen, process);
            Finding::problem(TOPIC, seen).hint(match process.is_own {
                true => tr!(
                    "give its control socket with `--socket PATH`; its log shows the path in the line `ready`. Restart it if it \
                     hangs"
                ),
                false => tr!(
                    "it belongs to another user: `sudo udpchatctl doctor` shows its socket, and its administrator can give you \
                     a role with `[control]` in its configuration"
                ),
            })
        }
    }
}

fn not_running(seen: &str, (sees_all, start): (bool, &str)) -> Finding {
    if sees_all {
        let seen = tr!("{seen}; no udpchatd process is running", seen);
        return Finding::problem(TOPIC, seen).hint(start);
    }
    let seen =
        tr!("{seen}; no udpchatd process of this user is running, and those of others are hidden", seen);
    Finding::problem(TOPIC, seen).hint(tr!("{start}; `sudo udpchatctl doctor` sees all processes", start))
}

fn refused(denied: &AccessDenied, running: &[RunningDaemon]) -> Finding {
    // Another daemon has nothing to do with it.
    let at_socket = |daemon: &&RunningDaemon| daemon.socket == absolute(&denied.socket).ok();
    let seen = match running.iter().filter(|daemon| daemon.socket.is_some()).find(at_socket) {
        Some(RunningDaemon { process, .. }) => {
            tr!("{seen}; {process} is running", seen = denied.why, process)
        }
        None => denied.why.clone(),
    };
    let advice = denied.advice.as_deref().map_or(Cow::Borrowed(tr!("ask the administrator")), translated);
    Finding::problem(TOPIC, seen).hint(tr!(
        "{advice}; `sudo udpchatctl --socket {socket} doctor` checks this daemon as root",
        advice,
        socket = word(&denied.socket)
    ))
}

/// Reports what keeps a daemon of this user from starting.
fn configuration(facts: &Facts) -> Vec<Finding> {
    match &facts.configured {
        Err(Unusable { what, hint }) => {
            let hint = hint.as_deref().unwrap_or(tr!("`udpchatd --check-config` shows where"));
            let seen = tr!("the configuration is invalid: {error}", error = translated(what));
            vec![Finding::problem("configuration", seen).hint(hint)]
        }
        Ok(configured) => {
            let finding = |closed: &Unusable| {
                let seen = tr!("a daemon of this user cannot use {path}", path = closed.what);
                Finding::problem("configuration", seen).hint_if(closed.hint.clone())
            };
            configured.closed.iter().map(finding).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, running, text, without_daemon};
    use super::*;

    #[test]
    fn a_replaced_program_and_a_missing_socket_unit_are_noticed() {
        let with = |running| findings(&Facts { running, ..facts() });
        assert_eq!(levels(&with(Running::default())), [Fine]);
        let replaced = with(Running { is_replaced: true, ..Running::default() });
        assert!(levels(&replaced) == [Fine, Warning] && text(&replaced).contains("replaced or removed"));
        let without_unit = with(Running { lacks_socket_unit: true, ..Running::default() });
        assert!(text(&without_unit).contains("systemd does not hold the port"), "{without_unit:?}");
    }

    fn not_reached(running: &[RunningDaemon], denied: bool) -> Facts {
        let denied = denied.then(|| AccessDenied {
            socket: "/run/udpchat/control.sock".into(),
            why: "/run/udpchat/control.sock cannot be opened: it belongs to user root (0)".to_owned(),
            advice: None,
        });
        let tried = vec![("/a".into(), "no such socket".to_owned())];
        let daemon =
            Reach::NotReached { tried, denied, running: running.to_vec(), sees_all: true, start: "start it" };
        Facts { daemon, ..without_daemon("[::]:7788") }
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
        let mut facts = not_reached(&[], false);
        let Reach::NotReached { sees_all, .. } = &mut facts.daemon else { panic!() };
        *sees_all = false;
        assert!(text(&findings(&facts)).contains("those of others are hidden"));
    }

    #[test]
    fn a_running_daemon_is_named_with_its_socket() {
        let of_bob = findings(&not_reached(&[running(None)], false));
        assert!(text(&of_bob).contains("udpchatd (pid 7, user bob) is running, but at none"), "{of_bob:?}");
        let hint = of_bob[0].hint.as_deref().unwrap();
        assert!(hint.contains("`sudo udpchatctl doctor`") && hint.contains("[control]"), "{hint}");
        let mut own = running(None);
        own.process.is_own = true;
        let own = findings(&not_reached(&[own], false));
        assert!(own[0].hint.as_ref().unwrap().contains("the line `ready`"), "{own:?}");
        let seen = findings(&not_reached(&[running(None), running(Some("/b c/s"))], false));
        assert!(text(&seen).contains("is running, and listens at /b c/s"), "{seen:?}");
        assert!(seen[0].hint.as_ref().unwrap().contains("udpchatctl --socket '/b c/s' doctor"), "{seen:?}");
        // The socket that was tried is the one at which it listens.
        let removed = findings(&not_reached(&[running(Some("/a"))], false));
        assert!(
            text(&removed).contains("listens there, but the file of its socket was removed"),
            "{removed:?}"
        );
        assert!(removed[0].hint.as_ref().unwrap().contains("stop udpchatd.socket"), "{removed:?}");
    }

    #[test]
    fn a_denied_socket_names_its_owner() {
        let found = findings(&not_reached(&[], true));
        assert!(text(&found).contains("control.sock cannot be opened: it belongs to user root (0)"));
        for other in [None, Some("/b/s")] {
            let found = findings(&not_reached(&[running(other)], true));
            assert!(text(&found).ends_with("user root (0)"), "{found:?}");
        }
        let at_it = [running(Some("/b/s")), running(Some("/run/udpchat/control.sock"))];
        let found = findings(&not_reached(&at_it, true));
        assert!(text(&found).ends_with("; udpchatd (pid 7, user bob) is running"), "{found:?}");
        let hint = found[0].hint.as_deref().unwrap();
        let as_root =
            "; `sudo udpchatctl --socket /run/udpchat/control.sock doctor` checks this daemon as root";
        assert!(hint.ends_with(as_root), "{hint}");
    }

    #[test]
    fn a_closed_directory_is_a_separate_problem() {
        let closed = Unusable { what: "/data".to_owned(), hint: Some("`sudo chown x /data`".to_owned()) };
        let mut facts = not_reached(&[], false);
        facts.configured.as_mut().unwrap().closed.push(closed);
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem, Problem]);
        assert!(text(&found).contains("a daemon of this user cannot use /data"), "{found:?}");
        assert_eq!(found[1].hint.as_deref(), Some("`sudo chown x /data`"));
    }

    #[test]
    fn an_invalid_configuration_is_a_separate_problem() {
        let invalid = Unusable { what: "/c:1: no".to_owned(), hint: None };
        let facts = Facts { configured: Err(invalid), ..not_reached(&[], false) };
        let found = findings(&facts);
        assert_eq!(levels(&found), [Problem, Problem]);
        assert!(text(&found).contains("the configuration is invalid: /c:1: no"));
    }
}
