//! The list of peers, each with its unread count, encoding and draft.
//!
//! Named peers come first, in the order of the daemon; then the others, new ones on top. No row overtakes another while
//! the chat runs, so that the user finds each peer where it was.

mod renaming;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;

use nix::net::if_::if_indextoname;
use udpchat_api::call::Peer;
use udpchat_api::{Direction, EncodingBy, Message, Timestamp};
use udpchat_config::{Interface, PeerAddress, owner};

use super::line_end::LineEnd;
use super::peer::PeerKey;
use crate::command::chat::editor::Editor;
use crate::output::{encoding_chosen_by, host};

/// The most peers without a name that are kept: source addresses can be forged.
pub(in crate::command::chat) const MAX_UNNAMED: usize = 1_000;

/// A peer in the list.
#[derive(Clone, Debug, Default)]
pub(in crate::command::chat) struct PeerRow {
    /// The source of the last message; before the first one, the address from the configuration.
    pub(in crate::command::chat) address: String,
    /// The encoding for messages to the peer, and what chose it; none until the daemon has reported it.
    pub(in crate::command::chat) encoding: Option<(String, &'static str)>,
    /// The encoding of the last message that arrived in this chat, and what chose it.
    pub(super) last_encoding: Option<(String, EncodingBy)>,
    pub(in crate::command::chat) last_heard: Option<Timestamp>,
    /// The id of the newest message from the peer.
    pub(super) last_id: Option<u64>,
    /// The id of the newest entry when the peer's last message was on the screen.
    pub(super) seen_id: u64,
    /// The number of messages from the peer that were not shown yet.
    pub(in crate::command::chat) unread: u64,
    /// Whether it has sent nothing for longer than its `silent_after`.
    pub(in crate::command::chat) is_silent: bool,
    /// The encoding that the user chose.
    pub(in crate::command::chat) chosen_encoding: Option<String>,
    /// The line end that is appended to each text to the peer.
    pub(super) line_end: LineEnd,
    /// The text in the input when another conversation was opened.
    pub(super) draft: Editor,
}

/// The peers.
#[derive(Debug, Default)]
pub(in crate::command::chat) struct PeerList {
    rows: HashMap<PeerKey, PeerRow>,
    /// The keys in display order.
    order: Vec<PeerKey>,
    /// The number of named peers, which come first in `order`.
    named: usize,
    /// The addresses of the named peers.
    addresses: Vec<(String, PeerAddress)>,
    /// The lists of peers in the configuration.
    pub(super) lists: Vec<udpchat_api::call::PeerList>,
    /// The number of unread messages of peers that are not listed.
    pub(super) unlisted_unread: u64,
}

impl PeerList {
    /// Returns the peers in display order.
    pub(in crate::command::chat) fn iter(&self) -> impl ExactSizeIterator<Item = (&PeerKey, &PeerRow)> {
        self.order.iter().map(|key| (key, &self.rows[key]))
    }

    pub(in crate::command::chat) fn get(&self, key: &PeerKey) -> Option<&PeerRow> {
        self.rows.get(key)
    }

    /// Marks a named peer as silent. Returns whether it is listed.
    pub(super) fn fall_silent(&mut self, name: &str) -> bool {
        let row = self.rows.get_mut(&PeerKey::Named(name.to_owned()));
        row.map(|row| row.is_silent = true).is_some()
    }

    pub(super) fn get_mut(&mut self, key: &PeerKey) -> Option<&mut PeerRow> {
        self.rows.get_mut(key)
    }

    /// Returns the index of a peer in display order.
    pub(in crate::command::chat) fn position(&self, key: &PeerKey) -> Option<usize> {
        self.order.iter().position(|other| other == key)
    }

    /// Returns the number of unread messages of all peers.
    pub(super) fn unread(&self) -> u64 {
        self.rows.values().map(|row| row.unread).sum::<u64>() + self.unlisted_unread
    }

    /// Counts all messages up to an entry as shown.
    pub(super) fn mark_read(&mut self, arrived_id: u64) {
        for row in self.rows.values_mut() {
            (row.unread, row.seen_id) = (0, arrived_id);
        }
        self.unlisted_unread = 0;
    }

    /// Returns the peer that sent the newest message.
    pub(super) fn newest(&self) -> Option<&PeerKey> {
        let senders = self.rows.iter().filter(|(_, row)| row.last_id.is_some());
        senders.max_by_key(|(_, row)| row.last_id).map(|(key, _)| key)
    }

    /// Returns the peer below (or above) another one; after the last comes the first.
    pub(super) fn neighbour(&self, key: Option<&PeerKey>, down: bool) -> Option<&PeerKey> {
        let last = self.order.len().checked_sub(1)?;
        let at = key.and_then(|key| self.position(key));
        let next = match (at, down) {
            (None, true) => 0,
            (None, false) => last,
            (Some(at), true) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            (Some(at), false) => at.checked_sub(1).unwrap_or(last),
        };
        self.order.get(next)
    }

