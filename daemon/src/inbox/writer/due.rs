//! When the writer notes what is due, and what a committed transaction changes besides the log.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Writer;
use crate::error::explain;
use crate::inbox::InboxError;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::kept::{Changes, FallsSilent, HoldAnswer};
use crate::inbox::queue::Item;
use crate::inbox::reader::Range;
use crate::index::Order;
use crate::index::predicate::Predicate;

/// How long the newest messages of peers that fall silent are searched in the log at most. Without a result, the notice has none.
const SEARCH_TIME: Duration = Duration::from_millis(100);

/// What is reported of a transaction once its entries can be read: to the message log, and to the client whose message is held.
pub(super) struct Announcement {
    silent: Vec<Arc<str>>,
    heard: Vec<Arc<str>>,
    hold: Option<HoldAnswer>,
}

impl Announcement {
    pub(super) fn announce(self, items: &mut [Item]) {
        // For those who watch the log and not the inbox. At most two lines for each configured peer in its `silent_after`.
        for peer in &self.silent {
            warn!(%peer, "a peer is silent");
        }
        for peer in &self.heard {
            info!(%peer, "a silent peer is back");
        }
        if let ([Item::Hold(hold)], Some(answer)) = (items, self.hold)
            && let Some(waiting) = hold.stored.take()
        {
            // The client may have disconnected.
            let _gone = waiting.send(answer);
        }
    }
}

impl Writer {
    /// Applies what a committed transaction changes besides the log; returns what is to be reported once its entries can be read.
    pub(super) fn apply_kept(&mut self, mut changes: Changes) -> Announcement {
        let announcement = Announcement {
            silent: changes.silent.iter().map(|(peer, _)| Arc::clone(peer)).collect(),
            heard: changes.heard.clone(),
            hold: changes.hold.take(),
        };
        self.kept.apply(changes);
        announcement
    }

    /// Writes what is due; silence by the time `taken`, before which everything that was received is stored.
    pub(super) fn note_due(&mut self, taken: Duration) {
        if self.parts.settings.has_changed().unwrap_or(false) {
            let settings = Arc::clone(&self.parts.settings.borrow_and_update());
            self.kept.configure(&settings);
        }
        self.kept.take_returned();
        if self.connection.is_none() || self.given_up {
            return;
        }
        let is_notice_due = self.notices.max_wait() == Some(Duration::ZERO);
        let Some(mut due) = self.kept.due(taken, is_notice_due) else { return };
        self.look_up_last(&mut due.silent);
        let mut items = [Item::Due(Box::new(due))];
        if !self.store(&mut items, &[])
            && let [Item::Due(due)] = &items
        {
            self.kept.retry(due);
        }
    }

    /// Looks up the newest messages of peers from which nothing came since the start.
    fn look_up_last(&self, silent: &mut [FallsSilent]) {
        let began = Instant::now();
        for peer in silent.iter_mut().filter(|peer| peer.last.is_none()) {
            let go_on = || began.elapsed() <= SEARCH_TIME;
            if !go_on() {
                return;
            }
            match self.last_of(peer, go_on) {
                Ok((last, is_whole)) => {
                    peer.last = last;
                    peer.is_new = is_whole && last.is_none();
                }
                Err(error) => {
                    debug!("{}", explain("the newest message of a peer cannot be looked up", &error));
                }
            }
        }
    }

    /// Returns id and time of the newest message of a peer, and whether the whole log was searched for it.
    fn last_of(
        &self,
        peer: &FallsSilent,
        go_on: impl FnMut() -> bool,
    ) -> Result<(Option<(u64, i64)>, bool), InboxError> {
        let range = Range {
            received: true,
            predicate: Arc::new(Predicate::of_peer(&peer.address)),
            order: Order::Desc,
            ..Range::default()
        };
        let mut last = None;
        let visit = |entry: Stored| match entry.body {
            Body::Received { peer: sender, .. } if self.kept.is_of(&peer.name, sender) => {
                last = Some((entry.id, entry.at_ns));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        let scanned = self.parts.reader.scan(&range, visit, go_on)?;
        Ok((last, !scanned.more))
    }
}
