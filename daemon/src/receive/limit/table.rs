//! The buckets of all sources, in bounded memory, and how many datagrams of each were dropped.
//!
//! A stranger has one of two buckets, chosen by a keyed hash, so that an attacker cannot choose sources that collide ("The power
//! of two choices": <https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf>). A bucket that is full again
//! is as good as new, so another source may take it. While both are in use by others, the source uses a bucket that all
//! such newcomers share. A configured peer has a bucket of its own, which no stranger can take.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use udpchat_config::{ByteRate, DatagramRate, Interface, Peer, PeerAddress, Settings, owner};

use super::bucket::{Bucket, Rule};
use super::source::Source;

/// The number of buckets for strangers; a power of two.
const STRANGERS: usize = 8_192;

/// The bucket that newcomers share; those of configured peers follow it.
const SHARED: usize = STRANGERS;

/// The most sources that are named in one report; the others are summed up.
const MAX_NAMED: usize = 8;

/// The buckets, and what was dropped since the last report.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// The rule of strangers, and those of the configured peers.
    strangers: Rule,
    peers: Vec<(PeerAddress, Rule)>,
    /// The address, the port and the number of each configured peer, sorted: a search in it takes less time than a hash.
    by_address: Vec<(Source, Option<u16>, usize)>,
    hasher: RandomState,
    /// The slots that have dropped something since the last report.
    over: Vec<usize>,
    /// What was dropped since then in the shared bucket, or in buckets that are gone.
    unnamed: u64,
    /// What sources dropped since then under the limits before a reload; at most [`MAX_NAMED`].
    before_reload: Vec<Excess>,
}

/// The bucket of one source.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    source: Source,
    bucket: Bucket,
    dropped: u64,
}

/// How many datagrams of a source were dropped; without a source, of all others together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receive) struct Excess {
    pub(in crate::receive) source: Option<String>,
    pub(in crate::receive) datagrams: u64,
}

