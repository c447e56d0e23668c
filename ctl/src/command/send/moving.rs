//! Destinations of `--last-port` in a loop: a device that starts again may send from another port.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use udpchat_api::Client;

use super::destination::Destination;
use super::known_peers::HEARD_WINDOW;
use super::last_port::last_heard;

/// How long a port that was looked up is used.
const LOOKED_UP_FOR: Duration = Duration::from_secs(1);

/// Looks up the last ports again between the messages of a loop, on a connection of its own.
#[derive(Default)]
pub(super) struct Moving {
    /// None if no port is to be looked up, or once that fails: the loop goes on to the ports that are known.
    client: Option<Client>,
    looked_up: Option<Instant>,
}

impl Moving {
    /// Begins with destinations that were just looked up.
    pub(super) async fn of(socket: &Path, destinations: &[Destination]) -> Self {
        let is_moving = destinations.iter().any(|destination| destination.heard_at.is_some());
        let client = if is_moving { Client::connect(socket).await.ok() } else { None };
        Self { client, looked_up: Some(Instant::now()) }
    }

    /// Sets the ports of the destinations to those that they have now, if it is time.
    pub(super) async fn update(&mut self, destinations: &mut [Destination]) {
        let is_due = self.looked_up.is_none_or(|at| at.elapsed() >= LOOKED_UP_FOR);
        let Some(client) = self.client.as_mut().filter(|_| is_due) else { return };
        match client.peers(Some(HEARD_WINDOW)).await {
            Ok(answer) => {
                for destination in destinations {
                    let Some(at) = destination.heard_at else { continue };
                    let last = last_heard(&answer.peers, &destination.shown, at);
                    if let Some(id) = last.and_then(|peer| peer.last_id) {
                        destination.params.reply_to = Some(id);
                    }
                }
            }
            Err(_) => self.client = None,
        }
        self.looked_up = Some(Instant::now());
    }
}
