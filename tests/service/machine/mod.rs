//! A machine of the test's own: namespaces with a systemd as their process 1, the project's units installed in it as a
//! package does, and the programs under test in `/usr/bin`.
//!
//! It has the host's files under a layer that takes every change, a network with nothing but loopback, and its own
//! users. Nothing in it reaches the host, and nothing of it remains.

mod inbox;
mod sender;

pub(crate) use inbox::{Account, Inbox};
pub(crate) use sender::Sender;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Completed, Delay, Rpc, available, eventually, is_root, new_folder, proc};

/// The units that are installed in the machine.
pub(crate) const SERVICE: &str = "udpchatd.service";
pub(crate) const SOCKET: &str = "udpchatd.socket";
/// Where the socket unit listens, seen from the machine itself.
pub(crate) const PORT: u16 = 7788;

const MAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/machine/machine.sh");
const BOOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/machine/boot.sh");

/// A booted machine. Dropping it ends it as a cut of the power does, and prints its journal if the test fails.
pub(crate) struct Machine {
    folder: TempDir,
    /// Keeps its files and processes until its standard input ends.
    keeper: Child,
    /// The host's number of its process 1.
    pid: u32,
}

impl Completed {
    /// Fails the test unless the program succeeded, whatever is on standard error; returns its output.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Fails the test unless the program failed; returns its standard output and error.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(self.code.is_some_and(|code| code != 0), "{self:#?}");
        self.stdout + &self.stderr
    }
}

