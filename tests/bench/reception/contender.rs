//! The receivers to compare: `udpchatd`, bare loops, and programs that write datagrams to a file.

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::bare::{Bare, Manner};
use crate::harness::before;
use crate::harness::daemon::Daemon;
use crate::harness::process_stats::{ProcessStats, mebibytes};
use crate::harness::support::{Guard, eventually, new_folder};

/// A way to receive.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
}

enum Kind {
    Bare(Manner),
    /// With more lines of the configuration.
    Daemon(&'static str),
    /// Of another build.
    Before,
    /// A program that this machine may not have, and the command that makes it write to a file.
    Program(&'static str, fn(&Files) -> Command),
}

/// All of them; the others are compared with the first.
pub(crate) const CONTENDERS: [Contender; 8] = [
    Contender { name: "bare recvmmsg loop, eager", kind: Kind::Bare(Manner::Eager) },
    Contender { name: "bare recvmmsg loop, gathering", kind: Kind::Bare(Manner::Gathering) },
    Contender { name: "udpchatd", kind: Kind::Daemon("") },
    Contender { name: "udpchatd of another build", kind: Kind::Before },
    Contender { name: "udpchatd with limits", kind: Kind::Daemon(LIMITS) },
    Contender { name: "rsyslog imudp to a file", kind: Kind::Program("rsyslogd", rsyslog) },
    Contender { name: "nc -k -l -u to a file", kind: Kind::Program("nc", nc) },
    Contender { name: "python3 recvfrom to a file", kind: Kind::Program("python3", python) },
];

/// Large enough to keep everything: retention is another benchmark.
const KEEPS_ALL: &str = "receive_buffer = \"64MiB\"\ninbox.max_size = \"64GiB\"\n";

/// Limits that nothing reaches, and a peer that they do not concern.
const LIMITS: &str =
    "access.limit = \"100000000/s\"\naccess.bytes = \"1TiB/s\"\npeers.camera.address = \"192.0.2.1\"\n";

const PYTHON: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', int(sys.argv[1])))
with open(sys.argv[2], 'wb', buffering=0) as file:
    while True:
        file.write(s.recvfrom(65536)[0] + b'\\n')
";

impl Contender {
    /// Returns whether this machine can run it.
    pub(crate) fn is_there(&self) -> bool {
        let name = match self.kind {
            Kind::Before => return before::folder().is_some(),
            Kind::Bare(_) | Kind::Daemon(_) => return true,
            Kind::Program(name, _) => name,
        };
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into()]);
        let found = folders.into_iter().any(|folder| folder.join(name).is_file());
        if !found {
            println!("left out: {}, because there is no `{name}`; see tests/bench/install-peers", self.name);
        }
        found
    }

    /// Starts it, for datagrams of this length, and waits until it listens.
    pub(crate) fn start(&self, bytes: usize) -> Running {
        match self.kind {
            Kind::Bare(manner) => Running::Bare(Bare::start(manner)),
            Kind::Daemon(more) => Running::Daemon(Daemon::start(&format!("{KEEPS_ALL}{more}"))),
            Kind::Before => Running::Daemon(Daemon::start_before(KEEPS_ALL)),
            Kind::Program(name, command) => Running::Writer(Writer::start(command, bytes, name != "nc")),
        }
    }
}

/// A running contender.
pub(crate) enum Running {
    Bare(Bare),
    Daemon(Daemon),
    Writer(Writer),
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Bare(bare) => bare.address(),
            Self::Daemon(daemon) => daemon.address(),
            Self::Writer(writer) => writer.files.address,
        }
    }

    pub(crate) fn process(&self) -> ProcessStats {
        match self {
            Self::Bare(bare) => bare.process(),
            Self::Daemon(daemon) => daemon.process(),
            Self::Writer(writer) => ProcessStats::of(writer.process.pid()),
        }
    }

    /// Returns how many datagrams have reached their end: the log on the disk, the file, or nowhere.
    pub(crate) fn kept(&mut self) -> u64 {
        match self {
            Self::Bare(bare) => bare.fetched(),
            Self::Daemon(daemon) => daemon.counters().stored,
            Self::Writer(writer) => writer.kept(),
        }
    }

    /// Describes its receive buffer.
    pub(crate) fn buffer(&mut self) -> String {
        match self {
            Self::Bare(bare) => mebibytes(bare.granted()),
            Self::Daemon(daemon) => mebibytes(daemon.granted()),
            Self::Writer(_) => {
                "unknown (rsyslog is configured with 64m, the others use the system's default)".into()
            }
        }
    }
}

/// A program that appends each datagram to a file.
pub(crate) struct Writer {
    process: Guard,
    files: Files,
    /// The size of a datagram in the file.
    bytes_each: u64,
}

/// The address and the file of such a program.
struct Files {
    folder: TempDir,
    address: SocketAddr,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self) -> PathBuf {
        self.path("output")
    }
}

impl Writer {
    fn start(command: fn(&Files) -> Command, bytes: usize, with_line_ends: bool) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let files = Files { folder: new_folder(), address };
        File::create(files.output()).unwrap();
        let mut command = command(&files);
        let mut process = Guard::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
        eventually("a program to listen", || {
            assert!(process.try_wait().is_none(), "{command:?} ended");
            is_bound(address).then_some(())
        });
        Self { process, files, bytes_each: bytes as u64 + u64::from(with_line_ends) }
    }

    fn kept(&self) -> u64 {
        fs::metadata(self.files.output()).unwrap().len() / self.bytes_each
    }
}

/// Returns whether a port is in use.
fn is_bound(address: SocketAddr) -> bool {
    let sockets = fs::read_to_string("/proc/net/udp").unwrap();
    sockets.contains(&format!(":{:04X} ", address.port()))
}

fn rsyslog(files: &Files) -> Command {
    let (port, output) = (files.address.port(), files.output());
    let config = format!(
        r#"module(load="imudp")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="in") {{ action(type="omfile" file="{}" template="raw") }}
input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="64m" ruleset="in")
"#,
        output.display()
    );
    fs::write(files.path("conf"), config).unwrap();
    program("rsyslogd", &["-n", "-C"], &[("-f", &files.path("conf")), ("-i", &files.path("pid"))])
}

fn nc(files: &Files) -> Command {
    let mut command = Command::new("nc");
    command.args(["-k", "-l", "-u", "127.0.0.1", &files.address.port().to_string()]);
    command.stdout(File::create(files.output()).unwrap());
    command
}

fn python(files: &Files) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON, &files.address.port().to_string()]).arg(files.output());
    command
}

fn program(name: &str, flags: &[&str], paths: &[(&str, &Path)]) -> Command {
    // Daemons are in folders that the `PATH` of ordinary users lacks.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(name);
    command.env("PATH", path).args(flags);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command
}
