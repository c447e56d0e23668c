//! The protocol of systemd: the sockets that it passes to the process, the notifications that the process sends, and its
//! journal. Unix only.
//!
//! It is documented in sd_listen_fds(3) and sd_notify(3), and other service managers implement it too. Without the
//! environment variables of the protocol, nothing here has an effect.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use sd_notify::NotifyState;
use socket2::{Domain, SockRef, Type};

/// How much time each [`still_starting`] adds to the start.
const START_EXTENSION: Duration = Duration::from_secs(30);

/// The sockets that the service manager has bound, and that outlive the process.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Sockets for datagrams.
    pub(crate) udp: Vec<UdpSocket>,
    /// The control socket.
    pub(crate) control: Option<UnixListener>,
}

/// Describes why the sockets of the service manager cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    #[error("the service manager passes sockets with malformed LISTEN_PID or LISTEN_FDS")]
    Malformed,
    #[error("the service manager passes {0}, which is not a socket")]
    NoSocket(String),
    #[error("the service manager passes {0}, which is a second control socket")]
    SecondControl(String),
    #[error(
        "the service manager passes {0}, which is neither a UDP socket nor a Unix socket for connections"
    )]
    OfAnotherKind(String),
    #[error("cannot use {name}, which the service manager passes")]
    Io { name: String, source: io::Error },
}

impl InheritError {
    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::NoSocket(_) | Self::SecondControl(_) | Self::OfAnotherKind(_)).then_some(
            "a socket unit of udpchatd needs ListenDatagram= with UDP addresses, and at most one ListenStream= with a path",
        )
    }
}

impl Inherited {
    /// Takes the sockets that were passed to this process. Must be called once, before anything else opens a file.
    pub(crate) fn take() -> Result<Self, InheritError> {
        let mut inherited = Self::default();
        let passed = sd_listen_fds::get().map_err(|_| InheritError::Malformed)?;
        for (number, (name, fd)) in passed.into_iter().enumerate() {
            let name = match name {
                Some(name) => format!("socket {} ({name})", number + 1),
                None => format!("socket {}", number + 1),
            };
            inherited.classify(&name, fd.into_std())?;
        }
        Ok(inherited)
    }

    fn classify(&mut self, name: &str, fd: OwnedFd) -> Result<(), InheritError> {
        let failed = |source| InheritError::Io { name: name.to_owned(), source };
        // It was inherited through exec, and must not be inherited by a child.
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|error| failed(error.into()))?;
        let socket = SockRef::from(&fd);
        let (kind, family) = match (socket.r#type(), socket.local_addr()) {
            (Ok(kind), Ok(address)) => (kind, address.domain()),
            (Err(_), _) => return Err(InheritError::NoSocket(name.to_owned())),
            (_, Err(error)) => return Err(failed(error)),
        };
        match kind {
            Type::DGRAM if [Domain::IPV4, Domain::IPV6].contains(&family) => self.udp.push(fd.into()),
            Type::STREAM if family == Domain::UNIX && self.control.is_some() => {
                return Err(InheritError::SecondControl(name.to_owned()));
            }
            Type::STREAM if family == Domain::UNIX => self.control = Some(fd.into()),
            _ => return Err(InheritError::OfAnotherKind(name.to_owned())),
        }
        Ok(())
    }
}

/// Reports that the daemon serves, and a status line for people.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reports a status line for people.
pub(crate) fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// Reports that the start takes longer and makes progress.
pub(crate) fn still_starting() {
    let extension = u32::try_from(START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(extension)]);
}

/// Reports that the configuration is being reloaded. [`reloaded`] must follow.
pub(crate) fn reloading() {
    // The time stamp identifies the reload; systemd requires it since version 253.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Reports that the reload has ended, with or without success.
pub(crate) fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// Reports that the daemon is stopping.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("Stopping: storing what was received")]);
}

/// Reports that the daemon makes progress.
pub(crate) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// Returns the interval in which [`alive`] is expected, none without a watchdog.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// Returns whether standard error is the journal: then `JOURNAL_STREAM` holds its device and inode (systemd.exec(5)).
pub(crate) fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let Ok(stat) = nix::sys::stat::fstat(io::stderr()) else { return false };
    stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        // The daemon can serve without the service manager.
        tracing::debug!("cannot notify the service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn classified(fd: impl Into<OwnedFd>) -> Result<Inherited, String> {
        let mut inherited = Inherited::default();
        let result = inherited.classify("socket 1 (udpchatd.socket)", fd.into());
        result.map(|()| inherited).map_err(|error| error.to_string())
    }

    #[test]
    fn sockets_are_classified_by_type_and_family() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert_eq!(classified(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap().udp.len(), 1);
        assert_eq!(classified(UdpSocket::bind("[::1]:0").unwrap()).unwrap().udp.len(), 1);
        assert!(classified(UnixListener::bind(path).unwrap()).unwrap().control.is_some());
    }

    #[test]
    fn unusable_sockets_are_refused_by_name() {
        let tcp = classified(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap_err();
        assert!(tcp.contains("socket 1 (udpchatd.socket), which is neither"), "{tcp}");
        let file = classified(tempfile::tempfile().unwrap()).unwrap_err();
        assert!(file.contains("not a socket"), "{file}");
    }

    #[test]
    fn a_second_control_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let listener = |name| UnixListener::bind(folder.path().join(name)).unwrap().into();
        let mut inherited = Inherited::default();
        inherited.classify("1", listener("a")).unwrap();
        assert!(inherited.classify("2", listener("b")).is_err());
    }
}
