//! What is known of the delivery of sent messages: by their entries, by notices, and by what their peers send later.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;

use jiff::SignedDuration;
use udpchat_api::{Bounce, Delivery, Direction, Message, Notice, Timestamp};

use crate::output::reported;

/// How long after a message its peer's next word counts as an answer, as in the daemon.
const ANSWER_TIME: Range<SignedDuration> = SignedDuration::ZERO..SignedDuration::from_secs(60);

/// The most sent messages whose answers are awaited.
const MAX_AWAITED: usize = 256;

/// The most bounces, and the most words of peers, that are kept for pages which were read before them.
const MAX_REPORTS: usize = 256;

/// What is known of a message. The daemon only changes it to a later one in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::command::chat) enum Mark {
    /// It is held until its peer sends something.
    Held,
    /// It was sent; nothing else is known.
    Sent,
    /// Its peer has sent something within a minute.
    Answered,
    /// The network reported that it was not delivered.
    Bounced,
}

/// The state of a sent message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct SentState {
    pub(in crate::command::chat) mark: Mark,
    /// Why it bounced, and who says so.
    pub(in crate::command::chat) reason: Option<String>,
}

impl SentState {
    /// Returns the state in an entry; none of a received message, of one that the kernel refused, or from a daemon that does not
    /// tell.
    pub(super) fn of(message: &Message) -> Option<Self> {
        if message.direction == Direction::In {
            return None;
        }
        let mark = match message.delivery? {
            Delivery::Sent => Mark::Sent,
            Delivery::Answered => Mark::Answered,
            Delivery::Bounced => Mark::Bounced,
            Delivery::Other => return None,
        };
        let reason = message.bounce.as_ref().map(|Bounce { reason, from, .. }| reported(reason, *from));
        Some(Self { mark, reason })
    }

    /// Returns the state of a message that is held.
    pub(super) fn held() -> Self {
        Self { mark: Mark::Held, reason: None }
    }

    /// Returns the state of a message that has bounced.
    fn bounced(reason: String) -> Self {
        Self { mark: Mark::Bounced, reason: Some(reason) }
    }

    /// Returns the state of a message that was answered.
    fn answered() -> Self {
        Self { mark: Mark::Answered, reason: None }
    }
}

/// What the entries that arrive report about sent messages, in the order of their ids.
///
/// A page may be read before an entry that arrives before the page. So what arrived last is applied to the messages of each page.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// The messages in the window of which nothing is known yet, the newest of them, by id.
    awaited: BTreeMap<u64, Awaited>,
    /// The messages that bounced last, and why.
    bounces: VecDeque<(u64, String)>,
    /// The last words of the peer.
    words: VecDeque<Word>,
}

/// A sent message that may be answered.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    to: SocketAddr,
    at: Timestamp,
}

/// A received message.
#[derive(Clone, Copy, Debug)]
struct Word {
    id: u64,
    from: SocketAddr,
    at: Timestamp,
}

impl Word {
    /// Returns whether this is an answer to a message. A word that was received before the sending is none, although its entry is later.
    fn answers(&self, id: u64, Awaited { to, at }: Awaited) -> bool {
        self.id > id && self.from == to && ANSWER_TIME.contains(&self.at.duration_since(at))
    }
}

impl Reports {
    /// Takes the notice that a message bounced. Returns the message and its state.
    pub(super) fn bounce(&mut self, notice: &Notice) -> Option<(u64, SentState)> {
        let id = notice.about?;
        let reason = reported(notice.reason.as_deref().unwrap_or_default(), notice.from);
        self.awaited.remove(&id);
        push_limited(&mut self.bounces, (id, reason.clone()));
        Some((id, SentState::bounced(reason)))
    }

    /// Takes a received message. Returns the messages that it answers, with their state.
    pub(super) fn word(&mut self, message: &Message) -> Vec<(u64, SentState)> {
        let word = Word { id: message.id, from: message.peer, at: message.at };
        let is_over = |sent: &Awaited| word.at.duration_since(sent.at) >= ANSWER_TIME.end;
        self.awaited.retain(|_, sent| !is_over(sent));
        let answered: Vec<u64> =
            self.awaited.iter().filter(|(id, sent)| word.answers(**id, **sent)).map(|(id, _)| *id).collect();
        for id in &answered {
            self.awaited.remove(id);
        }
        push_limited(&mut self.words, word);
        answered.into_iter().map(|id| (id, SentState::answered())).collect()
    }

    /// Returns the state of a message that comes into the window, and waits for its answer if nothing is known of it.
    pub(super) fn state_of(&mut self, message: &Message) -> Option<SentState> {
        let state = SentState::of(message)?;
        if state.mark < Mark::Bounced
            && let Some((_, reason)) = self.bounces.iter().find(|(id, _)| *id == message.id)
        {
            return Some(SentState::bounced(reason.clone()));
        }
        if state.mark == Mark::Sent {
            let sent = Awaited { to: message.peer, at: message.at };
            if self.words.iter().any(|word| word.answers(message.id, sent)) {
                return Some(SentState::answered());
            }
            self.awaited.insert(message.id, sent);
            if self.awaited.len() > MAX_AWAITED {
                self.awaited.pop_first();
            }
        }
        Some(state)
    }
}

fn push_limited<T>(reports: &mut VecDeque<T>, report: T) {
    if reports.len() == MAX_REPORTS {
        reports.pop_front();
    }
    reports.push_back(report);
}
