//! What becomes known while a message is sent: reports about earlier ones.

use std::sync::Arc;

use tokio::time::sleep_until;

use crate::net::interfaces::CurrentAddresses;
use crate::net::reports::{Bounce, SendReports};
use crate::net::socket::Listener;
use crate::state::Daemon;

/// Queues what was learned. Where the error queue was switched on, starts the task that switches it off.
pub(super) fn learn(daemon: &Daemon, listener: &Arc<Listener>, learned: SendReports) {
    queue(daemon, learned.bounces);
    if learned.has_begun {
        let (listener, queue, addresses) =
            (Arc::clone(listener), Arc::clone(&daemon.queue), Arc::clone(&daemon.addresses));
        tokio::spawn(async move {
            // A timer that exists only meanwhile: an idle daemon makes no system call.
            while let Some(end) = listener.reports.ends_at() {
                sleep_until(end.into()).await;
                queue.bounced(from_others(listener.end_reports(), &addresses));
            }
        });
    }
}

fn queue(daemon: &Daemon, bounces: Vec<Bounce>) {
    if !bounces.is_empty() {
        daemon.queue.bounced(from_others(bounces, &daemon.addresses));
    }
}

/// Leaves out that this host itself has reported something.
fn from_others(bounces: Vec<Bounce>, addresses: &CurrentAddresses) -> impl Iterator<Item = Bounce> {
    let local = addresses.get();
    bounces.into_iter().map(move |bounce| bounce.without_this_host(&local))
}
