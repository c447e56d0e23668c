//! The encoding learned of each peer, kept in the inbox's file.
//!
//! The writer learns from what it stores, in the same transaction, before the message is published. So a message is always
//! decoded with all that was learned from the messages before it.

use std::collections::HashMap;
use std::net::SocketAddr;

use parking_lot::RwLock;
use rusqlite::{Connection, params};
use udpchat_config::Encoding;

use super::address::{pack, unpack};

/// How many peers are remembered; a further one replaces the one that was learned first.
pub(crate) const MAX_REMEMBERED_PEERS: usize = 10_000;

/// How many peers may be learned in one transaction. It bounds the work that forged addresses can cause.
pub(crate) const MAX_LEARNED_PER_COMMIT: usize = 16;

/// The encoding of a peer, and the entry it was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) encoding: Encoding,
    pub(crate) learned_id: u64,
}

/// The learned encodings in memory.
#[derive(Debug, Default)]
pub(crate) struct LearnedEncodings {
    known: RwLock<HashMap<SocketAddr, Known>>,
}

impl LearnedEncodings {
    /// Returns what was learned of a peer.
    pub(crate) fn of(&self, peer: SocketAddr) -> Option<Known> {
        self.known.read().get(&peer).copied()
    }

    /// Returns how many peers are remembered.
    fn count(&self) -> usize {
        self.known.read().len()
    }

    /// Lists the peers whose encoding is known.
    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        self.known.read().keys().copied().collect()
    }

    /// Loads what the inbox holds, in place of what is in memory; rows that this version cannot read are skipped.
    pub(crate) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare("SELECT address, encoding, learned_id FROM peer")?;
        let mut rows = statement.query([])?;
        let mut known = HashMap::new();
        while let Some(row) = rows.next()? {
            let address = row.get_ref(0)?.as_blob().ok().and_then(unpack);
            let encoding = row.get_ref(1)?.as_str().ok().and_then(|name| name.parse().ok());
            if let (Some(address), Some(encoding)) = (address, encoding) {
                known.insert(address, Known { encoding, learned_id: row.get(2)? });
            }
        }
        *self.known.write() = known;
        Ok(())
    }

    /// Applies the updates of a committed transaction.
    pub(crate) fn apply(&self, updates: Updates) {
        if updates.is_empty() {
            return;
        }
        let mut known = self.known.write();
        known.extend(updates.learned);
        for peer in updates.forgotten {
            known.remove(&peer);
        }
    }
}

/// What one transaction changes.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    learned: HashMap<SocketAddr, Known>,
    forgotten: Vec<SocketAddr>,
}

impl Updates {
    /// Adds that an entry proves the encoding of its peer, unless that is known.
    pub(crate) fn learn(
        &mut self,
        encodings: &LearnedEncodings,
        peer: SocketAddr,
        encoding: Encoding,
        id: u64,
    ) {
        let known = self.learned.get(&peer).copied().or_else(|| encodings.of(peer));
        if known.is_some_and(|known| known.encoding == encoding) {
            return;
        }
        if self.learned.len() < MAX_LEARNED_PER_COMMIT || self.learned.contains_key(&peer) {
            self.learned.insert(peer, Known { encoding, learned_id: id });
            self.forgotten.retain(|forgotten| *forgotten != peer);
        }
    }

    /// Sets the encoding of a peer, whatever was learned; none forgets it.
    pub(crate) fn set(&mut self, peer: SocketAddr, encoding: Option<Encoding>, id: u64) {
        match encoding {
            Some(encoding) => {
                self.learned.insert(peer, Known { encoding, learned_id: id });
                self.forgotten.retain(|forgotten| *forgotten != peer);
            }
            None => {
                self.learned.remove(&peer);
                self.forgotten.push(peer);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.learned.is_empty() && self.forgotten.is_empty()
    }

    /// Writes the updates in the running transaction, and forgets the oldest peers beyond the limit.
    pub(crate) fn write(
        &mut self,
        encodings: &LearnedEncodings,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut forget = connection.prepare_cached("DELETE FROM peer WHERE address = ?1")?;
        for peer in &self.forgotten {
            forget.execute([pack(*peer).as_slice()])?;
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO peer (address, encoding, learned_id) VALUES (?1, ?2, ?3)
             ON CONFLICT (address) DO UPDATE SET encoding = ?2, learned_id = ?3",
        )?;
        for (peer, known) in &self.learned {
            insert.execute(params![pack(*peer).as_slice(), known.encoding.to_string(), known.learned_id])?;
        }
        let new = self.learned.keys().filter(|peer| encodings.of(**peer).is_none()).count();
        let excess = (encodings.count() + new).saturating_sub(MAX_REMEMBERED_PEERS);
        let mut forget = connection.prepare_cached(
            "DELETE FROM peer WHERE address IN (SELECT address FROM peer ORDER BY learned_id LIMIT ?1)
             RETURNING address",
        )?;
        let mut rows = forget.query([excess])?;
        while let Some(row) = rows.next()? {
            self.forgotten.extend(unpack(row.get_ref(0)?.as_blob()?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::file;

    fn peer(number: usize) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).into(), 7788)
    }

    #[test]
    fn the_peer_learned_first_is_forgotten_beyond_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let encodings = LearnedEncodings::default();
        for number in 0..MAX_REMEMBERED_PEERS + 5 {
            let mut updates = Updates::default();
            updates.learn(&encodings, peer(number), Encoding::GB18030, number as u64);
            updates.write(&encodings, &connection).unwrap();
            encodings.apply(updates);
        }
        assert_eq!(encodings.count(), MAX_REMEMBERED_PEERS);
        let fifth = Known { encoding: Encoding::GB18030, learned_id: 5 };
        assert_eq!((encodings.of(peer(4)), encodings.of(peer(5))), (None, Some(fifth)));
        let again = LearnedEncodings::default();
        again.load(&connection).unwrap();
        assert_eq!(again.count(), MAX_REMEMBERED_PEERS);
        assert_eq!((again.of(peer(4)), again.of(peer(5))), (None, Some(fifth)));
    }

    #[test]
    fn one_transaction_learns_a_bounded_number_of_peers() {
        let mut updates = Updates::default();
        for number in 0..100 {
            updates.learn(&LearnedEncodings::default(), peer(number), Encoding::GB18030, 1);
        }
        assert_eq!(updates.learned.len(), MAX_LEARNED_PER_COMMIT);
    }

    #[test]
    fn a_set_encoding_replaces_a_learned_one_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let encodings = LearnedEncodings::default();
        let known = |encodings: &LearnedEncodings| encodings.of(peer(1)).map(|known| known.encoding);
        for given in [Some(Encoding::GB18030), Some(Encoding::UTF_8), None, Some(Encoding::GBK)] {
            let mut updates = Updates::default();
            updates.set(peer(1), given, 7);
            updates.write(&encodings, &connection).unwrap();
            encodings.apply(updates);
            let again = LearnedEncodings::default();
            again.load(&connection).unwrap();
            assert_eq!((known(&encodings), known(&again)), (given, given));
        }
    }
}
