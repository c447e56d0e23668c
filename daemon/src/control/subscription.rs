//! A follower with its own cursor, which `subscribe` starts and `unsubscribe` ends.
//!
//! Nothing is queued for it: it reads the inbox from its cursor on. One that stops reading costs a connection and a page,
//! delays no other client and misses nothing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use udpchat_api::call::ENTRY_NOTIFICATION;
use udpchat_api::line::to_line;
use udpchat_api::rpc::Version;
use udpchat_api::{Entry, ErrorObject, MAX_LINE_BYTES};

use super::entry::Viewer;
use super::memory::{Account, Charge};
use super::outlet::Outlet;
use super::query::Query;
use super::reading;
use crate::inbox::reader::{Range, Reader};
use crate::state::Daemon;

/// How much is read at once for a follower, in bytes of lines; the last entry may exceed it. A follower that does not read
/// holds no more memory.
const PAGE_BYTES: usize = 64 * 1024;

/// How much memory reading a page takes at most, in bytes: its last entry and its line, beside the other lines.
const PAGE_MEMORY_BYTES: usize = PAGE_BYTES + 3 * MAX_LINE_BYTES;

/// How long to wait after the inbox could not be read.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// A running subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    cancel: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Subscription {
    /// Starts to write entries.
    pub(super) fn start(daemon: Arc<Daemon>, account: Arc<Account>, query: Query, outlet: Outlet) -> Self {
        let (cancel, cancelled) = watch::channel(false);
        let task = tokio::spawn(feed(daemon, account, Arc::new(query), outlet, cancelled));
        Self { cancel, task }
    }

    /// Ends it between two lines.
    pub(super) async fn end(self) {
        self.cancel.send_replace(true);
        // A task that panicked has ended too.
        let _ended = self.task.await;
    }

    /// Ends it anywhere, even within a line: the connection is over.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

async fn feed(
    daemon: Arc<Daemon>,
    account: Arc<Account>,
    query: Arc<Query>,
    outlet: Outlet,
    mut cancelled: watch::Receiver<bool>,
) {
    let mut commits = daemon.commits.clone();
    let mut cursor = query.range.after;
    loop {
        let newest = commits.see().newest_id;
        while cursor < newest {
            if *cancelled.borrow() {
                return;
            }
            let Ok(((lines, read_to), _memory)) = page(&daemon, &account, &query, cursor).await else {
                // The status and the log report it, or other clients use the memory. No entry is skipped.
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            };
            if read_to == cursor && lines.is_empty() {
                // It waits for entries that a recovery has still to bring.
                break;
            }
            cursor = read_to;
            if !lines.is_empty() && outlet.write(&lines).await.is_err() {
                return;
            }
        }
        tokio::select! {
            open = commits.changed() => if !open { return },
            _ = cancelled.changed() => return,
        }
    }
}

/// Returns the next entries as lines with the cursor behind them, and the memory that the lines take.
async fn page(
    daemon: &Arc<Daemon>,
    account: &Arc<Account>,
    query: &Arc<Query>,
    cursor: u64,
) -> Result<((Vec<u8>, u64), Charge), ErrorObject> {
    let (viewer, query) = (Viewer::of(daemon), Arc::clone(query));
    let bytes = PAGE_MEMORY_BYTES + query.matcher_bytes();
    let read = move |reader: &Reader| {
        let (mut lines, mut matcher) = (Vec::new(), query.matcher());
        // Behind its beginning, a follower has seen what was there.
        let removed = query.range.removed || cursor > query.range.after;
        let range = Range { after: cursor, removed, ..query.range.clone() };
        let visit = |stored| {
            if let Some(entry) = matcher.matching(&viewer, stored) {
                lines.extend(notification(&entry));
            }
            if lines.len() < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        // One window at a time, so that a cancellation is noticed.
        let scanned = reader.scan(&range, visit, || false)?;
        lines.shrink_to_fit();
        Ok((lines, scanned.cursor))
    };
    let (page, mut memory, _running) = reading::read(daemon, account, bytes, read).await?;
    memory.shrink_to(page.0.len());
    Ok((page, memory))
}

fn notification(entry: &Entry) -> Vec<u8> {
    #[derive(Serialize)]
    struct Notification<'a> {
        jsonrpc: Version,
        method: &'static str,
        params: &'a Entry,
    }
    let notification = Notification { jsonrpc: Version::V2, method: ENTRY_NOTIFICATION, params: entry };
    // Strings and numbers: serialising them cannot fail.
    to_line(&notification).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::rpc::Reply;

    #[test]
    fn a_notification_holds_an_entry() {
        let gap = Entry::Gap(udpchat_api::Gap {
            id: 1,
            at: udpchat_api::Timestamp::UNIX_EPOCH,
            lost: 2,
            reason: "queue_full".to_owned(),
            first_id: None,
            peer: None,
            name: None,
        });
        let reply: Reply = serde_json::from_slice(&notification(&gap)).unwrap();
        assert_eq!(reply.method.as_deref(), Some("entry"));
        assert_eq!(serde_json::from_value::<Entry>(reply.params.unwrap()).unwrap(), gap);
    }
}
