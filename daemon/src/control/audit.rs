//! Who did what: lines of the log about the callers of the control socket.
//!
//! What changes the daemon for everybody gets a line each time. What a client may do as often as it likes has a limit,
//! each kind its own: the lines that are left out are counted, and one line tells their number. Of what was sent, the inbox
//! keeps in any case who sent it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};
use tracing::{Level, enabled, info, warn};
use udpchat_api::ErrorObject;
use udpchat_api::call::RecodeAnswer;

use super::credentials::Caller;
use crate::inbox::entry::{Body, Stored};
use crate::log::rate_limit::Window;
use crate::state::Daemon;

/// How many lines a second there are of each kind but [`Kind::Sent`], which goes by `log.messages_per_second`.
const LINES_PER_SECOND: u32 = 20;

/// What is limited apart from the others, so that none of them hides another.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Sent,
    Read,
    Recoded,
    Refused,
}

/// What has been told lately.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    kinds: [Lines; 4],
}

#[derive(Debug, Default)]
struct Lines(Mutex<State>);

#[derive(Debug)]
struct State {
    window: Window,
    left_out: u64,
    /// Whether somebody will tell of what is left out.
    is_awaited: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { window: Window::new(), left_out: 0, is_awaited: false }
    }
}

impl Audit {
    /// Tells whether there is room for another line; one without room is counted.
    fn admits(self: &Arc<Self>, kind: Kind, limit: u32) -> bool {
        let is_heard = match kind {
            Kind::Refused => enabled!(Level::WARN),
            _ => enabled!(Level::INFO),
        };
        if !is_heard || limit == 0 {
            return false;
        }
        let mut state = self.of(kind);
        state.window.turn(Instant::now());
        if state.window.room(limit) > 0 {
            state.window.take();
            return true;
        }
        state.left_out += 1;
        if !state.is_awaited {
            state.is_awaited = true;
            let (audit, end) = (Arc::clone(self), state.window.end());
            tokio::spawn(async move {
                sleep_until(end).await;
                audit.tell(kind);
            });
        }
        false
    }

    fn of(&self, kind: Kind) -> MutexGuard<'_, State> {
        self.kinds[kind as usize].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells how many lines of a kind were left out, if any were.
    fn tell(&self, kind: Kind) {
        let mut state = self.of(kind);
        state.is_awaited = false;
        let left_out = std::mem::take(&mut state.left_out);
        drop(state);
        if left_out == 0 {
            return;
        }
        match kind {
            Kind::Sent => info!(left_out, "sent more messages than are logged (log.messages_per_second)"),
            Kind::Read => info!(left_out, "there were more readers than are logged"),
            Kind::Recoded => info!(left_out, "recoded in more steps than are logged"),
            Kind::Refused => warn!(left_out, "refused more requests than are logged"),
        }
    }

    /// Tells how many lines were left out, of every kind: nothing more will come.
    pub(crate) fn conclude(&self) {
        for kind in [Kind::Sent, Kind::Read, Kind::Recoded, Kind::Refused] {
            self.tell(kind);
        }
    }
}

/// Logs a message that was handed to the kernel, in one datagram or several, or that the kernel refused. Its text is not
/// logged: the inbox has it.
pub(super) async fn sent(daemon: &Daemon, caller: &Caller, entries: &[Stored]) {
    let Some((first, Body::Sent { peer, .. })) = entries.first().map(|first| (first, &first.body)) else {
        return;
    };
    let limit = *daemon.settings().log.messages_per_second;
    if !daemon.control.audit.admits(Kind::Sent, limit) {
        return;
    }
    let details = entries.iter().filter_map(|entry| match &entry.body {
        Body::Sent { payload, detail, .. } => Some((payload.len(), detail.error.as_deref())),
        _ => None,
    });
    let (bytes, error) =
        details.fold((0, None), |(sum, error), (bytes, refused)| (sum + bytes, error.or(refused)));
    let by = daemon.control.by(caller).await;
    info!(
        user = &*by.user,
        uid = by.uid,
        pid = by.pid,
        // An entry that is not on record has none.
        id = (first.id > 0).then_some(first.id),
        peer = %peer,
        bytes,
        datagrams = (entries.len() > 1).then_some(entries.len()),
        error,
        "{}", if error.is_some() { "could not be sent" } else { "sent" }
    );
}

/// Logs that a connection has begun to read, and by which method.
pub(super) async fn reads(daemon: &Daemon, caller: &Caller, method: &str) {
    if daemon.control.audit.admits(Kind::Read, LINES_PER_SECOND) {
        let by = daemon.control.by(caller).await;
        info!(user = &*by.user, uid = by.uid, pid = by.pid, method, "reads");
    }
}

/// Logs what is read otherwise from now on.
pub(super) async fn recoded(daemon: &Daemon, caller: &Caller, encoding: &str, done: &RecodeAnswer) {
    let RecodeAnswer { recoded, remembered, .. } = done;
    if recoded + remembered > 0 && daemon.control.audit.admits(Kind::Recoded, LINES_PER_SECOND) {
        let by = daemon.control.by(caller).await;
        info!(user = &*by.user, uid = by.uid, pid = by.pid, encoding, recoded, remembered, "recoded");
    }
}

/// Logs that the daemon is to do something that concerns everybody.
pub(super) async fn asked(daemon: &Daemon, caller: &Caller, what: &str) {
    let by = daemon.control.by(caller).await;
    info!(user = &*by.user, uid = by.uid, pid = by.pid, "asked to {what} through the control socket");
}

/// Logs that somebody was refused something, and what.
pub(super) async fn refused(daemon: &Daemon, caller: &Caller, method: Option<&str>, why: &ErrorObject) {
    if daemon.control.audit.admits(Kind::Refused, LINES_PER_SECOND) {
        let by = daemon.control.by(caller).await;
        warn!(user = &*by.user, uid = by.uid, pid = by.pid, method, "refused: {}", why.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_kind_has_used_up_is_there_for_the_others() {
        // Where nobody hears it, nothing is counted.
        let audit = Arc::<Audit>::default();
        assert!(!audit.admits(Kind::Refused, 2));
        let everything = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        let _heard = tracing::subscriber::set_default(everything);
        assert_eq!([2, 2, 2, 2].map(|limit| audit.admits(Kind::Sent, limit)), [true, true, false, false]);
        assert!(!audit.admits(Kind::Sent, 0), "a limit of 0 logs none, and counts none");
        for kind in [Kind::Read, Kind::Recoded, Kind::Refused] {
            assert!(audit.admits(kind, 2), "{kind:?}");
        }
        assert_eq!(audit.of(Kind::Sent).left_out, 2);
        audit.conclude();
        assert_eq!(audit.of(Kind::Sent).left_out, 0);
    }
}
