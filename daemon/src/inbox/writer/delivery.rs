//! What becomes known of the delivery of sent messages: a report that one was not delivered, or a word of its peer.
//!
//! It is written into the entry of the message, in the transaction that stores the notice or the word. What the writer remembers
//! changes only once that transaction is committed, so that a failed one is repeated with the same result.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Transaction, params};

use crate::inbox::address::pack;
use crate::inbox::bounced_peers::{BouncedPeer, BouncedPeers};
use crate::inbox::entry::{BounceDetail, Kind};
use crate::inbox::queue::SentItem;
use crate::inbox::queue::packed::Record;
use crate::net::reports::Bounce;

/// How long a message waits for a word of its peer, and a report may find it.
const REMEMBERED: Duration = Duration::from_secs(60);
const REMEMBERED_NS: i64 = 60 * 1_000_000_000;

/// How many messages are remembered at most, in total and of one peer.
const MAX_MESSAGES: usize = 4_096;
const MAX_MESSAGES_OF_A_PEER: usize = 256;

/// How many peers are listed as not reached.
const MAX_BOUNCED_PEERS: usize = 1_024;

/// The packed address of a peer, with its port.
type Peer = Box<[u8]>;

/// The messages that were sent within the last minute, and the peers that were not reached.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// By running number.
    messages: BTreeMap<u64, Message>,
    /// The numbers of those that no word followed, in their order.
    unanswered: HashMap<Peer, VecDeque<u64>>,
    bounced: HashMap<Peer, BouncedPeer>,
    published: Arc<BouncedPeers>,
}

#[derive(Clone, Debug)]
struct Message {
    id: u64,
    peer: Peer,
    at_ns: i64,
    stored: Instant,
}

/// What a transaction changes.
#[derive(Debug)]
pub(super) struct Changes {
    now: Instant,
    sent: BTreeMap<u64, Message>,
    /// The numbers of those that no word has followed yet.
    unanswered: HashMap<Peer, Vec<u64>>,
    /// Messages of earlier transactions that a word has followed.
    answered: HashSet<u64>,
    /// The peers that have no other such messages.
    all_answered: HashSet<Peer>,
    /// The messages that were not delivered, with their peers' first reports.
    bounced: HashSet<u64>,
    bounced_peers: HashMap<Peer, BouncedPeer>,
    /// Earlier unreachable peers that were heard.
    heard: HashSet<Peer>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            now: Instant::now(),
            sent: BTreeMap::new(),
            unanswered: HashMap::new(),
            answered: HashSet::new(),
            all_answered: HashSet::new(),
            bounced: HashSet::new(),
            bounced_peers: HashMap::new(),
            heard: HashSet::new(),
        }
    }
}

impl Delivery {
    pub(super) fn new(published: Arc<BouncedPeers>) -> Self {
        Self { published, ..Self::default() }
    }