impl Machine {
    /// Boots a machine; returns none, and prints why, if this host cannot run one.
    pub(crate) fn boot() -> Option<Self> {
        if !is_root() {
            return None;
        }
        // dbus-daemon: systemd-run waits by it for the end of what it runs.
        let tools = ["unshare", "nsenter", "systemctl", "systemd-run", "systemd-sysusers", "dbus-daemon"];
        if !tools.iter().all(|tool| available(tool)) {
            return None;
        }
        let folder = new_folder();
        let programs = Path::new(env!("CARGO_BIN_EXE_udpchatd")).parent().unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", MAKE]).arg(folder.path()).arg(env!("CARGO_MANIFEST_DIR"));
        let piped = unshare.arg(programs).arg(BOOT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut machine = Self { folder, keeper: piped.spawn().unwrap(), pid: 0 };
        machine.start();
        Some(machine)
    }

    /// Boots, and waits until all that is enabled has been started.
    fn start(&mut self) {
        writeln!(self.keeper.stdin.as_mut().unwrap(), "boot").unwrap();
        // It writes nothing else, so there is nothing behind the line that a buffer could keep.
        let mut line = String::new();
        BufReader::new(self.keeper.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid = line.strip_prefix("pid ").unwrap_or_else(|| panic!("the machine does not boot: {line:?}"));
        self.pid = pid.trim().parse().unwrap();
        eventually("the machine to have booted", || {
            self.run(&["systemctl", "is-system-running"]).stdout.contains("running").then_some(())
        });
    }

    /// Switches it off in good order and on again; the files stay.
    pub(crate) fn reboot(&mut self) {
        // The connection may break before there is an answer.
        let _ended = self.systemctl(&["poweroff"]);
        let first = PathBuf::from(format!("/proc/{}", self.pid));
        eventually("the machine to be off", || (!first.exists()).then_some(()));
        self.start();
    }

    /// Prepares a program of the machine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.pid.to_string(), "--all", "--"]).args(words);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        inside.env_clear().env("PATH", path).env("TZ", "UTC").stdin(Stdio::null());
        inside
    }

    /// Runs a program in the machine.
    pub(crate) fn run(&self, words: &[&str]) -> Completed {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Completed { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    pub(crate) fn systemctl(&self, words: &[&str]) -> Completed {
        self.run(&[&["systemctl"], words].concat())
    }

    /// Runs `udpchatctl` as root.
    pub(crate) fn ctl(&self, words: &[&str]) -> Completed {
        self.run(&[&["udpchatctl"], words].concat())
    }

    /// Returns a property of a unit.
    pub(crate) fn show(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "-P", property, unit]).done().trim_end().to_owned()
    }

    /// Waits until a property of a unit meets a condition; fails the test after the deadline.
    #[track_caller]
    pub(crate) fn until(&self, unit: &str, property: &str, is_so: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let within = Duration::from_secs(60);
        let began = Instant::now();
        while began.elapsed() < within {
            last = self.show(unit, property);
            if is_so(&last) {
                return last;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{property} of {unit} stays {last}\n{}", self.systemctl(&["status", unit]).stdout);
    }

    /// Waits until the daemon serves; returns its process as the machine numbers it.
    #[track_caller]
    pub(crate) fn serves(&self) -> u32 {
        self.until(SERVICE, "ActiveState", |state| state == "active");
        self.show(SERVICE, "MainPID").parse().unwrap()
    }

    /// Waits until the daemon serves as another process than this one.
    #[track_caller]
    pub(crate) fn serves_as_another_process(&self, before: u32) -> u32 {
        self.until(SERVICE, "MainPID", |pid| pid != "0" && pid != before.to_string());
        self.serves()
    }

    /// Sends a signal to the daemon's process.
    pub(crate) fn kill(&self, signal: &str) {
        self.systemctl(&["kill", "--kill-whom=main", &format!("--signal={signal}"), SERVICE]).done();
    }

    /// Returns lines of the journal about the service, as objects: all, or those that more arguments choose.
    pub(crate) fn journal(&self, more: &[&str]) -> Vec<Value> {
        self.run(&["journalctl", "--sync"]).done();
        let words = [&["journalctl", "--output=json", "--unit", SERVICE], more].concat();
        self.run(&words).done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a line of the journal that the daemon or systemd wrote holds a text, and returns it.
    #[track_caller]
    pub(crate) fn journal_line(&self, text: &str) -> Value {
        let holds = |line: &Value| {
            let of_client = line["SYSLOG_IDENTIFIER"] == "udpchatctl";
            !of_client && line["MESSAGE"].as_str().is_some_and(|message| message.contains(text))
        };
        eventually(&format!("`{text}` in the journal"), || self.journal(&[]).into_iter().rfind(holds))
    }

    /// Opens a UDP socket in the machine's network, with any port of loopback.
    pub(crate) fn udp(&self) -> UdpSocket {
        let network = File::open(format!("/proc/{}/ns/net", self.pid)).unwrap();
        let open = move || {
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap()
        };
        // Only the thread moves there.
        thread::spawn(open).join().unwrap()
    }

    /// Opens a connection to the control socket.
    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::connect(&self.path("/run/udpchat/control.sock"))
    }

    /// Requests the daemon's status.
    pub(crate) fn status(&self) -> Value {
        self.rpc().call("status", serde_json::json!({}))
    }

    /// Returns a file of the machine by its path there.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        format!("/proc/{}/root{inside}", self.pid).into()
    }

    /// Writes a file in the machine.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        std::fs::write(self.path(inside), text).unwrap();
    }

    /// Changes a unit by a drop-in.
    pub(crate) fn edit(&self, unit: &str, text: &str) {
        let folder = format!("/etc/systemd/system/{unit}.d");
        self.run(&["mkdir", "-p", &folder]).done();
        self.write(&format!("{folder}/test.conf"), text);
        self.systemctl(&["daemon-reload"]).done();
    }

    /// Looks into the file of the inbox.
    pub(crate) fn inbox(&self) -> Inbox {
        // By the host's path of it: SQLite resolves links, and `/proc/PID/root` is one.
        Inbox::open(&self.folder.path().join("disk/udpchat/inbox.db"))
    }

    /// Starts to send numbers to the port at a rate.
    pub(crate) fn send_numbers(&self, a_second: u32) -> Sender {
        Sender::start(self.udp(), a_second)
    }

    /// Delays system calls of one thread of the daemon's process.
    pub(crate) fn delay(&self, process: u32, thread: &str, calls: &str, delay: Duration) -> Delay {
        let task = proc::thread(&self.path("/proc"), process, thread);
        // Without setpriv, strace would outlive nsenter, which is what is killed.
        let mut strace = self.command(&["setpriv", "--pdeathsig", "KILL", "strace"]);
        Delay::start(&mut strace, &task, calls, delay)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() && self.pid != 0 {
            let journal = self.run(&["journalctl", "--no-pager", "--output=short-precise"]).stdout;
            let lines: Vec<_> = journal.lines().filter(|line| !line.contains(" received id=")).collect();
            eprintln!("the machine's journal:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        // Its keeper ends at the end of its input, and leaves nothing.
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}
