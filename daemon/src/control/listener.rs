//! Accepts connections: checks credentials and limits before it reads anything.
//!
//! A user without a role can connect as fast as the kernel permits. The first [`LOGGED_REFUSALS_PER_SECOND`] connections of a
//! second are logged and stay open until the client has read the reason; further ones get the reason and are closed at once.
//! After such a one, accepting pauses as soon as no connection waits: that slows a loop of connections down to some hundreds a
//! second, and delays others by a millisecond.

use std::collections::HashMap;
use std::future::pending;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use udpchat_api::rpc::Id;
use udpchat_api::socket::{Connection, Listener};
use udpchat_api::{ErrorObject, MAX_LINE_BYTES};

use super::client::Client;
use super::connection_limit::ConnectionLimit;
use super::credentials::Credentials;
use super::response::failure_line;
use super::session;
use super::shared::Control;
use super::socket_watch::FileWatch;
use crate::accept::Accepting;
use crate::health::Component;
use crate::log::rate_limit::Window;

/// How many refused clients can take their time to read the reason; the connections of further ones are closed at once.
const MAX_REFUSALS: usize = 64;

/// How many refused clients of one user are logged in a second, and can take their time to read the reason.
const LOGGED_REFUSALS_PER_SECOND: u32 = 16;

/// The number of users whose refusals are counted.
const MAX_COUNTED_USERS: usize = 1_024;

/// How long accepting pauses while a user without a role connects in a loop.
const PAUSE_AFTER_REFUSALS: Duration = Duration::from_millis(1);

/// How many connections wait at a socket at most (net.core.somaxconn).
const MAX_WAITING: usize = 4_096;

/// The pause after the control socket could not be created again, or watched. A reload ends it.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// How long a removed file of a socket that the service manager holds is not reported.
const REMOVAL_GRACE: Duration = Duration::from_secs(2);

/// How long a refused client has to read the reason.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Serves the control socket until the daemon stops. Creates it again when its file is removed.
pub(crate) async fn serve(control: Arc<Control>, mut listener: Listener) {
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let mut acceptor = Acceptor {
        control: Arc::clone(&control),
        limit: Arc::default(),
        refusals,
        excluded: HashMap::new(),
        must_pause: false,
    };
    let memory = Arc::clone(&control.memory);
    tokio::spawn(async move { memory.free.give_back().await });
    loop {
        tokio::select! {
            () = accept_all(&mut acceptor, &listener) => {}
            renewed = renewed(&control) => {
                accept_waiting(&mut acceptor, &listener).await;
                listener = renewed;
                acceptor.control.daemon.health.succeeded(Component::Control);
            }
        }
    }
}

/// Accepts the connections that were made before the socket was removed.
async fn accept_waiting(acceptor: &mut Acceptor, listener: &Listener) {
    for _ in 0..MAX_WAITING {
        // The time lets the runtime see connections that came before it first looked for them.
        match timeout(Duration::from_millis(1), listener.accept()).await {
            Ok(Ok(stream)) => acceptor.accept(stream),
            _ => return,
        }
    }
}

/// Reports once that the file of a socket was removed which the service manager holds: only that can make it again.
async fn report_removal(control: &Control) {
    let mut reloads = control.rules.subscribe();
    loop {
        let watch = FileWatch::new(control.socket.path());
        if stays_gone(|| control.socket.is_gone()).await {
            let problem = format!(
                "the file of the control socket {} was removed, so no client can connect: stop the socket unit and the service, \
                 then start them",
                control.socket.path().display()
            );
            control.daemon.health.report(Component::Control, problem);
            return;
        }
        tokio::select! {
            changed = async { watch?.changed().await } => {
                if changed.is_err() {
                    let _reloaded = timeout(RENEWAL_PAUSE, reloads.changed()).await;
                }
            }
            _ = reloads.changed() => {}
        }
    }
}

/// Returns whether the file of a socket is gone and does not come back in the grace.
async fn stays_gone(is_gone: impl Fn() -> bool) -> bool {
    if !is_gone() {
        return false;
    }
    // The units may be about to stop.
    sleep(REMOVAL_GRACE).await;
    is_gone()
}

/// Waits until the socket was removed, and creates it again.
async fn renewed(control: &Control) -> Listener {
    if !control.socket.is_own() {
        report_removal(control).await;
        return pending().await;
    }
    let mut reloads = control.rules.subscribe();
    loop {
        let watch = FileWatch::new(control.socket.path());
        // A file that was removed before it was watched, or that could not be created, is missing already.
        if !control.socket.is_missing() {
            tokio::select! {
                changed = async { watch?.changed().await } => {
                    if let Err(error) = changed {
                        // The user has too many watches: it looks from time to time.
                        tracing::debug!("the control socket cannot be watched: {error}");
                        let _reloaded = timeout(RENEWAL_PAUSE, reloads.changed()).await;
                    }
                }
                _ = reloads.changed() => {}
            }
            continue;
        }
        match control.socket.renew(&control.rules()) {
            Ok(listener) => {
                tracing::warn!(
                    "the control socket {} was removed, and has been created again",
                    control.socket.path().display()
                );
                return listener;
            }
            Err(error) => {
                let problem = format!("the control socket was removed and cannot be created: {error}");
                control.daemon.health.report(Component::Control, problem);
                let _reloaded = timeout(RENEWAL_PAUSE, reloads.changed()).await;
            }
        }
    }
}

