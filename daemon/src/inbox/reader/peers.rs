//! What the log shows about peers: when each was last heard, and how much it sends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use udpchat_config::PeerAddress;

use super::newest_texts::NewestTexts;
use super::scan::Range;
use super::{OpenFile, Reader};
use crate::inbox::InboxError;
use crate::inbox::address::unpack;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::queries::Bounds;
use crate::index::Order;
use crate::index::predicate::Predicate;

/// How many of the newest ids the list of peers covers.
pub(crate) const PEERS_WINDOW_IDS: u64 = 100_000;

/// How many of the newest ids [`Reader::received_from`] covers. It is called every second and must cost next to nothing.
const RECENT_IDS: u64 = 10_000;

/// How many ids are queried at once where the file is damaged.
const PART_IDS: u64 = 2_000;

/// How much payload one look-up of messages that show an encoding goes through at most, in bytes.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// What the log shows about one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) last_id: u64,
    pub(crate) last_at_ns: i64,
    pub(crate) messages: u64,
    pub(crate) unread: u64,
}

/// How much was received from one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceivedFrom {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// How much was received, by peer.
pub(crate) type ReceivedByPeer = HashMap<SocketAddr, ReceivedFrom>;

impl Reader {
    /// Returns what the newest entries, `window` of them, show about the peers in them.
    pub(crate) fn heard(&self, mark: u64, window: u64) -> Result<HashMap<SocketAddr, Heard>, InboxError> {
        self.with_file(|file| {
            let connection = file.connection;
            let newest = self.visible(connection)?.newest;
            let mut heard = HashMap::new();
            let query = |ids: (u64, u64)| query_heard(connection, mark, ids);
            let mut add = |peer, part: Heard| {
                let known: &mut Heard = heard.entry(peer).or_default();
                known.messages += part.messages;
                known.unread += part.unread;
                if part.last_id > known.last_id {
                    (known.last_id, known.last_at_ns) = (part.last_id, part.last_at_ns);
                }
            };
            let one = |entry: Stored, _: usize| Heard {
                last_id: entry.id,
                last_at_ns: entry.at_ns,
                messages: 1,
                unread: u64::from(entry.id > mark),
            };
            self.by_peer(file, (newest.saturating_sub(window), newest), query, one, &mut add)?;
            Ok(heard)
        })
    }

