//! Which held messages wait, in which order, until when, and which are being sent.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::row::{HeldRow, To};

/// How many expired messages one transaction removes.
const MAX_EXPIRED: usize = 1_000;

/// The numbers of held messages.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that are not being sent, by destination.
    waiting: HashMap<To, BTreeSet<u64>>,
    /// When these expire.
    expiry: BTreeSet<(i64, u64)>,
    /// Those that are being sent.
    claimed: HashSet<u64>,
    /// How many are being sent to each destination.
    released: HashMap<To, usize>,
    /// How many there are for each destination.
    counts: HashMap<To, usize>,
    /// How many there are of each user, and their payload in bytes.
    users: HashMap<Option<String>, (usize, usize)>,
    /// The highest number that was ever used.
    highest: u64,
}

impl Waiting {
    pub(super) fn add(&mut self, row: &HeldRow) {
        *self.counts.entry(row.to.clone()).or_default() += 1;
        let (messages, bytes) = self.users.entry(row.detail.by.clone()).or_default();
        (*messages, *bytes) = (*messages + 1, *bytes + row.payload.len());
        self.highest = self.highest.max(row.id);
        self.wait(row);
    }

    fn wait(&mut self, row: &HeldRow) {
        self.waiting.entry(row.to.clone()).or_default().insert(row.id);
        self.expiry.insert((row.expires_ns, row.id));
    }

    pub(super) fn remove(&mut self, row: &HeldRow) {
        self.unclaim(row);
        self.expiry.remove(&(row.expires_ns, row.id));
        self.no_longer(&row.to, row.id);
        if let Some(count) = self.counts.get_mut(&row.to) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&row.to);
            }
        }
        if let Some((messages, bytes)) = self.users.get_mut(&row.detail.by) {
            (*messages, *bytes) = (*messages - 1, *bytes - row.payload.len());
            if *messages == 0 {
                self.users.remove(&row.detail.by);
            }
        }
    }

    fn no_longer(&mut self, to: &To, id: u64) {
        if let Some(ids) = self.waiting.get_mut(to) {
            ids.remove(&id);
            if ids.is_empty() {
                self.waiting.remove(to);
            }
        }
    }

    /// Returns the first messages that a message of a peer releases, `most` at most, and so that no more than `most` are being sent to a
    /// destination; expired ones wait for their notice.
    pub(super) fn first_of(
        &self,
        peer: SocketAddr,
        (owner, interface): (Option<&str>, Option<&str>),
        most: usize,
        now_ns: i64,
    ) -> Vec<u64> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let expired: HashSet<u64> = self.expired(now_ns).into_iter().collect();
        let mut ids = Vec::new();
        for to in To::all_of(peer, owner, interface) {
            let waiting = self.waiting.get(&to).into_iter().flatten();
            let room = most.saturating_sub(self.released.get(&to).copied().unwrap_or(0));
            ids.extend(waiting.filter(|id| !expired.contains(id)).take(room));
        }
        ids.sort_unstable();
        ids.truncate(most);
        ids
    }

    /// Notes that a message is being sent.
    pub(super) fn claim(&mut self, row: &HeldRow) {
        self.no_longer(&row.to, row.id);
        self.expiry.remove(&(row.expires_ns, row.id));
        self.claimed.insert(row.id);
        *self.released.entry(row.to.clone()).or_default() += 1;
    }

    /// Notes that a message is no longer being sent; returns whether it was.
    fn unclaim(&mut self, row: &HeldRow) -> bool {
        if !self.claimed.remove(&row.id) {
            return false;
        }
        if let Some(number) = self.released.get_mut(&row.to) {
            *number -= 1;
            if *number == 0 {
                self.released.remove(&row.to);
            }
        }
        true
    }

    /// Lets messages wait again.
    pub(super) fn give_back(&mut self, rows: impl Iterator<Item = Arc<HeldRow>>) {
        for row in rows {
            if self.unclaim(&row) {
                self.wait(&row);
            }
        }
    }

    /// Returns whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn is_claimed(&self, id: u64) -> bool {
        self.claimed.contains(&id)
    }

    pub(super) fn has_claims(&self) -> bool {
        !self.claimed.is_empty()
    }

    /// Returns how many messages are held for a destination.
    pub(super) fn count(&self, to: &To) -> usize {
        self.counts.get(to).copied().unwrap_or(0)
    }

    /// Returns how many messages of a user are held, and their payload in bytes.
    pub(super) fn of_user(&self, by: Option<&str>) -> (usize, usize) {
        self.users.get(&by.map(str::to_owned)).copied().unwrap_or_default()
    }

    pub(super) fn next_expiry_ns(&self) -> Option<i64> {
        self.expiry.first().map(|(at_ns, _)| *at_ns)
    }

    /// Returns the first messages that have expired and are not being sent.
    pub(super) fn expired(&self, now_ns: i64) -> Vec<u64> {
        let expired = self.expiry.iter().take_while(|(at_ns, _)| *at_ns <= now_ns);
        expired.take(MAX_EXPIRED).map(|(_, id)| *id).collect()
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn raise_highest(&mut self, highest: u64) {
        self.highest = self.highest.max(highest);
    }
}
