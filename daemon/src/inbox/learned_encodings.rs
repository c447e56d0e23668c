//! The encoding known of each peer, kept in the inbox's file: learned from its messages, or given by a person.
//!
//! The writer learns from what it stores, in the same transaction, before the message is published. So a message is always
//! decoded with all that was learned from the messages before it.
//!
//! A peer is an address and a port, since two programs on a host may differ. Many programs send each datagram from a new port, so
//! what all ports of a host have proven counts for its other ports until they prove otherwise. It never replaces what a port itself
//! has proven, and counts less than the port's own messages ([`crate::peers`], [`udpchat_text::Knowledge`]).

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

/// How many messages are examined in one transaction. Each takes some microseconds, one that is made to be slow up to 0.1 ms,
/// one of 64 KiB up to 0.3 ms; forged addresses are never known.
const MAX_EXAMINED_PER_COMMIT: usize = 1_024;

/// How many ports of a host are remembered; a further one replaces the one of this host that was learned first. So forged ports
/// of an address displace no other address.
const MAX_PORTS_OF_HOST: usize = 256;

/// How many ports of a host are remembered as long as they agree: further ones are read in what the host is known to use.
const MAX_AGREEING_PORTS: usize = 32;

/// Stands for the entry that an encoding was learned from where a person has given it. It is higher than every id, so that such a
/// peer is forgotten last.
pub(super) const GIVEN: u64 = i64::MAX as u64;

/// The encoding of a peer, and the entry it was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) encoding: Encoding,
    pub(crate) learned_id: u64,
}

impl Known {
    /// Tells whether a person has given the encoding. Then no message changes it.
    pub(crate) fn is_given(&self) -> bool {
        self.learned_id == GIVEN
    }
}

/// What is known of a port of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recall {
    /// What a person has given.
    pub(crate) given: Option<Encoding>,
    /// What this port has proven, and by which entry.
    pub(crate) own: Option<Known>,
    /// What its host is known to use.
    pub(crate) of_host: Option<Encoding>,
}

/// The known ports of a host, in the order in which they became known.
type Ports = Vec<(u16, Known)>;

/// The learned encodings in memory.
#[derive(Debug, Default)]
pub(crate) struct LearnedEncodings {
    /// By host: its address with port 0, since an IPv6 address has a scope.
    hosts: RwLock<HashMap<SocketAddr, Ports>>,
}

fn host(peer: SocketAddr) -> SocketAddr {
    let mut host = peer;
    host.set_port(0);
    host
}

/// Returns the encoding that all ports have proven.
fn agreed(ports: &Ports) -> Option<Encoding> {
    let mut learned = ports.iter().filter(|(_, known)| !known.is_given()).map(|(_, known)| known.encoding);
    let first = learned.next()?;
    learned.all(|encoding| encoding == first).then_some(first)
}

fn of_port(ports: &Ports, port: u16) -> Option<Known> {
    ports.iter().find(|(known, _)| *known == port).map(|(_, known)| *known)
}

impl LearnedEncodings {
    /// Returns what is known of a peer itself.
    pub(crate) fn of(&self, peer: SocketAddr) -> Option<Known> {
        of_port(self.hosts.read().get(&host(peer))?, peer.port())
    }

    /// Returns all that is known of a peer. Where it is the `whole_host`, the newest of any port counts for the others.
    pub(crate) fn recall(&self, peer: SocketAddr, whole_host: bool) -> Recall {
        let hosts = self.hosts.read();
        let Some(ports) = hosts.get(&host(peer)) else { return Recall::default() };
        let own = of_port(ports, peer.port());
        let newest = |is_given: bool| {
            let mut newest = ports.iter().rev().map(|(_, known)| known);
            newest.find(|known| known.is_given() == is_given).map(|known| known.encoding)
        };
        let given = own.filter(Known::is_given).map(|known| known.encoding);
        Recall {
            given: given.or_else(|| newest(true).filter(|_| whole_host)),
            own: own.filter(|known| !known.is_given()),
            of_host: agreed(ports).or_else(|| newest(false).filter(|_| whole_host)),
        }
    }

    /// Returns what the host of an unknown port is known to use, if so many ports agree that no further one is remembered.
    fn settled(&self, peer: SocketAddr) -> Option<Encoding> {
        self.hosts.read().get(&host(peer)).filter(|ports| ports.len() >= MAX_AGREEING_PORTS).and_then(agreed)
    }

