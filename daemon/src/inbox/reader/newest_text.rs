//! The newest message of each peer that shows an encoding: what to answer in where a peer has proven none.
//!
//! The log has no index by peer that finds such a message quickly, and messages may be sent at a high rate. So their ids are kept
//! in memory, and each look-up first goes through the entries that came since the last one.

use std::collections::HashMap;
use std::net::SocketAddr;

use rusqlite::Connection;

use super::{PEERS_WINDOW_IDS, Reader};
use crate::inbox::InboxError;
use crate::inbox::address::unpack;
use crate::inbox::entry::Stored;

/// How many ids one transaction looks at.
const PART_IDS: u64 = 2_000;

/// How much payload one look-up goes through at most, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// How many peers are kept; those heard last are.
const MAX_PEERS: usize = 10_000;

/// The ids of the newest such messages.
#[derive(Debug, Default)]
pub(super) struct NewestTexts {
    seen_to: u64,
    ids: HashMap<SocketAddr, u64>,
}

impl NewestTexts {
    /// Returns the newest of a peer; if it has none and `of_host`, the newest of any port of its host.
    fn of(&self, peer: SocketAddr, of_host: bool) -> Option<u64> {
        let is_of_host = |mut other: SocketAddr| {
            other.set_port(peer.port());
            other == peer
        };
        let newest =
            || self.ids.iter().filter(|(other, _)| of_host && is_of_host(**other)).map(|(_, id)| *id).max();
        self.ids.get(&peer).copied().or_else(newest)
    }

    fn note(&mut self, peer: SocketAddr, id: u64) {
        let newest = self.ids.entry(peer).or_default();
        *newest = id.max(*newest);
        if self.ids.len() >= 2 * MAX_PEERS {
            self.forget_old();
        }
    }

    fn forget_old(&mut self) {
        let mut ids: Vec<u64> = self.ids.values().copied().collect();
        let (_, oldest_kept, _) = ids.select_nth_unstable(self.ids.len() - MAX_PEERS);
        let oldest_kept = *oldest_kept;
        self.ids.retain(|_, id| *id >= oldest_kept);
    }
}

impl Reader {
    /// Returns the newest message of a peer that shows an encoding; if it has none and `of_host`, that of any port of its host.
    /// It looks as far back as the newest [`PEERS_WINDOW_IDS`] entries and 16 MiB of messages, and remembers what it has seen.
    pub(crate) fn newest_text(&self, peer: SocketAddr, of_host: bool) -> Result<Option<Stored>, InboxError> {
        let id = {
            let mut texts = self.newest_texts.lock();
            self.catch_up(&mut texts)?;
            texts.of(peer, of_host)
        };
        id.map_or(Ok(None), |id| self.entry(id))
    }

    /// Goes through the entries that came since the last time, from the newest down.
    fn catch_up(&self, texts: &mut NewestTexts) -> Result<(), InboxError> {
        self.with(|connection| {
            let newest = self.visible(connection)?.newest;
            let oldest = texts.seen_to.max(newest.saturating_sub(PEERS_WINDOW_IDS));
            let (mut high, mut bytes) = (newest, 0);
            while high > oldest && bytes < MAX_BYTES {
                let low = oldest.max(high.saturating_sub(PART_IDS));
                match visit_part(connection, (low, high), texts) {
                    Ok(read) => bytes += read,
                    // What cannot be read shows nothing; other reads report the damage.
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                }
                high = low;
            }
            texts.seen_to = newest;
            Ok(())
        })
    }
}

/// Notes the messages above `ids.0` up to `ids.1` that show an encoding; returns how many bytes it has read. The payload is read
/// only of peers without a newer such message.
fn visit_part(
    connection: &Connection,
    ids: (u64, u64),
    texts: &mut NewestTexts,
) -> Result<usize, InboxError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, peer, payload FROM entry WHERE id > ?1 AND id <= ?2 AND kind = 0 ORDER BY id DESC",
    )?;
    let mut rows = statement.query([ids.0, ids.1])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let Some(peer) = row.get_ref(1)?.as_blob_or_null()?.and_then(unpack) else { continue };
        if texts.ids.get(&peer).is_some_and(|newest| *newest > id) {
            continue;
        }
        let payload = row.get_ref(2)?.as_blob_or_null()?.unwrap_or_default();
        bytes += payload.len();
        if udpchat_text::shows_encoding(payload) {
            texts.note(peer, id);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).into(), 7788)
    }

    #[test]
    fn the_peers_heard_last_are_kept() {
        let mut texts = NewestTexts::default();
        for number in 1..=5 * MAX_PEERS {
            texts.note(peer(number), number as u64);
            assert!(texts.ids.len() <= 2 * MAX_PEERS);
        }
        let newest = 5 * MAX_PEERS;
        assert_eq!(texts.of(peer(newest - MAX_PEERS + 1), false), Some((newest - MAX_PEERS + 1) as u64));
        assert_eq!(texts.of(peer(1), true), None);
    }

    #[test]
    fn another_port_of_the_host_counts_only_without_an_own_message() {
        let mut texts = NewestTexts::default();
        let port = |port| SocketAddr::new([10, 0, 0, 1].into(), port);
        for (from, id) in [(port(1), 1), (port(2), 2), (peer(1), 3)] {
            texts.note(from, id);
        }
        assert_eq!(texts.of(port(1), true), Some(1));
        assert_eq!(texts.of(port(3), true), Some(2));
        assert_eq!(texts.of(port(3), false), None);
    }
}
