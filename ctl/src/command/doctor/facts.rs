//! The facts that the findings are based on: of the daemon and of the machine, independent of the platform.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use udpchat_api::call::{SelfTest, Status};
use udpchat_api::{ErrorObject, Message, Timestamp};
use udpchat_locale::tr;

use crate::output::local_time;

/// Everything that is known before the checks.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    /// The time zone in which times are shown.
    pub(crate) zone: TimeZone,
    pub(crate) daemon: Reach,
    /// How the process of the daemon that answers runs.
    pub(crate) running: Running,
    /// Whether the daemon is known to run in another network namespace.
    pub(crate) is_network_foreign: bool,
    /// What a daemon of this user would use, or why the configuration is invalid. Read only if no daemon answers, and none
    /// refuses this user.
    pub(crate) configured: Result<Configured, Unusable>,
    /// The UDP sockets of this machine.
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) interfaces: Vec<Interface>,
    /// Whether IPv6 is disabled in the kernel.
    pub(crate) ipv6_disabled: bool,
    /// `net.core.rmem_max`, in bytes.
    pub(crate) rmem_max: Option<u64>,
    pub(crate) firewalls: Vec<Firewall>,
    /// Whether the clock is synchronised; none if unknown.
    pub(crate) clock_synchronised: Option<bool>,
    pub(crate) disk: Option<Disk>,
    /// The last message in the inbox that was received. Searched only if none arrived since the start.
    pub(crate) last_received: Newest,
    /// The peer given on the command line.
    pub(crate) peer: Option<PeerFacts>,
}

impl Facts {
    pub(super) fn status(&self) -> Option<&Status> {
        match &self.daemon {
            Reach::Reached(reached) => Some(&reached.status),
            Reach::NotReached { .. } => None,
        }
    }

    pub(super) fn self_tests(&self) -> Option<&[SelfTest]> {
        match &self.daemon {
            Reach::Reached(reached) => reached.self_tests.as_deref(),
            Reach::NotReached { .. } => None,
        }
    }

    pub(super) fn self_test_refused(&self) -> Option<&ErrorObject> {
        match &self.daemon {
            Reach::Reached(reached) => reached.self_test_refused.as_ref(),
            Reach::NotReached { .. } => None,
        }
    }

    /// Returns the processes of daemons that do not answer.
    pub(super) fn not_answering(&self) -> &[RunningDaemon] {
        match &self.daemon {
            Reach::Reached(_) => &[],
            Reach::NotReached { running, .. } => running,
        }
    }

    /// Returns the addresses on which the daemon listens, or would listen.
    pub(crate) fn listen(&self) -> &[SocketAddr] {
        match self.status() {
            Some(status) => &status.listen,
            None => self.configured.as_ref().map_or(&[], |configured| &configured.listen),
        }
    }

    /// Returns whether this machine has no interface with an address, so that no program can listen there.
    pub(super) fn lacks(&self, ip: IpAddr) -> bool {
        let has = |interface: &Interface| {
            interface.has(ip) || interface.broadcasts.iter().any(|broadcast| IpAddr::V4(*broadcast) == ip)
        };
        let is_of_no_interface = ip.is_unspecified() || ip.is_multicast() || ip.is_loopback();
        !is_of_no_interface && !self.interfaces.iter().any(has)
    }

    /// Shows a time.
    pub(super) fn local_time(&self, at: Timestamp) -> String {
        local_time(at, &self.zone)
    }

    /// Returns the number of datagrams received from others, without returned copies of our own multicast datagrams.
    pub(super) fn received_of_others(status: &Status) -> u64 {
        status.received.datagrams.saturating_sub(status.dropped.own)
    }

    /// Returns the ports of these addresses, each once.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.listen().iter().map(SocketAddr::port).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// How the process of a daemon runs, as far as this user sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Running {
    /// Whether the file of its program was replaced or removed since its start.
    pub(crate) is_replaced: bool,
    /// Whether the unit of the system runs it, and that of its sockets is active.
    pub(crate) has_socket_unit: bool,
    /// Whether the unit of the system runs it, and that of its sockets is not active, though it is enabled.
    pub(crate) lacks_socket_unit: bool,
}

/// Whether a daemon answers.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// A daemon answers.
    Reached(Box<Reached>),
    /// No daemon answers.
    NotReached {
        /// The sockets that were tried, and why each failed.
        tried: Vec<Tried>,
        /// The first daemon that denies access to this user.
        denied: Option<AccessDenied>,
        /// The processes named `udpchatd` that this user sees.
        running: Vec<RunningDaemon>,
        /// Whether this user sees the processes of others.
        sees_all: bool,
        /// How to start the daemon.
        start: &'static str,
    },
}

