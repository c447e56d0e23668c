//! What the system says to the daemon: signals.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::daemon::Daemon;

/// Obeys signals until the daemon stops: SIGTERM and SIGINT stop it, SIGHUP reads the configuration again.
pub(crate) fn obey_signals(daemon: Arc<Daemon>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM: stopping"),
                _ = interrupt.recv() => info!("SIGINT: stopping"),
                _ = hang_up.recv() => {
                    let daemon = Arc::clone(&daemon);
                    // The outcome is in the log. Other signals are not kept waiting for it.
                    drop(tokio::task::spawn_blocking(move || daemon.reload().is_ok()));
                    continue;
                }
            }
            daemon.stop();
        }
    });
    Ok(())
}
