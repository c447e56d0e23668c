//! Entries as they are stored, turned into entries as clients see them.

use std::sync::Arc;

use udpchat_api::{Direction, EncodingBy, Entry, Gap, Message, Raw};

use crate::clock::from_ns;
use crate::encoding;
use crate::encoding::Decoded;
use crate::inbox::entry::{Body, ChosenBy, SentDetail, Stored};
use crate::peers::Configured;
use crate::state::Daemon;

/// Sees entries with the names and encodings of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    daemon: Arc<Daemon>,
    configured: Arc<Configured>,
}

impl Viewer {
    /// Takes the configuration of now.
    pub(crate) fn of(daemon: &Arc<Daemon>) -> Self {
        Self { daemon: Arc::clone(daemon), configured: daemon.peers.configured() }
    }

    /// Turns a stored entry into what clients see.
    pub(crate) fn entry(&self, stored: Stored) -> Entry {
        let (id, at) = (stored.id, from_ns(stored.at_ns));
        let (direction, peer, local, payload, detail) = match stored.body {
            Body::Gap(gap) => return Entry::Gap(Gap { id, at, lost: gap.lost, reason: gap.reason }),
            Body::Received { peer, local, payload } => {
                (Direction::In, peer, local, payload, SentDetail::default())
            }
            Body::Sent { peer, local, payload, detail } => (Direction::Out, peer, local, payload, detail),
        };
        let as_said = stored.recoded.map(|encoding| (encoding, EncodingBy::Given));
        let as_sent = || detail.encoding.and_then(|sent| Some((sent.encoding()?, wire_choice(sent.by))));
        let Decoded { text, encoding, by } = match as_said.or_else(as_sent) {
            Some((encoding, by)) => Decoded { text: encoding::read(&payload, encoding), encoding, by },
            None => self.daemon.peers.decode(&self.configured, id, peer, &payload),
        };
        Entry::Message(Message {
            id,
            at,
            direction,
            peer,
            name: self.configured.of(peer).map(|named| named.name.clone()),
            local,
            text,
            encoding: encoding.to_string(),
            encoding_by: by,
            bytes: payload.len(),
            raw: Raw(payload),
            error: detail.error,
            by: detail.by,
        })
    }
}

/// Returns what chose an encoding as clients see it.
fn wire_choice(by: ChosenBy) -> EncodingBy {
    match by {
        ChosenBy::Given => EncodingBy::Given,
        ChosenBy::Configured => EncodingBy::Configured,
        ChosenBy::Remembered => EncodingBy::Remembered,
        ChosenBy::Detected => EncodingBy::Detected,
        ChosenBy::Fallback => EncodingBy::Fallback,
    }
}

/// Returns what chose an encoding as it is stored.
pub(crate) fn stored_choice(by: EncodingBy) -> ChosenBy {
    match by {
        EncodingBy::Given => ChosenBy::Given,
        EncodingBy::Configured => ChosenBy::Configured,
        EncodingBy::Remembered => ChosenBy::Remembered,
        EncodingBy::Detected => ChosenBy::Detected,
        EncodingBy::Fallback => ChosenBy::Fallback,
    }
}
