//! Accepts connections: checks credentials and limits before it reads anything.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use udpchat_api::socket::{Connection, Listener};
use udpchat_api::{ErrorObject, MAX_LINE_BYTES};

use super::client::Client;
use super::connection_limit::ConnectionLimit;
use super::credentials::Credentials;
use super::response::failure_line;
use super::session;
use super::shared::Control;
use crate::health::Component;

/// How many refused clients can get the reason at a time; the connections of further ones are closed without a response.
const MAX_REFUSALS: usize = 64;

/// How long to wait after accepting failed, for example for want of file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long a refused client has to read the reason.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Serves the control socket until the daemon stops.
pub(crate) async fn serve(control: Arc<Control>, listener: Listener) {
    let acceptor =
        Acceptor { control, limit: Arc::default(), refusals: Arc::new(Semaphore::new(MAX_REFUSALS)) };
    let health = &acceptor.control.daemon.health;
    loop {
        match listener.accept().await {
            Ok(stream) => {
                health.clear(Component::Control);
                acceptor.accept(stream);
            }
            Err(error) => {
                let problem = format!("cannot accept connections on the control socket: {error}");
                health.report(Component::Control, problem);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

struct Acceptor {
    control: Arc<Control>,
    limit: Arc<ConnectionLimit>,
    refusals: Arc<Semaphore>,
}

impl Acceptor {
    /// Starts a session, or refuses the client.
    fn accept(&self, stream: Connection) {
        // A client without credentials gets no session and no response.
        let Ok(credentials) = Credentials::of(&stream) else { return };
        let rules = self.control.rules();
        let (uid, is_privileged) = (credentials.uid, rules.is_privileged(credentials.uid));
        let has_role = !rules.roles_of(&credentials).is_none();
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

    /// Sends the reason and closes the connection. Without a reason, it is that the client has no role.
    fn refuse(&self, stream: Connection, client: Arc<Client>, why: Option<ErrorObject>) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
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

async fn send_refusal(mut stream: Connection, why: ErrorObject) {
    let line = failure_line(Value::Null, why);
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
