//! The log line of each received message: a follower of the inbox like any other, with a limit.
//!
//! It reads at most as many messages a second as it may log, and jumps over the rest, so that a flood costs it
//! nothing. How many were left out is known exactly, since the writer tells how many it has stored.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tracing::{Level, enabled, info};
use udpchat_api::{Entry, Message, safe};

use crate::inbox::commit_watch::{CommitWatch, Committed};
use crate::inbox::reader::Range;
use crate::log::rate_limit::Window;
use crate::state::Daemon;
use crate::view::Viewer;

/// How much of a message's text a line shows, in characters. A line longer than this is of no use in a log, and
/// strangers choose how long it is.
const MAX_TEXT_CHARACTERS: usize = 256;

/// How far the log has come.
struct State {
    /// Everything up to this id is logged or left out.
    cursor: u64,
    /// How many received messages that is, since the start of the daemon.
    accounted: u64,
    window: Window,
}

/// Logs the messages until the inbox is closed.
pub(crate) async fn follow(daemon: Arc<Daemon>, mut commits: CommitWatch) {
    let begin = commits.see();
    let mut state = State { cursor: begin.newest_id, accounted: begin.stored, window: Window::new() };
    loop {
        let open = commits.changed().await;
        state.window.turn(Instant::now());
        // Where nobody would see the lines, nothing is read for them.
        let limit = if enabled!(Level::INFO) { *daemon.settings().log.messages_per_second } else { 0 };
        while state.cursor < commits.see().newest_id && state.window.room(limit) > 0 {
            if !show(&daemon, &mut state, limit).await {
                break;
            }
        }
        if state.cursor < commits.now().newest_id {
            // The limit is reached: the window goes on, then one line stands for all that came in it.
            if open {
                tokio::select! {
                    () = sleep_until(state.window.end()) => {}
                    // Nobody waits for the window when the daemon is to stop: the line comes with the last message.
                    () = told_to_stop(&daemon) => while commits.changed().await {},
                }
            }
            leave_out(&mut state, commits.see(), limit);
        }
        if !open {
            return;
        }
    }
}

async fn told_to_stop(daemon: &Daemon) {
    let mut stopping = daemon.stopping.subscribe();
    // The sender lives in the daemon itself.
    let _told = stopping.wait_for(|stopping| *stopping).await.is_ok();
}

/// Logs the next messages, as many as the window has room for; false if the inbox cannot be read.
async fn show(daemon: &Arc<Daemon>, state: &mut State, limit: u32) -> bool {
    let (cursor, room) = (state.cursor, state.window.room(limit));
    let viewer = Viewer::of(daemon);
    let read = daemon.read(move |reader| {
        let range = Range { after: cursor, received: true, ..Range::default() };
        let mut messages = Vec::new();
        let visit = |stored| {
            messages.push(viewer.entry(stored));
            if messages.len() < room.min(64) as usize {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let scanned = reader.scan(&range, visit, || true)?;
        Ok((messages, scanned.cursor))
    });
    let Ok((messages, cursor)) = read.await else { return false };
    for entry in &messages {
        if let Entry::Message(message) = entry {
            line(message);
            state.window.take();
            state.accounted += 1;
        }
    }
    state.cursor = cursor;
    true
}

fn line(message: &Message) {
    let text = safe::without_trailer(&message.text);
    let cut = text.char_indices().nth(MAX_TEXT_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let shown = safe::one_line(&text[..cut]);
    info!(
        id = message.id,
        peer = %message.peer,
        name = message.name.as_deref(),
        bytes = message.bytes,
        encoding = message.encoding,
        text = &*shown,
        cut = (cut < text.len()).then_some(true),
        "received"
    );
}

/// Jumps to the newest message and tells how many were passed over.
fn leave_out(state: &mut State, committed: Committed, limit: u32) {
    let left_out = committed.stored - state.accounted;
    (state.cursor, state.accounted) = (committed.newest_id, committed.stored);
    match (left_out, limit) {
        (0, _) | (_, 0) => {}
        _ if state.window.room(limit) > 0 => {
            info!(left_out, "received messages that could not be read for the log");
        }
        _ => info!(left_out, "received more messages than are logged (log.messages_per_second = {limit})"),
    }
}
