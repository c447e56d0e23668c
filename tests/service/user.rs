//! The units of one user, under that user's own manager.

use crate::machine::{Machine, PORT};
use crate::support::{Completed, eventually};

/// A machine with a user whose manager runs without a login.
struct Ann {
    machine: Machine,
    uid: String,
}

impl Ann {
    fn new() -> Option<Self> {
        let machine = Machine::boot()?;
        machine.run(&["useradd", "--create-home", "ann"]).done();
        let uid = machine.run(&["id", "--user", "ann"]).done().trim().to_owned();
        machine.systemctl(&["start", &format!("user@{uid}.service")]).done();
        Some(Self { machine, uid })
    }

    /// Runs a program as her.
    fn run(&self, words: &[&str]) -> Completed {
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", self.uid);
        let hers =
            ["setpriv", "--reuid=ann", "--regid=ann", "--init-groups", "env", &runtime, "HOME=/home/ann"];
        self.machine.run(&[&hers, words].concat())
    }

    fn systemctl(&self, words: &[&str]) -> Completed {
        self.run(&[&["systemctl", "--user"], words].concat())
    }

    fn show(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "-P", property, unit]).done().trim_end().to_owned()
    }
}

#[test]
fn a_user_runs_the_service_without_any_privilege() {
    let Some(ann) = Ann::new() else { return };
    ann.systemctl(&["enable", "--now", "udpchatd.service"]).done();
    ann.machine.udp().send_to(b"to ann", ("127.0.0.1", PORT)).unwrap();
    eventually("the message", || {
        ann.run(&["udpchatctl", "inbox", "-n1"]).stdout.contains("to ann").then_some(())
    });
    let process = ann.show("udpchatd.service", "MainPID");
    let status = ann.machine.run(&["cat", &format!("/proc/{process}/status")]).done();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    ann.systemctl(&["reload", "udpchatd.service"]).done();
    ann.systemctl(&["restart", "udpchatd.service"]).done();
    assert_eq!(ann.show("udpchatd.socket", "SubState"), "running", "the port is the manager's");
    ann.machine.udp().send_to(b"once more", ("127.0.0.1", PORT)).unwrap();
    eventually("the message", || {
        ann.run(&["udpchatctl", "inbox", "-n1"]).stdout.contains("once more").then_some(())
    });
}

#[test]
fn a_user_mistake_stops_the_service_until_fixed() {
    let Some(ann) = Ann::new() else { return };
    ann.run(&["mkdir", "-p", "/home/ann/.config/udpchat"]).done();
    let file = "/home/ann/.config/udpchat/config.toml";
    ann.machine.write(file, "lisen = []\n");
    ann.systemctl(&["start", "udpchatd.service"]).refused();
    eventually("the port to be closed", || {
        (ann.show("udpchatd.socket", "ActiveState") == "inactive").then_some(())
    });
    assert_eq!(ann.show("udpchatd.service", "ActiveState"), "failed");
    assert_eq!(ann.show("udpchatd.service", "ExecMainStatus"), "2");
    ann.machine.write(file, "");
    ann.systemctl(&["start", "udpchatd.service"]).done();
    assert_eq!(ann.show("udpchatd.socket", "SubState"), "running");
}
