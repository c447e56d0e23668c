//! What becomes known while a message is sent: reports about earlier ones.

use std::sync::Arc;

use tokio::time::sleep_until;

use crate::net::reports::{SendReports, without_this_host};
use crate::net::socket::Listener;
use crate::state::Daemon;

/// Queues what was learned. Where the error queue was switched on, starts the task that switches it off.
pub(super) fn learn(daemon: &Daemon, listener: &Arc<Listener>, learned: SendReports) {
    if !learned.bounces.is_empty() {
        daemon.queue.bounced(without_this_host(learned.bounces, &daemon.addresses));
    }
    if learned.has_begun {
        let (listener, queue, addresses) =
            (Arc::clone(listener), Arc::clone(&daemon.queue), Arc::clone(&daemon.addresses));
        tokio::spawn(async move {
            // A timer that exists only meanwhile: an idle daemon makes no system call.
            while let Some(end) = listener.reports.ends_at() {
                sleep_until(end.into()).await;
                queue.bounced(without_this_host(listener.end_reports(), &addresses));
            }
        });
    }
}