    /// Returns whether no message of an earlier transaction waits for anything.
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.bounced.is_empty()
    }

    /// Adopts the changes of a committed transaction.
    pub(super) fn adopt(&mut self, changes: Changes) {
        if self.is_empty() && changes.is_empty() {
            return;
        }
        let Changes { now, sent, unanswered, answered, bounced, bounced_peers, heard, .. } = changes;
        for number in answered {
            self.note_answered(number);
        }
        self.messages.extend(sent);
        for (peer, numbers) in unanswered {
            let all = self.unanswered.entry(peer).or_default();
            all.extend(numbers);
            let too_many = all.len().saturating_sub(MAX_MESSAGES_OF_A_PEER);
            for number in all.drain(..too_many) {
                self.messages.remove(&number);
            }
        }
        for number in bounced {
            self.forget(number);
        }
        self.limit(now);
        self.adopt_peers(bounced_peers, heard, now);
    }

    /// Removes the answers with higher ids than `newest_id` from the entries of the messages. Only these can have them.
    pub(super) fn remove_answers_after(
        &self,
        transaction: &Transaction<'_>,
        newest_id: u64,
    ) -> rusqlite::Result<()> {
        let remove = "UPDATE entry SET detail = json_remove(detail, '$.answer')
                      WHERE id = ?1 AND kind = ?2 AND peer = ?3 AND json_extract(detail, '$.answer') > ?4";
        let mut remove = transaction.prepare(remove)?;
        for message in self.messages.values() {
            remove.execute(params![message.id, Kind::Sent as i64, message.peer, newest_id])?;
        }
        Ok(())
    }

    /// Removes a message from those that wait for a word.
    fn note_answered(&mut self, number: u64) {
        let Some(message) = self.messages.get(&number) else { return };
        let Some(numbers) = self.unanswered.get_mut(&message.peer) else { return };
        if let Ok(index) = numbers.binary_search(&number) {
            numbers.remove(index);
        }
        if numbers.is_empty() {
            self.unanswered.remove(&message.peer);
        }
    }

    fn forget(&mut self, number: u64) {
        self.note_answered(number);
        self.messages.remove(&number);
    }

    /// Forgets messages that are too old or too many.
    fn limit(&mut self, now: Instant) {
        while let Some((number, message)) = self.messages.first_key_value()
            && (self.messages.len() > MAX_MESSAGES
                || now.saturating_duration_since(message.stored) >= REMEMBERED)
        {
            let number = *number;
            self.forget(number);
        }
    }

    fn adopt_peers(&mut self, bounced: HashMap<Peer, BouncedPeer>, heard: HashSet<Peer>, now: Instant) {
        let mut is_changed = false;
        for peer in heard {
            is_changed |= self.bounced.remove(&peer).is_some();
        }
        is_changed |= !bounced.is_empty();
        for (peer, first) in bounced {
            self.bounced.entry(peer).and_modify(|known| known.last = first.last).or_insert(first);
        }
        let listed = self.bounced.len();
        self.bounced.retain(|_, peer| peer.is_listed(now));
        while self.bounced.len() > MAX_BOUNCED_PEERS {
            let oldest = self.bounced.iter().min_by_key(|(_, peer)| peer.stored).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.bounced.remove(&oldest));
        }
        if is_changed || self.bounced.len() < listed {
            self.published.publish(self.bounced.values().copied());
        }
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.sent.is_empty()
            && self.answered.is_empty()
            && self.bounced.is_empty()
            && self.bounced_peers.is_empty()
            && self.heard.is_empty()
    }

    /// Remembers a message that was appended.
    pub(super) fn sent(&mut self, item: &SentItem, id: u64) {
        let Some(number) = item.number else { return };
        let peer: Peer = pack(item.peer).as_slice().into();
        self.unanswered.entry(peer.clone()).or_default().push(number);
        self.sent.insert(number, Message { id, peer, at_ns: item.at_ns, stored: self.now });
    }

    /// Notes in the entries of the messages to its peer that a received message followed them.
    pub(super) fn received(
        &mut self,
        delivery: &Delivery,
        transaction: &Transaction<'_>,
        record: &Record<'_>,
        id: u64,
    ) -> rusqlite::Result<()> {
        if delivery.is_empty() && self.sent.is_empty() {
            return Ok(());
        }
        let peer = record.peer;
        if !self.all_answered.contains(peer)
            && let Some(numbers) = delivery.unanswered.get(peer)
        {
            let is_open = |number: &&u64| !self.answered.contains(number) && !self.bounced.contains(number);
            let open: Vec<u64> = numbers.iter().filter(is_open).copied().collect();
            let mut left = open.len();
            for number in open {
                if let Some(message) = delivery.messages.get(&number)
                    && is_followed(message.at_ns, record.at_ns)
                {
                    note_answer(transaction, message, id)?;
                    self.answered.insert(number);
                    left -= 1;
                }
            }
            if left == 0 {
                self.all_answered.insert(peer.into());
            }
        }
        if let Some(numbers) = self.unanswered.get_mut(peer) {
            let mut left = Vec::new();
            for number in numbers.drain(..).filter(|number| !self.bounced.contains(number)) {
                match self.sent.get(&number) {
                    Some(message) if is_followed(message.at_ns, record.at_ns) => {
                        note_answer(transaction, message, id)?;
                    }
                    _ => left.push(number),
                }
            }
            *numbers = left;
            if numbers.is_empty() {
                self.unanswered.remove(peer);
            }
        }
        // Removing hashes the key also where there is nothing; looking up does not.
        if !self.bounced_peers.is_empty() {
            self.bounced_peers.remove(peer);
        }
        if delivery.bounced.contains_key(peer) {
            self.heard.insert(peer.into());
        }
        Ok(())
    }

    /// Notes in the entry of a message that it was not delivered; returns its id. None if nothing is known of the message, or it was
    /// reported before, or retention has removed it. Only what is remembered says that it was reported before: its entry may have it
    /// of a commit that seemed to fail, whose notice was removed.
    pub(super) fn bounced(
        &mut self,
        delivery: &Delivery,
        transaction: &Transaction<'_>,
        bounce: &Bounce,
    ) -> rusqlite::Result<Option<u64>> {
        let number = bounce.number;
        let Some(message) = self.sent.get(&number).or_else(|| delivery.messages.get(&number)) else {
            return Ok(None);
        };
        if !self.bounced.insert(number) || !note_bounce(transaction, message, bounce)? {
            return Ok(None);
        }
        let (peer, since_ns, stored) = (bounce.peer, bounce.at_ns, self.now);
        let first = BouncedPeer { peer, since_ns, stored, last: stored };
        self.bounced_peers.entry(message.peer.clone()).or_insert(first);
        Ok(Some(message.id))
    }
}

