//! What a connection brings: the entries that arrive, and the list of peers.

use std::mem;

use udpchat_api::call::PeersAnswer;
use udpchat_api::{Direction, Entry, Message, Notice, Raw};

use super::{ConnectionState, Model};
use crate::command::chat::model::peer::PeerKey;
use crate::command::chat::model::request::Request;
use crate::terminal::Redraw;

/// The most messages that wait for the list of peers; beyond, the list is requested again.
const MAX_EARLY_MESSAGES: usize = 10_000;

/// The kind of a notice that a peer has sent nothing for long.
const SILENT: &str = "silent";

impl Model {
    pub(super) fn go_online(&mut self, after: u64, is_gapless: bool, unread: u64) {
        self.connection = ConnectionState::Online;
        if !is_gapless {
            if after < self.arrived_id {
                // An older copy of the inbox was restored: its next entries have ids that were seen before.
                self.acked_id = self.acked_id.min(after);
                self.peers.forget_ids_above(after);
            }
            self.arrived_id = after;
            self.has_peers = false;
            self.total_unread = unread;
            self.early_messages.clear();
            if let Some(key) = self.open_key().cloned() {
                self.reopen(key);
            }
        }
        if let Some(conversation) = &mut self.conversation {
            (conversation.requested, conversation.read_failed) = (None, false);
        }
        self.requests.push(Request::Peers);
    }

    pub(super) fn add_entry(&mut self, entry: Entry) -> Redraw {
        self.arrived_id = self.arrived_id.max(entry.id());
        let shown = self.conversation.as_mut().is_some_and(|open| {
            let is_known_more = open.learn(&entry);
            open.add_entry(&entry, &self.zone) || is_known_more
        });
        let mut change = if shown { Redraw::Update } else { Redraw::None };
        if self.outbox.add_entry(&entry, self.arrived_id) {
            self.show_unsent();
            change = Redraw::Update;
        }
        if self.conversation.as_ref().is_some_and(|open| open.misses_bounces(&entry)) {
            self.reread();
        }
        match entry {
            Entry::Message(message) => change = change.max(self.count_message(message)),
            // A list of peers costs the daemon 100,000 entries, and many peers may fall silent.
            Entry::Notice(Notice { notice, name: Some(name), .. }) if notice == SILENT => {
                if !(self.has_peers && self.peers.fall_silent(&name)) {
                    self.requests.push(Request::Peers);
                }
                change = change.max(Redraw::Background);
            }
            Entry::Notice(_) | Entry::Gap(_) => {}
        }
        change
    }

    /// Counts a message for its peer, and opens the first conversation.
    fn count_message(&mut self, mut message: Message) -> Redraw {
        if self.has_peers {
            if self.peers.is_outdated(&message) {
                self.requests.push(Request::Peers);
            }
            let open = self.conversation.as_ref().map(|conversation| &conversation.key);
            let is_new = self.peers.count(&message, open);
            let is_first = self.conversation.is_none() && message.direction == Direction::In;
            if is_first {
                self.open(PeerKey::of(&message));
            }
            self.refresh_encoding(&message);
            return match (is_first, is_new) {
                (true, _) => Redraw::Update,
                (false, true) => Redraw::Background,
                (false, false) => Redraw::None,
            };
        }
        if self.early_messages.len() >= MAX_EARLY_MESSAGES {
            // The requested list is too old now.
            self.early_messages.clear();
            self.requests.push(Request::Peers);
        }
        (message.text, message.raw) = (String::new(), Raw::default());
        self.early_messages.push(message);
        Redraw::None
    }

    /// Requests the encoding of the open peer if its messages arrive in another one than before, or chosen in another way.
    fn refresh_encoding(&mut self, message: &Message) {
        let Some(open) = self.conversation.as_ref().filter(|open| open.key.covers(message)) else { return };
        let Some(row) = self.peers.get_mut(&open.key) else { return };
        let encoding = Some((message.encoding.clone(), message.encoding_by));
        if message.direction == Direction::In && row.last_encoding != encoding {
            row.last_encoding = encoding;
            self.requests.push(Request::Peers);
        }
    }

    pub(super) fn set_peers(&mut self, PeersAnswer { peers, lists, .. }: PeersAnswer) {
        let is_first = !mem::replace(&mut self.has_peers, true);
        if let Some(over) = self.peers_notice.take() {
            self.notice.take_if(|notice| *notice == over);
        }
        let encoding_before = self.open_row().and_then(|row| row.encoding.clone());
        let listed: u64 = peers.iter().map(|peer| peer.unread).sum();
        if is_first {
            self.peers.unlisted_unread = self.total_unread.saturating_sub(listed);
        }
        self.peers.lists = lists;
        for (from, to) in self.peers.replace(peers, is_first) {
            self.follow(&from, to);
        }
        // What is known of a peer also changes how its earlier messages are read.
        if encoding_before.is_some() && self.open_row().is_some_and(|row| row.encoding != encoding_before) {
            self.reread();
        }
        // The peer that the user has named, even if another one has sent something meanwhile.
        if self.initial_peer.is_some() {
            self.open_first();
        }
        for message in mem::take(&mut self.early_messages) {
            self.count_message(message);
        }
        if let Some(key) = self.open_key().cloned() {
            self.peers.ensure_listed(&key);
        } else {
            self.open_first();
        }
    }

    fn open_first(&mut self) {
        let key = match self.initial_peer.take() {
            Some(text) => Some(self.peers.find(&text)),
            None => self.peers.newest().cloned(),
        };
        let Some(key) = key else { return };
        self.open(key.clone());
        if let (Some(encoding), Some(row)) = (self.initial_encoding.take(), self.peers.get_mut(&key)) {
            row.chosen_encoding = Some(encoding);
        }
    }
}