/// A process named `udpchatd`.
#[derive(Clone, Debug)]
pub(crate) struct RunningDaemon {
    pub(crate) process: Process,
    /// Where it listens for clients; none if this user may not see that.
    pub(crate) socket: Option<PathBuf>,
}

/// What a daemon of this user would use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configured {
    pub(crate) listen: Vec<SocketAddr>,
    /// The directories that this user may not use.
    pub(crate) closed: Vec<Unusable>,
}

/// Something that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// What, or why.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// A daemon that denies access to this user.
#[derive(Clone, Debug)]
pub(crate) struct AccessDenied {
    pub(crate) socket: PathBuf,
    /// Which socket, and why.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// A daemon that answers.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) status: Status,
    /// None if the daemon has no self-test or refused it.
    pub(crate) self_tests: Option<Vec<SelfTest>>,
    /// Why the daemon refused the self-test to this user.
    pub(crate) self_test_refused: Option<ErrorObject>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    /// The user that owns it.
    pub(crate) user: String,
    /// Whether that is the user who runs the checks.
    pub(crate) is_own: bool,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, pid, user, .. } = self;
        f.write_str(&tr!("{name} (pid {pid}, {user})", name, pid, user))
    }
}

/// A bound UDP socket of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UdpSocket {
    pub(crate) local: SocketAddr,
    /// The user that owns it.
    pub(crate) user: String,
    /// The process that has it open; none if it cannot be determined.
    pub(crate) holder: Option<Process>,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) is_up: bool,
    /// Whether it has a carrier: a connected cable or wireless network.
    pub(crate) is_running: bool,
    pub(crate) is_loopback: bool,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) broadcasts: Vec<Ipv4Addr>,
}

impl Interface {
    /// Returns whether it has an address.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
    }

    /// Returns its IPv6 addresses that are valid beyond the link.
    pub(crate) fn wide_ipv6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.iter().filter_map(|ip| match ip {
            IpAddr::V6(ip) if !ip.is_unicast_link_local() && !ip.is_loopback() => Some(*ip),
            _ => None,
        })
    }
}

/// A firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firewall {
    /// The name: `ufw`, `firewalld`, `nftables`, `iptables`.
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
}

/// What the rules of a firewall do with incoming datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// They reject nothing.
    Open,
    /// They reject some datagrams, and a rule allows every port of the daemon.
    AllowPort,
    /// They reject some datagrams, and a port is allowed by such a rule only, which has further conditions: of an interface or a source.
    AllowSome(String),
    /// They reject some datagrams, and no rule allows every port of the daemon.
    MayRefuse,
    /// The firewall is active, and only privileged users can read its rules.
    ActiveUnreadable,
    /// Only privileged users can see whether there are rules.
    Unreadable,
}

/// The file system of the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    /// The size of the file system, in bytes.
    pub(crate) bytes: u64,
    /// The space available to users, in bytes.
    pub(crate) free_bytes: u64,
    /// How many files can still be created; none if the file system has no such limit.
    pub(crate) free_files: Option<u64>,
    pub(crate) is_read_only: bool,
}

/// What is known about the peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerFacts {
    /// The name on the command line.
    pub(crate) name: String,
    /// The address, or why there is none.
    pub(crate) address: Result<SocketAddr, NoAddress>,
    /// Whether the address has a port of its own, not only the default one.
    pub(crate) has_port: bool,
    /// A configured peer with a port of that host, if an address without one was given.
    pub(crate) named_there: Option<(String, u16)>,
    /// The local address from which the kernel would send, or why it would not.
    pub(crate) source: Result<IpAddr, String>,
    /// Whether it answered on the link when the kernel last asked it; none if unknown, or if it is not on a local link.
    pub(crate) answers_on_link: Option<bool>,
    /// The last message to it; if it has a port, to that port.
    pub(crate) last_sent: Newest,
    /// The last message from it; if it has a port, from that port.
    pub(crate) last_heard: Newest,
    /// The last message from its host, from any port, if its own port is given.
    pub(crate) last_of_host: Newest,
}

/// Why a peer has no address.
#[derive(Clone, Debug)]
pub(crate) enum NoAddress {
    /// It has none.
    Absent(Unusable),
    /// The names of the peers are unknown, and it may be one of them.
    Hidden(Unusable),
}

/// The newest message of a peer in one direction.
#[derive(Clone, Debug)]
pub(crate) enum Newest {
    Message(Box<Message>),
    /// None is in the inbox.
    Nothing,
    /// None is among the entries from this id on; older ones were not searched.
    NothingSince(u64),
    /// The inbox could not be searched.
    Unknown(Unusable),
}

/// A path that was tried, and why no daemon answers there.
pub(crate) type Tried = (PathBuf, String);

/// Shows a path.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