/// Returns whether a message came after another was sent, soon enough. Its arrival counts: it may have been in the receive buffer
/// already. Where the clock was set back in between, nothing is known.
fn is_followed(sent_ns: i64, received_ns: i64) -> bool {
    (0..REMEMBERED_NS).contains(&received_ns.saturating_sub(sent_ns))
}

fn note_answer(transaction: &Transaction<'_>, message: &Message, answer: u64) -> rusqlite::Result<()> {
    let note = "UPDATE entry SET detail = json_set(coalesce(detail, '{}'), '$.answer', ?2)
                WHERE id = ?1 AND kind = ?3 AND peer = ?4";
    let values = params![message.id, answer, Kind::Sent as i64, message.peer];
    transaction.prepare_cached(note)?.execute(values).map(drop)
}

/// Returns whether the entry of the message exists.
fn note_bounce(transaction: &Transaction<'_>, message: &Message, bounce: &Bounce) -> rusqlite::Result<bool> {
    let detail = BounceDetail { reason: bounce.reason.to_owned(), from: bounce.from, at_ns: bounce.at_ns };
    // A struct of numbers and strings: serialising it cannot fail.
    let detail = serde_json::to_string(&detail).unwrap_or_default();
    let note = "UPDATE entry SET detail = json_set(coalesce(detail, '{}'), '$.bounce', json(?2))
                WHERE id = ?1 AND kind = ?3 AND peer = ?4";
    let values = params![message.id, detail, Kind::Sent as i64, message.peer];
    Ok(transaction.prepare_cached(note)?.execute(values)? > 0)
}

#[cfg(test)]
impl Delivery {
    pub(super) fn remembers(&self, number: u64) -> bool {
        self.messages.contains_key(&number)
    }

    /// Returns whether no message waits for a word that it already has.
    pub(super) fn forgets_answered(&self) -> bool {
        self.unanswered.values().all(|numbers| numbers.len() == 1)
    }

    /// Returns how many messages are remembered, and how many of them wait for a word.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.messages.len(), self.unanswered.values().map(VecDeque::len).sum())
    }
}
