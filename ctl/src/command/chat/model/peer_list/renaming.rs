//! Peers that have another name after a reload of the configuration, or none, or their first one.

use std::collections::{HashMap, HashSet};

use udpchat_api::call::Peer;
use udpchat_config::PeerAddress;

use super::{PeerList, PeerRow, name_of};
use crate::command::chat::model::line_end::LineEnd;
use crate::command::chat::model::peer::PeerKey;

impl PeerList {
    /// Returns which of the peers of the list before, with its order, rows and addresses, are called something else in the
    /// daemon's list, and what.
    pub(super) fn renamed(
        &self,
        peers: &[(PeerKey, Peer)],
        addresses_before: &[(String, PeerAddress)],
        order: &[PeerKey],
        rows: &HashMap<PeerKey, PeerRow>,
    ) -> Vec<(PeerKey, PeerKey)> {
        let listed: HashSet<&PeerKey> = peers.iter().map(|(key, _)| key).collect();
        let is_new = |key: &&PeerKey| match key {
            PeerKey::Named(_) => !listed.contains(key),
            PeerKey::Address(address) => name_of(addresses_before.iter(), *address).is_none(),
            PeerKey::Host(_) => false,
        };
        let renamed = order.iter().filter(is_new);
        renamed.filter_map(|key| Some((key.clone(), self.named_now(key, rows)?))).collect()
    }

    /// Returns what the peer at the address of a row is called in the list now, if that is something else.
    fn named_now(&self, key: &PeerKey, rows: &HashMap<PeerKey, PeerRow>) -> Option<PeerKey> {
        let PeerKey::Address(address) = PeerKey::parse(&rows.get(key)?.address) else { return None };
        let now =
            self.owner(address).map_or(PeerKey::Address(address), |name| PeerKey::Named(name.to_owned()));
        (now != *key).then_some(now)
    }

    /// Moves rows to the keys that their peers have now. Several may be one peer now.
    pub(super) fn rename_rows(rows: &mut HashMap<PeerKey, PeerRow>, renamed: &[(PeerKey, PeerKey)]) {
        // Removed first: names may have been exchanged.
        let moved: Vec<_> = renamed.iter().filter_map(|(from, to)| Some((to, rows.remove(from)?))).collect();
        for (to, row) in moved {
            match rows.get_mut(to) {
                Some(known) => known.absorb(row),
                None => drop(rows.insert(to.clone(), row)),
            }
        }
    }
}

impl PeerRow {
    /// Takes what was counted, chosen and written in another row of the same peer.
    fn absorb(&mut self, other: Self) {
        self.unread += other.unread;
        // If one row has unread messages, the other row's mark must not count them as seen.
        self.seen_id = match self.unread {
            0 => self.seen_id.max(other.seen_id),
            _ => self.seen_id.min(other.seen_id),
        };
        if self.last_id < other.last_id {
            (self.last_id, self.last_heard) = (other.last_id, other.last_heard);
            self.address.clone_from(&other.address);
        }
        self.take_choices(other);
    }

    /// Takes what the user has chosen and written for the same peer under another name.
    pub(in crate::command::chat::model) fn take_choices(&mut self, earlier: Self) {
        self.chosen_encoding = self.chosen_encoding.take().or(earlier.chosen_encoding);
        if self.line_end == LineEnd::default() {
            self.line_end = earlier.line_end;
        }
        if self.draft.is_empty() {
            self.draft = earlier.draft;
        }
    }
}
