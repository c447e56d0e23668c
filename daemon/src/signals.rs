//! What the system says to the daemon, by signals, and what it hears of it, through the service manager.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::service::systemd;
use crate::service::watchdog::Watchdog;
use crate::state::Daemon;

/// The signals that the daemon obeys.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Catches the signals from now on; they are obeyed once the daemon runs, so that one which comes while it starts neither
    /// leaves something half done nor gets lost. To be called within the runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
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

/// Obeys signals until the daemon stops: SIGTERM and SIGINT stop it, SIGHUP reads the configuration again.
pub(crate) fn obey(mut signals: Signals, daemon: Arc<Daemon>) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => info!("SIGTERM: stopping"),
                _ = signals.interrupt.recv() => info!("SIGINT: stopping"),
                _ = signals.hang_up.recv() => {
                    let daemon = Arc::clone(&daemon);
                    // The outcome is in the log. Other signals are not kept waiting for it.
                    drop(tokio::task::spawn_blocking(move || daemon.reload().is_ok()));
                    continue;
                }
            }
            daemon.stop();
        }
    });
}

/// Keeps the service manager up to date until the daemon stops: that it serves, how it is, and that it makes progress.
pub(crate) async fn report(daemon: Arc<Daemon>, watchdog: Watchdog) {
    let mut problems = daemon.health.changes();
    let told = Mutex::new(condition(&daemon));
    systemd::ready(&told.lock().unwrap_or_else(PoisonError::into_inner));
    let tell_if_new = || {
        let now = condition(&daemon);
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if now != *told {
            systemd::status(&now);
            *told = now;
        }
    };
    let follow = async {
        while problems.changed().await.is_ok() {
            tell_if_new();
        }
    };
    // The counters are brought up to date where something wakes the process anyway.
    tokio::join!(watchdog.feed(tell_if_new), follow);
}

/// Says in a line how the daemon is.
fn condition(daemon: &Daemon) -> String {
    let listen: Vec<_> = daemon.listeners.iter().map(|listener| listener.local.to_string()).collect();
    let totals = daemon.queue.counters_with(|| 0);
    let lost = totals.kernel_drops + totals.dropped.queue_full;
    let counters = format!("{} messages stored, {lost} lost", totals.stored);
    let text = match daemon.health.problems().as_slice() {
        [] => format!("Receiving on {}: {counters}", listen.join(" ")),
        [problem] => format!("Degraded: {problem} ({counters})"),
        [problem, others @ ..] => format!("Degraded: {problem}, and {} more ({counters})", others.len()),
    };
    udpchat_api::safe::one_line(&text).into_owned()
}
