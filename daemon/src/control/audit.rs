//! Log lines about what the clients of the control socket do.
//!
//! An action that affects the whole daemon is logged each time. For what a client may do without limit, the lines of each
//! kind have a rate limit of their own for each user, so that no user hides what another does; only sent messages have one for
//! all users together. Lines above a limit are counted, and one line reports their number. The inbox records in any case who sent
//! a message.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::{Level, enabled, info, warn};
use udpchat_api::ErrorObject;
use udpchat_api::call::{HeldMessage, RecodeAnswer};
use udpchat_api::safe::one_line;

use super::client::Client;
use crate::inbox::entry::{Body, Stored};
use crate::log::rate_limit::Window;

/// How many lines a second of each kind a user may have, except where `log.messages_per_second` counts: [`Kind::Sent`], the
/// sum of all users, and [`Kind::Held`].
const LINES_PER_SECOND: u32 = 20;

/// How many lines a second report what a user was refused, and messages that could not be sent.
const FAULTS_PER_SECOND: u32 = 1;

/// How many users have limits of their own at once; all further ones share one limit.
const MAX_USERS: usize = 16;

/// Kinds of lines. Each has its own limit, so that none suppresses another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Sent,
    NotSent,
    Held,
    Cancelled,
    Read,
    Recoded,
    Marked,
    Refused,
    Demoted,
}

/// What has a limit of its own: the lines of a kind about a user, or about all users that do not have one.
type Limited = (Kind, Option<u32>);

/// The log of what clients do, with a rate limit for each kind of line.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    limits: Mutex<HashMap<Limited, State>>,
}

#[derive(Debug)]
struct State {
    window: Window,
    left_out: u64,
    /// Whether a task will report what is left out.
    is_awaited: bool,
}

impl State {
    fn begun_at(now: Instant) -> Self {
        Self { window: Window::ended_at(now), left_out: 0, is_awaited: false }
    }
}

impl Audit {
    /// Logs a message that was sent, in one datagram or several, or that the kernel refused. Its text is not logged: the
    /// inbox has it.
    pub(super) async fn sent(self: &Arc<Self>, client: &Client, entries: &[Stored], lines_per_second: u32) {
        let Some((first, Body::Sent { peer, .. })) = entries.first().map(|first| (first, &first.body)) else {
            return;
        };
        let details = entries.iter().filter_map(|entry| match &entry.body {
            Body::Sent { payload, detail, .. } => Some((payload.len(), detail.error.as_deref())),
            _ => None,
        });
        let (bytes, error) =
            details.fold((0, None), |(sum, error), (bytes, refused)| (sum + bytes, error.or(refused)));
        let is_admitted = match error {
            None => self.admits(Kind::Sent, client, lines_per_second),
            Some(_) => self.admits(Kind::NotSent, client, lines_per_second.min(FAULTS_PER_SECOND)),
        };
        if !is_admitted {
            return;
        }
        let by = By::of(client).await;
        info!(
            user = &*by.user,
            uid = by.uid,
            pid = by.pid,
            // An entry that was not committed has none.
            id = (first.id > 0).then_some(first.id),
            peer = %peer,
            bytes,
            datagrams = (entries.len() > 1).then_some(entries.len()),
            error,
            "{}", if error.is_some() { "could not be sent" } else { "sent" }
        );
    }

    /// Logs a message that is held, in one datagram or several.
    pub(super) async fn held(
        self: &Arc<Self>,
        client: &Client,
        messages: &[HeldMessage],
        lines_per_second: u32,
    ) {
        let Some(first) = messages.first() else { return };
        if self.admits(Kind::Held, client, lines_per_second) {
            let by = By::of(client).await;
            info!(
                user = &*by.user,
                uid = by.uid,
                pid = by.pid,
                held = first.held,
                to = &*one_line(&first.to),
                bytes = messages.iter().map(|message| message.bytes).sum::<usize>(),
                datagrams = (messages.len() > 1).then_some(messages.len()),
                "holds a message until its peer sends one"
            );
        }
    }