    /// Returns the newest message from a peer that `is_its` accepts, and its sender, among the entries older than the
    /// [`PEERS_WINDOW_IDS`] that [`Self::heard`] covers; searches as long as `go_on` allows.
    pub(crate) fn last_heard(
        &self,
        peer: &PeerAddress,
        is_its: impl Fn(SocketAddr) -> bool,
        go_on: impl FnMut() -> bool,
    ) -> Result<Option<(SocketAddr, Heard)>, InboxError> {
        let newest = self.published.load(Ordering::Acquire);
        let range = Range {
            before: Some(newest.saturating_sub(PEERS_WINDOW_IDS) + 1),
            received: true,
            predicate: Arc::new(Predicate::of_peer(peer)),
            order: Order::Desc,
            ..Range::default()
        };
        let mut last = None;
        let visit = |entry: Stored| match entry.body {
            Body::Received { peer: sender, .. } if peer.matches(sender) && is_its(sender) => {
                let heard = Heard { last_id: entry.id, last_at_ns: entry.at_ns, messages: 0, unread: 0 };
                last = Some((sender, heard));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        self.scan(&range, visit, go_on)?;
        Ok(last)
    }

    /// Counts the received messages above an id by peer, in the newest 10,000 entries at most; returns the id above which
    /// it counted, and the one up to which.
    pub(crate) fn received_from(&self, after: u64) -> Result<(ReceivedByPeer, (u64, u64)), InboxError> {
        self.with_file(|file| {
            let connection = file.connection;
            let ids = recent(self.visible(connection)?, after);
            let mut received = HashMap::new();
            let query = |ids: (u64, u64)| query_received(connection, ids);
            let mut add = |peer, part: ReceivedFrom| {
                let known: &mut ReceivedFrom = received.entry(peer).or_default();
                known.messages += part.messages;
                known.bytes += part.bytes;
            };
            let one = |_: Stored, bytes: usize| ReceivedFrom { messages: 1, bytes: bytes as u64 };
            self.by_peer(file, ids, query, one, &mut add)?;
            Ok((received, ids))
        })
    }

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
            while high > oldest && bytes < MAX_TEXT_BYTES {
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

    /// Adds up what a query finds about each peer. Where the file is damaged, it reads entry by entry.
    fn by_peer<T>(
        &self,
        file: OpenFile<'_>,
        (low, high): (u64, u64),
        query: impl Fn((u64, u64)) -> Result<Vec<(SocketAddr, T)>, InboxError>,
        one: impl Fn(Stored, usize) -> T,
        add: &mut impl FnMut(SocketAddr, T),
    ) -> Result<(), InboxError> {
        let is_whole = |ids: (u64, u64)| self.damage.within(ids.0 + 1..=ids.1).is_empty();
        if low < high && is_whole((low, high)) {
            match query((low, high)) {
                Ok(found) => {
                    found.into_iter().for_each(|(peer, part)| add(peer, part));
                    return Ok(());
                }
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        let mut next = low;
        while next < high {
            let window = (next, high.min(next + PART_IDS));
            match query(window) {
                Ok(found) => found.into_iter().for_each(|(peer, part)| add(peer, part)),
                Err(error) if error.is_damage() => {
                    self.examine(file, window, window, |entry| {
                        if let Body::Received { peer, payload, .. } = &entry.body {
                            let (peer, bytes) = (*peer, payload.len());
                            add(peer, one(entry, bytes));
                        }
                    })?;
                }
                Err(error) => return Err(error),
            }
            next = window.1;
        }
        Ok(())
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
        if texts.has_newer(peer, id) {
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

fn query_heard(
    connection: &Connection,
    mark: u64,
    ids: (u64, u64),
) -> Result<Vec<(SocketAddr, Heard)>, InboxError> {
    let mut statement = connection.prepare_cached(
        "SELECT peer, max(id), at_ns, count(*), sum(id > ?3) FROM entry
         WHERE id > ?1 AND id <= ?2 AND kind = 0 GROUP BY peer",
    )?;
    let mut rows = statement.query([ids.0, ids.1, mark])?;
    let mut heard = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(peer) = unpack(row.get_ref(0)?.as_blob()?) {
            let (last_id, last_at_ns) = (row.get(1)?, row.get(2)?);
            heard.push((peer, Heard { last_id, last_at_ns, messages: row.get(3)?, unread: row.get(4)? }));
        }
    }
    Ok(heard)
}

fn query_received(
    connection: &Connection,
    ids: (u64, u64),
) -> Result<Vec<(SocketAddr, ReceivedFrom)>, InboxError> {
    let mut statement = connection.prepare_cached(
        "SELECT peer, count(*), coalesce(sum(length(payload)), 0) FROM entry
         WHERE id > ?1 AND id <= ?2 AND kind = 0 GROUP BY peer",
    )?;
    let mut rows = statement.query([ids.0, ids.1])?;
    let mut received = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(peer) = unpack(row.get_ref(0)?.as_blob()?) {
            received.push((peer, ReceivedFrom { messages: row.get(1)?, bytes: row.get(2)? }));
        }
    }
    Ok(received)
}

/// Returns the id above which to count, and the one up to which.
fn recent(bounds: Bounds, after: u64) -> (u64, u64) {
    let Bounds { oldest, newest } = bounds;
    let first = newest.saturating_sub(RECENT_IDS).max(oldest.saturating_sub(1));
    (first.max(after).min(newest), newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_ids_are_counted() {
        let bounds = Bounds { oldest: 101, newest: 50_000 };
        for (after, from) in [(0, 40_000), (39_999, 40_000), (49_990, 49_990), (u64::MAX, 50_000)] {
            assert_eq!(recent(bounds, after), (from, 50_000));
        }
        assert_eq!(recent(Bounds { oldest: 101, newest: 200 }, 0), (100, 200));
        assert_eq!(recent(Bounds { oldest: 1, newest: 0 }, 7), (0, 0));
    }
}
