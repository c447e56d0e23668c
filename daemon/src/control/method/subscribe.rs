//! The methods `subscribe` and `unsubscribe`: a follower with a cursor of its own.
//!
//! Nothing is queued for it. It reads the inbox at its own pace from where it stands, so one that stops reading
//! costs a connection and a page, stalls nobody and misses nothing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use udpchat_api::ErrorObject;
use udpchat_api::call::{ENTRY_NOTIFICATION, SubscribeAnswer, SubscribeParams};
use udpchat_api::line::to_line;
use udpchat_api::rpc::Version;

use super::query::Query;
use crate::control::session::Outlet;
use crate::state::Daemon;
use crate::view::Viewer;

/// How much is read at once for a follower, in bytes of lines, one entry more or less. All that a stuck one holds.
const PAGE_BYTES: usize = 64 * 1024;

/// How long to wait after the inbox could not be read.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// A running subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    cancel: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Subscription {
    /// Checks the parameters; what it returns begins to run when its turn comes.
    pub(crate) fn prepare(
        daemon: &Arc<Daemon>,
        params: &SubscribeParams,
    ) -> Result<(SubscribeAnswer, Query), ErrorObject> {
        let mut query = Query::of_subscribe(params, &daemon.peers.configured())?;
        let after = params.after.unwrap_or_else(|| daemon.commits.now().newest_id);
        query.range.after = after;
        Ok((SubscribeAnswer { after }, query))
    }

    /// Begins to write entries.
    pub(crate) fn begin(daemon: Arc<Daemon>, query: Query, outlet: Outlet) -> Self {
        let (cancel, cancelled) = watch::channel(false);
        let task = tokio::spawn(feed(daemon, Arc::new(query), outlet, cancelled));
        Self { cancel, task }
    }

    /// Ends it between two lines.
    pub(crate) async fn end(self) {
        self.cancel.send_replace(true);
        // It ends by itself; if it panicked, it has ended too.
        let _ended = self.task.await;
    }

    /// Ends it anywhere: the connection is over.
    pub(crate) fn abandon(&self) {
        self.task.abort();
    }
}

async fn feed(daemon: Arc<Daemon>, query: Arc<Query>, outlet: Outlet, mut cancelled: watch::Receiver<bool>) {
    let mut commits = daemon.commits.clone();
    let mut cursor = query.range.after;
    loop {
        let newest = commits.see().newest_id;
        while cursor < newest {
            if *cancelled.borrow() {
                return;
            }
            let Ok((lines, read_to)) = page(&daemon, &query, cursor).await else {
                // It is in the status and in the log. What cannot be read now is not passed over.
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            };
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

/// Reads the next entries as lines, and how far that was.
async fn page(daemon: &Arc<Daemon>, query: &Arc<Query>, cursor: u64) -> Result<(Vec<u8>, u64), ErrorObject> {
    let (viewer, query) = (Viewer::of(daemon), Arc::clone(query));
    daemon
        .read(move |reader| {
            let mut lines = Vec::new();
            let range = crate::inbox::reader::Range { after: cursor, ..query.range.clone() };
            let visit = |stored| {
                let entry = viewer.entry(stored);
                if query.wants(&entry) {
                    lines.extend(notification(&entry));
                }
                if lines.len() < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            // One window at a time, so that cancelling is noticed.
            let scanned = reader.scan(&range, visit, || false)?;
            Ok((lines, scanned.cursor))
        })
        .await
}

fn notification(entry: &udpchat_api::Entry) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Notification<'a> {
        jsonrpc: Version,
        method: &'static str,
        params: &'a udpchat_api::Entry,
    }
    let notification = Notification { jsonrpc: Version::V2, method: ENTRY_NOTIFICATION, params: entry };
    // Entries are plain data: serialising them cannot fail.
    to_line(&notification).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpchat_api::rpc::Reply;

    #[test]
    fn a_notification_is_an_entry_under_its_method() {
        let gap = udpchat_api::Entry::Gap(udpchat_api::Gap {
            id: 1,
            at: udpchat_api::Timestamp::UNIX_EPOCH,
            lost: 2,
            reason: "queue_full".to_owned(),
        });
        let reply: Reply = serde_json::from_slice(&notification(&gap)).unwrap();
        assert_eq!(reply.method.as_deref(), Some("entry"));
        assert_eq!(serde_json::from_value::<udpchat_api::Entry>(reply.params.unwrap()).unwrap(), gap);
    }
}
