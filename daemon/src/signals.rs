//! Signals: SIGTERM and SIGINT stop the daemon, SIGHUP reloads its configuration, and SIGXFSZ is caught so that a file size
//! limit (setrlimit(2)) is an error of a write and not the end of the process. Unix only.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::state::Daemon;

/// The signals that the daemon handles.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Never waited for: that it is caught is enough.
    _file_size: Signal,
}

impl Signals {
    /// Catches the signals from now on. They are handled once the daemon runs, so that one during the start neither interrupts
    /// it half-way nor gets lost. Must be called within the runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(nix::libc::SIGXFSZ))?,
        })
    }

    /// Waits for any of them.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Handles signals until the daemon stops.
pub(crate) fn handle(mut signals: Signals, daemon: Arc<Daemon>) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => info!("SIGTERM: stopping"),
                _ = signals.interrupt.recv() => info!("SIGINT: stopping"),
                _ = signals.hang_up.recv() => {
                    let daemon = Arc::clone(&daemon);
                    // The outcome is logged. Other signals do not wait for it.
                    drop(tokio::task::spawn_blocking(move || daemon.reload().is_ok()));
                    continue;
                }
            }
            daemon.stop();
        }
    });
}
