//! A daemon's process: a child of the test, or the main process of a transient unit with the sandbox of the unit that is
//! installed.
//!
//! The environment chooses. `tests/service` boots a machine in which it runs these tests the second way.

use std::fs;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Host, eventually};

/// Set if the daemons of the tests are to run in the sandbox of the unit. That requires root, systemd as the init
/// process, and `udpchatd` in `/usr/bin`: the sandbox may hide the folder of the build.
const UNDER_UNIT: &str = "UDPCHAT_UNDER_UNIT";

/// The unit whose sandbox it is.
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/daemon/systemd/system/udpchatd.service");

/// Lines of the unit that the tests omit. All others apply.
const LEFT_OUT: [(&str, &str); 13] = [
    (
        "Type",
        "a daemon that refuses to start has an exit status, which systemd-run returns only without waiting for READY",
    ),
    ("ExecStart", "the tests have arguments of their own"),
    ("ExecReload", "it names the socket of the installed daemon"),
    ("ExecStopPost", "there is no socket unit to close"),
    ("Restart", "an end is what many tests wait for"),
    ("RestartSec", "as Restart"),
    ("RestartPreventExitStatus", "as Restart"),
    ("WatchdogSec", "some tests halt the daemon, and a busy machine makes that long; see WATCHDOG"),
    ("User", "the folders of the tests belong to root; without any capability it is a user as others are"),
    ("Group", "as User"),
    ("StateDirectory", "each daemon has a folder of its own, which ReadWritePaths opens"),
    ("RuntimeDirectory", "as StateDirectory"),
    ("ConfigurationDirectory", "as StateDirectory"),
];

/// The watchdog in its place: longer than any test waits.
const WATCHDOG: &str = "WatchdogSec=45s";

/// A running daemon.
pub(crate) struct Process {
    /// The daemon, or the `systemd-run` that waits for its end and ends as it did.
    child: Child,
    unit: Option<String>,
}

impl Process {
    /// Starts a program with its standard error piped; in the sandbox if it is the daemon and the tests are to run so.
    pub(crate) fn start(command: &mut Command) -> Self {
        if !(is_daemon(command) && is_under_unit()) {
            return Self { child: command.stderr(Stdio::piped()).spawn().unwrap(), unit: None };
        }
        Self::start_in_sandbox(command, &[])
    }

    /// Starts the daemon on a host of the test's own.
    pub(crate) fn start_on(host: &Host, command: &Command) -> Self {
        if !is_under_unit() {
            return Self::start(host.enter(command).stdin(Stdio::null()).stdout(Stdio::null()));
        }
        Self::start_in_sandbox(command, &[format!("NetworkNamespacePath={}", host.network().display())])
    }

    fn start_in_sandbox(command: &Command, more: &[String]) -> Self {
        let unit = new_name();
        let mut sandboxed = in_sandbox(command, &unit, more);
        let quiet = sandboxed.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { child: quiet.spawn().unwrap(), unit: Some(unit) }
    }

    /// Takes its standard error.
    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Returns the number of the daemon's own process.
    pub(crate) fn pid(&self) -> u32 {
        match &self.unit {
            None => self.child.id(),
            Some(unit) => eventually("the daemon's process", || main_process(unit)),
        }
    }

    /// Sends a signal to the daemon.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// Kills it; it may have ended by itself.
    pub(crate) fn kill(&mut self) {
        if let Some(unit) = &self.unit {
            while let Some(pid) = main_process(unit).filter(|_| self.child.try_wait().unwrap().is_none()) {
                // It may end at this very moment.
                let _ended = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        } else {
            let _ended = self.child.kill();
        }
    }

    /// Returns how it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// Returns whether the daemons of the tests run in the sandbox.
fn is_under_unit() -> bool {
    std::env::var_os(UNDER_UNIT).is_some()
}

fn is_daemon(command: &Command) -> bool {
    Path::new(command.get_program()) == Path::new(env!("CARGO_BIN_EXE_udpchatd"))
}

/// Returns a name that no other daemon of this or another run has.
fn new_name() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    format!("udpchat-test-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed))
}

/// Prepares a command with the same arguments and variables in the sandbox, with more properties.
fn in_sandbox(command: &Command, unit: &str, more: &[String]) -> Command {
    let mut outside = Command::new("systemd-run");
    outside.args(["--quiet", "--pipe", "--wait", "--collect", "--property=Type=exec"]);
    outside.arg(format!("--unit={unit}")).arg(format!("--property={WATCHDOG}"));
    let text = fs::read_to_string(UNIT).unwrap();
    let more = more.iter().map(String::as_str);
    let properties = properties(&text).into_iter().chain(more);
    // systemd replaces specifiers in the files of units only.
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let properties = properties.map(|property| property.replace("%b", boot_id.trim()));
    outside.args(properties.map(|property| format!("--property={property}")));
    outside.arg(format!("--property=ReadWritePaths={}", std::env::temp_dir().display()));
    if let Some(folder) = command.get_current_dir() {
        outside.arg(format!("--property=WorkingDirectory={}", folder.display()));
    }
    for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        outside.arg(format!("--setenv={}={}", name.to_str().unwrap(), value.to_str().unwrap()));
    }
    // systemd would put variables in the place of their names.
    let argument = |argument: &std::ffi::OsStr| argument.to_str().unwrap().replace('$', "$$");
    outside.arg("--").arg("/usr/bin/udpchatd").args(command.get_args().map(argument));
    outside
}

/// Returns the lines of a unit that make the sandbox, in their order: later ones add to those before.
fn properties(unit: &str) -> Vec<&str> {
    let service = unit.split("\n[Service]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let lines = service.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let kept = |line: &&str| {
        let key = line.split('=').next().unwrap();
        LEFT_OUT.iter().all(|(left_out, _)| key != *left_out)
    };
    lines.filter(kept).collect()
}

/// Returns the main process of a unit, as long as it has one.
fn main_process(unit: &str) -> Option<u32> {
    let processes = format!("/sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs");
    fs::read_to_string(processes).ok()?.lines().next()?.parse().ok()
}

#[test]
fn the_test_sandbox_equals_that_of_the_unit() {
    let text = fs::read_to_string(UNIT).unwrap();
    let properties = properties(&text);
    for line in ["NoNewPrivileges=yes", "ProtectSystem=strict", "SystemCallFilter=~@privileged @resources"] {
        assert!(properties.contains(&line), "{properties:#?}");
    }
    for (key, reason) in LEFT_OUT {
        assert!(text.contains(&format!("\n{key}=")), "the unit has no line {key} any more ({reason})");
        assert!(!properties.iter().any(|line| line.starts_with(&format!("{key}="))), "{key}");
    }
}
