//! What each peer is known to speak: the memory of encodings, kept in the inbox's file.
//!
//! The writer learns from what it stores, in the same transaction, before anybody is told of the message. So
//! whoever reads a message reads it with all that the messages before it have taught.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use rusqlite::{Connection, params};
use udpchat_config::Encoding;

use super::address::{pack, unpack};

/// How many peers are remembered; the one that was learned first is forgotten for the next.
pub(crate) const MAX_REMEMBERED_PEERS: usize = 10_000;

/// How many peers may be learned in one transaction. Strangers with forged addresses cannot make it longer.
pub(crate) const MAX_LEARNED_PER_COMMIT: usize = 16;

/// What a peer is known to speak, and the entry that taught it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) encoding: Encoding,
    pub(crate) learned_id: u64,
}

/// The encodings that peers are known to speak.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    known: RwLock<HashMap<SocketAddr, Known>>,
}

impl Speech {
    /// Returns what a peer is known to speak.
    pub(crate) fn of(&self, peer: SocketAddr) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }

    /// Returns how many peers are remembered.
    fn count(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns the peers of which something is known.
    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Replaces what is known by what the inbox holds; entries that this version cannot read are passed over.
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
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Takes over what a committed transaction has learned and forgotten.
    pub(crate) fn adopt(&self, lessons: Lessons) {
        if lessons.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(lessons.learned);
        for peer in lessons.forgotten {
            known.remove(&peer);
        }
    }
}

/// What one transaction learns.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    learned: HashMap<SocketAddr, Known>,
    forgotten: Vec<SocketAddr>,
}

impl Lessons {
    /// Notes that an entry proves what its peer speaks, if that is news.
    pub(crate) fn note(&mut self, speech: &Speech, peer: SocketAddr, encoding: Encoding, id: u64) {
        let known = self.learned.get(&peer).copied().or_else(|| speech.of(peer));
        if known.is_some_and(|known| known.encoding == encoding) {
            return;
        }
        if self.learned.len() < MAX_LEARNED_PER_COMMIT || self.learned.contains_key(&peer) {
            self.learned.insert(peer, Known { encoding, learned_id: id });
            self.forgotten.retain(|forgotten| *forgotten != peer);
        }
    }

    /// Notes what somebody says that a peer speaks, whatever is known of it; none says that nothing is known.
    pub(crate) fn give(&mut self, peer: SocketAddr, encoding: Option<Encoding>, id: u64) {
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

    /// Writes the lessons in the running transaction, and forgets the oldest beyond the limit.
    pub(crate) fn write(&mut self, speech: &Speech, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut forget = connection.prepare_cached("DELETE FROM peer WHERE address = ?1")?;
        for peer in &self.forgotten {
            forget.execute([pack(*peer).as_slice()])?;
        }
        let mut learn = connection.prepare_cached(
            "INSERT INTO peer (address, encoding, learned_id) VALUES (?1, ?2, ?3)
             ON CONFLICT (address) DO UPDATE SET encoding = ?2, learned_id = ?3",
        )?;
        for (peer, known) in &self.learned {
            learn.execute(params![pack(*peer).as_slice(), known.encoding.to_string(), known.learned_id])?;
        }
        let new = self.learned.keys().filter(|peer| speech.of(**peer).is_none()).count();
        let excess = (speech.count() + new).saturating_sub(MAX_REMEMBERED_PEERS);
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
    fn the_memory_is_bounded_and_the_first_learned_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let speech = Speech::default();
        for number in 0..MAX_REMEMBERED_PEERS + 5 {
            let mut lessons = Lessons::default();
            lessons.note(&speech, peer(number), Encoding::GB18030, number as u64);
            lessons.write(&speech, &connection).unwrap();
            speech.adopt(lessons);
        }
        assert_eq!(speech.count(), MAX_REMEMBERED_PEERS);
        let fifth = Known { encoding: Encoding::GB18030, learned_id: 5 };
        assert_eq!((speech.of(peer(4)), speech.of(peer(5))), (None, Some(fifth)));
        let again = Speech::default();
        again.load(&connection).unwrap();
        assert_eq!(again.count(), MAX_REMEMBERED_PEERS);
        assert_eq!((again.of(peer(4)), again.of(peer(5))), (None, Some(fifth)));
    }

    #[test]
    fn one_transaction_learns_a_bounded_number() {
        let mut lessons = Lessons::default();
        for number in 0..100 {
            lessons.note(&Speech::default(), peer(number), Encoding::GB18030, 1);
        }
        assert_eq!(lessons.learned.len(), MAX_LEARNED_PER_COMMIT);
    }

    #[test]
    fn what_is_given_replaces_what_was_learned_and_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let speech = Speech::default();
        let known = |speech: &Speech| speech.of(peer(1)).map(|known| known.encoding);
        for given in [Some(Encoding::GB18030), Some(Encoding::UTF_8), None, Some(Encoding::GBK)] {
            let mut lessons = Lessons::default();
            lessons.give(peer(1), given, 7);
            lessons.write(&speech, &connection).unwrap();
            speech.adopt(lessons);
            let again = Speech::default();
            again.load(&connection).unwrap();
            assert_eq!((known(&speech), known(&again)), (given, given));
        }
    }
}
