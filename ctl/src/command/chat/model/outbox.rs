//! Messages in flight or failed: shown where they were written until their entries arrive.

use jiff::tz::TimeZone;
use udpchat_api::call::HeldMessage;
use udpchat_api::{Direction, Entry, Message, Timestamp};
use udpchat_config::PeerAddress;
use udpchat_locale::tr;
use udpchat_text::encode;

use super::delivery::SentState;
use super::item::{Item, SortKey, not_held, not_sent, perhaps_sent};
use super::peer::PeerKey;
use crate::command::send::Payload;
use crate::terminal::wrap;

/// The most failed and held messages that are kept.
const MAX_FAILED: usize = 100;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct OutgoingMessage {
    /// Identifies the message within this chat.
    pub(in crate::command::chat) ticket: u64,
    /// The newest message from the peer. As a reply to it, the message leaves from the address that the peer sent to.
    pub(in crate::command::chat) reply_to: Option<u64>,
    /// The peer, if there is nothing to reply to.
    pub(in crate::command::chat) to: String,
    pub(in crate::command::chat) payload: Payload,
    pub(in crate::command::chat) encoding: Option<String>,
    /// Whether it is held until the peer sends a message.
    pub(in crate::command::chat) when_seen: bool,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct SendFailure {
    pub(in crate::command::chat) reason: String,
    /// Whether the log has an entry of the attempt.
    pub(in crate::command::chat) is_recorded: bool,
    /// Whether the message may have been sent: the daemon did not answer.
    pub(in crate::command::chat) is_uncertain: bool,
}

#[derive(Debug)]
struct Unsent {
    ticket: u64,
    key: PeerKey,
    /// The text that was typed.
    text: String,
    payload: Payload,
    at: Timestamp,
    /// The newest entry when the message was written.
    after: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    InFlight,
    /// The daemon answered, but the entry has not arrived yet.
    Recorded(u64),
    /// The entry has arrived, but the answer has not.
    EntryArrived,
    Failed(String),
    /// The daemon holds it until the peer sends a message.
    Held(HeldFor),
    /// The daemon no longer holds it. If its entry or the notice that it has expired arrives later, that says why.
    NotHeld(HeldFor),
    /// The message may have been sent.
    Uncertain(String),
}

/// What the daemon says of a message that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeldFor {
    number: u64,
    /// The name of its peer, or the address for which it is held.
    to: String,
}

impl HeldFor {
    /// Returns the address for which it is held, unless that is a name. Without a port, a message from any port has it sent.
    fn address(&self) -> Option<PeerAddress> {
        self.to.parse().ok()
    }
}

impl State {
    /// Returns what the daemon says of the message, if it holds or has held it.
    fn held(&self) -> Option<&HeldFor> {
        match self {
            Self::Held(held) | Self::NotHeld(held) => Some(held),
            _ => None,
        }
    }
}

/// The messages whose entries have not arrived.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    unsent: Vec<Unsent>,
    last_ticket: u64,
}