    /// Returns how many peers are remembered.
    fn count(&self) -> usize {
        self.hosts.read().values().map(Vec::len).sum()
    }

    /// Lists the peers whose encoding is known.
    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        let hosts = self.hosts.read();
        let ports = |(host, ports): (&SocketAddr, &Ports)| {
            let host = *host;
            let peers = ports.iter().map(move |(port, _)| {
                let mut peer = host;
                peer.set_port(*port);
                peer
            });
            peers.collect::<Vec<_>>()
        };
        hosts.iter().flat_map(ports).collect()
    }

    /// Loads what the inbox holds, in place of what is in memory; rows that this version cannot read are skipped.
    pub(crate) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement =
            connection.prepare("SELECT address, encoding, learned_id FROM peer ORDER BY learned_id")?;
        let mut rows = statement.query([])?;
        let mut hosts = HashMap::new();
        while let Some(row) = rows.next()? {
            let address = row.get_ref(0)?.as_blob().ok().and_then(unpack);
            let encoding = row.get_ref(1)?.as_str().ok().and_then(|name| name.parse().ok());
            if let (Some(address), Some(encoding)) = (address, encoding) {
                put(&mut hosts, address, Known { encoding, learned_id: row.get(2)? });
            }
        }
        *self.hosts.write() = hosts;
        Ok(())
    }

    /// Applies the updates of a committed transaction.
    pub(crate) fn apply(&self, updates: Updates) {
        if updates.is_empty() {
            return;
        }
        let mut hosts = self.hosts.write();
        let mut changed: Vec<_> = updates.changed.into_iter().collect();
        changed.sort_by_key(|(_, known)| known.learned_id);
        for (peer, known) in changed {
            put(&mut hosts, peer, known);
        }
        for peer in updates.forgotten {
            remove(&mut hosts, peer);
        }
    }
}

fn put(hosts: &mut HashMap<SocketAddr, Ports>, peer: SocketAddr, known: Known) {
    let ports = hosts.entry(host(peer)).or_default();
    ports.retain(|(port, _)| *port != peer.port());
    ports.push((peer.port(), known));
}

fn remove(hosts: &mut HashMap<SocketAddr, Ports>, peer: SocketAddr) {
    let Some(ports) = hosts.get_mut(&host(peer)) else { return };
    ports.retain(|(port, _)| *port != peer.port());
    if ports.is_empty() {
        hosts.remove(&host(peer));
    }
}

/// What one transaction changes.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    changed: HashMap<SocketAddr, Known>,
    forgotten: Vec<SocketAddr>,
    examined: usize,
}

impl Updates {
    /// Learns from an entry of a peer. `proof` returns the encoding that the entry proves, if it proves one; it gets what the peer
    /// is known to use.
    pub(crate) fn learn(
        &mut self,
        encodings: &LearnedEncodings,
        peer: SocketAddr,
        id: u64,
        proof: impl FnOnce(Option<Encoding>) -> Option<Encoding>,
    ) {
        let own = self.changed.get(&peer).copied().or_else(|| encodings.of(peer));
        if own.is_some_and(|own| own.is_given()) {
            return;
        }
        let is_full = self.changed.len() >= MAX_LEARNED_PER_COMMIT && !self.changed.contains_key(&peer);
        if is_full || self.examined >= MAX_EXAMINED_PER_COMMIT {
            return;
        }
        self.examined += 1;
        let remembered = own.map(|own| own.encoding).or_else(|| encodings.settled(peer));
        if let Some(encoding) = proof(remembered)
            && remembered != Some(encoding)
        {
            self.put(peer, Known { encoding, learned_id: id });
        }
    }

    /// Sets the encoding of a peer as a person has given it; none forgets what is known.
    pub(crate) fn give(&mut self, peer: SocketAddr, encoding: Option<Encoding>) {
        match encoding {
            Some(encoding) => self.put(peer, Known { encoding, learned_id: GIVEN }),
            None => {
                self.changed.remove(&peer);
                self.forgotten.push(peer);
            }
        }
    }

    fn put(&mut self, peer: SocketAddr, known: Known) {
        self.changed.insert(peer, known);
        self.forgotten.retain(|forgotten| *forgotten != peer);
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.forgotten.is_empty()
    }