    /// Returns the next peer below another one that has unread messages.
    pub(super) fn next_unread(&self, key: Option<&PeerKey>) -> Option<&PeerKey> {
        let from = key.and_then(|key| self.position(key)).map_or(0, |at| at + 1);
        let (before, behind) = self.order.split_at(from.min(self.order.len()));
        behind.iter().chain(before).find(|key| self.rows[*key].unread > 0)
    }

    /// Finds the peer for a typed name, address or host. An address with a port is that port, also of a host that has a name; one
    /// without a port is the port that the host sent its last message from.
    pub(super) fn find(&self, text: &str) -> PeerKey {
        let named = PeerKey::Named(text.to_owned());
        if self.rows.contains_key(&named) {
            return named;
        }
        let typed = text.parse::<PeerAddress>().ok();
        match typed.and_then(|typed| Some((typed.destination()?, typed.port().is_some()))) {
            Some((address, true)) => self.at(address),
            Some((address, false)) => match self.owner(address) {
                Some(name) => PeerKey::Named(name.to_owned()),
                None => self.last_of_host(address).cloned().unwrap_or(PeerKey::Address(address)),
            },
            None => PeerKey::Host(text.to_owned()),
        }
    }

    /// Returns the peer without a name that sent the newest message from the host of an address.
    fn last_of_host(&self, address: SocketAddr) -> Option<&PeerKey> {
        let is_of_host = |key: &PeerKey| matches!(key, PeerKey::Address(own) if host(*own) == host(address));
        let heard = self.rows.iter().filter(|(key, row)| row.last_id.is_some() && is_of_host(key));
        heard.max_by_key(|(_, row)| row.last_id).map(|(key, _)| key)
    }

    /// Returns the named peer that is configured with this address and port, otherwise the address. A peer without a port is
    /// the whole host: messages to it go where its last message came from.
    pub(super) fn at(&self, address: SocketAddr) -> PeerKey {
        let with_port = self.addresses.iter().filter(|(_, peer)| peer.port().is_some());
        name_of(with_port, address).map_or(PeerKey::Address(address), |name| PeerKey::Named(name.to_owned()))
    }

    /// Returns the name of the peer that an address belongs to.
    pub(super) fn owner(&self, address: SocketAddr) -> Option<&str> {
        name_of(self.addresses.iter(), address)
    }

    /// Returns whether a message shows that the configuration has changed since the daemon made its list: its peer has another name
    /// here, or none.
    pub(super) fn is_outdated(&self, message: &Message) -> bool {
        let key = PeerKey::of(message);
        let is_named = message.name.is_some() || self.owner(message.peer).is_some();
        is_named && !self.rows.contains_key(&key)
    }

    /// Replaces the list by the daemon's. `with_unread`: takes its unread counts, too; otherwise this chat has counted on
    /// and its own counts are newer. Returns the peers that have another name now, or none or the first one, with what they are now.
    pub(super) fn replace(&mut self, peers: Vec<Peer>, with_unread: bool) -> Vec<(PeerKey, PeerKey)> {
        let mut old = std::mem::take(&mut self.rows);
        let old_order = std::mem::take(&mut self.order);
        let addresses_before = std::mem::take(&mut self.addresses);
        let peers: Vec<_> = peers.into_iter().map(|peer| (self.key_of(&peer), peer)).collect();
        let renamed = self.renamed(&peers, &addresses_before, &old_order, &old);
        Self::rename_rows(&mut old, &renamed);
        let of_ports = self.unread_of_ports(&old);
        for (key, mut peer) in peers {
            let of_ports = of_ports.get(&key).copied().unwrap_or_default();
            peer.unread = peer.unread.saturating_sub(of_ports);
            let row = merged(peer, old.remove(&key), with_unread);
            if self.rows.insert(key.clone(), row).is_none() {
                self.order.push(key);
            }
        }
        self.named = self.order.iter().filter(|key| matches!(key, PeerKey::Named(_))).count();
        // Peers stay that were opened or have sent since the daemon made its list, or that it no longer names.
        let kept = renamed.iter().map(|(_, to)| to.clone()).chain(old_order);
        // Each becomes the first, so the last comes first.
        for key in kept.rev().filter(|key| !matches!(key, PeerKey::Named(_))) {
            if let Some(mut row) = old.remove(&key) {
                row.encoding = self.encoding_of_owner(&key).or(row.encoding);
                self.add(key, row, None);
            }
        }
        renamed
    }

    /// Returns how many messages the ports that were opened by themselves count, by the peer for which the daemon counts them.
    fn unread_of_ports(&self, rows: &HashMap<PeerKey, PeerRow>) -> HashMap<PeerKey, u64> {
        let mut unread = HashMap::new();
        for (key, row) in rows {
            let PeerKey::Address(address) = key else { continue };
            if let Some(name) = self.owner(*address) {
                *unread.entry(PeerKey::Named(name.to_owned())).or_default() += row.unread;
            }
        }
        unread
    }

    /// Forgets which entries above the id `newest` were heard and seen: the inbox does not have them any more.
    pub(super) fn forget_ids_above(&mut self, newest: u64) {
        for row in self.rows.values_mut() {
            row.last_id = row.last_id.map(|id| id.min(newest));
            row.seen_id = row.seen_id.min(newest);
        }
    }

