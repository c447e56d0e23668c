//! A service manager for tests: it passes sockets to daemons and receives their notifications.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{DEADLINE, Daemon, command_in, new_folder};

/// The manager. Its sockets stay open while daemons come and go.
pub(crate) struct Manager {
    folder: TempDir,
    notifications: UnixDatagram,
    pub(crate) udp: UdpSocket,
    control: UnixListener,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Makes a manager, with a UDP port of 127.0.0.1 and the control socket that tests use.
    pub(crate) fn new() -> Self {
        let folder = new_folder();
        let notifications = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notifications.set_read_timeout(Some(DEADLINE)).unwrap();
        let control = UnixListener::bind(folder.path().join("s")).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        std::fs::write(folder.path().join("config.toml"), "").unwrap();
        Self { folder, notifications, udp, control, watchdog: None }
    }

    /// Enables the watchdog with this timeout.
    pub(crate) fn with_watchdog(self, limit: Duration) -> Self {
        Self { watchdog: Some(limit), ..self }
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts a daemon with the sockets, in the manager's folder: give it back by [`Self::stopped`].
    pub(crate) fn start(&mut self, flags: &[&str]) -> Daemon {
        let mut command = self.command(flags);
        let folder = std::mem::replace(&mut self.folder, new_folder());
        Daemon::start_by(folder, &mut command)
    }

    /// Kills a daemon if it still runs, and takes its folder back for the next one.
    pub(crate) fn stopped(&mut self, daemon: Daemon) {
        self.folder = daemon.into_folder().0;
    }

    /// Prepares a daemon that gets the sockets as descriptors 3 and 4.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let daemon = command_in(self.folder());
        let mut command = Command::new("sh");
        let script = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec \"$@\"";
        command.args(["-c", script, "sh"]).arg(daemon.get_program()).args(daemon.get_args()).args(flags);
        command.env_clear().envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("LISTEN_FDS", "2").env("NOTIFY_SOCKET", self.folder().join("notify"));
        if let Some(limit) = self.watchdog {
            command.env("WATCHDOG_USEC", limit.as_micros().to_string());
        }
        command.stdin(OwnedFd::from(self.udp.try_clone().unwrap()));
        command.stdout(OwnedFd::from(self.control.try_clone().unwrap()));
        command
    }

    /// Waits for the next notification.
    #[track_caller]
    pub(crate) fn notification(&self) -> String {
        self.notification_within(DEADLINE).expect("no notification from the daemon")
    }

    /// Waits for a notification that begins so, whatever comes before it.
    #[track_caller]
    pub(crate) fn notification_starting_with(&self, text: &str) {
        while !self.notification().starts_with(text) {}
    }

    /// Waits a while for the next notification.
    pub(crate) fn notification_within(&self, time: Duration) -> Option<String> {
        self.notifications.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.notifications.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }
}
