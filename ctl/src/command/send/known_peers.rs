//! What the daemon knows of peers: one question for all notes on a message.

use udpchat_api::Client;
use udpchat_api::call::PeersAnswer;

/// How many of the newest entries are searched for the last message of a peer.
pub(super) const HEARD_WINDOW: u64 = 10_000;

/// The peers and the lists, which are asked for when the first note needs them, and never again.
#[derive(Debug, Default)]
pub(in crate::command) struct KnownPeers {
    /// None until the daemon is asked; none inside if it refuses, as it does to a user without the role to read.
    answer: Option<Option<PeersAnswer>>,
}

impl KnownPeers {
    /// Returns what is known.
    pub(super) async fn get(&mut self, client: &mut Client) -> Option<&PeersAnswer> {
        if self.answer.is_none() {
            self.answer = Some(client.peers(Some(HEARD_WINDOW)).await.ok());
        }
        self.answer.as_ref()?.as_ref()
    }
}
