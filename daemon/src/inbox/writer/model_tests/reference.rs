//! What must be in the log, as a plain list.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use udpchat_config::Encoding;

use super::machine::Moment;
use crate::inbox::entry::{Body, GapDetail, GapReason, Stored};
use crate::inbox::learned_encodings::{GIVEN, Known};

/// What is queued, in the order of the queue.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test queues few of them")]
pub(super) enum Pending {
    Entry {
        /// None where it is known only once it is stored.
        at_ns: Option<i64>,
        body: Body,
        received: Moment,
        /// The number of the held message that it was.
        held: Option<u64>,
    },
    Hold {
        payloads: Vec<Vec<u8>>,
    },
    Cancel(u64),
    Mark {
        consumer: String,
        read_id: u64,
    },
    Recode {
        ids: Vec<u64>,
        encoding: Option<Encoding>,
        peers: Vec<SocketAddr>,
    },
}

impl Pending {
    pub(super) fn gap(at_ns: Option<i64>, received: Moment, lost: u64, reason: GapReason) -> Self {
        Self::Entry { at_ns, body: Body::Gap(GapDetail::lost(lost, reason)), received, held: None }
    }

    /// Returns how many datagrams it stands for, and why they are lost if the daemon ends now.
    pub(super) fn datagrams(&self) -> (u64, GapReason) {
        match self {
            Self::Entry { body: Body::Received { .. }, .. } => (1, GapReason::DaemonEnded),
            Self::Entry { body: Body::Gap(gap), .. } => {
                let reason = GapReason::JOURNALED.into_iter().find(|reason| reason.name() == gap.reason);
                (gap.lost, reason.unwrap())
            }
            _ => (0, GapReason::DaemonEnded),
        }
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Entry { body: Body::Received { .. }, .. })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stored: Stored,
    pub(super) received: Moment,
}

impl Entry {
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match &self.stored.body {
            Body::Received { peer, .. } | Body::Sent { peer, .. } => Some(*peer),
            Body::Gap(_) | Body::Notice(_) => None,
        }
    }

    pub(super) fn is_received(&self) -> bool {
        matches!(self.stored.body, Body::Received { .. })
    }

    /// Returns the length of its payload, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        match &self.stored.body {
            Body::Received { payload, .. } | Body::Sent { payload, .. } => payload.len() as u64,
            Body::Gap(_) | Body::Notice(_) => 0,
        }
    }
}

/// The log.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    /// Their ids have no holes.
    pub(super) entries: VecDeque<Rc<Entry>>,
    pub(super) newest_id: u64,
    pub(super) marks: BTreeMap<String, u64>,
    pub(super) learned: HashMap<SocketAddr, Known>,
    /// The payloads of held messages by their numbers, and the highest number that was used.
    pub(super) held: BTreeMap<u64, Vec<u8>>,
    pub(super) highest_held: u64,
    /// Entries whose time is not known yet.
    pub(super) untimed: Vec<u64>,
}

impl Reference {
    /// Stores what was queued; returns the answers for those who wait.
    pub(super) fn store(&mut self, pending: impl IntoIterator<Item = Pending>) -> Vec<u64> {
        let mut answers = Vec::new();
        for item in pending {
            match item {
                Pending::Entry { at_ns, body, received, held } => {
                    if let Some(held) = held {
                        self.held.remove(&held);
                    }
                    self.newest_id += 1;
                    let id = self.newest_id;
                    match &body {
                        Body::Sent { .. } => answers.push(id),
                        Body::Received { peer, payload, .. } => self.learn(*peer, payload),
                        Body::Gap(_) | Body::Notice(_) => {}
                    }
                    if at_ns.is_none() {
                        self.untimed.push(id);
                    }
                    let stored = Stored { id, at_ns: at_ns.unwrap_or(0), body, recoded: None };
                    self.entries.push_back(Rc::new(Entry { stored, received }));
                }
                Pending::Hold { payloads } => {
                    for payload in payloads {
                        self.highest_held += 1;
                        self.held.insert(self.highest_held, payload);
                    }
                }
                Pending::Cancel(held) => answers.push(u64::from(self.held.remove(&held).is_some())),
                Pending::Mark { consumer, read_id } => {
                    let mark = self.marks.entry(consumer).or_default();
                    *mark = read_id.max(*mark);
                    answers.push(*mark);
                }
                Pending::Recode { ids, encoding, peers } => {
                    answers.push(self.recode(&ids, encoding));
                    for peer in peers {
                        match encoding {
                            Some(encoding) => {
                                self.learned.insert(peer, Known { encoding, learned_id: GIVEN });
                            }
                            None => drop(self.learned.remove(&peer)),
                        }
                    }
                }
            }
        }
        answers
    }

    fn learn(&mut self, peer: SocketAddr, payload: &[u8]) {
        let known = self.learned.get(&peer);
        if payload.is_ascii() || known.is_some_and(Known::is_given) {
            return;
        }
        let remembered = known.map(|known| known.encoding);
        let proof = udpchat_text::evidence(payload, remembered, Encoding::GB18030);
        if let Some(encoding) = proof
            && remembered != proof
        {
            self.learned.insert(peer, Known { encoding, learned_id: self.newest_id });
        }
    }

    fn recode(&mut self, ids: &[u64], encoding: Option<Encoding>) -> u64 {
        let mut found = 0;
        for id in ids {
            let Some(entry) = self.entry_mut(*id) else { continue };
            if !matches!(entry.stored.body, Body::Gap(_)) {
                entry.stored.recoded = encoding;
                found += 1;
            }
        }
        found
    }

    pub(super) fn entry_mut(&mut self, id: u64) -> Option<&mut Entry> {
        let first = self.oldest_id();
        let at = usize::try_from(id.checked_sub(first)?).ok()?;
        self.entries.get_mut(at).map(Rc::make_mut)
    }

    /// Returns the oldest id; in an empty log that of the entry to come.
    pub(super) fn oldest_id(&self) -> u64 {
        self.entries.front().map_or(self.newest_id + 1, |entry| entry.stored.id)
    }

    pub(super) fn unread(&self, mark: u64) -> u64 {
        let received = |entry: &&Rc<Entry>| entry.stored.id > mark && entry.is_received();
        self.entries.iter().filter(received).count() as u64
    }

    /// Returns how many of the oldest entries take this many bytes, without the newest entry; no more than one step removes.
    pub(super) fn count_excess(&self, excess_bytes: u64) -> usize {
        const ENTRY_BYTES: u64 = 32;
        const STEP_BYTES: u64 = 16 * 1024 * 1024;
        let excess_bytes = excess_bytes.min(STEP_BYTES);
        let (mut count, mut bytes) = (0, 0);
        while bytes < excess_bytes && count < self.entries.len() {
            bytes += self.entries[count].bytes() + ENTRY_BYTES;
            count += 1;
        }
        count.min(self.entries.len().saturating_sub(1))
    }
}
