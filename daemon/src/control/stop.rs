//! The method `stop`: stops the daemon, as SIGTERM does.

use tracing::info;

use crate::daemon::Daemon;

pub(super) fn call(daemon: &Daemon) {
    info!("asked to stop through the control socket");
    daemon.stop();
}