/// Accepts connections for ever.
async fn accept_all(acceptor: &mut Acceptor, listener: &Listener) {
    let health = &acceptor.control.daemon.health;
    let mut accepting =
        Accepting::new(health, Component::Control, "cannot accept connections on the control socket");
    loop {
        let next = accepting.next(listener.accept());
        let accepted = if acceptor.must_pause {
            tokio::select! {
                biased;
                accepted = next => accepted,
                () = std::future::ready(()) => {
                    acceptor.must_pause = false;
                    sleep(PAUSE_AFTER_REFUSALS).await;
                    None
                }
            }
        } else {
            next.await
        };
        if let Some(stream) = accepted {
            acceptor.accept(stream);
        }
    }
}

struct Acceptor {
    control: Arc<Control>,
    limit: Arc<ConnectionLimit>,
    refusals: Arc<Semaphore>,
    /// The refusals of the last second of each user without a role.
    excluded: HashMap<u32, Window>,
    /// Whether accepting must pause: a connection was closed at once since the last pause.
    must_pause: bool,
}

impl Acceptor {
    /// Starts a session, or refuses the client.
    fn accept(&mut self, stream: Connection) {
        // A client without credentials gets no session and no response.
        let Ok(credentials) = Credentials::of(&stream) else { return };
        let rules = self.control.rules();
        let (uid, is_privileged) = (credentials.uid, rules.is_privileged(credentials.uid));
        let has_role = !rules.roles_of(&credentials).is_none();
        if !has_role && !self.is_logged(uid) {
            self.must_pause = true;
            return send_last_line(stream, rules.exclusion(&uid.to_string()));
        }
        let client = Arc::new(Client::new(credentials, Arc::clone(&self.control.names)));
        if !has_role {
            return self.refuse(stream, client, None);
        }
        match self.limit.acquire(uid, is_privileged) {
            Ok(permit) => {
                let control = Arc::clone(&self.control);
                tokio::spawn(async move {
                    session::run(control, client, stream).await;
                    drop(permit);
                });
            }
            Err(busy) => self.refuse(stream, client, Some(busy)),
        }
    }

    /// Returns whether a refusal of a user without a role is logged once more in this second.
    fn is_logged(&mut self, uid: u32) -> bool {
        if self.excluded.len() >= MAX_COUNTED_USERS {
            self.excluded.clear();
        }
        let window = self.excluded.entry(uid).or_insert_with(Window::new);
        window.turn(Instant::now());
        let is_one_more = window.room(LOGGED_REFUSALS_PER_SECOND) > 0;
        if is_one_more {
            window.take();
        }
        is_one_more
    }

    /// Sends the reason and closes the connection. Without a reason, it is that the client has no role.
    fn refuse(&self, stream: Connection, client: Arc<Client>, why: Option<ErrorObject>) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            let uid = client.credentials.uid.to_string();
            return send_last_line(stream, why.unwrap_or_else(|| self.control.rules().exclusion(&uid)));
        };
        let control = Arc::clone(&self.control);
        tokio::spawn(async move {
            let why = match why {
                Some(why) => why,
                None => no_role(&control, &client).await,
            };
            send_refusal(stream, why).await;
            drop(permit);
        });
    }
}

async fn no_role(control: &Control, client: &Client) -> ErrorObject {
    let why = control.rules().exclusion(client.name().await);
    control.audit.refused(client, None, &why).await;
    why
}

/// Sends the reason and closes the connection, without waiting: the kernel keeps the line for the client.
fn send_last_line(stream: Connection, why: ErrorObject) {
    // The client is refused, whether it gets this or not. The buffer of a new connection has room for it.
    let _sent = stream.into_std().and_then(|mut stream| stream.write_all(&failure_line(Id::Null, why)));
}

async fn send_refusal(mut stream: Connection, why: ErrorObject) {
    let line = failure_line(Id::Null, why);
    // The client is refused, whether it reads this or not.
    let _sent = timeout(REFUSAL_WAIT, async {
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        // Discards what the client has written, a line at most: closing a socket over unread bytes resets the connection,
        // and the client might not be able to read the reason.
        let mut written = stream.take(MAX_LINE_BYTES as u64);
        tokio::io::copy(&mut written, &mut tokio::io::sink()).await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_removed_socket_is_reported_after_the_grace() {
        // Of each look, whether the file is gone; then the result, and whether it has waited.
        for (looks, expected, waits) in
            [(&[true, true][..], true, true), (&[true, false], false, true), (&[false], false, false)]
        {
            let (began, look) = (Instant::now(), Cell::new(0));
            let is_gone = || {
                // Nothing is looked at within the grace.
                let since = if look.get() == 0 { Duration::ZERO } else { REMOVAL_GRACE };
                assert_eq!(began.elapsed().as_secs(), since.as_secs());
                looks[look.replace(look.get() + 1)]
            };
            assert_eq!(stays_gone(is_gone).await, expected, "{looks:?}");
            assert_eq!((look.get(), began.elapsed() >= REMOVAL_GRACE), (looks.len(), waits), "{looks:?}");
        }
    }
}
