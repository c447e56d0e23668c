//! Why nothing arrives: what the daemon and this machine tell, turned into findings.
//!
//! [`gather`] collects the facts and judges nothing. Each other file looks at one thing, and is a function from facts to
//! findings. Nothing is sent to anybody else, and nothing is changed.

mod access;
mod buffer;
mod clock;
mod daemon;
mod disk;
mod firewall;
pub(crate) mod gather;
mod groups;
mod inbox;
mod listen;
mod network;
mod peer;
mod port;
pub(crate) mod render;
pub(crate) mod run;
mod self_test;
#[cfg(test)]
mod testing;
mod traffic;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use udpchat_api::call::{SelfTest, Status};
use udpchat_api::{ErrorObject, Timestamp};

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    #[serde(rename = "ok")]
    Fine,
    /// It may be in the way.
    Warning,
    /// It is in the way.
    Problem,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What was looked at, in a word.
    pub(crate) topic: &'static str,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Finding {
    fn new(level: Level, topic: &'static str, seen: impl Into<String>) -> Self {
        Self { level, topic, seen: seen.into(), hint: None }
    }

    fn ok(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Fine, topic, seen)
    }

    fn warning(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Warning, topic, seen)
    }

    fn problem(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Problem, topic, seen)
    }

    /// Says what to do.
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// All that is known when it is judged.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) daemon: daemon::Reach,
    /// Where the configuration has a daemon listen, or why it is refused. Looked at only where no daemon answers.
    pub(crate) configured: Result<Vec<SocketAddr>, String>,
    /// The UDP sockets of this machine.
    pub(crate) sockets: Vec<port::UdpSocket>,
    pub(crate) interfaces: Vec<network::Interface>,
    /// Whether the kernel is told to do without IPv6.
    pub(crate) ipv6_disabled: bool,
    /// `net.core.rmem_max`, in bytes.
    pub(crate) rmem_max: Option<u64>,
    pub(crate) firewalls: Vec<firewall::Firewall>,
    /// Whether something keeps the clock right, where that is known.
    pub(crate) clock_synchronised: Option<bool>,
    pub(crate) disk: Option<disk::Disk>,
    /// The peer that was asked about.
    pub(crate) peer: Option<peer::PeerFacts>,
}

impl Facts {
    fn status(&self) -> Option<&Status> {
        match &self.daemon {
            daemon::Reach::Reached(reached) => Some(&reached.status),
            daemon::Reach::NotReached { .. } => None,
        }
    }

    fn self_tests(&self) -> Option<&[SelfTest]> {
        match &self.daemon {
            daemon::Reach::Reached(reached) => reached.self_tests.as_deref(),
            daemon::Reach::NotReached { .. } => None,
        }
    }

    fn self_test_refused(&self) -> Option<&ErrorObject> {
        match &self.daemon {
            daemon::Reach::Reached(reached) => reached.self_test_refused.as_ref(),
            daemon::Reach::NotReached { .. } => None,
        }
    }

    /// Returns where the daemon listens, or would.
    pub(crate) fn listen(&self) -> &[SocketAddr] {
        match self.status() {
            Some(status) => &status.listen,
            None => self.configured.as_deref().unwrap_or_default(),
        }
    }

    /// Counts the datagrams of others that came in: not what we have sent to groups, and what came back.
    fn received_of_others(status: &Status) -> u64 {
        status.received.datagrams.saturating_sub(status.dropped.own)
    }

    /// Returns the ports that are listened on, each once.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> =
            self.listen().iter().map(SocketAddr::port).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Judges everything, in the order in which a datagram goes: from the daemon's being there to the inbox.
pub(crate) fn examine(facts: &Facts) -> Vec<Finding> {
    let parts: [fn(&Facts) -> Vec<Finding>; 14] = [
        daemon::findings,
        port::findings,
        listen::findings,
        network::findings,
        firewall::findings,
        groups::findings,
        self_test::findings,
        access::findings,
        buffer::findings,
        traffic::findings,
        inbox::findings,
        disk::findings,
        clock::findings,
        peer::findings,
    ];
    parts.iter().flat_map(|part| part(facts)).collect()
}

/// Shows a path.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A path that was tried, and what was there.
pub(crate) type Tried = (PathBuf, String);
