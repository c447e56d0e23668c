//! The peers: who they are, what is unread of each, and what was begun to be written to them.
//!
//! Named ones come first, by name, as the daemon lists them; then the others, those that were heard first by this chat
//! on top. A row never moves while the chat runs, so that a list which is used by eye and hand stays where it is.

use std::collections::HashMap;
use std::net::SocketAddr;

use udpchat_api::call::Peer;
use udpchat_api::{Direction, EncodingBy, Message, Timestamp};
use udpchat_config::PeerAddress;

use super::peer::Key;
use crate::command::chat::editor::Editor;

/// How many peers without a name are kept. Anyone can make up senders.
pub(in crate::command::chat) const MAX_STRANGERS: usize = 1_000;

/// A peer.
#[derive(Clone, Debug, Default)]
pub(in crate::command::chat) struct Row {
    /// The address, as the configuration has it, or as it was last heard from.
    pub(in crate::command::chat) address: String,
    /// What a message to it would be sent in, and what chose that; none where it is not known yet.
    pub(in crate::command::chat) encoding: Option<(String, EncodingBy)>,
    /// What its last message was read in, as far as this chat knows.
    pub(super) heard_in: String,
    pub(in crate::command::chat) last_heard: Option<Timestamp>,
    /// The newest message that came from it.
    pub(super) last_id: Option<u64>,
    /// The newest entry when its last message was on the screen.
    pub(super) seen_id: u64,
    /// How many messages from it were not shown yet.
    pub(in crate::command::chat) unread: u64,
    /// What its messages are to be sent in from now on.
    pub(in crate::command::chat) chosen: Option<String>,
    /// What was being written when another conversation was opened.
    pub(super) draft: Editor,
}

/// The peers.
#[derive(Debug, Default)]
pub(in crate::command::chat) struct Roster {
    rows: HashMap<Key, Row>,
    /// The keys in the order in which they are listed.
    order: Vec<Key>,
    /// How many of those are named.
    named: usize,
    /// The addresses of the named ones.
    addresses: Vec<(String, PeerAddress)>,
    /// How many unread messages are of nobody in the list.
    pub(super) unlisted_unread: u64,
}

