//! Converts stored entries to entries of the protocol.

use std::sync::Arc;

use udpchat_api::{Bounce, Delivery, Direction, EncodingBy, Entry, Gap, Message, Notice, Raw, Timestamp};
use udpchat_text::{Basis, Decoded};

use crate::clock::from_ns;
use crate::inbox::entry::{Body, BounceDetail, GapDetail, NoticeDetail, SentDetail, Stored};
use crate::peers::Configured;
use crate::state::Daemon;

/// Converts entries with the peers' names and encodings of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    daemon: Arc<Daemon>,
    configured: Configured,
}

impl Viewer {
    /// Takes the current configuration of the peers.
    pub(crate) fn of(daemon: &Arc<Daemon>) -> Self {
        Self { daemon: Arc::clone(daemon), configured: daemon.peers.configured() }
    }

    /// Converts a stored entry.
    pub(crate) fn entry(&self, stored: Stored) -> Entry {
        let (id, at) = (stored.id, from_ns(stored.at_ns));
        let (direction, peer, local, payload, detail) = match stored.body {
            Body::Gap(GapDetail { lost, reason, first_id, peer }) => {
                let name = peer.as_ref().and_then(|source| self.configured.of_source(source));
                let name = name.map(|named| named.name.to_owned());
                return Entry::Gap(Gap { id, at, lost, reason, first_id, peer, name });
            }
            Body::Notice(notice) => return Entry::Notice(self.notice(id, at, notice)),
            Body::Received { peer, local, payload } => {
                (Direction::In, peer, local, payload, SentDetail::default())
            }
            Body::Sent { peer, local, payload, detail } => (Direction::Out, peer, local, payload, detail),
        };
        let sent = detail.encoding.as_ref().and_then(|sent| Some((sent.encoding()?, sent.by.into())));
        let Decoded { text, encoding, by } = match (stored.recoded, sent) {
            (None, Some((encoding, by))) => {
                Decoded { text: udpchat_text::read(&payload, encoding), encoding, by }
            }
            (recoded, _) => self.daemon.peers.decode_stored(&self.configured, id, peer, &payload, recoded),
        };
        Entry::Message(Message {
            id,
            at,
            direction,
            peer,
            name: self.configured.of(peer).map(|named| named.name.to_owned()),
            local,
            text,
            encoding: encoding.name().to_owned(),
            encoding_by: encoding_by(by),
            encoding_is_default: false,
            bytes: payload.len(),
            raw: Raw(payload),
            delivery: (direction == Direction::Out && detail.error.is_none()).then(|| delivery(&detail)),
            error: detail.error,
            by: detail.by,
            answer: detail.answer,
            bounce: detail.bounce.map(|BounceDetail { reason, from, at_ns }| Bounce {
                reason,
                from,
                at: from_ns(at_ns),
            }),
            held_seconds: detail.held_seconds,
        })
    }

    fn notice(&self, id: u64, at: Timestamp, detail: NoticeDetail) -> Notice {
        let NoticeDetail { notice, about, peer, name, reason, from, last_id, seconds, first, held, more } =
            detail;
        let of = |peer: &String| Some(self.configured.of(peer.parse().ok()?)?.name.to_owned());
        let name = name.or_else(|| peer.as_ref().and_then(of));
        let address = || Some(self.configured.by_name(name.as_deref()?)?.address.to_string());
        let peer = peer.or_else(address);
        Notice { id, at, notice, about, peer, name, reason, from, last_id, seconds, first, held, more }
    }
}

/// Returns what is known of the delivery of a message that the kernel took. A report is a proof, an answer is not.
fn delivery(detail: &SentDetail) -> Delivery {
    match (&detail.bounce, detail.answer) {
        (Some(_), _) => Delivery::Bounced,
        (None, Some(_)) => Delivery::Answered,
        (None, None) => Delivery::Sent,
    }
}

/// Converts what chose the encoding of a message.
pub(in crate::control) fn encoding_by(by: Basis) -> EncodingBy {
    match by {
        Basis::Given => EncodingBy::Given,
        Basis::Configured => EncodingBy::Configured,
        Basis::Remembered => EncodingBy::Remembered,
        Basis::Detected => EncodingBy::Detected,
        Basis::Fallback => EncodingBy::Fallback,
    }
}
