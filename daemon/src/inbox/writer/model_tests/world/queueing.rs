//! What arrives, is sent or is requested by a client, and waits in the queue.

use nix::errno::Errno;
use tokio::sync::oneshot;
use udpchat_config::Encoding;

use super::super::daemon::Daemon;
use super::super::operations::{Content, Outcome, Place};
use super::super::reference::Pending;
use super::state::{World, address};
use crate::inbox::entry::{Body, ChosenBy, GapReason, SentDetail, SentEncoding};
use crate::inbox::kept::{NewHeld, To};
use crate::inbox::queue::{CancelItem, HoldItem, MarkChange, MarkItem, NotSent, RecodeItem, SentItem};

impl World {
    fn content(&mut self, content: Content) -> Vec<u8> {
        self.number += 1;
        let mut bytes = format!("{} ", self.number).into_bytes();
        match content {
            Content::Empty => bytes.clear(),
            Content::Text(length) => bytes.resize(bytes.len() + length, b'a'),
            Content::Binary => bytes.extend(0..=255),
            Content::Chinese(encoding) => {
                let text = "今天天气很好，我们一起去公园散步，然后回家吃饭。";
                if encoding == Encoding::UTF_8 {
                    bytes.extend_from_slice(text.as_bytes());
                } else {
                    bytes.extend_from_slice(&encoding_rs::GB18030.encode(text).0);
                }
            }
        }
        bytes
    }

    pub(super) fn receive(&mut self, peer: usize, content: Content, count: usize) {
        let payloads: Vec<_> = (0..count).map(|_| self.content(content)).collect();
        self.take_in(peer, payloads);
    }

    fn take_in(&mut self, peer: usize, payloads: Vec<Vec<u8>>) {
        let (peer, at_ns) = (address(peer), self.machine.wall_ns());
        let local = (self.number.is_multiple_of(2)).then(|| address(0));
        self.daemon.queue.intake(|intake| {
            payloads.iter().for_each(|payload| intake.datagram(at_ns, peer, local, payload));
        });
        self.counts.received += payloads.len() as u64;
        let received = self.machine.now();
        self.pending.extend(payloads.into_iter().map(|payload| Pending::Entry {
            at_ns: Some(at_ns),
            body: Body::Received { peer, local, payload },
            received,
            held: None,
        }));
    }

    pub(super) fn flood(&mut self) {
        let dropped = |daemon: &Daemon| daemon.queue.counters().dropped.queue_full;
        let before = dropped(&self.daemon);
        while dropped(&self.daemon) == before {
            self.take_in(1, vec![vec![7; 60_000]]);
        }
        // The last one had no place.
        self.pending.pop();
        self.counts.queue_full += 1;
        let gap = Pending::gap(Some(self.machine.wall_ns()), self.machine.now(), 1, GapReason::QueueFull);
        self.pending.push(gap);
        self.store();
    }

    pub(super) fn add_gap(&mut self) {
        let lost = std::mem::take(&mut self.unplaced);
        if lost > 0 {
            let at_ns = self.machine.wall_ns();
            self.daemon.queue.intake(|intake| intake.kernel_gap(at_ns, lost));
            let gap = Pending::gap(Some(at_ns), self.machine.now(), lost, GapReason::ReceiveBufferFull);
            self.pending.push(gap);
        }
    }

    pub(super) fn send(&mut self, peer: usize, content: Content, outcome: Outcome) {
        let payload = self.content(content);
        self.send_payload(peer, payload, outcome, None);
    }

    pub(super) fn send_held(&mut self, peer: usize, at: Place, outcome: Outcome) {
        if let Some(held) = self.held_at(at) {
            let payload = self.reference.held[&held].clone();
            self.send_payload(peer, payload, outcome, Some(held));
        }
    }

    /// Returns the number of a held message, if there is one.
    fn held_at(&self, at: Place) -> Option<u64> {
        let held = &self.reference.held;
        (!held.is_empty()).then(|| at.index(held.len())).and_then(|at| held.keys().nth(at).copied())
    }