    /// Logs that a held message was removed.
    pub(super) async fn cancelled(self: &Arc<Self>, client: &Client, held: u64) {
        if self.admits(Kind::Cancelled, client, LINES_PER_SECOND) {
            let by = By::of(client).await;
            info!(user = &*by.user, uid = by.uid, pid = by.pid, held, "removed a held message");
        }
    }

    /// Logs that a connection has begun to read, and by which method.
    pub(super) async fn reads(self: &Arc<Self>, client: &Client, method: &str) {
        if self.admits(Kind::Read, client, LINES_PER_SECOND) {
            let by = By::of(client).await;
            info!(user = &*by.user, uid = by.uid, pid = by.pid, method, "reads");
        }
    }

    /// Logs that messages were recoded.
    pub(super) async fn recoded(self: &Arc<Self>, client: &Client, encoding: &str, done: &RecodeAnswer) {
        let RecodeAnswer { recoded, remembered, .. } = done;
        if recoded + remembered > 0 && self.admits(Kind::Recoded, client, LINES_PER_SECOND) {
            let by = By::of(client).await;
            info!(user = &*by.user, uid = by.uid, pid = by.pid, encoding, recoded, remembered, "recoded");
        }
    }

    /// Logs that a read mark that is not the client's own was changed. `before` is none if there was none, `after` is none if it
    /// was removed.
    pub(super) async fn marked(
        self: &Arc<Self>,
        client: &Client,
        consumer: &str,
        before: Option<u64>,
        after: Option<u64>,
    ) {
        if self.admits(Kind::Marked, client, LINES_PER_SECOND) {
            let (by, consumer) = (By::of(client).await, one_line(consumer));
            info!(
                user = &*by.user,
                uid = by.uid,
                pid = by.pid,
                consumer = &*consumer,
                before,
                after,
                "{}",
                if after.is_some() { "moved a read mark" } else { "removed a read mark" }
            );
        }
    }

    /// Logs a request that affects the whole daemon.
    pub(super) async fn asked(&self, client: &Client, action: &str) {
        let by = By::of(client).await;
        info!(user = &*by.user, uid = by.uid, pid = by.pid, "asked to {action} through the control socket");
    }

    /// Logs that a client was refused something, and why.
    pub(super) async fn refused(self: &Arc<Self>, client: &Client, method: Option<&str>, why: &ErrorObject) {
        if self.admits(Kind::Refused, client, FAULTS_PER_SECOND) {
            let by = By::of(client).await;
            warn!(user = &*by.user, uid = by.uid, pid = by.pid, method, "refused: {}", why.message);
        }
    }

    /// Logs that a reload took a role from a connected client.
    pub(super) async fn demoted(self: &Arc<Self>, client: &Client, why: &ErrorObject) {
        if self.admits(Kind::Demoted, client, LINES_PER_SECOND) {
            let by = By::of(client).await;
            warn!(user = &*by.user, uid = by.uid, pid = by.pid, "refused: {}", why.message);
        }
    }

    /// Reports how many lines of each kind were left out. For the end, when none will follow.
    pub(crate) fn conclude(&self) {
        let limited: Vec<_> = self.limits.lock().keys().copied().collect();
        limited.into_iter().for_each(|limited| self.report_left_out(limited));
    }

    /// Returns whether another line may be logged; counts one that may not.
    fn admits(self: &Arc<Self>, kind: Kind, client: &Client, limit: u32) -> bool {
        self.admits_user(kind, client.credentials.uid, limit)
    }

