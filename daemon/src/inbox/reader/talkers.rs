//! Who sends most: counts messages by peer in the newest part of the log.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::{Bounds, Reader};
use crate::inbox::address::unpack;

/// How many of the newest ids are looked at. Asked every second, it must cost next to nothing.
const WINDOW_IDS: u64 = 10_000;

/// How much one peer has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Reader {
    /// Counts the received messages above an id by peer, in the newest 10,000 entries at most; returns the id above which
    /// it looked, and the one up to which.
    pub(crate) fn said(&self, after: u64) -> rusqlite::Result<(HashMap<SocketAddr, Said>, (u64, u64))> {
        self.with(|connection| {
            let ids = window(self.visible(connection)?, after);
            let mut statement = connection.prepare_cached(
                "SELECT peer, count(*), coalesce(sum(length(payload)), 0) FROM entry
                 WHERE id > ?1 AND id <= ?2 AND kind = 0 GROUP BY peer",
            )?;
            let mut rows = statement.query([ids.0, ids.1])?;
            let mut said = HashMap::new();
            while let Some(row) = rows.next()? {
                if let Some(peer) = unpack(row.get_ref(0)?.as_blob()?) {
                    said.insert(peer, Said { messages: row.get(1)?, bytes: row.get(2)? });
                }
            }
            Ok((said, ids))
        })
    }
}

/// Returns the id above which to look, and the one up to which.
fn window(bounds: Bounds, after: u64) -> (u64, u64) {
    let Bounds { oldest, newest } = bounds;
    let first = newest.saturating_sub(WINDOW_IDS).max(oldest.saturating_sub(1));
    (first.max(after).min(newest), newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_newest_part_is_looked_at_however_much_is_asked_for() {
        let bounds = Bounds { oldest: 101, newest: 50_000 };
        for (after, from) in [(0, 40_000), (39_999, 40_000), (49_990, 49_990), (u64::MAX, 50_000)] {
            assert_eq!(window(bounds, after), (from, 50_000));
        }
        assert_eq!(window(Bounds { oldest: 101, newest: 200 }, 0), (100, 200));
        assert_eq!(window(Bounds { oldest: 1, newest: 0 }, 7), (0, 0));
    }
}