impl Outbox {
    /// Adds a message that was typed as `text` after an entry; returns its ticket.
    pub(super) fn add(
        &mut self,
        key: PeerKey,
        text: String,
        payload: Payload,
        at: Timestamp,
        after: u64,
    ) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.unsent.push(Unsent { ticket, key, text, payload, at, after, state: State::InFlight });
        ticket
    }

    /// Handles an entry that has arrived; `arrived_id` is the newest one. Returns whether fewer messages are shown.
    pub(super) fn add_entry(&mut self, entry: &Entry, arrived_id: u64) -> bool {
        let before = self.unsent.len();
        self.unsent.retain(|unsent| !matches!(unsent.state, State::Recorded(id) if id <= arrived_id));
        self.unsent.len() < before || self.expire(entry) || self.match_entry(entry)
    }

    /// Handles the notice that a held message has expired. Returns whether it is one of these.
    fn expire(&mut self, entry: &Entry) -> bool {
        let Entry::Notice(notice) = entry else { return false };
        let Some(number) = notice.held.filter(|_| notice.notice == "expired") else { return false };
        let is_its = |unsent: &&mut Unsent| unsent.state.held().is_some_and(|held| held.number == number);
        let Some(expired) = self.unsent.iter_mut().find(is_its) else { return false };
        expired.state = State::Failed(tr!("the peer sent nothing in time").to_owned());
        true
    }

    /// Notes that the daemon holds a message. One whose entry has arrived was sent already.
    pub(super) fn hold(&mut self, ticket: u64, held: &HeldMessage) {
        let Some(at) = self.unsent.iter().position(|unsent| unsent.ticket == ticket) else { return };
        let held = HeldFor { number: held.held, to: held.to.clone() };
        match self.unsent[at].state {
            State::EntryArrived => drop(self.unsent.remove(at)),
            _ => self.unsent[at].state = State::Held(held),
        }
        self.trim();
    }

    /// Returns the lowest and the highest number of the held messages.
    pub(super) fn held_numbers(&self) -> Option<(u64, u64)> {
        let held = || {
            self.unsent.iter().filter_map(|unsent| match &unsent.state {
                State::Held(held) => Some(held.number),
                _ => None,
            })
        };
        Some((held().min()?, held().max()?))
    }

    /// Notes which messages the daemon still holds, of those from the lowest to the highest of `span`. Returns whether others are
    /// shown as held.
    pub(super) fn still_held(&mut self, span: (u64, u64), still: &[u64]) -> bool {
        let mut is_changed = false;
        for unsent in &mut self.unsent {
            let State::Held(held) = &unsent.state else { continue };
            if (span.0..=span.1).contains(&held.number) && !still.contains(&held.number) {
                unsent.state = State::NotHeld(held.clone());
                is_changed = true;
            }
        }
        is_changed
    }

    /// Finds the message without an answer that an entry records. Returns whether there is one.
    fn match_entry(&mut self, entry: &Entry) -> bool {
        let Entry::Message(message) = entry else { return false };
        if message.direction != Direction::Out {
            return false;
        }
        let found = self.unsent.iter().position(|unsent| {
            let is_its = match &unsent.state {
                State::InFlight | State::Uncertain(_) => unsent.key.covers(message),
                State::Held(held) | State::NotHeld(held) if message.held_seconds.is_some() => {
                    let by_address = held.address().map(|address| address.matches(message.peer));
                    by_address.unwrap_or_else(|| unsent.key.covers(message))
                }
                _ => false,
            };
            let is_same = match &unsent.payload {
                Payload::Text(text) => *text == message.text || is_encoded(text, message),
                Payload::Bytes(bytes) => *bytes == message.raw.0,
            };
            is_its && is_same
        });
        let Some(at) = found else { return false };
        match self.unsent[at].state {
            State::InFlight => self.unsent[at].state = State::EntryArrived,
            _ => drop(self.unsent.remove(at)),
        }
        true
    }

    /// Handles the outcome of sending a message: the id of its entry, or the failure.
    pub(super) fn finish(&mut self, ticket: u64, outcome: Result<u64, &SendFailure>, arrived_id: u64) {
        let Some(at) = self.unsent.iter().position(|unsent| unsent.ticket == ticket) else { return };
        let has_arrived = self.unsent[at].state == State::EntryArrived;
        let state = match outcome {
            Ok(id) if id <= arrived_id || has_arrived => None,
            Ok(id) => Some(State::Recorded(id)),
            Err(SendFailure { is_recorded: true, .. }) => None,
            Err(SendFailure { is_uncertain: true, .. }) if has_arrived => None,
            Err(SendFailure { reason, is_uncertain: true, .. }) => Some(State::Uncertain(reason.clone())),
            Err(SendFailure { reason, .. }) => Some(State::Failed(reason.clone())),
        };
        match state {
            Some(state) => self.unsent[at].state = state,
            None => drop(self.unsent.remove(at)),
        }
        self.trim();
    }

    /// Returns the text of a message.
    pub(super) fn text(&self, ticket: u64) -> Option<&str> {
        self.unsent.iter().find(|unsent| unsent.ticket == ticket).map(|unsent| unsent.text.as_str())
    }

    /// Returns the peer of a message.
    pub(super) fn key(&self, ticket: u64) -> Option<&PeerKey> {
        self.unsent.iter().find(|unsent| unsent.ticket == ticket).map(|unsent| &unsent.key)
    }

    /// Moves the messages of a host to the peer that it was resolved to.
    pub(super) fn rename(&mut self, from: &PeerKey, to: &PeerKey) {
        for unsent in self.unsent.iter_mut().filter(|unsent| unsent.key == *from) {
            unsent.key = to.clone();
        }
    }

    fn trim(&mut self) {
        let failed = |unsent: &Unsent| {
            matches!(unsent.state, State::Failed(_) | State::Uncertain(_)) || unsent.state.held().is_some()
        };
        while self.unsent.iter().filter(|unsent| failed(unsent)).count() > MAX_FAILED {
            let Some(oldest) = self.unsent.iter().position(failed) else { return };
            self.unsent.remove(oldest);
        }
    }

    /// Returns the items of the messages to a peer.
    pub(super) fn items(&self, key: &PeerKey, zone: &TimeZone) -> Vec<Item> {
        let of_peer =
            self.unsent.iter().filter(|unsent| unsent.key == *key && unsent.state != State::EntryArrived);
        of_peer
            .map(|unsent| {
                let sort_key = SortKey { id: unsent.after, ticket: unsent.ticket };
                let note = match &unsent.state {
                    State::Failed(reason) => Some(not_sent(reason)),
                    State::Uncertain(reason) => Some(perhaps_sent(reason)),
                    State::NotHeld(_) => Some(not_held()),
                    _ => None,
                };
                let sent = matches!(unsent.state, State::Held(_)).then(SentState::held);
                let mut item = Item::unsent(sort_key, unsent.at, zone, (&unsent.text, &unsent.payload), note);
                item.sent = sent;
                item
            })
            .collect()
    }
}

/// Returns whether a message has the bytes of a text in its encoding. What was typed as hexadecimal digits is shown in another form.
fn is_encoded(text: &str, message: &Message) -> bool {
    let bytes = message.encoding.parse().ok().and_then(|encoding| encode(text, encoding).ok());
    bytes.is_some_and(|bytes| bytes == message.raw.0)
}

/// Returns the beginning of the first line of a text, to name the text in a notice.
pub(super) fn first_line(text: &str) -> String {
    const COLUMNS: usize = 30;
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // It is escaped where it is shown.
    wrap::truncated(line, COLUMNS).into_owned()
}