    fn admits_user(self: &Arc<Self>, kind: Kind, uid: u32, limit: u32) -> bool {
        let is_enabled = match kind {
            Kind::Refused | Kind::Demoted => enabled!(Level::WARN),
            _ => enabled!(Level::INFO),
        };
        if !is_enabled || limit == 0 {
            return false;
        }
        let now = Instant::now();
        let mut limits = self.limits.lock();
        let limited = (kind, user_of_limit(&mut limits, kind, uid, now));
        let state = limits.entry(limited).or_insert_with(|| State::begun_at(now));
        state.window.turn(now);
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
                audit.report_left_out(limited);
            });
        }
        false
    }

    /// Logs how many lines were left out, if any were.
    fn report_left_out(&self, limited: Limited) {
        let mut limits = self.limits.lock();
        let Some(state) = limits.get_mut(&limited) else { return };
        state.is_awaited = false;
        let left_out = std::mem::take(&mut state.left_out);
        drop(limits);
        if left_out == 0 {
            return;
        }
        let (kind, uid) = limited;
        match kind {
            Kind::Sent => info!(left_out, "sent more messages than are logged (log.messages_per_second)"),
            Kind::NotSent => info!(uid, left_out, "more messages could not be sent than are logged"),
            Kind::Held => {
                info!(uid, left_out, "held more messages than are logged (log.messages_per_second)");
            }
            Kind::Cancelled => info!(uid, left_out, "removed more held messages than are logged"),
            Kind::Read => info!(uid, left_out, "there were more readers than are logged"),
            Kind::Recoded => info!(uid, left_out, "recoded in more steps than are logged"),
            Kind::Marked => info!(uid, left_out, "changed more read marks than are logged"),
            Kind::Refused => warn!(uid, left_out, "refused more requests than are logged"),
            Kind::Demoted => warn!(uid, left_out, "closed more connections than are logged"),
        }
    }
}

/// Returns the user whose limit counts; none for the limit that several share.
fn user_of_limit(limits: &mut HashMap<Limited, State>, kind: Kind, uid: u32, now: Instant) -> Option<u32> {
    if kind == Kind::Sent {
        return None;
    }
    if !limits.contains_key(&(kind, Some(uid))) {
        limits.retain(|_, state| state.is_awaited || state.window.end() > now);
        let users = limits.keys().filter(|(other, _)| *other == kind).count();
        return (users < MAX_USERS).then_some(uid);
    }
    Some(uid)
}

/// Identifies a client in the log.
struct By {
    user: Arc<str>,
    uid: u32,
    pid: Option<i32>,
}

impl By {
    async fn of(client: &Client) -> Self {
        let (uid, pid) = (client.credentials.uid, client.credentials.pid);
        Self { user: Arc::clone(client.name().await), uid, pid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_has_its_own_limit() {
        // A disabled level counts nothing.
        let audit = Arc::<Audit>::default();
        assert!(!audit.admits_user(Kind::Refused, 0, 2));
        let everything = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        let _enabled = tracing::subscriber::set_default(everything);
        assert_eq!(
            [2, 2, 2, 2].map(|limit| audit.admits_user(Kind::Sent, limit, limit)),
            [true, true, false, false]
        );
        assert!(!audit.admits_user(Kind::Sent, 0, 0), "a limit of 0 logs none, and counts none");
        for kind in [Kind::Read, Kind::Recoded, Kind::Refused] {
            assert!(audit.admits_user(kind, 0, 2), "{kind:?}");
        }
        let left_out = || audit.limits.lock()[&(Kind::Sent, None)].left_out;
        assert_eq!(left_out(), 2);
        audit.conclude();
        assert_eq!(left_out(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_user_hides_what_another_does() {
        let audit = Arc::<Audit>::default();
        let everything = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
        let _enabled = tracing::subscriber::set_default(everything);
        for _ in 0..5 {
            audit.admits_user(Kind::Refused, 1, 1);
        }
        assert!(!audit.admits_user(Kind::Refused, 1, 1));
        assert!(audit.admits_user(Kind::Refused, 2, 1), "another user has a limit of its own");
        // However many users there are, their lines and the memory for them are bounded.
        let admitted = (10..1_000).filter(|uid| audit.admits_user(Kind::Refused, *uid, 1)).count();
        assert!(admitted < MAX_USERS && audit.limits.lock().len() <= MAX_USERS + 1, "{admitted}");
    }
}
