//! What the chat knows and shows: a pure state that keys and news change, without any input or output of its own.
//!
//! What it wants of the daemon it leaves in a list of requests, which the loop hands on.

mod conversation;
mod item;
mod outbox;
mod peer;
mod peer_list;
mod picker;
mod scroll;
mod write;

use std::mem;

use jiff::tz::TimeZone;
use udpchat_api::call::{InboxAnswer, InboxParams, Order, Peer};
use udpchat_api::{Direction, Entry, Message, Raw, Timestamp};

pub(super) use self::conversation::{Conversation, Side};
pub(super) use self::item::{Item, What};
use self::outbox::Outbox;
pub(super) use self::outbox::{Refusal, Sending};
pub(super) use self::peer::Key;
pub(super) use self::peer_list::{Roster, Row as PeerRow};
pub(super) use self::picker::{Choice, Of, Picker};
pub(super) use self::scroll::{Pane, Row};
use self::write::Recall;
use super::editor::Editor;
use super::wrap;

/// How many entries are asked for at once.
const PAGE_ENTRIES: u32 = 200;

/// How many messages may arrive before it is known who is there; beyond, it is asked anew.
const MAX_EARLY: usize = 10_000;

/// What is wanted of the daemon.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// A page for an end of the conversation of an epoch.
    Page { epoch: u64, side: Side, params: InboxParams },
    /// The list of peers.
    Peers,
    /// To send a message.
    Send(Sending),
    /// To count everything up to an entry as read.
    Ack(u64),
}

/// What has become of things.
#[derive(Debug)]
pub(super) enum Update {
    /// Connected: entries above this id will come. `is_whole` says that none is missing since the last one.
    Online { after: u64, is_whole: bool, unread: u64 },
    /// The connection is gone, and why.
    Offline(String),
    /// An entry has been recorded.
    Arrived(Box<Entry>),
    /// An answer to [`Request::Page`].
    Page { epoch: u64, side: Side, answer: Result<InboxAnswer, String> },
    /// An answer to [`Request::Peers`].
    Peers(Result<Vec<Peer>, String>),
    /// What became of a message with this ticket: the entries that record it.
    Sent { ticket: u64, outcome: Result<Vec<Entry>, Refusal> },
}

/// How soon a change is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Nothing of it can be seen.
    #[default]
    Nothing,
    /// Counts of messages of others.
    Counts,
    /// What the open conversation is waiting for.
    News,
    /// What a key has done.
    Key,
}

/// The connection to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Connecting,
    Online,
    /// Gone, and why.
    Offline(String),
}

/// What is drawn over the conversation.
#[derive(Debug)]
pub(super) enum Overlay {
    /// The keys; so many lines are scrolled away.
    Help(usize),
    /// A list to choose from.
    Picker(Picker),
}

/// The state of the chat.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) zone: TimeZone,
    /// Tells the time.
    now: fn() -> Timestamp,
    pub(super) line: Line,
    pub(super) roster: Roster,
    pub(super) conversation: Option<Conversation>,
    pub(super) input: Editor,
    pub(super) overlay: Option<Overlay>,
    /// What the last key came to, until the next one.
    pub(super) notice: Option<String>,
    /// The rows of the conversation that are on the screen.
    pub(super) rows: Vec<Row>,
    pub(super) pane: Pane,
    /// The columns of the input.
    pub(super) input_columns: usize,
    /// The newest entry that has arrived.
    live_id: u64,
    /// How far everything counts as read.
    acked_id: u64,
    /// Whom to open first, as the user wrote it, and what to send in.
    wanted: Option<String>,
    wanted_encoding: Option<String>,
    outbox: Outbox,
    recall: Recall,
    epochs: u64,
    /// Whether the list of peers is that of this connection; until then, what arrives waits.
    has_peers: bool,
    unread_in_all: u64,
    early: Vec<Message>,
    requests: Vec<Request>,
}

