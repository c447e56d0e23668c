//! The method `inbox`: a page of entries.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use udpchat_api::call::{InboxAnswer, InboxParams};
use udpchat_api::entry::most_entry_bytes;
use udpchat_api::safe::json_length;
use udpchat_api::{Entry, ErrorKind, ErrorObject, MAX_LINE_BYTES};

use super::query::{Query, consumer};
use crate::daemon::Daemon;
use crate::view::Viewer;

/// How many entries a page has if the client does not say, and at most.
const DEFAULT_ENTRIES: u32 = 200;
const MAX_ENTRIES: u32 = 1_000;

/// How long a page may look for matching entries; then it ends, and the client goes on from its cursor.
const SCAN_TIME: Duration = Duration::from_millis(500);

/// What a page's line needs besides its entries, in bytes: more than any id, envelope and cursor take.
const ENVELOPE_BYTES: usize = 4 * 1024;

pub(super) async fn call(daemon: &Arc<Daemon>, params: InboxParams) -> Result<InboxAnswer, ErrorObject> {
    let name = consumer(params.consumer.as_deref())?;
    let limit = params.limit.unwrap_or(DEFAULT_ENTRIES);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        let text = format!("`limit` must be 1 to {MAX_ENTRIES}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let viewer = Viewer::of(daemon);
    let mut query = Query::of_inbox(&params, &daemon.peers.configured())?;
    let from_mark = params.after.is_none() && params.consumer.is_some();
    daemon
        .read(move |reader| {
            let mark = reader.read_mark(&name)?;
            if from_mark {
                query.range.after = mark;
            }
            let mut page = Page::new(limit as usize);
            let visit = |stored| page.visit(viewer.entry(stored), &query);
            let began = Instant::now();
            let scanned = reader.scan(&query.range, visit, || began.elapsed() <= SCAN_TIME)?;
            let (next, more) = match page.left_for_next {
                Some(before_left) => (before_left, true),
                None => (scanned.cursor, scanned.more),
            };
            Ok(InboxAnswer { entries: page.entries, next, more, unread: reader.unread(mark)? })
        })
        .await
}

/// The page that is being filled.
struct Page {
    entries: Vec<Entry>,
    limit: usize,
    began: Instant,
    bytes: usize,
    /// The cursor that leads to an entry which was looked at and did not fit.
    left_for_next: Option<u64>,
    last_looked_at: Option<u64>,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            limit,
            began: Instant::now(),
            bytes: ENVELOPE_BYTES,
            left_for_next: None,
            last_looked_at: None,
        }
    }

    fn visit(&mut self, entry: Entry, query: &Query) -> ControlFlow<()> {
        let id = entry.id();
        if query.wants(&entry) {
            let bytes = most_bytes(&entry);
            if !self.entries.is_empty() && self.bytes + bytes > MAX_LINE_BYTES {
                // The page before this entry was not empty, so something was looked at.
                self.left_for_next = self.last_looked_at;
                return ControlFlow::Break(());
            }
            self.bytes += bytes;
            self.entries.push(entry);
        }
        self.last_looked_at = Some(id);
        let full = self.entries.len() >= self.limit || self.began.elapsed() > SCAN_TIME;
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns how many bytes an entry takes as JSON, at most.
fn most_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Gap(_) => most_entry_bytes(0, 0),
        Entry::Message(message) => most_entry_bytes(json_length(&message.text), message.raw.0.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_entry_takes_more_than_was_reckoned(text in r"(\PC|[\x00-\x9f]|一){0,300}") {
            let entry: Entry = serde_json::from_value(serde_json::json!({
                "type": "message", "id": u64::MAX, "at": "2026-11-22T06:03:05.123456Z", "direction": "in",
                "peer": "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
                "local": "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
                "name": "一".repeat(64), "text": text, "encoding": "windows-1252", "encoding_by": "remembered",
                "bytes": text.len(), "raw": "",
            })).unwrap();
            let line = udpchat_api::line::to_line(&entry).unwrap();
            proptest::prop_assert!(line.len() <= most_bytes(&entry));
        }
    }
}
