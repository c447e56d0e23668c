//! What sessions see of what is kept, and how messages that are to be sent now reach the sender.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::row::HeldRow;

/// Shared by the writer, which changes it, the sessions, and the sender of held messages.
#[derive(Debug, Default)]
pub(crate) struct KeptView {
    state: Mutex<State>,
    exchange: Mutex<Exchange>,
    released: Notify,
}

/// What the writer and the sender pass to each other. Under one lock, so that no message is released while another that goes before
/// it is being given back.
#[derive(Debug, Default)]
struct Exchange {
    /// To be sent.
    releases: VecDeque<Release>,
    /// The numbers of messages that could not be sent now.
    returned: Vec<u64>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<u64, Arc<HeldRow>>,
    held_bytes: usize,
    watched: HashMap<Arc<str>, Seen>,
}

/// What is known of a peer with `silent_after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The time of its newest message, in nanoseconds since 1970, UTC, if this daemon knows it.
    pub(crate) last_ns: Option<i64>,
    /// Since when it is silent.
    pub(crate) silent_since_ns: Option<i64>,
}

/// Held messages that a message of their peer releases.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// Where the message came from.
    pub(crate) peer: SocketAddr,
    /// Where it was sent to, if that is known.
    pub(crate) local: Option<SocketAddr>,
    /// In the order of their numbers.
    pub(crate) rows: Vec<Arc<HeldRow>>,
}

impl KeptView {
    /// Returns how many messages are held, and how many bytes of payload.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.held.len(), state.held_bytes)
    }

    /// Returns the first held messages above a number.
    pub(crate) fn held_after(&self, after: u64, most: usize) -> Vec<Arc<HeldRow>> {
        let Some(first) = after.checked_add(1) else { return Vec::new() };
        self.state.lock().held.range(first..).take(most).map(|(_, row)| Arc::clone(row)).collect()
    }

    /// Returns what is known of the peers with `silent_after`.
    pub(crate) fn watched(&self) -> HashMap<Arc<str>, Seen> {
        self.state.lock().watched.clone()
    }

    /// Returns the next messages to send; waits until there are some.
    pub(crate) async fn next_release(&self) -> Release {
        loop {
            let released = self.released.notified();
            if let Some(release) = self.try_next_release() {
                return release;
            }
            released.await;
        }
    }

    /// Returns the next messages to send, if there are some.
    pub(crate) fn try_next_release(&self) -> Option<Release> {
        self.exchange.lock().releases.pop_front()
    }

    /// Returns messages that could not be sent to a host now, with those that are released for it and would overtake them. The writer
    /// takes them when it is woken, or when the host sends something.
    pub(crate) fn give_back<'a>(&self, host: IpAddr, rows: impl Iterator<Item = &'a Arc<HeldRow>>) {
        let Exchange { releases, returned } = &mut *self.exchange.lock();
        returned.extend(rows.map(|row| row.id));
        releases.retain(|release| {
            let stays = release.peer.ip() != host;
            if !stays {
                returned.extend(release.rows.iter().map(|row| row.id));
            }
            stays
        });
    }

    pub(super) fn take_returned(&self) -> Vec<u64> {
        std::mem::take(&mut self.exchange.lock().returned)
    }

    /// Releases the messages that `choose` selects, which gets the numbers of those that were given back.
    pub(super) fn release(&self, choose: impl FnOnce(Vec<u64>) -> Option<Release>) {
        let mut exchange = self.exchange.lock();
        if let Some(release) = choose(std::mem::take(&mut exchange.returned)) {
            exchange.releases.push_back(release);
            self.released.notify_one();
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<HeldRow>> {
        self.state.lock().held.get(&id).cloned()
    }

    pub(super) fn insert(&self, row: HeldRow) {
        let mut state = self.state.lock();
        state.held_bytes += row.payload.len();
        state.held.insert(row.id, Arc::new(row));
    }

    pub(super) fn remove(&self, id: u64) -> Option<Arc<HeldRow>> {
        let mut state = self.state.lock();
        let row = state.held.remove(&id)?;
        state.held_bytes -= row.payload.len();
        Some(row)
    }

    pub(super) fn each_held(&self, mut each: impl FnMut(&HeldRow)) {
        self.state.lock().held.values().for_each(|row| each(row));
    }

    /// Returns a copy of all held messages, so that a client that reads them does not wait while the writer writes to the disk.
    pub(super) fn all_held(&self) -> BTreeMap<u64, Arc<HeldRow>> {
        self.state.lock().held.clone()
    }

    /// Takes the names of the peers with `silent_after`.
    pub(super) fn watch_only(&self, names: &[Arc<str>]) {
        let mut state = self.state.lock();
        let mut before = std::mem::take(&mut state.watched);
        let seen = |name: &Arc<str>| (Arc::clone(name), before.remove(name).unwrap_or_default());
        state.watched = names.iter().map(seen).collect();
    }

    pub(super) fn set_heard(&self, name: &str, last_ns: i64) {
        if let Some(seen) = self.state.lock().watched.get_mut(name) {
            seen.last_ns = Some(last_ns);
        }
    }

    /// Sets since when a peer is silent, and the time of its newest message if it is not known otherwise.
    pub(super) fn set_silent(&self, name: &str, since_ns: Option<i64>, last_ns: Option<i64>) {
        if let Some(seen) = self.state.lock().watched.get_mut(name) {
            seen.silent_since_ns = since_ns;
            seen.last_ns = seen.last_ns.or(last_ns);
        }
    }
}