    /// Writes the updates in the running transaction, and forgets the oldest peers beyond the limits.
    pub(crate) fn write(
        &mut self,
        encodings: &LearnedEncodings,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        self.forget_ports(encodings);
        let mut forget = connection.prepare_cached("DELETE FROM peer WHERE address = ?1")?;
        for peer in &self.forgotten {
            forget.execute([pack(*peer).as_slice()])?;
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO peer (address, encoding, learned_id) VALUES (?1, ?2, ?3)
             ON CONFLICT (address) DO UPDATE SET encoding = ?2, learned_id = ?3",
        )?;
        for (peer, known) in &self.changed {
            insert.execute(params![pack(*peer).as_slice(), known.encoding.to_string(), known.learned_id])?;
        }
        let new = self.changed.keys().filter(|peer| encodings.of(**peer).is_none()).count();
        let gone = self.forgotten.iter().filter(|peer| encodings.of(**peer).is_some()).count();
        let excess = (encodings.count() + new).saturating_sub(gone + MAX_REMEMBERED_PEERS);
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

    /// Forgets the oldest learned port of each host that has too many, for each new one.
    fn forget_ports(&mut self, encodings: &LearnedEncodings) {
        let hosts = encodings.hosts.read();
        let mut new: HashMap<SocketAddr, usize> = HashMap::new();
        for peer in self.changed.keys() {
            let ports = hosts.get(&host(*peer));
            if ports.and_then(|ports| of_port(ports, peer.port())).is_none() {
                *new.entry(host(*peer)).or_default() += 1;
            }
        }
        for (host, new) in new {
            let Some(ports) = hosts.get(&host) else { continue };
            let excess = (ports.len() + new).saturating_sub(MAX_PORTS_OF_HOST);
            let peers = ports.iter().filter(|(_, known)| !known.is_given()).map(|(port, _)| {
                let mut peer = host;
                peer.set_port(*port);
                peer
            });
            let kept = |peer: &SocketAddr| !self.changed.contains_key(peer);
            self.forgotten.extend(peers.filter(kept).take(excess));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::file;

    fn peer(number: usize) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).into(), 7788)
    }

