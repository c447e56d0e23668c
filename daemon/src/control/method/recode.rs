//! The method `recode`: sets the encoding in which stored messages are read.
//!
//! A call is a bounded step: it searches the log for half a second at most, and the writer changes at most as many messages
//! as one transaction may. The client continues from the cursor until there are no more.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use udpchat_api::call::{DirectionFilter, InboxParams, Reading, RecodeAnswer, RecodeParams, Recoded};
use udpchat_api::{Entry, ErrorKind, ErrorObject};
use udpchat_config::Encoding;

use crate::control::context::Context;
use crate::control::entry::Viewer;
use crate::control::query::{Matcher, Query};
use crate::inbox::entry::{Body, Stored};
use crate::inbox::queue::{RECORD_WAIT, RecodeItem};
use crate::inbox::reader::Reader;
use crate::inbox::writer::recode::MAX_RECODED_PER_COMMIT;
use crate::state::Daemon;

/// How long a step may search matching messages.
const SCAN_TIME: Duration = Duration::from_millis(500);

/// How many messages a dry run shows, and how many characters of each.
const MAX_EXAMPLES: usize = 5;
const MAX_EXAMPLE_CHARACTERS: usize = 200;

/// How much memory a search takes, in bytes: an entry in two readings, the examples, and what is to be changed.
const SEARCH_MEMORY_BYTES: usize = 1024 * 1024;

/// The name that removes an encoding set before.
const AUTO: &str = "auto";

pub(super) async fn call(context: &mut Context, params: RecodeParams) -> Result<RecodeAnswer, ErrorObject> {
    let encoding = encoding(&params.encoding)?;
    let grep = context.pattern(params.grep.as_deref()).await?;
    let daemon = Arc::clone(context.daemon());
    let mut query = Query::of_inbox(&filters(&params), grep, &daemon.peers.configured())?;
    // A gap has no text.
    query.range.gaps = false;
    let (dry_run, remember) = (params.dry_run, params.remember);
    let viewer = Viewer::of(&daemon);
    daemon.recovered_behind(query.range.after).await;
    let bytes = SEARCH_MEMORY_BYTES + query.matcher_bytes();
    let read = move |reader: &Reader| {
        let (matcher, began) = (query.matcher(), Instant::now());
        let mut search = Search { viewer, matcher, encoding, dry_run, remember, found: Found::default() };
        let visit = |stored| search.visit(stored, began);
        let scanned = reader.scan(&query.range, visit, || began.elapsed() <= SCAN_TIME)?;
        Ok((search.found, scanned))
    };
    let (found, scanned) = context.read(bytes, read).await?;
    let (peers, configured) = to_remember(&daemon, found.peers, encoding);
    let (mut recoded, mut remembered) = (found.recoded, 0);
    if !dry_run {
        remembered = peers.len() as u64;
        recoded = write(&daemon, RecodeItem { ids: found.ids, encoding, peers, stored: None }).await?;
    }
    let (matched, examples) = (found.matched, found.examples);
    let (next, more) = (scanned.cursor, scanned.more);
    let answer = RecodeAnswer { recoded, matched, remembered, configured, next, more, examples };
    if !dry_run {
        let encoding = encoding.map_or_else(|| AUTO.to_owned(), |encoding| encoding.to_string());
        context.control.audit.recoded(&context.client, &encoding, &answer).await;
    }
    Ok(answer)
}

/// Returns the peers of which an encoding is to be remembered, and the names of those whose encoding is configured, which decides.
fn to_remember(
    daemon: &Daemon,
    mut peers: HashSet<SocketAddr>,
    encoding: Option<Encoding>,
) -> (Vec<SocketAddr>, Vec<String>) {
    let (known, mut configured) = (daemon.peers.configured(), BTreeSet::new());
    peers.retain(|peer| {
        let named = known.of(*peer).filter(|named| named.encoding.is_some());
        configured.extend(named.map(|named| named.name.to_owned()));
        // What was remembered before the configuration decided can be forgotten.
        (named.is_none() || encoding.is_none()) && !daemon.peers.is_given(*peer, encoding)
    });
    (peers.into_iter().collect(), configured.into_iter().collect())
}

