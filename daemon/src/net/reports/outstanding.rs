//! The messages that a report may still concern: what was sent within the last seconds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long after a message a report may come. Linux reports a host that does not answer its neighbours after 3.1 s.
pub(super) const REPORT_WAIT: Duration = Duration::from_secs(5);

/// How many messages are remembered at most, in total and to one address and port.
const MAX_MESSAGES: usize = 4_096;
const MAX_MESSAGES_OF_A_PEER: usize = 256;

/// How much of a payload is remembered, in bytes: what Linux quotes at most.
const MAX_PREFIX_BYTES: usize = 1_184;

/// An address without the scope, which reports need not have.
type Peer = (IpAddr, u16);

/// The messages, by running number and by peer.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    sent: BTreeMap<u64, (Peer, Instant)>,
    by_peer: HashMap<Peer, VecDeque<Message>>,
}

#[derive(Debug)]
struct Message {
    number: u64,
    length: usize,
    prefix: Box<[u8]>,
}

impl Outstanding {
    /// Adds a message; its number is higher than all before. Forgets the oldest ones beyond the limits.
    pub(super) fn add(&mut self, number: u64, to: SocketAddr, payload: &[u8], now: Instant) {
        self.expire(now);
        if self.sent.len() == MAX_MESSAGES {
            self.forget_oldest();
        }
        let peer = peer(to);
        let messages = self.by_peer.entry(peer).or_default();
        if messages.len() == MAX_MESSAGES_OF_A_PEER
            && let Some(oldest) = messages.pop_front()
        {
            self.sent.remove(&oldest.number);
        }
        let prefix = payload[..payload.len().min(MAX_PREFIX_BYTES)].into();
        messages.push_back(Message { number, length: payload.len(), prefix });
        self.sent.insert(number, (peer, now));
    }

    /// Returns the number of the message that a report concerns, and forgets it.
    ///
    /// Some hosts quote the headers only. Of several messages that begin with what is quoted, one of exactly that length comes
    /// first, and among these the newest: the peer may have received earlier ones before it closed its port.
    pub(super) fn take(&mut self, to: SocketAddr, quoted: &[u8], now: Instant) -> Option<u64> {
        self.expire(now);
        let peer = peer(to);
        let messages = self.by_peer.get_mut(&peer)?;
        let is_whole = |message: &Message| message.length == quoted.len() && message.begins_with(quoted);
        let found = messages.iter().rposition(is_whole);
        let index = found.or_else(|| messages.iter().rposition(|message| message.begins_with(quoted)))?;
        let number = messages.remove(index)?.number;
        if messages.is_empty() {
            self.by_peer.remove(&peer);
        }
        self.sent.remove(&number);
        Some(number)
    }

    /// Forgets all messages, and releases their memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, (_, sent))) = self.sent.first_key_value()
            && now.saturating_duration_since(*sent) > REPORT_WAIT
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((number, (peer, _))) = self.sent.pop_first() else { return };
        let Some(messages) = self.by_peer.get_mut(&peer) else { return };
        // Those of a peer are in the order of their numbers too.
        if messages.front().is_some_and(|message| message.number == number) {
            messages.pop_front();
        }
        if messages.is_empty() {
            self.by_peer.remove(&peer);
        }
    }
}

impl Message {
    fn begins_with(&self, quoted: &[u8]) -> bool {
        let compared = self.prefix.len().min(quoted.len());
        quoted.len() <= self.length && self.prefix[..compared] == quoted[..compared]
    }
}

fn peer(address: SocketAddr) -> Peer {
    (address.ip(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_report_concerns_the_newest_message_with_its_payload() {
        let (mut outstanding, now) = (Outstanding::default(), Instant::now());
        for (number, payload) in [(1, "a"), (2, "ab"), (3, "a"), (4, "b")] {
            outstanding.add(number, peer(5), payload.as_bytes(), now);
        }
        outstanding.add(5, peer(6), b"a", now);
        let mut take = |port, quoted: &str| outstanding.take(peer(port), quoted.as_bytes(), now);
        assert_eq!(take(5, "abc"), None, "nothing so long was sent");
        assert_eq!(take(5, "a"), Some(3));
        assert_eq!(take(5, "a"), Some(1));
        assert_eq!(take(5, "a"), Some(2), "a part of it was quoted");
        assert_eq!(take(5, "a"), None);
        assert_eq!(take(5, ""), Some(4), "only the headers were quoted");
        assert_eq!(take(7, "a"), None);
        assert_eq!(take(6, "a"), Some(5));
        assert!(outstanding.by_peer.is_empty() && outstanding.sent.is_empty());
    }

    #[test]
    fn a_long_payload_is_compared_as_far_as_it_is_quoted() {
        let (mut outstanding, now) = (Outstanding::default(), Instant::now());
        outstanding.add(1, peer(5), &[1; 5_000], now);
        outstanding.add(2, peer(5), &[2; 5_000], now);
        assert_eq!(outstanding.take(peer(5), &[1; 520], now), Some(1));
        assert_eq!(outstanding.take(peer(5), &[2; 1_500], now), Some(2));
    }

    #[test]
    fn the_oldest_messages_are_forgotten() {
        let (mut outstanding, now) = (Outstanding::default(), Instant::now());
        for number in 0..300 {
            outstanding.add(number, peer(5), &number.to_le_bytes(), now);
        }
        assert_eq!(outstanding.sent.len(), MAX_MESSAGES_OF_A_PEER);
        assert_eq!(outstanding.take(peer(5), &43_u64.to_le_bytes(), now), None);
        assert_eq!(outstanding.take(peer(5), &44_u64.to_le_bytes(), now), Some(44));
        for number in 300..10_000 {
            outstanding.add(number, peer((number % 1_000) as u16), b"", now);
        }
        assert_eq!(outstanding.sent.len(), MAX_MESSAGES);
        assert_eq!(outstanding.by_peer.values().map(VecDeque::len).sum::<usize>(), MAX_MESSAGES);
        let later = now + REPORT_WAIT + Duration::from_secs(1);
        assert_eq!(outstanding.take(peer(999), b"", later), None, "too late");
        assert!(outstanding.by_peer.is_empty() && outstanding.sent.is_empty());
    }
}