    fn port(port: usize) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), u16::try_from(port).unwrap())
    }

    /// An inbox that learns.
    struct Inbox {
        connection: Connection,
        encodings: LearnedEncodings,
        _folder: tempfile::TempDir,
    }

    impl Inbox {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let connection = file::open(folder.path()).unwrap().connection;
            Self { connection, encodings: LearnedEncodings::default(), _folder: folder }
        }

        fn change(&self, change: impl FnOnce(&mut Updates)) {
            let mut updates = Updates::default();
            change(&mut updates);
            updates.write(&self.encodings, &self.connection).unwrap();
            self.encodings.apply(updates);
        }

        fn learn(&self, peer: SocketAddr, encoding: Encoding, id: u64) {
            self.change(|updates| updates.learn(&self.encodings, peer, id, |_| Some(encoding)));
        }

        /// Checks that the next daemon would know the same, and returns what is known.
        fn known(&self, peer: SocketAddr) -> Option<Known> {
            let again = LearnedEncodings::default();
            again.load(&self.connection).unwrap();
            assert_eq!(again.count(), self.encodings.count());
            assert_eq!(again.recall(peer, false), self.encodings.recall(peer, false));
            self.encodings.of(peer)
        }
    }

    #[test]
    fn the_peer_learned_first_is_forgotten_beyond_the_limit() {
        let inbox = Inbox::new();
        for number in 0..MAX_REMEMBERED_PEERS + 5 {
            inbox.learn(peer(number), Encoding::GB18030, number as u64);
        }
        assert_eq!(inbox.encodings.count(), MAX_REMEMBERED_PEERS);
        let fifth = Known { encoding: Encoding::GB18030, learned_id: 5 };
        assert_eq!((inbox.known(peer(4)), inbox.known(peer(5))), (None, Some(fifth)));
    }

    #[test]
    fn one_transaction_learns_a_bounded_number_of_peers() {
        let mut updates = Updates::default();
        for number in 0..100 {
            updates.learn(&LearnedEncodings::default(), peer(number), 1, |_| Some(Encoding::GB18030));
        }
        assert_eq!(updates.changed.len(), MAX_LEARNED_PER_COMMIT);
    }

    #[test]
    fn a_given_encoding_replaces_a_learned_one_and_can_be_removed() {
        let inbox = Inbox::new();
        inbox.learn(peer(1), Encoding::GBK, 7);
        for given in [Some(Encoding::GB18030), Some(Encoding::UTF_8), None, Some(Encoding::GBK)] {
            inbox.change(|updates| updates.give(peer(1), given));
            assert_eq!(inbox.known(peer(1)).map(|known| known.encoding), given);
            assert_eq!(inbox.encodings.recall(peer(1), false).given, given);
        }
    }

    #[test]
    fn no_message_changes_a_given_encoding() {
        let inbox = Inbox::new();
        inbox.change(|updates| updates.give(peer(1), Some(Encoding::BIG5)));
        inbox.learn(peer(1), Encoding::UTF_8, 9);
        assert_eq!(inbox.known(peer(1)).map(|known| known.encoding), Some(Encoding::BIG5));
        // Not in the transaction that stores it either.
        let mut updates = Updates::default();
        updates.give(peer(2), Some(Encoding::BIG5));
        updates.learn(&inbox.encodings, peer(2), 9, |_| Some(Encoding::UTF_8));
        assert!(updates.changed[&peer(2)].is_given());
    }

    #[test]
    fn a_host_uses_what_all_its_ports_have_proven() {
        let inbox = Inbox::new();
        let of_host = |peer| inbox.encodings.recall(peer, false).of_host;
        inbox.learn(port(1), Encoding::GB18030, 1);
        assert_eq!((of_host(port(2)), of_host(peer(1))), (Some(Encoding::GB18030), None));
        inbox.learn(port(3), Encoding::UTF_8, 2);
        assert_eq!(of_host(port(2)), None);
        // Each port keeps what it has proven itself.
        assert_eq!(inbox.known(port(1)).map(|known| known.encoding), Some(Encoding::GB18030));
        assert_eq!(inbox.known(port(3)).map(|known| known.encoding), Some(Encoding::UTF_8));
        let newest = inbox.encodings.recall(port(2), true).of_host;
        assert_eq!(newest, Some(Encoding::UTF_8), "where the peer is the whole host");
    }

    #[test]
    fn what_is_given_to_a_port_is_not_given_to_its_host() {
        let inbox = Inbox::new();
        inbox.change(|updates| updates.give(port(1), Some(Encoding::BIG5)));
        assert_eq!(inbox.encodings.recall(port(2), false), Recall::default());
        assert_eq!(inbox.encodings.recall(port(2), true).given, Some(Encoding::BIG5));
    }

    #[test]
    fn a_further_port_displaces_no_other_host() {
        let inbox = Inbox::new();
        let known = |learned_id| Known { encoding: Encoding::GB18030, learned_id };
        let hosts = MAX_REMEMBERED_PEERS - MAX_PORTS_OF_HOST;
        inbox.change(|updates| (0..hosts).for_each(|number| updates.put(peer(number), known(number as u64))));
        let ports = 1..=MAX_PORTS_OF_HOST;
        inbox.change(|updates| ports.for_each(|number| updates.put(port(number), known(20_000))));
        inbox.learn(port(60_000), Encoding::UTF_8, 20_001);
        assert_eq!(inbox.encodings.count(), MAX_REMEMBERED_PEERS);
        assert_eq!(inbox.known(peer(0)), Some(known(0)));
    }

    #[test]
    fn a_port_for_each_datagram_takes_a_bounded_number_of_rows() {
        let inbox = Inbox::new();
        inbox.learn(peer(1), Encoding::UTF_8, 1);
        for number in 1..1_000 {
            inbox.learn(port(number), Encoding::GB18030, number as u64);
        }
        assert_eq!(inbox.encodings.count(), 1 + MAX_AGREEING_PORTS);
        // Ports that disagree, such as forged ones, displace ports of the same host only.
        inbox.change(|updates| updates.give(port(1), Some(Encoding::BIG5)));
        for number in 1_000..3_000 {
            let encoding = if number % 2 == 0 { Encoding::UTF_8 } else { Encoding::BIG5 };
            inbox.learn(port(number), encoding, number as u64);
        }
        assert_eq!(inbox.encodings.count(), 1 + MAX_PORTS_OF_HOST);
        assert!(inbox.known(peer(1)).is_some() && inbox.known(port(1)).is_some_and(|known| known.is_given()));
    }
}
