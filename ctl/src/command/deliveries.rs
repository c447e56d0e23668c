//! What became of messages that `send` and `replay` have sent: how many bounced or were answered.
//!
//! The entries are read, since not every bounce of many has a notice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use udpchat_api::call::{DirectionFilter, InboxParams};
use udpchat_api::{Client, Delivery, Entry, Message};
use udpchat_locale::tr;

use crate::output::{grouped, reason_text};

/// How many messages are remembered, the newest ones.
const MOST_REMEMBERED: usize = 10_000;

/// How long a summary waits for reports about the last messages: a closed port of this host or network reports within
/// milliseconds.
pub(super) const SUMMARY_WAIT: Duration = Duration::from_millis(100);

/// How long it waits before it reads again.
const INTERVAL: Duration = Duration::from_millis(20);

/// How many messages are read in one page; the daemon's limit.
const PAGE_ENTRIES: usize = 1_000;

/// How many reports are awaited: those about the last messages.
const MOST_AWAITED: usize = 64;

/// The ids of messages that were sent.
#[derive(Debug, Default)]
pub(super) struct SentIds {
    newest: VecDeque<u64>,
    /// Whether there were more.
    more: bool,
}

impl SentIds {
    /// Adds a message that the kernel took.
    pub(super) fn add(&mut self, id: u64) {
        if self.newest.len() == MOST_REMEMBERED {
            self.newest.pop_front();
            self.more = true;
        }
        // Answers come in the order of sending, and ids ascend with it.
        self.newest.push_back(id);
    }

    /// Waits until it is known what became of the last messages, at most so long, and counts what is known of all. None if
    /// nothing was sent, or this user may not read.
    pub(super) async fn deliveries(&self, client: &mut Client, wait: Duration) -> Option<Deliveries> {
        self.await_reports(client, wait).await?;
        let mut found =
            Deliveries { of: self.more.then_some(self.newest.len() as u64), ..Deliveries::default() };
        let ids: Vec<u64> = self.newest.iter().copied().collect();
        for ids in ids.chunks(PAGE_ENTRIES) {
            read(client, ids).await?.iter().for_each(|message| found.add(message));
        }
        Some(found)
    }

    /// Waits likewise, and returns the messages; these are few.
    pub(super) async fn messages(&self, client: &mut Client, wait: Duration) -> Option<Vec<Message>> {
        self.await_reports(client, wait).await?;
        let ids: Vec<u64> = self.newest.iter().copied().collect();
        read(client, &ids).await
    }