impl Table {
    /// Creates a table without limits, which takes no memory.
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            strangers: Rule::new(DatagramRate::UNLIMITED, ByteRate::UNLIMITED),
            peers: Vec::new(),
            by_address: Vec::new(),
            hasher: RandomState::new(),
            over: Vec::new(),
            unnamed: 0,
            before_reload: Vec::new(),
        }
    }

    /// Applies the limits of the settings; new ones begin with full buckets. Returns whether there are any.
    pub(super) fn configure(&mut self, settings: &Settings) -> bool {
        let (limit, bytes) = (*settings.access.limit, *settings.access.bytes);
        let strangers = Rule::new(limit, bytes);
        let of_peer = |peer: &Peer| {
            let limit = peer.limit.as_ref().map_or(limit, |own| **own);
            let bytes = peer.bytes.as_ref().map_or(bytes, |own| **own);
            ((*peer.address).clone(), Rule::new(limit, bytes))
        };
        let peers: Vec<_> = settings.peers.values().map(of_peer).collect();
        if (strangers, &peers) != (self.strangers, &self.peers) {
            let (before_reload, others): (Vec<_>, _) =
                self.take_excess().into_iter().partition(|excess| excess.source.is_some());
            let unnamed = others.iter().map(|excess| excess.datagrams).sum();
            *self = Self { strangers, unnamed, before_reload, ..Self::new() };
            if !strangers.is_unlimited() || peers.iter().any(|(_, rule)| !rule.is_unlimited()) {
                self.slots = vec![Slot::default(); SHARED + 1 + peers.len()];
                let numbered = peers.iter().enumerate();
                self.by_address = numbered
                    .map(|(number, (address, _))| (Source::exactly(address.ip()), address.port(), number))
                    .collect();
                self.by_address.sort_unstable();
            }
            self.peers = peers;
        }
        !self.slots.is_empty()
    }

    /// Returns whether a datagram is within the limits; if not, it counts as dropped. `is_number_of` returns whether an
    /// interface has a number.
    pub(super) fn admits(
        &mut self,
        from: SocketAddr,
        now_ns: u64,
        length: usize,
        is_number_of: impl Fn(&Interface, u32) -> Option<bool>,
    ) -> bool {
        let (at, rule) = match self.peer(from, is_number_of) {
            Some(number) => (SHARED + 1 + number, self.peers[number].1),
            None => (SHARED, self.strangers),
        };
        if rule.is_unlimited() {
            return true;
        }
        let at = if at == SHARED { self.of_stranger(Source::of(from.ip()), now_ns) } else { at };
        let slot = &mut self.slots[at];
        let is_within = slot.bucket.take(rule, now_ns, length);
        if !is_within && at == SHARED {
            self.unnamed += 1;
        } else if !is_within {
            if slot.dropped == 0 {
                self.over.push(at);
            }
            slot.dropped += 1;
        }
        is_within
    }

    /// Finds the configured peer that an address belongs to, as [`owner`] does among all of them.
    fn peer(
        &self,
        from: SocketAddr,
        is_number_of: impl Fn(&Interface, u32) -> Option<bool>,
    ) -> Option<usize> {
        let source = Source::exactly(from.ip());
        let first = self.by_address.partition_point(|(known, ..)| *known < source);
        let same = &self.by_address[first..];
        if same.first().is_none_or(|(known, ..)| *known != source) {
            return None;
        }
        let with = |port: Option<u16>| {
            let wanted = (source, port);
            let first = same.partition_point(|(known, port, _)| (*known, *port) < wanted);
            same[first..].iter().take_while(move |(known, port, _)| (*known, *port) == wanted)
        };
        let candidates = with(Some(from.port())).chain(with(None));
        owner(candidates.map(|(.., number)| (*number, &self.peers[*number].0)), from, is_number_of)
    }

    /// Returns the slot of a stranger: its own, one that is not in use, or the shared one.
    fn of_stranger(&mut self, source: Source, now_ns: u64) -> usize {
        let hash = self.hasher.hash_one(source);
        let choices = [hash, hash >> 32].map(|hash| hash as usize % STRANGERS);
        if let Some(own) = choices.into_iter().find(|at| self.slots[*at].source == source) {
            return own;
        }
        let Some(at) = choices.into_iter().find(|at| self.slots[*at].bucket.is_full(now_ns)) else {
            return SHARED;
        };
        if self.slots[at].dropped > 0 {
            self.unnamed += std::mem::take(&mut self.slots[at].dropped);
            self.over.retain(|over| *over != at);
        }
        self.slots[at] = Slot { source, ..Slot::default() };
        at
    }

    /// Takes what was dropped since the last report: the sources that lost most, largest first, then all others in one.
    pub(super) fn take_excess(&mut self) -> Vec<Excess> {
        let mut over = std::mem::take(&mut self.over);
        let dropped = |at: &usize| Reverse(self.slots[*at].dropped);
        if over.len() > MAX_NAMED {
            over.select_nth_unstable_by_key(MAX_NAMED, dropped);
        }
        let number = MAX_NAMED.min(over.len());
        let (named, others) = over.split_at(number);
        let mut excess = std::mem::take(&mut self.before_reload);
        for at in named {
            let datagrams = std::mem::take(&mut self.slots[*at].dropped);
            let source = Some(self.name_of(*at));
            match excess.iter_mut().find(|before| before.source == source) {
                Some(before) => before.datagrams += datagrams,
                None => excess.push(Excess { source, datagrams }),
            }
        }
        excess.sort_by_key(|excess| Reverse(excess.datagrams));
        let mut unnamed = std::mem::take(&mut self.unnamed);
        unnamed += excess.drain(MAX_NAMED.min(excess.len())..).map(|excess| excess.datagrams).sum::<u64>();
        for at in others {
            unnamed += std::mem::take(&mut self.slots[*at].dropped);
        }
        if unnamed > 0 {
            excess.push(Excess { source: None, datagrams: unnamed });
        }
        excess
    }

    /// Returns whose slot it is: a source, or the address of a configured peer as it is configured.
    fn name_of(&self, at: usize) -> String {
        match at.checked_sub(SHARED + 1) {
            Some(number) => self.peers[number].0.to_string(),
            None => self.slots[at].source.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::{BURST_NS, SECOND_NS};
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use udpchat_config::{Environment, Overrides};

    fn settings(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let overrides = Overrides { config: Some(file), ..Overrides::default() };
        Settings::load(&overrides, &Environment::of_process()).unwrap()
    }

    fn table(text: &str) -> Table {
        let mut table = Table::new();
        assert!(table.configure(&settings(text)));
        table
    }

    fn admitted(table: &mut Table, from: &str, now_ns: u64, datagrams: usize) -> usize {
        let from = from.parse().unwrap();
        (0..datagrams).filter(|_| table.admits(from, now_ns, 100, |_, _| None)).count()
    }

    fn stranger(number: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(0x0a00_0000 | number), 9).into()
    }

    const CAMERA: &str = "[peers.camera]\naddress = '192.0.2.1'\n";

    #[test]
    fn no_limit_takes_no_memory() {
        let mut table = Table::new();
        for none in ["", CAMERA, "[peers.camera]\naddress = '192.0.2.1'\nlimit = ''"] {
            assert!(!table.configure(&settings(none)), "{none}");
            assert_eq!(table.slots.capacity(), 0);
        }
        assert!(table.configure(&settings("access.bytes = '1MiB/s'")));
        assert!(!table.configure(&settings("")));
        assert_eq!(table.slots.capacity(), 0);
    }

    #[test]
    fn each_source_has_its_own_limit() {
        let mut table = table("access.limit = '5/s'");
        for from in ["10.0.0.1:1", "10.0.0.2:1", "[fe80::1%2]:1", "[fe80::2%2]:1", "[2001:db8::1]:1"] {
            assert_eq!(admitted(&mut table, from, 0, 100), 10, "{from}");
        }
        for same in ["10.0.0.1:2", "[2001:db8::2]:9"] {
            assert_eq!(admitted(&mut table, same, 0, 100), 0, "{same}");
        }
    }

    #[test]
    fn a_configured_peer_has_its_own_limit_or_that_of_all() {
        let peers = "[access]\nlimit = '5/s'\nbytes = '1KiB/s'\n[peers.a]\naddress = '10.0.0.1:1'\nlimit = '50/s'\nbytes = ''\n\
                     [peers.b]\naddress = '10.0.0.1:2'\n[peers.c]\naddress = '10.0.0.1'\nlimit = ''\n";
        let mut table = table(peers);
        assert_eq!(admitted(&mut table, "10.0.0.1:1", 0, 1_000), 100);
        assert_eq!(admitted(&mut table, "10.0.0.1:2", 0, 1_000), 10);
        assert_eq!(admitted(&mut table, "10.0.0.1:3", 0, 1_000), 21, "the bytes of all");
        assert_eq!(admitted(&mut table, "10.0.0.2:1", 0, 999), 10);
        let names: Vec<_> = table.take_excess().into_iter().filter_map(|excess| excess.source).collect();
        assert_eq!(names, ["10.0.0.1:2", "10.0.0.2", "10.0.0.1", "10.0.0.1:1"]);
    }

    #[test]
    fn a_configured_peer_keeps_its_bucket_among_strangers() {
        let mut table = table(&format!("access.limit = '100/s'\n{CAMERA}"));
        let (mut kept, mut refused) = (0, 0);
        for number in 0..1_000_000 {
            // A second in which all buckets are in use, and the camera sends half as often as it may.
            let now_ns = u64::from(number) * 1_000;
            refused += u32::from(!table.admits(stranger(number), now_ns, 10, |_, _| None));
            if number % 20_000 == 0 {
                kept += admitted(&mut table, "192.0.2.1:5", now_ns, 1);
            }
        }
        assert_eq!(kept, 50);
        assert!(refused > 10_000, "{refused}");
    }

    #[test]
    fn a_bucket_in_use_is_not_taken_by_another_source() {
        let mut table = table("access.limit = '1/s'");
        let all = 20 * STRANGERS as u32;
        let first: Vec<_> =
            (0..all).filter(|number| table.admits(stranger(*number), 0, 1, |_, _| None)).collect();
        assert!(first.len() > STRANGERS * 9 / 10 && first.len() <= STRANGERS + 2, "{}", first.len());
        // The second datagram of the burst: each finds its own bucket again.
        let own = |number: &&u32| table.of_stranger(Source::of(stranger(**number).ip()), 0) != SHARED;
        assert!(first.iter().filter(own).count() >= first.len() - 2);
        // Idle buckets are taken over.
        let again = (all..2 * all).filter(|number| table.admits(stranger(*number), BURST_NS, 1, |_, _| None));
        assert!(again.count() > STRANGERS * 9 / 10);
    }

    #[test]
    fn the_largest_are_named_and_the_others_summed_up() {
        let mut table = table("access.limit = '1/s'");
        for number in 1..=20 {
            for _ in 0..2 + number {
                table.admits(stranger(number), 0, 1, |_, _| None);
            }
        }
        let excess = table.take_excess();
        let largest = |number: u32| Excess {
            source: Some(stranger(number).ip().to_string()),
            datagrams: number.into(),
        };
        assert_eq!(excess[..8], [20, 19, 18, 17, 16, 15, 14, 13].map(largest));
        assert_eq!(excess[8..], [Excess { source: None, datagrams: (1..=12).sum() }]);
        assert_eq!(table.take_excess(), []);
    }

    #[test]
    fn a_reload_forgets_no_dropped_datagram() {
        let mut table = table("access.limit = '1/s'");
        assert_eq!(admitted(&mut table, "10.0.0.1:1", 0, 9), 2);
        table.configure(&settings("access.limit = '1/s'\nlog.level = 'warn'"));
        assert_eq!(admitted(&mut table, "10.0.0.1:1", 0, 1), 0, "the same limits keep their buckets");
        table.configure(&settings(""));
        let dropped = |datagrams| Excess { source: Some("10.0.0.1".to_owned()), datagrams };
        assert_eq!(table.take_excess(), [dropped(8)], "the source keeps its name");
        assert_eq!(admitted(&mut table, "10.0.0.1:1", 0, 9), 9);

        let limited = |limit| settings(&format!("access.limit = '{limit}/s'"));
        for limit in 1..=30 {
            table.configure(&limited(limit));
            admitted(&mut table, "10.0.0.1:1", 0, 100);
            admitted(&mut table, &format!("10.0.1.{limit}:1"), 0, 2 * limit + 1);
        }
        let excess = table.take_excess();
        assert_eq!(excess[0], dropped((1..=30).map(|limit| 100 - 2 * limit).sum()));
        assert_eq!(excess.iter().map(|excess| excess.datagrams).sum::<u64>(), excess[0].datagrams + 30);
        assert_eq!(excess.len(), MAX_NAMED + 1);
    }

    proptest! {
        #[test]
        fn what_is_not_admitted_is_reported_once(
            steps in prop::collection::vec((0..30_u32, 0..SECOND_NS, prop::bool::weighted(0.05)), 1..2_000),
        ) {
            let mut table = table(&format!("access.limit = '1/s'\n{CAMERA}"));
            let (mut now_ns, mut refused, mut reported) = (0, 0, 0);
            let mut report = |table: &mut Table| {
                let excess = table.take_excess();
                assert!(excess.len() <= MAX_NAMED + 1 && excess.iter().all(|excess| excess.datagrams > 0));
                reported += excess.iter().map(|excess| excess.datagrams).sum::<u64>();
            };
            for (number, step, is_end) in steps {
                now_ns += step / 10;
                refused += u64::from(!table.admits(stranger(number), now_ns, 1, |_, _| None));
                if is_end {
                    report(&mut table);
                }
            }
            report(&mut table);
            prop_assert_eq!(reported, refused);
        }
    }
}
