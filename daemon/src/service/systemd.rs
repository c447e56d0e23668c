//! The service manager that may have started the process: the sockets that it hands over, and what it is told.
//!
//! The protocol is that of systemd, sd_listen_fds(3) and sd_notify(3), which others speak too. Where nobody asked for
//! it, nothing here does anything.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use sd_notify::NotifyState;
use socket2::{Domain, SockRef, Type};

/// How much longer a start may take, from each [`still_starting`] on.
const START_EXTENSION: Duration = Duration::from_secs(30);

/// The sockets that were bound before the process began, and that outlive it.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Where to receive.
    pub(crate) udp: Vec<UdpSocket>,
    /// Where to take commands.
    pub(crate) control: Option<UnixListener>,
}

/// Why the sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    #[error("the service manager hands over sockets in a way that makes no sense (LISTEN_PID, LISTEN_FDS)")]
    Malformed,
    #[error("the service manager hands over {name}, which is {what}")]
    Unusable { name: String, what: &'static str },
    #[error("cannot use {name}, which the service manager hands over")]
    Io { name: String, source: io::Error },
}

impl InheritError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Unusable { .. }).then_some(
            "a socket unit of udpchatd has ListenDatagram= with UDP addresses, and one ListenStream= with a path",
        )
    }
}

impl Inherited {
    /// Takes the sockets of this process. To be called once, before anything else opens a file.
    pub(crate) fn take() -> Result<Self, InheritError> {
        let mut inherited = Self::default();
        let handed_over = sd_listen_fds::get().map_err(|_| InheritError::Malformed)?;
        for (number, (name, fd)) in handed_over.into_iter().enumerate() {
            let name = match name {
                Some(name) => format!("socket {} ({name})", number + 1),
                None => format!("socket {}", number + 1),
            };
            inherited.sort_in(&name, fd.into_std())?;
        }
        Ok(inherited)
    }

    fn sort_in(&mut self, name: &str, fd: OwnedFd) -> Result<(), InheritError> {
        let unusable = |what| Err(InheritError::Unusable { name: name.to_owned(), what });
        let failed = |source| InheritError::Io { name: name.to_owned(), source };
        // It came over an exec, and is not to go over another.
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|error| failed(error.into()))?;
        let socket = SockRef::from(&fd);
        let (kind, family) = match (socket.r#type(), socket.local_addr()) {
            (Ok(kind), Ok(address)) => (kind, address.domain()),
            (Err(_), _) => return unusable("not a socket"),
            (_, Err(error)) => return Err(failed(error)),
        };
        match kind {
            Type::DGRAM if [Domain::IPV4, Domain::IPV6].contains(&family) => self.udp.push(fd.into()),
            Type::STREAM if family == Domain::UNIX && self.control.is_some() => {
                return unusable("a second control socket");
            }
            Type::STREAM if family == Domain::UNIX => self.control = Some(fd.into()),
            _ => return unusable("neither a UDP socket nor a Unix socket for connections"),
        }
        Ok(())
    }
}

/// Tells that the daemon serves, and how it is.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells how the daemon is, in one line for people.
pub(crate) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells that the start takes its time, and goes on.
pub(crate) fn still_starting() {
    let extension = u32::try_from(START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(extension)]);
}

/// Tells that the configuration is read again; [`reloaded`] is to follow.
pub(crate) fn reloading() {
    // The time lets the manager tell which reload is over (from systemd 253 on it insists).
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells that the reload is over, however it went.
pub(crate) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the daemon is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stopping: storing what was received")]);
}

/// Tells that the daemon makes progress.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Returns within which time [`alive`] is to be told, if at all.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        // What the manager makes of the silence is its business; the daemon serves without it.
        tracing::debug!("cannot tell the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn sorted(fd: impl Into<OwnedFd>) -> Result<Inherited, String> {
        let mut inherited = Inherited::default();
        let sorted = inherited.sort_in("socket 1 (udpchatd.socket)", fd.into());
        sorted.map(|()| inherited).map_err(|error| error.to_string())
    }

    #[test]
    fn sockets_are_told_by_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert_eq!(sorted(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap().udp.len(), 1);
        assert_eq!(sorted(UdpSocket::bind("[::1]:0").unwrap()).unwrap().udp.len(), 1);
        assert!(sorted(UnixListener::bind(path).unwrap()).unwrap().control.is_some());
    }

    #[test]
    fn what_is_no_use_is_refused_by_name() {
        let tcp = sorted(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap_err();
        assert!(tcp.contains("socket 1 (udpchatd.socket), which is neither"), "{tcp}");
        let file = sorted(tempfile::tempfile().unwrap()).unwrap_err();
        assert!(file.contains("not a socket"), "{file}");
    }

    #[test]
    fn there_is_one_control_socket() {
        let folder = tempfile::tempdir().unwrap();
        let listener = |name| UnixListener::bind(folder.path().join(name)).unwrap().into();
        let mut inherited = Inherited::default();
        inherited.sort_in("1", listener("a")).unwrap();
        assert!(inherited.sort_in("2", listener("b")).is_err());
    }
}
