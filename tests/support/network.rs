//! A network for one test: two hosts with cables between them, each a network namespace.
//!
//! They are made inside a user namespace, which takes no privileges where the machine permits it. Programs enter them
//! by `nsenter`; files and Unix sockets are those of the whole machine, but for what is mounted there.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{eventually, tool};

/// A host: a network namespace, which lives as long as a program in it that waits for its end.
pub(crate) struct Host {
    holder: Child,
}

/// Two hosts.
pub(crate) struct Network {
    /// Where the daemon under test runs.
    pub(crate) here: Host,
    /// Where its peers are.
    pub(crate) there: Host,
}

impl Network {
    /// Creates two hosts without cables; returns none, and prints why, if this machine cannot.
    #[track_caller]
    pub(crate) fn new() -> Option<Self> {
        if !["ip", "unshare", "nsenter"].into_iter().all(tool::available) {
            return None;
        }
        let Some(here) = Host::alone() else {
            tool::missing("network namespaces");
            return None;
        };
        let there = here.another();
        Some(Self { here, there })
    }

    /// Joins the hosts by a cable, whose ends have one name on both; network `10.NUMBER.0.0/24` and link-local
    /// addresses of IPv6, the hosts being 1 and 2.
    pub(crate) fn connect(&self, name: &str, number: u8) {
        self.cable(name);
        for (host, own) in [(&self.here, 1), (&self.there, 2)] {
            host.ip(&format!("address add 10.{number}.0.{own}/24 dev {name}"));
            // Without the seconds in which the kernel looks for another host with the same address.
            host.ip(&format!("address add fe80::{number}:{own}/64 dev {name} nodad"));
        }
    }

    /// Joins the hosts by a cable without addresses.
    pub(crate) fn cable(&self, name: &str) {
        let there = self.there.holder.id();
        self.here.ip(&format!("link add {name} type veth peer name {name} netns {there}"));
        for host in [&self.here, &self.there] {
            host.ip(&format!("link set {name} addrgenmode none"));
            host.ip(&format!("link set {name} up"));
        }
    }
}

impl Host {
    /// Makes a host; none where that is forbidden.
    fn alone() -> Option<Self> {
        [&["--user", "--map-root-user", "--net", "--mount"][..], &["--net", "--mount"]].iter().find_map(
            |flags| {
                let mut unshare = Command::new("unshare");
                Self::held_by(unshare.args(*flags).stderr(Stdio::null()))
            },
        )
    }

    /// Creates another host, which cables can connect.
    fn another(&self) -> Self {
        Self::held_by(self.enter(&Command::new("unshare")).arg("--net")).expect("a second host")
    }

    fn held_by(unshare: &mut Command) -> Option<Self> {
        // `cat` ends with the test, however that ends. Some machines allow namespaces but nothing inside them, which fails
        // at the first interface.
        let script = "\"$1\" link set lo up && echo ready && exec cat";
        let ip = tool::path("ip").unwrap();
        let piped = unshare.args(["sh", "-c", script, "sh"]).arg(ip).stdin(Stdio::piped());
        let mut holder = piped.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        match std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut ready) {
            Ok(()) => Some(Self { holder }),
            Err(_) => {
                holder.wait().unwrap();
                None
            }
        }
    }

    /// Returns the file by which its network can be entered.
    pub(crate) fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// Prepares a command with the same program, arguments and set variables, to be run on this host.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        let pid = self.holder.id().to_string();
        inside.args(["--target", &pid, "--net", "--mount"]);
        if is_in_another_user_namespace(&pid) {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--").arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside
    }

    /// Runs `ip` with words that are separated by spaces.
    #[track_caller]
    pub(crate) fn ip(&self, words: &str) {
        self.administer("ip", words);
    }

    /// Runs a program of the administrator with words that are separated by spaces.
    #[track_caller]
    pub(crate) fn administer(&self, program: &str, words: &str) {
        let mut command = Command::new(tool::path(program).unwrap());
        self.run(command.args(words.split(' ')));
    }

    /// Runs a program on this host that must succeed.
    #[track_caller]
    pub(crate) fn run(&self, command: &Command) {
        let ran = self.enter(command).stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// Runs a program on this host, and returns what it prints.
    pub(crate) fn output(&self, command: &Command) -> String {
        String::from_utf8(self.enter(command).stdin(Stdio::null()).output().unwrap().stdout).unwrap()
    }

    /// Sets a variable of the kernel, by its path below `/proc/sys`.
    #[track_caller]
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        let mut shell = Command::new("sh");
        self.run(shell.args(["-c", &format!("echo {value} > /proc/sys/{name}")]));
    }
}

fn is_in_another_user_namespace(pid: &str) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    namespace(pid) != namespace("self")
}

impl Drop for Host {
    fn drop(&mut self) {
        // It ends at the end of its input.
        drop(self.holder.stdin.take());
        eventually("the end of a host", || self.holder.try_wait().unwrap());
    }
}
