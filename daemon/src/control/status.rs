//! The method `status`: the daemon's state and counters.

use std::sync::Arc;

use udpchat_api::DEFAULT_CONSUMER;
use udpchat_api::call::{InboxStatus, ReceiveBuffer, State, Status};

use crate::daemon::Daemon;

pub(super) async fn call(daemon: &Arc<Daemon>) -> Status {
    let inbox = daemon
        .read(|reader| {
            let bounds = reader.bounds()?;
            Ok(InboxStatus {
                entries: bounds.entries(),
                oldest_id: bounds.oldest,
                newest_id: bounds.newest,
                bytes: reader.size_bytes(),
                unread: reader.unread(reader.read_mark(DEFAULT_CONSUMER)?)?,
            })
        })
        .await;
    let mut problems = daemon.health.problems();
    let inbox = inbox.unwrap_or_else(|error| {
        problems.push(error.message);
        InboxStatus::default()
    });
    let settings = &daemon.boot;
    // First the counter of the kernel, then the books: what moves between the two is seen at least once.
    let new_drops: u64 = daemon.listeners.iter().map(|listener| listener.drops.new_ones()).sum();
    let books = daemon.queue.books();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: daemon.started,
        state: if problems.is_empty() { State::Ok } else { State::Degraded },
        problems,
        listen: daemon.listeners.iter().map(|listener| listener.local).collect(),
        socket: settings.socket.value.clone(),
        data_dir: settings.data_dir.value.clone(),
        receive_buffer: ReceiveBuffer {
            asked: settings.receive_buffer.bytes(),
            granted: daemon.listeners.iter().map(|listener| listener.granted_bytes).min().unwrap_or(0),
        },
        received: books.received,
        stored: books.stored,
        queued: books.queued(),
        kernel_drops: books.kernel_drops + new_drops,
        dropped: books.dropped,
        sent: books.sent,
        inbox,
    }
}