    /// Holds a message for a peer that sends nothing.
    pub(super) fn hold(&mut self, content: Content, parts: usize) {
        let payloads: Vec<_> = (0..parts).map(|_| self.content(content)).collect();
        let new = NewHeld {
            to: To::Name("nobody".to_owned()),
            payloads: payloads.clone(),
            detail: SentDetail::default(),
            at_ns: self.machine.wall_ns(),
            until_ns: i64::MAX,
        };
        let (stored, waiting) = oneshot::channel();
        self.daemon.queue.hold(Box::new(HoldItem { new, stored: Some(stored) })).unwrap();
        self.holding.push_back(waiting);
        self.pending.push(Pending::Hold { payloads });
    }

    pub(super) fn cancel(&mut self, at: Place) {
        let Some(id) = self.held_at(at) else { return };
        let (stored, waiting) = oneshot::channel();
        self.daemon.queue.cancel(Box::new(CancelItem { id, stored: Some(stored) })).unwrap();
        self.waiting.push(waiting);
        self.pending.push(Pending::Cancel(id));
    }

    fn send_payload(&mut self, peer: usize, payload: Vec<u8>, outcome: Outcome, held: Option<u64>) {
        let (peer, at_ns) = (address(peer), self.machine.wall_ns());
        let encoding = SentEncoding { name: "gbk".to_owned(), by: ChosenBy::Given };
        let mut detail =
            SentDetail { encoding: Some(encoding), by: Some("ann".to_owned()), ..SentDetail::default() };
        let (stored, waiting) = oneshot::channel();
        let item = SentItem {
            at_ns,
            peer,
            local: None,
            payload: payload.clone(),
            detail: detail.clone(),
            held,
            number: None,
            stored: Some(stored),
        };
        let sent = self.daemon.queue.send(Box::new(item), true, |_, _| match outcome {
            Outcome::Sent => Ok(()),
            Outcome::Refused => Err(Errno::EMSGSIZE.into()),
            Outcome::NotNow => Err(Errno::EAGAIN.into()),
        });
        match outcome {
            Outcome::Sent => {
                assert!(sent.unwrap().is_none());
                self.counts.sent += 1;
            }
            Outcome::Refused => {
                detail.error = sent.unwrap().as_ref().map(crate::error::reason);
                assert!(detail.error.is_some());
                self.counts.failed += 1;
            }
            Outcome::NotNow => {
                assert!(matches!(sent, Err(NotSent::NotNow(..))));
                return;
            }
        }
        self.waiting.push(waiting);
        self.pending.push(Pending::Entry {
            at_ns: Some(at_ns),
            body: Body::Sent { peer, local: None, payload, detail },
            received: self.machine.now(),
            held,
        });
    }

    pub(super) fn mark(&mut self, consumer: &str, at: Place) {
        let read_id = at.index(self.reference.newest_id as usize + 1) as u64;
        let (stored, waiting) = oneshot::channel();
        let item = MarkItem {
            consumer: consumer.to_owned(),
            change: MarkChange::Raise(read_id),
            stored: Some(stored),
        };
        self.daemon.queue.mark(Box::new(item)).unwrap();
        self.waiting.push(waiting);
        self.pending.push(Pending::Mark { consumer: consumer.to_owned(), read_id });
    }

    pub(super) fn recode(&mut self, peer: usize, most: usize, encoding: Option<Encoding>, remember: bool) {
        let peer = address(peer);
        let its = self.reference.entries.iter().rev().filter(|entry| entry.peer() == Some(peer));
        let ids: Vec<_> = its.take(most).map(|entry| entry.stored.id).collect();
        let peers = if remember { vec![peer] } else { Vec::new() };
        let (stored, waiting) = oneshot::channel();
        let item = RecodeItem { ids: ids.clone(), encoding, peers: peers.clone(), stored: Some(stored) };
        self.daemon.queue.recode(Box::new(item)).unwrap();
        self.waiting.push(waiting);
        self.pending.push(Pending::Recode { ids, encoding, peers });
    }
}