/// Parses the encoding; none means `auto`.
fn encoding(name: &str) -> Result<Option<Encoding>, ErrorObject> {
    if name == AUTO {
        return Ok(None);
    }
    name.parse::<Encoding>().map(|encoding| Some(encoding.for_reading())).map_err(|error| {
        ErrorObject::new(ErrorKind::InvalidParams, format!("`as`: {error}")).hint_if(error.hint())
    })
}

fn filters(params: &RecodeParams) -> InboxParams {
    InboxParams {
        after: params.after,
        before: params.before,
        from: params.from.clone(),
        not_from: params.not_from.clone(),
        direction: Some(params.direction.unwrap_or(DirectionFilter::In)),
        since: params.since.clone(),
        until: params.until.clone(),
        contains: params.contains.clone(),
        ..InboxParams::default()
    }
}

/// Has the writer change what was found, and waits until it is committed; returns how many messages still existed.
async fn write(daemon: &Daemon, mut item: RecodeItem) -> Result<u64, ErrorObject> {
    if item.ids.is_empty() && item.peers.is_empty() {
        return Ok(0);
    }
    let (stored, done) = oneshot::channel();
    item.stored = Some(stored);
    let unavailable = || {
        ErrorObject::new(ErrorKind::InboxUnavailable, "the inbox cannot be changed now")
            .hint("`udpchatctl status` shows the problem")
    };
    daemon.queue.recode(Box::new(item)).map_err(|_| unavailable())?;
    daemon.recorded(done, tokio::time::Instant::now() + RECORD_WAIT).await.ok_or_else(unavailable)
}

/// Searches the messages that are to be changed.
struct Search {
    viewer: Viewer,
    matcher: Matcher,
    encoding: Option<Encoding>,
    dry_run: bool,
    remember: bool,
    found: Found,
}

#[derive(Default)]
struct Found {
    matched: u64,
    recoded: u64,
    /// The messages that are to be changed; empty in a dry run.
    ids: Vec<u64>,
    /// The senders of the matching messages, if the encoding is to be remembered for them.
    peers: HashSet<SocketAddr>,
    examples: Vec<Recoded>,
}

impl Search {
    fn visit(&mut self, stored: Stored, began: Instant) -> ControlFlow<()> {
        let (id, is_same) = (stored.id, stored.recoded == self.encoding);
        let sender = match &stored.body {
            Body::Received { peer, .. } if self.remember => Some(*peer),
            _ => None,
        };
        let is_shown = self.dry_run && !is_same && self.found.examples.len() < MAX_EXAMPLES;
        let otherwise = is_shown.then(|| Stored { recoded: self.encoding, ..stored.clone() });
        if let Some(entry) = self.matcher.matching(&self.viewer, stored) {
            let found = &mut self.found;
            found.matched += 1;
            found.peers.extend(sender);
            if !is_same {
                found.recoded += 1;
                if !self.dry_run {
                    found.ids.push(id);
                }
            }
            let after = otherwise.map(|stored| self.viewer.entry(stored));
            self.found.examples.extend(after.and_then(|after| example(&entry, &after)));
        }
        let found = &self.found;
        let is_full =
            found.ids.len() >= MAX_RECODED_PER_COMMIT || found.peers.len() >= MAX_RECODED_PER_COMMIT;
        if is_full || began.elapsed() > SCAN_TIME {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn example(before: &Entry, after: &Entry) -> Option<Recoded> {
    Some(Recoded { id: before.id(), before: reading(before)?, after: reading(after)? })
}

fn reading(entry: &Entry) -> Option<Reading> {
    let Entry::Message(message) = entry else { return None };
    Some(Reading {
        text: message.text.chars().take(MAX_EXAMPLE_CHARACTERS).collect(),
        encoding: message.encoding.clone(),
        encoding_by: message.encoding_by,
    })
}
