//! The method `inbox`: a page of entries.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use udpchat_api::call::{InboxAnswer, InboxParams};
use udpchat_api::safe::json_length;
use udpchat_api::{Entry, ErrorKind, ErrorObject, MAX_LINE_BYTES};

use crate::control::context::Context;
use crate::control::entry::Viewer;
use crate::control::query::Query;
use crate::inbox::entry::Stored;
use crate::inbox::reader::{Order, Reader};

/// How many entries a page has if the client gives no limit, and at most.
const DEFAULT_ENTRIES: u32 = 200;
const MAX_ENTRIES: u32 = 1_000;

/// How long a page may take to search matching entries. It ends then, and the client continues from its cursor.
const SCAN_TIME: Duration = Duration::from_millis(500);

/// How much memory a page takes at most, in bytes: its entries and its line.
const PAGE_MEMORY_BYTES: usize = 3 * MAX_LINE_BYTES;

/// The length of a page's line without its entries, in bytes: more than any id, envelope and cursor take.
const ENVELOPE_BYTES: usize = 4 * 1024;

pub(super) async fn call(context: &mut Context, params: InboxParams) -> Result<InboxAnswer, ErrorObject> {
    let consumer = context.consumer(params.consumer.as_deref())?;
    let limit = params.limit.unwrap_or(DEFAULT_ENTRIES);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        let text = format!("`limit` must be 1 to {MAX_ENTRIES}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let grep = context.pattern(params.grep.as_deref()).await?;
    let daemon = context.daemon();
    let viewer = Viewer::of(daemon);
    let mut query = Query::of_inbox(&params, grep, &daemon.peers.configured())?;
    let from_mark = params.after.is_none() && params.consumer.is_some();
    if query.range.order == Order::Asc {
        daemon.recovered_behind(query.range.after).await;
    }
    let bytes = PAGE_MEMORY_BYTES + query.matcher_bytes();
    let read = move |reader: &Reader| {
        let read = reader.read_mark(&consumer)?;
        let mark = read.unwrap_or_default();
        if from_mark {
            query.range.after = mark;
        }
        query.range.removed |= read == Some(query.range.after);
        let (mut page, mut matcher) = (Page::new(limit as usize), query.matcher());
        let until = Instant::now() + SCAN_TIME;
        let visit = |stored: Stored| page.visit(stored.id, matcher.matching(&viewer, stored), until);
        let scanned = reader.scan(&query.range, visit, || Instant::now() <= until)?;
        let (next, more) = match page.resume_after {
            Some(cursor) => (cursor, true),
            None => (scanned.cursor, scanned.more),
        };
        let unread = reader.unread(mark)?;
        Ok(InboxAnswer { entries: page.entries, next, more, unread, consumer: Some(consumer), read })
    };
    context.read(bytes, read).await
}

/// A page that is being filled.
struct Page {
    entries: Vec<Entry>,
    limit: usize,
    bytes: usize,
    /// The cursor before an entry that was visited and did not fit.
    resume_after: Option<u64>,
    last_visited: Option<u64>,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), limit, bytes: ENVELOPE_BYTES, resume_after: None, last_visited: None }
    }

    /// Takes the entry with this id if it matches.
    fn visit(&mut self, id: u64, matching: Option<Entry>, until: Instant) -> ControlFlow<()> {
        if let Some(entry) = matching {
            let bytes = max_json_bytes(&entry);
            if !self.entries.is_empty() && self.bytes + bytes > MAX_LINE_BYTES {
                // The page is not empty, so an entry was visited before.
                self.resume_after = self.last_visited;
                return ControlFlow::Break(());
            }
            self.bytes += bytes;
            self.entries.push(entry);
        }
        self.last_visited = Some(id);
        let full = self.entries.len() >= self.limit || Instant::now() > until;
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns an upper bound of the length of an entry as JSON, in bytes. It is closer than
/// [`udpchat_api::entry::max_entry_bytes`], so that a line holds as many small entries as a page may have.
fn max_json_bytes(entry: &Entry) -> usize {
    /// The names of all fields with their punctuation, and the longest values of those with a bounded length.
    const FIELDS_BYTES: usize = 240;
    let Entry::Message(message) = entry else { return FIELDS_BYTES };
    let texts = [Some(&message.text), message.name.as_ref(), message.error.as_ref(), message.by.as_ref()];
    let texts: usize = texts.into_iter().flatten().map(|text| json_length(text)).sum();
    let addresses = max_address_bytes(Some(message.peer)) + max_address_bytes(message.local);
    FIELDS_BYTES + texts + addresses + message.raw.0.len().div_ceil(3) * 4
}

/// Returns an upper bound of the length of an address as text, in bytes.
fn max_address_bytes(address: Option<SocketAddr>) -> usize {
    match address {
        None => 0,
        Some(SocketAddr::V4(_)) => "255.255.255.255:65535".len(),
        Some(SocketAddr::V6(_)) => "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535".len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn json_never_exceeds_the_bound(text in r"(\PC|[\x00-\x9f]|一){0,300}", v6: bool) {
            let address = match v6 {
                true => "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535",
                false => "255.255.255.255:65535",
            };
            let entry: Entry = serde_json::from_value(serde_json::json!({
                "type": "message", "id": u64::MAX, "at": "2026-11-22T06:03:05.123456Z", "direction": "out",
                "peer": address, "local": address, "name": "一".repeat(64), "text": text,
                "encoding": "x-mac-cyrillic", "encoding_by": "remembered", "bytes": 65_535, "raw": "AAAA",
                "error": text, "by": "一".repeat(64),
            })).unwrap();
            // The newline counts for the comma between two entries.
            let line = udpchat_api::line::to_line(&entry).unwrap();
            proptest::prop_assert!(line.len() <= max_json_bytes(&entry));
            let close = line.len() + 6 * text.len() + 100;
            proptest::prop_assert!(max_json_bytes(&entry) <= close);
        }
    }

    #[test]
    fn a_page_of_small_entries_fits_a_line() {
        let entry: Entry = serde_json::from_value(serde_json::json!({
            "type": "message", "id": 1_000_000, "at": "2026-11-22T06:03:05.123456Z", "direction": "in",
            "peer": "192.168.100.100:10000", "local": "192.168.100.101:7788", "text": "x".repeat(100),
            "encoding": "utf-8", "encoding_by": "detected", "bytes": 100, "raw": "eHh4".repeat(34),
        }))
        .unwrap();
        assert!(ENVELOPE_BYTES + MAX_ENTRIES as usize * max_json_bytes(&entry) <= MAX_LINE_BYTES);
    }
}