impl Roster {
    /// Returns the peers as they are listed.
    pub(in crate::command::chat) fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Row)> {
        self.order.iter().map(|key| (key, &self.rows[key]))
    }

    pub(in crate::command::chat) fn get(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Row> {
        self.rows.get_mut(key)
    }

    /// Returns where a peer is listed.
    pub(in crate::command::chat) fn position(&self, key: &Key) -> Option<usize> {
        self.order.iter().position(|other| other == key)
    }

    /// Returns how many messages are unread of all peers.
    pub(super) fn unread(&self) -> u64 {
        self.rows.values().map(|row| row.unread).sum::<u64>() + self.unlisted_unread
    }

    /// Returns the peer that was heard last.
    pub(super) fn last_heard(&self) -> Option<&Key> {
        let heard = self.rows.iter().filter(|(_, row)| row.last_id.is_some());
        heard.max_by_key(|(_, row)| row.last_id).map(|(key, _)| key)
    }

    /// Returns the peer so many rows below (or above) another one, around the ends of the list.
    pub(super) fn neighbour(&self, key: Option<&Key>, down: bool) -> Option<&Key> {
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
    pub(super) fn next_unread(&self, key: Option<&Key>) -> Option<&Key> {
        let from = key.and_then(|key| self.position(key)).map_or(0, |at| at + 1);
        let (before, behind) = self.order.split_at(from.min(self.order.len()));
        behind.iter().chain(before).find(|key| self.rows[*key].unread > 0)
    }

    /// Finds the peer that somebody means who types a name, an address or a host.
    pub(super) fn meant(&self, text: &str) -> Key {
        let named = Key::Named(text.to_owned());
        if self.rows.contains_key(&named) {
            return named;
        }
        match Key::typed(text) {
            Key::Address(address) => self.owner(address),
            other => other,
        }
    }

    /// Returns the named peer that an address belongs to, or the address.
    fn owner(&self, address: SocketAddr) -> Key {
        let owners = || self.addresses.iter().filter(|(_, owner)| owner.matches(address));
        let owner = owners().find(|(_, owner)| owner.port().is_some()).or_else(|| owners().next());
        owner.map_or(Key::Address(address), |(name, _)| Key::Named(name.clone()))
    }

    /// Takes over what the daemon says about the peers. With `anew`, its counts of unread messages too; otherwise only
    /// what it knows better than this chat, which has counted since.
    pub(super) fn take(&mut self, peers: Vec<Peer>, anew: bool) {
        let mut old = std::mem::take(&mut self.rows);
        let old_order = std::mem::take(&mut self.order);
        self.addresses.clear();
        for peer in peers {
            let key = self.key_of(&peer);
            let before = old.remove(&key);
            let row = renewed(peer, before, anew);
            if self.rows.insert(key.clone(), row).is_none() {
                self.order.push(key);
            }
        }
        self.named = self.order.iter().filter(|key| matches!(key, Key::Named(_))).count();
        // Who was opened or heard of meanwhile stays.
        for key in old_order.into_iter().filter(|key| !matches!(key, Key::Named(_))) {
            if let Some(row) = old.remove(&key) {
                self.add(key, row, None);
            }
        }
    }

    fn key_of(&mut self, peer: &Peer) -> Key {
        let address = peer.address.parse::<PeerAddress>();
        match (&peer.name, address) {
            (Some(name), address) => {
                self.addresses.extend(address.map(|address| (name.clone(), address)));
                Key::Named(name.clone())
            }
            (None, Ok(address)) => Key::Address(address.destination()),
            (None, Err(_)) => Key::Host(peer.address.clone()),
        }
    }

    /// Adds a peer that is not listed yet, on top of those without a name. One of them goes where there are too many,
    /// but not `open`.
    fn add(&mut self, key: Key, row: Row, open: Option<&Key>) {
        if self.rows.insert(key.clone(), row).is_none() {
            self.order.insert(self.named, key);
        }
        if self.order.len() - self.named > MAX_STRANGERS {
            let goes = self.order.iter().rposition(|key| {
                Some(key) != open && self.rows[key].draft.is_empty() && matches!(key, Key::Address(_))
            });
            if let Some(key) = goes.filter(|at| *at > self.named).map(|at| self.order.remove(at))
                && let Some(row) = self.rows.remove(&key)
            {
                self.unlisted_unread += row.unread;
            }
        }
    }

    /// Makes sure that a peer is listed.
    pub(super) fn list(&mut self, key: &Key) {
        if !self.rows.contains_key(key) {
            self.add(key.clone(), Row { address: key.to_string(), ..Row::default() }, Some(key));
        }
    }

    /// Removes a host whose address has turned out.
    pub(super) fn unlist(&mut self, key: &Key) -> Option<Row> {
        self.order.retain(|other| other != key);
        self.rows.remove(key)
    }

    /// Takes note of a message that has come or gone. True if it is unread.
    pub(super) fn note(&mut self, message: &Message, open: Option<&Key>) -> bool {
        let key = Key::of(message);
        if !self.rows.contains_key(&key) {
            if message.direction == Direction::Out {
                return false;
            }
            let named = matches!(key, Key::Named(_));
            let row = Row { address: message.peer.to_string(), ..Row::default() };
            self.add(key.clone(), row, open);
            if named {
                // A name that was given since: it stands among the others until the next start.
                self.addresses
                    .extend(message.peer.to_string().parse().map(|address| (key.to_string(), address)));
            }
        }
        let Some(row) = self.rows.get_mut(&key) else { return false };
        // What the daemon has counted already is not counted again.
        if message.direction == Direction::Out || row.last_id >= Some(message.id) {
            return false;
        }
        row.last_id = Some(message.id);
        row.last_heard = Some(message.at);
        row.unread += 1;
        true
    }
}

fn renewed(peer: Peer, before: Option<Row>, anew: bool) -> Row {
    let known = before.is_some();
    let mut row = before.unwrap_or_default();
    if anew || !known {
        row.unread = match peer.last_id {
            last if last <= Some(row.seen_id) => 0,
            last if known && last <= row.last_id => row.unread,
            _ => peer.unread,
        };
        row.last_id = row.last_id.max(peer.last_id);
    }
    row.last_heard = row.last_heard.max(peer.last_heard);
    row.address = peer.address;
    row.encoding = Some((peer.encoding, peer.encoding_by));
    row
}
