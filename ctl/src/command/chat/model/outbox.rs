//! Messages that are on their way, or that did not get out: shown where they were written, until the log has them.

use jiff::tz::TimeZone;
use udpchat_api::{Direction, Entry, Timestamp};

use super::item::{Item, Place};
use super::peer::Key;
use crate::command::chat::wrap;

/// How many messages are kept that did not get out: the oldest go.
const MAX_FAILED: usize = 100;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Sending {
    /// Tells it from others.
    pub(in crate::command::chat) ticket: u64,
    /// The newest message from there: it is answered, so that it leaves from the address that was written to.
    pub(in crate::command::chat) reply_to: Option<u64>,
    /// The peer, where there is nothing to answer.
    pub(in crate::command::chat) to: String,
    pub(in crate::command::chat) text: String,
    pub(in crate::command::chat) encoding: Option<String>,
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Refusal {
    pub(in crate::command::chat) why: String,
    /// Whether the log has the attempt.
    pub(in crate::command::chat) is_entry: bool,
    /// Whether it may have been sent nevertheless: nobody answered.
    pub(in crate::command::chat) is_unsure: bool,
}

#[derive(Debug)]
struct Unsent {
    ticket: u64,
    key: Key,
    text: String,
    at: Timestamp,
    /// The entry that it was written behind.
    behind: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    OnItsWay,
    /// The log has it, but its entry has not arrived yet.
    Recorded(u64),
    /// Its entry has arrived, but the answer has not.
    Arrived,
    Failed(String),
    /// It may have been sent.
    Unsure(String),
}

/// The messages that the log has not got, or of which it is not yet known.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    unsent: Vec<Unsent>,
    tickets: u64,
}

impl Outbox {
    /// Takes up a message that is written behind an entry; returns its ticket.
    pub(super) fn add(&mut self, key: Key, text: String, at: Timestamp, behind: u64) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.unsent.push(Unsent { ticket, key, text, at, behind, state: State::OnItsWay });
        ticket
    }

    /// Takes note of an entry, `live_id` being the newest. True if something is not to be shown any more.
    pub(super) fn recorded(&mut self, entry: &Entry, live_id: u64) -> bool {
        let before = self.unsent.len();
        self.unsent.retain(|unsent| !matches!(unsent.state, State::Recorded(id) if id <= live_id));
        self.unsent.len() < before || self.is_arrival(entry)
    }

    /// Tells whether an entry is one of the messages, whose answer has not come yet.
    fn is_arrival(&mut self, entry: &Entry) -> bool {
        let Entry::Message(message) = entry else { return false };
        if message.direction != Direction::Out {
            return false;
        }
        let key = Key::of(message);
        let found = self.unsent.iter().position(|unsent| {
            let waits = matches!(unsent.state, State::OnItsWay | State::Unsure(_));
            waits && unsent.key == key && unsent.text == message.text
        });
        let Some(at) = found else { return false };
        match self.unsent[at].state {
            State::OnItsWay => self.unsent[at].state = State::Arrived,
            _ => drop(self.unsent.remove(at)),
        }
        true
    }

    /// Takes note of what became of a message; `live_id` is the newest entry that has arrived.
    pub(super) fn settled(&mut self, ticket: u64, outcome: Result<u64, &Refusal>, live_id: u64) {
        let Some(at) = self.unsent.iter().position(|unsent| unsent.ticket == ticket) else { return };
        let has_arrived = self.unsent[at].state == State::Arrived;
        let state = match outcome {
            Ok(id) if id <= live_id || has_arrived => None,
            Ok(id) => Some(State::Recorded(id)),
            Err(Refusal { is_entry: true, .. }) => None,
            Err(Refusal { is_unsure: true, .. }) if has_arrived => None,
            Err(Refusal { why, is_unsure: true, .. }) => Some(State::Unsure(why.clone())),
            Err(Refusal { why, .. }) => Some(State::Failed(why.clone())),
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

    /// Returns to whom a message is.
    pub(super) fn key(&self, ticket: u64) -> Option<&Key> {
        self.unsent.iter().find(|unsent| unsent.ticket == ticket).map(|unsent| &unsent.key)
    }

    /// Gives the messages to a host to the peer that it has turned out to be.
    pub(super) fn rename(&mut self, from: &Key, to: &Key) {
        for unsent in self.unsent.iter_mut().filter(|unsent| unsent.key == *from) {
            unsent.key = to.clone();
        }
    }

    fn trim(&mut self) {
        let failed = |unsent: &Unsent| matches!(unsent.state, State::Failed(_) | State::Unsure(_));
        while self.unsent.iter().filter(|unsent| failed(unsent)).count() > MAX_FAILED {
            let Some(oldest) = self.unsent.iter().position(failed) else { return };
            self.unsent.remove(oldest);
        }
    }

    /// Returns the messages to a peer as they are shown.
    pub(super) fn items(&self, key: &Key, zone: &TimeZone) -> Vec<Item> {
        let of_peer =
            self.unsent.iter().filter(|unsent| unsent.key == *key && unsent.state != State::Arrived);
        of_peer
            .map(|unsent| {
                let place = Place { id: unsent.behind, ticket: unsent.ticket };
                let unsure: String;
                let why = match &unsent.state {
                    State::Failed(why) => Some(why.as_str()),
                    State::Unsure(why) => {
                        unsure = format!("{why}; it may have been sent");
                        Some(unsure.as_str())
                    }
                    _ => None,
                };
                Item::unsent(place, unsent.at, zone, &unsent.text, why)
            })
            .collect()
    }
}

/// Returns the first line of a text, for a line that names it.
pub(super) fn beginning(text: &str) -> String {
    const COLUMNS: usize = 30;
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    wrap::fitted(&wrap::shown_in_line(line), COLUMNS).into_owned()
}
