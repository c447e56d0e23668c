//! Logs each received message, up to a limit: a follower of the inbox.
//!
//! It reads at most as many messages a second as it may log, and skips the rest, so that a flood costs it nothing. The
//! number of skipped messages is exact, because the writer publishes how many it has stored.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tracing::{Level, enabled, info};
use udpchat_api::safe;
use udpchat_text::Decoded;

use crate::inbox::commit_watch::{CommitWatch, Committed};
use crate::inbox::entry::{Body, Stored};
use crate::inbox::reader::Range;
use crate::log::rate_limit::Window;
use crate::peers::{Configured, Peers};
use crate::state::Daemon;

/// How much of a message's text a line shows, in characters. Any sender could cause longer
/// lines.
const MAX_TEXT_CHARACTERS: usize = 256;

/// How many messages are read at once.
const MAX_PAGE: u32 = 64;

/// How far the log has come.
struct State {
    /// Everything up to this id is logged or skipped.
    cursor: u64,
    /// How many received messages that is, since the start of the daemon.
    accounted: u64,
    window: Window,
}

/// A message as the log shows it.
struct Line {
    id: u64,
    peer: SocketAddr,
    name: Option<String>,
    bytes: usize,
    decoded: Decoded,
}

/// Logs received messages until the inbox is closed.
pub(crate) async fn follow(daemon: Arc<Daemon>, mut commits: CommitWatch) {
    let begin = commits.see();
    let mut state = State { cursor: begin.newest_id, accounted: begin.stored, window: Window::new() };
    loop {
        let open = commits.changed().await;
        state.window.turn(Instant::now());
        state.cursor = state.cursor.max(commits.see().taken_over);
        // Without a log at this level, nothing is read.
        let limit =
            if enabled!(Level::INFO) { *daemon.configuration.current().log.messages_per_second } else { 0 };
        let mut left_out = false;
        while state.cursor < commits.see().newest_id && !left_out {
            left_out = state.window.room(limit) == 0 || !log_page(&daemon, &mut state, limit).await;
        }
        // Asking again whether newer messages exist would take those for left out that came since the last page.
        if left_out {
            // At the end of the window, one line reports all that came in it.
            if open {
                tokio::select! {
                    () = sleep_until(state.window.end()) => {}
                    // A stop does not wait for the window: the line follows the last message.
                    () = daemon.stop_requested() => while commits.changed().await {},
                }
            }
            skip(&mut state, commits.see(), limit);
        }
        if !open {
            return;
        }
    }
}

/// Logs the next messages, as many as the window has room for; returns false if the inbox cannot be read.
async fn log_page(daemon: &Arc<Daemon>, state: &mut State, limit: u32) -> bool {
    let (cursor, room) = (state.cursor, state.window.room(limit).min(MAX_PAGE) as usize);
    let (shared, configured) = (Arc::clone(daemon), daemon.peers.configured());
    let read = daemon.read(move |reader| {
        let range = Range { after: cursor, received: true, ..Range::default() };
        let mut lines = Vec::new();
        let visit = |stored| {
            lines.extend(Line::of(stored, &shared.peers, &configured));
            if lines.len() < room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let scanned = reader.scan(&range, visit, || true)?;
        Ok((lines, scanned.cursor))
    });
    let Ok((lines, cursor)) = read.await else { return false };
    for line in &lines {
        line.log();
        state.window.take();
        state.accounted += 1;
    }
    state.cursor = cursor;
    true
}

impl Line {
    /// Decodes a received message; returns none for other entries.
    fn of(stored: Stored, peers: &Peers, configured: &Configured) -> Option<Self> {
        let Body::Received { peer, payload, .. } = stored.body else { return None };
        let decoded = peers.decode_stored(configured, stored.id, peer, &payload, stored.recoded);
        let name = configured.of(peer).map(|named| named.name.to_owned());
        Some(Self { id: stored.id, peer, name, bytes: payload.len(), decoded })
    }

    fn log(&self) {
        let text = safe::without_trailer(&self.decoded.text);
        let cut = text.char_indices().nth(MAX_TEXT_CHARACTERS).map_or(text.len(), |(at, _)| at);
        let shown = safe::one_line(&text[..cut]);
        info!(
            id = self.id,
            peer = %self.peer,
            name = self.name.as_deref(),
            bytes = self.bytes,
            encoding = self.decoded.encoding.to_string(),
            text = &*shown,
            cut = (cut < text.len()).then_some(true),
            "received"
        );
    }
}

/// Skips to the newest message, and logs how many were left out.
fn skip(state: &mut State, committed: Committed, limit: u32) {
    let left_out = committed.stored.saturating_sub(state.accounted);
    (state.cursor, state.accounted) = (committed.newest_id, committed.stored);
    match (left_out, limit) {
        (0, _) | (_, 0) => {}
        _ if state.window.room(limit) > 0 => {
            info!(left_out, "received messages that could not be read for the log");
        }
        _ => info!(left_out, "received more messages than are logged (log.messages_per_second = {limit})"),
    }
}
