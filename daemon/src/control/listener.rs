//! The door: each connection is looked at before a word of it is read, and gets a place or is turned away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use udpchat_api::line::to_line;
use udpchat_api::socket::{Connection, Listener};
use udpchat_api::{ErrorObject, MAX_LINE_BYTES};

use super::connection_limit::Places;
use super::credentials::{Caller, Credentials};
use super::{audit, failure, session};
use crate::health::Place as Cause;
use crate::state::Daemon;

/// How many clients may be told at once why they are turned away; more are turned away without a word.
const MAX_REFUSALS: usize = 64;

/// How long to wait after accepting failed, for want of file descriptors, say.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long a client that is turned away may take to read why.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Serves the control socket until the daemon stops.
pub(crate) async fn serve(daemon: Arc<Daemon>, listener: Listener) {
    let door = Door { daemon, places: Arc::default(), refusals: Arc::new(Semaphore::new(MAX_REFUSALS)) };
    loop {
        match listener.accept().await {
            Ok(stream) => {
                door.daemon.health.clear(Cause::Control);
                door.receive(stream);
            }
            Err(error) => {
                let problem = format!("cannot accept connections on the control socket: {error}");
                door.daemon.health.report(Cause::Control, problem);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

struct Door {
    daemon: Arc<Daemon>,
    places: Arc<Places>,
    refusals: Arc<Semaphore>,
}

impl Door {
    /// Begins a session, or turns the client away.
    fn receive(&self, stream: Connection) {
        // Nobody is let in whom the kernel does not know.
        let Ok(credentials) = Credentials::of(&stream) else { return };
        let rules = self.daemon.control.rules();
        let (uid, is_master) = (credentials.uid, rules.is_master(credentials.uid));
        let has_role = !rules.roles_of(&credentials).is_none();
        let caller = Arc::new(Caller::new(credentials));
        if !has_role {
            return self.turn_away(stream, caller, None);
        }
        match self.places.take(uid, is_master) {
            Ok(place) => {
                let daemon = Arc::clone(&self.daemon);
                tokio::spawn(async move {
                    session::run(daemon, caller, stream).await;
                    drop(place);
                });
            }
            Err(busy) => self.turn_away(stream, caller, Some(busy)),
        }
    }

    /// Says why and closes; without a reason, because the caller has no role.
    fn turn_away(&self, stream: Connection, caller: Arc<Caller>, why: Option<ErrorObject>) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let daemon = Arc::clone(&self.daemon);
        tokio::spawn(async move {
            let why = match why {
                Some(why) => why,
                None => no_role(&daemon, &caller).await,
            };
            refuse(stream, why).await;
            drop(permit);
        });
    }
}

async fn no_role(daemon: &Daemon, caller: &Caller) -> ErrorObject {
    let user = caller.name(&daemon.control.names).await;
    let why = daemon.control.rules().exclusion(user);
    audit::refused(daemon, caller, None, &why).await;
    why
}

/// Tells a client why, and closes the connection.
async fn refuse(mut stream: Connection, why: ErrorObject) {
    let Ok(line) = to_line(&failure(Value::Null, why)) else { return };
    // Whether it reads this or not, it is refused.
    let _refused = timeout(REFUSAL_WAIT, async {
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        // What the client wrote is taken and thrown away, a line at most: a socket that is closed over unread bytes
        // resets the connection, and the client may not get to see why.
        let mut written = stream.take(MAX_LINE_BYTES as u64);
        tokio::io::copy(&mut written, &mut tokio::io::sink()).await
    })
    .await;
}
