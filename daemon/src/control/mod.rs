//! The server side of the control socket: accepts connections, up to a limit, and gives each a [`session`].
//!
//! One file a method. What the methods answer is built in the methods themselves and in [`crate::view`]; only
//! they know both the daemon's types and the protocol's.

mod ack;
mod ahead;
mod inbox;
mod peers;
mod query;
mod recode;
mod reload;
mod self_test;
mod send;
mod session;
pub(crate) mod socket;
pub(crate) mod status;
mod stop;
mod subscribe;
mod talkers;
mod version;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use udpchat_api::line::to_line;
use udpchat_api::rpc::{Reply, Version};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::daemon::Daemon;
use crate::health::Place;

/// How many connections may be open at once.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// How long to wait after accepting failed, for want of file descriptors, say.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How long a refused client may take to read why.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// Serves the control socket until the daemon stops.
pub(crate) async fn serve(daemon: Arc<Daemon>, listener: UnixListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                daemon.health.clear(Place::Control);
                match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let daemon = Arc::clone(&daemon);
                        tokio::spawn(async move {
                            session::run(daemon, stream).await;
                            drop(place);
                        });
                    }
                    Err(_) => drop(tokio::spawn(refuse(stream))),
                }
            }
            Err(error) => {
                let problem = format!("cannot accept connections on the control socket: {error}");
                daemon.health.report(Place::Control, problem);
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn refuse(mut stream: UnixStream) {
    let text = format!("too many connections: {MAX_CONNECTIONS} are open");
    let error = ErrorObject::new(ErrorKind::Busy, text).hint("end some followers, then try again");
    if let Ok(line) = to_line(&failure(serde_json::Value::Null, error)) {
        // Whether it reads this or not, it is refused.
        let _refused = timeout(REFUSAL_WAIT, async {
            stream.write_all(&line).await?;
            stream.shutdown().await?;
            // What the client wrote is read: a socket that is closed over unread bytes resets the connection, and
            // the client may not get to see why.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        })
        .await;
    }
}

/// Makes the reply to a request that failed.
fn failure(id: serde_json::Value, error: ErrorObject) -> Reply {
    Reply { jsonrpc: Version::V2, id: Some(id), result: None, error: Some(error), method: None, params: None }
}