    async fn await_reports(&self, client: &mut Client, wait: Duration) -> Option<()> {
        let deadline = Instant::now().checked_add(wait)?;
        let last: Vec<u64> =
            self.newest.range(self.newest.len().saturating_sub(MOST_AWAITED)..).copied().collect();
        loop {
            let messages = read(client, &last).await?;
            let is_open = messages.iter().any(|message| message.delivery == Some(Delivery::Sent));
            if !is_open || Instant::now() >= deadline {
                return Some(());
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Reads messages by their ascending ids.
async fn read(client: &mut Client, ids: &[u64]) -> Option<Vec<Message>> {
    let (first, last) = (*ids.first()?, *ids.last()?);
    let (mut after, mut messages) = (first.saturating_sub(1), Vec::new());
    loop {
        let page = InboxParams {
            after: Some(after),
            before: Some(last.saturating_add(1)),
            direction: Some(DirectionFilter::Out),
            limit: Some(PAGE_ENTRIES as u32),
            ..InboxParams::default()
        };
        let page = client.call(&page).await.ok()?;
        messages.extend(page.entries.into_iter().filter_map(|entry| match entry {
            Entry::Message(message) if ids.binary_search(&message.id).is_ok() => Some(message),
            _ => None,
        }));
        if !page.more {
            return Some(messages);
        }
        after = page.next;
    }
}

/// What became of messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deliveries {
    /// How many bounced.
    pub(super) bounced: u64,
    /// How many messages these are of, if not of all that were sent.
    of: Option<u64>,
    reasons: BTreeSet<String>,
    /// How many bounced of each peer, by its name or its address.
    pub(super) peers: BTreeMap<String, u64>,
}

impl Deliveries {
    fn add(&mut self, message: &Message) {
        if let Some(bounce) = &message.bounce {
            self.bounced += 1;
            self.reasons.insert(bounce.reason.clone());
            let peer = message.name.clone().unwrap_or_else(|| message.peer.to_string());
            *self.peers.entry(peer).or_default() += 1;
        }
    }

    /// Says likewise, and which peers they were for, of many only the first ones.
    pub(super) fn describe_with_peers(&self) -> Option<String> {
        /// How many peers are named.
        const NAMED: usize = 5;
        let described = self.describe()?;
        let mut named: Vec<_> = self.peers.iter().collect();
        named.sort_by_key(|(_, bounced)| Reverse(**bounced));
        let more = if named.len() > NAMED { "…" } else { "" };
        let named = named.into_iter().take(NAMED);
        let named: Vec<_> = named.map(|(peer, bounced)| format!("{peer} {}", grouped(*bounced))).collect();
        let peers = named.join(tr!(", ")) + more;
        Some(tr!("{described} ({peers})", described, peers))
    }

    /// Says how many bounced, and why; none if none did.
    pub(super) fn describe(&self) -> Option<String> {
        let reasons: Vec<_> = self.reasons.iter().map(|reason| reason_text(reason)).collect();
        let (bounced, reasons) = (grouped(self.bounced), reasons.join(tr!(" or ")));
        match (self.bounced, self.of) {
            (0, _) => None,
            (_, None) => Some(tr!("{bounced} bounced: {reasons}", bounced, reasons)),
            (_, Some(of)) => {
                let of = grouped(of);
                Some(tr!("{bounced} of the last {of} bounced: {reasons}", bounced, of, reasons))
            }
        }
    }
}

/// Says what is known of a message.
pub(super) fn outcome_of(message: &Message) -> String {
    match (&message.bounce, message.delivery) {
        (Some(bounce), _) => tr!("bounced: {reason}", reason = reason_text(&bounce.reason)),
        (None, Some(Delivery::Answered)) => tr!("answered").to_owned(),
        (None, _) => tr!("no report").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_are_remembered() {
        let mut sent = SentIds::default();
        (1..=MOST_REMEMBERED as u64).for_each(|id| sent.add(id));
        assert!(!sent.more);
        sent.add(20_000);
        assert_eq!((sent.newest.len(), sent.newest.front(), sent.more), (MOST_REMEMBERED, Some(&2), true));
    }

    #[test]
    fn a_summary_names_number_and_reasons() {
        let reasons = ["port_unreachable", "host_unreachable"].map(str::to_owned);
        let peers =
            |peers: &[(&str, u64)]| peers.iter().map(|(peer, all)| ((*peer).to_owned(), *all)).collect();
        let one = Deliveries {
            bounced: 548,
            of: None,
            reasons: reasons[..1].iter().cloned().collect(),
            peers: peers(&[("a", 48), ("10.0.0.9:9000", 500)]),
        };
        assert_eq!(one.describe().unwrap(), "548 bounced: port unreachable");
        let named = "548 bounced: port unreachable (10.0.0.9:9000 500, a 48)";
        assert_eq!(one.describe_with_peers().unwrap(), named);
        let many = ["a", "b", "c", "d", "e", "f"].map(|peer| (peer, 1));
        let some = Deliveries { bounced: 2, of: Some(10_000), reasons: reasons.into(), peers: peers(&many) };
        assert!(some.describe_with_peers().unwrap().ends_with("(a 1, b 1, c 1, d 1, e 1…)"));
        let text = "2 of the last 10,000 bounced: host unreachable or port unreachable";
        assert_eq!(some.describe().unwrap(), text);
        assert_eq!(Deliveries::default().describe(), None);
    }
}