impl Model {
    /// Begins, with what tells the time and where it is shown; `peer` is whom to open first, as the user wrote it, and `encoding` what to send to it in.
    pub(super) fn new(
        now: fn() -> Timestamp,
        zone: TimeZone,
        peer: Option<String>,
        encoding: Option<String>,
    ) -> Self {
        Self {
            zone,
            now,
            line: Line::Connecting,
            roster: Roster::default(),
            conversation: None,
            input: Editor::default(),
            overlay: None,
            notice: None,
            rows: Vec::new(),
            pane: Pane::default(),
            input_columns: 1,
            live_id: 0,
            acked_id: 0,
            wanted: peer,
            wanted_encoding: encoding,
            outbox: Outbox::default(),
            recall: Recall::default(),
            epochs: 0,
            has_peers: false,
            unread_in_all: 0,
            early: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Returns what is wanted since the last time.
    pub(super) fn take_requests(&mut self) -> Vec<Request> {
        mem::take(&mut self.requests)
    }

    /// Returns the key of the open conversation.
    pub(super) fn open_key(&self) -> Option<&Key> {
        self.conversation.as_ref().map(|conversation| &conversation.key)
    }

    /// Returns the row of the open conversation.
    pub(super) fn open_row(&self) -> Option<&PeerRow> {
        self.roster.get(self.open_key()?)
    }

    /// Tells whether the list of peers has come.
    pub(super) fn has_peers(&self) -> bool {
        self.has_peers
    }

    /// Takes in what has happened; returns how soon that is to be seen.
    pub(super) fn update(&mut self, update: Update) -> Change {
        match update {
            Update::Online { after, is_whole, unread } => self.online(after, is_whole, unread),
            Update::Offline(why) => {
                let line = Line::Offline(why);
                let is_known = mem::replace(&mut self.line, line.clone()) == line;
                return if is_known { Change::Nothing } else { Change::News };
            }
            Update::Arrived(entry) => return self.arrived(*entry),
            Update::Page { epoch, side, answer } => self.page(epoch, side, answer),
            Update::Peers(Ok(peers)) => self.peers(peers),
            Update::Peers(Err(why)) => self.notice = Some(format!("cannot list the peers: {why}")),
            Update::Sent { ticket, outcome } => self.sent(ticket, outcome),
        }
        Change::News
    }

    fn online(&mut self, after: u64, is_whole: bool, unread: u64) {
        self.line = Line::Online;
        if !is_whole {
            self.live_id = after;
            self.has_peers = false;
            self.unread_in_all = unread;
            self.early.clear();
            if let Some(key) = self.open_key().cloned() {
                self.reopen(key);
            }
        }
        if let Some(conversation) = &mut self.conversation {
            (conversation.asked, conversation.stuck) = (None, false);
        }
        self.requests.push(Request::Peers);
    }

    fn arrived(&mut self, entry: Entry) -> Change {
        self.live_id = self.live_id.max(entry.id());
        let shown = self.conversation.as_mut().is_some_and(|open| open.arrived(&entry, &self.zone));
        let mut change = if shown { Change::News } else { Change::Nothing };
        if self.outbox.recorded(&entry, self.live_id) {
            self.show_unsent();
            change = Change::News;
        }
        if let Entry::Message(message) = entry {
            change = change.max(self.note(message));
        }
        change
    }

    /// Counts a message for its peer.
    fn note(&mut self, mut message: Message) -> Change {
        if self.has_peers {
            let open = self.conversation.as_ref().map(|conversation| &conversation.key);
            let is_new = self.roster.note(&message, open);
            let is_first = self.conversation.is_none() && message.direction == Direction::In;
            if is_first {
                self.open(Key::of(&message));
            }
            self.learn_encoding(&message);
            return match (is_first, is_new) {
                (true, _) => Change::News,
                (false, true) => Change::Counts,
                (false, false) => Change::Nothing,
            };
        }
        if self.early.len() >= MAX_EARLY {
            // Then the list that is on its way is too old.
            self.early.clear();
            self.requests.push(Request::Peers);
        }
        (message.text, message.raw) = (String::new(), Raw::default());
        self.early.push(message);
        Change::Nothing
    }

    /// Asks what the open peer speaks where its messages suggest that this is not known any more.
    fn learn_encoding(&mut self, message: &Message) {
        let is_open = self.open_key() == Some(&Key::of(message));
        let Some(row) = self.roster.get_mut(&Key::of(message)) else { return };
        if is_open && message.direction == Direction::In && row.heard_in != message.encoding {
            row.heard_in.clone_from(&message.encoding);
            self.requests.push(Request::Peers);
        }
    }

    fn peers(&mut self, peers: Vec<Peer>) {
        let is_first = !mem::replace(&mut self.has_peers, true);
        let listed: u64 = peers.iter().map(|peer| peer.unread).sum();
        if is_first {
            self.roster.unlisted_unread = self.unread_in_all.saturating_sub(listed);
        }
        self.roster.take(peers, is_first);
        for message in mem::take(&mut self.early) {
            self.note(message);
        }
        if let Some(key) = self.open_key().cloned() {
            self.roster.list(&key);
        } else {
            self.open_first();
        }
    }

    fn open_first(&mut self) {
        let key = match self.wanted.take() {
            Some(text) => Some(self.roster.meant(&text)),
            None => self.roster.last_heard().cloned(),
        };
        let Some(key) = key else { return };
        self.open(key.clone());
        if let (Some(encoding), Some(row)) = (self.wanted_encoding.take(), self.roster.get_mut(&key)) {
            row.chosen = Some(encoding);
        }
    }

    /// Opens the conversation with a peer; what is being written stays with the one that was open.
    pub(super) fn open(&mut self, key: Key) {
        if self.open_key() == Some(&key) {
            return;
        }
        if let Some(old) = self.conversation.as_ref().map(|conversation| conversation.key.clone()) {
            let draft = mem::take(&mut self.input);
            if let Some(row) = self.roster.get_mut(&old) {
                row.draft = draft;
            }
        }
        self.roster.list(&key);
        if let Some(row) = self.roster.get_mut(&key).filter(|row| !row.draft.is_empty()) {
            self.input = mem::take(&mut row.draft);
        }
        self.recall.end();
        self.reopen(key);
        if self.open_row().is_some_and(|row| row.encoding.is_none()) {
            self.requests.push(Request::Peers);
        }
    }

    /// Shows a conversation from its newest end.
    fn reopen(&mut self, key: Key) {
        self.epochs += 1;
        self.conversation = Some(Conversation::open(key, self.epochs, self.live_id));
        self.show_unsent();
    }

    /// Shows a conversation from its oldest end.
    fn reopen_at_oldest(&mut self, key: Key) {
        self.epochs += 1;
        self.conversation = Some(Conversation::open_at_oldest(key, self.epochs));
    }

    fn page(&mut self, epoch: u64, side: Side, answer: Result<InboxAnswer, String>) {
        let live_id = self.live_id;
        let Some(conversation) = self.conversation.as_mut().filter(|open| open.epoch == epoch) else {
            return;
        };
        conversation.asked = None;
        match answer {
            Ok(answer) => {
                conversation.page(side, &answer, live_id, &self.zone);
                if let Some((owed, _)) = conversation.owed {
                    conversation.scroll_by(owed, 0, self.pane);
                }
                self.show_unsent();
                self.ask_on();
            }
            Err(why) => {
                conversation.stuck = true;
                if self.line == Line::Online {
                    self.notice = Some(format!("cannot read the inbox: {why}"));
                }
            }
        }
    }

    /// Lays the conversation out, and asks for what it needs beyond the screen.
    pub(super) fn fit(&mut self, pane: Pane, input_columns: usize) {
        (self.pane, self.input_columns) = (pane, input_columns);
        let Some(conversation) = &mut self.conversation else {
            self.rows.clear();
            return;
        };
        self.rows = conversation.fit(pane);
        // The messages at the end of the conversation are on the screen, and read.
        if conversation.is_following()
            && conversation.loaded
            && let Some(row) = self.roster.get_mut(&conversation.key)
        {
            (row.unread, row.seen_id) = (0, self.live_id);
        }
        self.ask_on();
    }

    /// Asks for what the conversation needs beyond the screen.
    fn ask_on(&mut self) {
        let rows = self.pane.rows;
        let Some(open) = self.conversation.as_mut().filter(|_| self.line == Line::Online) else { return };
        if let Some(side) = open.needs(rows) {
            open.asked = Some(side);
            let (epoch, params) = (open.epoch, page_params(open, side));
            self.requests.push(Request::Page { epoch, side, params });
        }
    }

    /// Takes note that what was laid out has been drawn. When nobody has unread messages any more, everything counts as
    /// read.
    pub(super) fn drawn(&mut self) {
        let is_all_read = self.has_peers && self.line == Line::Online && self.roster.unread() == 0;
        if is_all_read && self.live_id > self.acked_id {
            self.acked_id = self.live_id;
            self.requests.push(Request::Ack(self.live_id));
        }
    }

    /// Puts what has not got out into the conversation.
    fn show_unsent(&mut self) {
        if let Some(conversation) = &mut self.conversation {
            let unsent = self.outbox.items(&conversation.key, &self.zone);
            conversation.set_unsent(unsent);
        }
    }

    /// Returns what messages to the open peer go out in: the encoding, and what chose it.
    pub(super) fn encoding(&self) -> Option<(String, &'static str)> {
        let row = self.open_row()?;
        match (&row.chosen, &row.encoding) {
            (Some(chosen), _) => Some((wrap::shown_in_line(chosen).into_owned(), "chosen here")),
            (None, Some((encoding, by))) => {
                Some((wrap::shown_in_line(encoding).into_owned(), crate::output::chosen_by(*by)))
            }
            (None, None) => None,
        }
    }
}

fn page_params(conversation: &Conversation, side: Side) -> InboxParams {
    let cursor = conversation.cursor(side);
    let (before, after, order) = match side {
        Side::Older => (cursor, None, Order::Desc),
        Side::Newer => (None, cursor, Order::Asc),
    };
    InboxParams {
        before,
        after,
        order: Some(order),
        limit: Some(PAGE_ENTRIES),
        from: Some(conversation.key.to_string()),
        gaps: true,
        ..InboxParams::default()
    }
}

#[cfg(test)]
mod tests;