    fn key_of(&mut self, peer: &Peer) -> PeerKey {
        let Some(name) = &peer.name else { return PeerKey::parse(&peer.address) };
        self.addresses.extend(peer.address.parse::<PeerAddress>().map(|address| (name.clone(), address)));
        PeerKey::Named(name.clone())
    }

    /// Returns the encoding of the named peer that an address belongs to: the daemon lists such an address under the name.
    fn encoding_of_owner(&self, key: &PeerKey) -> Option<(String, &'static str)> {
        let PeerKey::Address(address) = key else { return None };
        let name = self.owner(*address)?.to_owned();
        self.rows.get(&PeerKey::Named(name))?.encoding.clone()
    }

    /// Adds a peer on top of those without a name. If there are too many, removes the lowest one that has no draft and is
    /// not open.
    fn add(&mut self, key: PeerKey, row: PeerRow, open: Option<&PeerKey>) {
        if self.rows.insert(key.clone(), row).is_none() {
            self.order.insert(self.named, key);
        }
        if self.order.len() - self.named > MAX_UNNAMED {
            let removed = self.order.iter().rposition(|key| {
                Some(key) != open && self.rows[key].draft.is_empty() && matches!(key, PeerKey::Address(_))
            });
            if let Some(key) = removed.filter(|at| *at > self.named).map(|at| self.order.remove(at))
                && let Some(row) = self.rows.remove(&key)
            {
                self.unlisted_unread += row.unread;
            }
        }
    }

    /// Adds a peer if it is not listed.
    pub(super) fn ensure_listed(&mut self, key: &PeerKey) {
        if !self.rows.contains_key(key) {
            self.add(key.clone(), PeerRow { address: key.to_string(), ..PeerRow::default() }, Some(key));
        }
    }

    /// Removes a host whose address is known now.
    pub(super) fn remove(&mut self, key: &PeerKey) -> Option<PeerRow> {
        self.order.retain(|other| other != key);
        self.rows.remove(key)
    }

    /// Counts a received or sent message. Returns whether it is unread.
    pub(super) fn count(&mut self, message: &Message, open: Option<&PeerKey>) -> bool {
        let key = PeerKey::of(message);
        if !self.rows.contains_key(&key) {
            if message.direction == Direction::Out {
                return false;
            }
            let row = PeerRow { address: message.peer.to_string(), ..PeerRow::default() };
            self.add(key.clone(), row, open);
        }
        if message.direction == Direction::Out {
            return false;
        }
        // A port that was opened by itself is counted by itself, and not once more for its host.
        let port = PeerKey::Address(message.peer);
        let is_opened = key != port && self.rows.contains_key(&port);
        let is_new = self.rows.get_mut(&key).is_some_and(|row| row.hear(message, !is_opened));
        match self.rows.get_mut(&port).filter(|_| is_opened) {
            Some(row) => row.hear(message, true),
            None => is_new,
        }
    }
}

impl PeerRow {
    /// Notes a received message, and counts it as unread if `is_counted`. Returns whether it is new.
    fn hear(&mut self, message: &Message, is_counted: bool) -> bool {
        // The daemon's count includes messages up to `last_id`.
        if self.last_id >= Some(message.id) {
            return false;
        }
        (self.last_id, self.last_heard, self.is_silent) = (Some(message.id), Some(message.at), false);
        self.address = message.peer.to_string();
        self.unread += u64::from(is_counted);
        true
    }
}

/// Returns the name of the peer that owns an address.
fn name_of<'a>(
    peers: impl Iterator<Item = &'a (String, PeerAddress)> + Clone,
    address: SocketAddr,
) -> Option<&'a str> {
    owner(peers.map(|(name, address)| (name.as_str(), address)), address, is_number_of)
}

/// Returns whether an interface has a number; none if no interface has it now, so that this one may have had it.
fn is_number_of(interface: &Interface, number: u32) -> Option<bool> {
    match interface.number() {
        Some(own) if own == number => Some(true),
        // Of a number that no interface has, nix returns an empty name.
        _ => if_indextoname(number).is_ok_and(|name| !name.is_empty()).then_some(false),
    }
}

/// Merges the daemon's information about a peer into its row.
fn merged(peer: Peer, before: Option<PeerRow>, with_unread: bool) -> PeerRow {
    let known = before.is_some();
    let mut row = before.unwrap_or_default();
    // A message that was heard since then is newer than the daemon's list.
    row.is_silent = peer.silent_since.is_some_and(|since| row.last_heard <= Some(since));
    if with_unread || !known {
        row.unread = match peer.last_id {
            last if last <= Some(row.seen_id) => 0,
            last if known && last <= row.last_id => row.unread,
            _ => peer.unread,
        };
        row.last_id = row.last_id.max(peer.last_id);
    }
    row.last_heard = row.last_heard.max(peer.last_heard);
    row.encoding = Some((peer.encoding.clone(), encoding_chosen_by(&peer)));
    row.address = peer.last_from.unwrap_or(peer.address);
    row
}
