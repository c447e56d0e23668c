//! The state of the chat, and how updates change it. Keys are handled in `actions`.

use std::mem;

use jiff::tz::TimeZone;
use udpchat_api::call::{InboxAnswer, PeersAnswer, Sent};
use udpchat_api::{Direction, Entry, Message, Notice, Raw, Timestamp};
use udpchat_config::Encoding;
use udpchat_locale::tr;

use super::conversation::{Conversation, WindowEnd};
use super::input_history::{InputHistory, Typed};
use super::line_end::LineEnd;
use super::outbox::{Outbox, SendFailure, first_line};
use super::peer::PeerKey;
use super::peer_list::{PeerList, PeerRow};
use super::picker::{Choice, Picker};
use super::request::{Recoding, Request, Update};
use super::scroll::{ConversationRow, Pane};
use crate::command::chat::editor::Editor;
use crate::output::grouped;
use crate::terminal::Redraw;
use crate::terminal::wrap;

/// The most messages that wait for the list of peers; beyond, the list is requested again.
const MAX_EARLY_MESSAGES: usize = 10_000;

/// The size of the buffer that many programs receive with.
const COMMON_BUFFER_BYTES: usize = 1_024;

/// The kind of a notice that a peer has sent nothing for long.
const SILENT: &str = "silent";

/// The state of the connection to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum ConnectionState {
    Connecting,
    Online,
    /// The connection failed, with the reason.
    Offline(String),
}

/// A window over the conversation.
#[derive(Debug)]
pub(in crate::command::chat) enum Overlay {
    /// The keys, scrolled down by this number of lines.
    Help(usize),
    Picker(Picker),
}

/// The state of the chat.
#[derive(Debug)]
pub(in crate::command::chat) struct Model {
    pub(in crate::command::chat) zone: TimeZone,
    /// Returns the current time.
    pub(super) clock: fn() -> Timestamp,
    pub(in crate::command::chat) connection: ConnectionState,
    pub(in crate::command::chat) peers: PeerList,
    pub(in crate::command::chat) conversation: Option<Conversation>,
    pub(in crate::command::chat) input: Editor,
    pub(in crate::command::chat) overlay: Option<Overlay>,
    /// Whether messages are shown as bytes, and the input is read as hex digits.
    pub(in crate::command::chat) is_hex: bool,
    /// Whether messages are held until the peer sends one.
    pub(in crate::command::chat) is_holding: bool,
    /// A message about the last key, until the next one.
    pub(in crate::command::chat) notice: Option<String>,
    /// The notice that the inbox could not be read, until it can.
    read_notice: Option<String>,
    /// The notice that the peers could not be listed, until they can.
    peers_notice: Option<String>,
    /// The rows of the conversation that are on the screen.
    pub(in crate::command::chat) rows: Vec<ConversationRow>,
    pub(in crate::command::chat) pane: Pane,
    pub(in crate::command::chat) input_columns: usize,
    /// The id of the newest entry that has arrived.
    pub(super) arrived_id: u64,
    /// The id up to which entries are acknowledged as read.
    acked_id: u64,
    /// The peer to open first, as the user wrote it, and the encoding to send in.
    initial_peer: Option<String>,
    initial_encoding: Option<String>,
    pub(super) outbox: Outbox,
    /// The lowest and the highest number of the messages that are watched because they are shown as held.
    watched_held: Option<(u64, u64)>,
    pub(super) history: InputHistory,
    last_epoch: u64,
    /// Whether the list of peers was received on this connection; until then, messages wait in `early_messages`.
    has_peers: bool,
    /// The number of unread messages when the chat connected.
    total_unread: u64,
    early_messages: Vec<Message>,
    /// The change of an encoding for reading that is not finished.
    pub(super) recoding: Option<Recoding>,
    pub(super) requests: Vec<Request>,
}

impl Model {
    /// Creates the state before the first connection. `peer` is the peer to open first, as the user wrote it, and
    /// `encoding` the encoding to send to it in.
    pub(in crate::command::chat) fn new(
        clock: fn() -> Timestamp,
        zone: TimeZone,
        peer: Option<String>,
        encoding: Option<String>,
    ) -> Self {
        Self {
            zone,
            clock,
            connection: ConnectionState::Connecting,
            peers: PeerList::default(),
            conversation: None,
            input: Editor::default(),
            overlay: None,
            is_hex: false,
            is_holding: false,
            notice: None,
            read_notice: None,
            peers_notice: None,
            rows: Vec::new(),
            pane: Pane::default(),
            input_columns: 1,
            arrived_id: 0,
            acked_id: 0,
            initial_peer: peer,
            initial_encoding: encoding,
            outbox: Outbox::default(),
            watched_held: None,
            history: InputHistory::default(),
            last_epoch: 0,
            has_peers: false,
            total_unread: 0,
            early_messages: Vec::new(),
            recoding: None,
            requests: Vec::new(),
        }
    }

    /// Takes the requests that were made since the last call.
    pub(in crate::command::chat) fn take_requests(&mut self) -> Vec<Request> {
        let held = self.outbox.held_numbers();
        if mem::replace(&mut self.watched_held, held) != held {
            self.requests.push(Request::WatchHeld(held));
        }
        mem::take(&mut self.requests)
    }

    /// Returns the peer of the open conversation.
    pub(in crate::command::chat) fn open_key(&self) -> Option<&PeerKey> {
        self.conversation.as_ref().map(|conversation| &conversation.key)
    }

    /// Returns the row of the open conversation in the list of peers.
    pub(in crate::command::chat) fn open_row(&self) -> Option<&PeerRow> {
        self.peers.get(self.open_key()?)
    }

    /// Returns whether the input is hexadecimal digits: in the mode for bytes, and for a peer whose encoding they are.
    pub(super) fn takes_digits(&self) -> bool {
        let encoding = self.open_row().and_then(|row| {
            row.chosen_encoding.as_deref().or(row.encoding.as_ref().map(|(encoding, _)| encoding.as_str()))
        });
        self.is_hex || encoding.is_some_and(is_hex)
    }

    /// Returns the line end that is appended to what is sent to the open peer. In the mode for bytes nothing is.
    pub(in crate::command::chat) fn line_end(&self) -> LineEnd {
        self.open_row().filter(|_| !self.is_hex).map(|row| row.line_end).unwrap_or_default()
    }

    /// Lists the choices of a picker.
    pub(in crate::command::chat) fn choices(&self, picker: &Picker) -> Vec<Choice> {
        picker.choices(&self.peers, self.open_row())
    }

    /// Returns whether the list of peers was received on this connection.
    pub(in crate::command::chat) fn has_peers(&self) -> bool {
        self.has_peers
    }

    /// Handles an update; returns how soon the change must be visible.
    pub(in crate::command::chat) fn update(&mut self, update: Update) -> Redraw {
        match update {
            Update::Online { after, is_gapless, unread } => self.go_online(after, is_gapless, unread),
            Update::Offline(reason) => {
                let offline = ConnectionState::Offline(reason);
                let is_known = mem::replace(&mut self.connection, offline.clone()) == offline;
                return if is_known { Redraw::None } else { Redraw::Update };
            }
            Update::Arrived(entry) => return self.add_entry(*entry),
            Update::Page { epoch, end, cursor, answer } => self.add_page(epoch, (end, cursor), answer),
            Update::Reread { epoch, before, answer } => self.add_reread(epoch, before, answer.ok().as_ref()),
            Update::Recoded { params, answer } => self.continue_recoding(params, answer),
            Update::Peers(Ok(answer)) => self.set_peers(answer),
            Update::Peers(Err(reason)) => {
                self.peers_notice = Some(tr!("cannot list the peers: {reason}", reason));
                self.notice.clone_from(&self.peers_notice);
            }
            Update::Sent { ticket, outcome } => self.finish_send(ticket, outcome),
            Update::StillHeld { span, numbers } => {
                if !self.outbox.still_held(span, &numbers) {
                    return Redraw::None;
                }
                self.show_unsent();
            }
        }
        Redraw::Update
    }

    fn go_online(&mut self, after: u64, is_gapless: bool, unread: u64) {
        self.connection = ConnectionState::Online;
        if !is_gapless {
            if after < self.arrived_id {
                // An older copy of the inbox was restored: its next entries have ids that were seen before.
                self.acked_id = self.acked_id.min(after);
                self.peers.forget_ids_above(after);
            }
            self.arrived_id = after;
            self.has_peers = false;
            self.total_unread = unread;
            self.early_messages.clear();
            if let Some(key) = self.open_key().cloned() {
                self.reopen(key);
            }
        }
        if let Some(conversation) = &mut self.conversation {
            (conversation.requested, conversation.read_failed) = (None, false);
        }
        self.requests.push(Request::Peers);
    }

    fn add_entry(&mut self, entry: Entry) -> Redraw {
        self.arrived_id = self.arrived_id.max(entry.id());
        let shown = self.conversation.as_mut().is_some_and(|open| {
            let is_known_more = open.learn(&entry);
            open.add_entry(&entry, &self.zone) || is_known_more
        });
        let mut change = if shown { Redraw::Update } else { Redraw::None };
        if self.outbox.add_entry(&entry, self.arrived_id) {
            self.show_unsent();
            change = Redraw::Update;
        }
        if self.conversation.as_ref().is_some_and(|open| open.misses_bounces(&entry)) {
            self.reread();
        }
        match entry {
            Entry::Message(message) => change = change.max(self.count_message(message)),
            // A list of peers costs the daemon 100,000 entries, and many peers may fall silent.
            Entry::Notice(Notice { notice, name: Some(name), .. }) if notice == SILENT => {
                if !(self.has_peers && self.peers.fall_silent(&name)) {
                    self.requests.push(Request::Peers);
                }
                change = change.max(Redraw::Background);
            }
            Entry::Notice(_) | Entry::Gap(_) => {}
        }
        change
    }

    /// Counts a message for its peer, and opens the first conversation.
    fn count_message(&mut self, mut message: Message) -> Redraw {
        if self.has_peers {
            if self.peers.is_outdated(&message) {
                self.requests.push(Request::Peers);
            }
            let open = self.conversation.as_ref().map(|conversation| &conversation.key);
            let is_new = self.peers.count(&message, open);
            let is_first = self.conversation.is_none() && message.direction == Direction::In;
            if is_first {
                self.open(PeerKey::of(&message));
            }
            self.refresh_encoding(&message);
            return match (is_first, is_new) {
                (true, _) => Redraw::Update,
                (false, true) => Redraw::Background,
                (false, false) => Redraw::None,
            };
        }
        if self.early_messages.len() >= MAX_EARLY_MESSAGES {
            // The requested list is too old now.
            self.early_messages.clear();
            self.requests.push(Request::Peers);
        }
        (message.text, message.raw) = (String::new(), Raw::default());
        self.early_messages.push(message);
        Redraw::None
    }

    /// Requests the encoding of the open peer if its messages arrive in another one than before, or chosen in another way.
    fn refresh_encoding(&mut self, message: &Message) {
        let Some(open) = self.conversation.as_ref().filter(|open| open.key.covers(message)) else { return };
        let Some(row) = self.peers.get_mut(&open.key) else { return };
        let encoding = Some((message.encoding.clone(), message.encoding_by));
        if message.direction == Direction::In && row.last_encoding != encoding {
            row.last_encoding = encoding;
            self.requests.push(Request::Peers);
        }
    }

    fn set_peers(&mut self, PeersAnswer { peers, lists }: PeersAnswer) {
        let is_first = !mem::replace(&mut self.has_peers, true);
        if let Some(over) = self.peers_notice.take() {
            self.notice.take_if(|notice| *notice == over);
        }
        let encoding_before = self.open_row().and_then(|row| row.encoding.clone());
        let listed: u64 = peers.iter().map(|peer| peer.unread).sum();
        if is_first {
            self.peers.unlisted_unread = self.total_unread.saturating_sub(listed);
        }
        self.peers.lists = lists;
        for (from, to) in self.peers.replace(peers, is_first) {
            self.follow(&from, to);
        }
        // What is known of a peer also changes how its earlier messages are read.
        if encoding_before.is_some() && self.open_row().is_some_and(|row| row.encoding != encoding_before) {
            self.reread();
        }
        // The peer that the user has named, even if another one has sent something meanwhile.
        if self.initial_peer.is_some() {
            self.open_first();
        }
        for message in mem::take(&mut self.early_messages) {
            self.count_message(message);
        }
        if let Some(key) = self.open_key().cloned() {
            self.peers.ensure_listed(&key);
        } else {
            self.open_first();
        }
    }

    fn open_first(&mut self) {
        let key = match self.initial_peer.take() {
            Some(text) => Some(self.peers.find(&text)),
            None => self.peers.newest().cloned(),
        };
        let Some(key) = key else { return };
        self.open(key.clone());
        if let (Some(encoding), Some(row)) = (self.initial_encoding.take(), self.peers.get_mut(&key)) {
            row.chosen_encoding = Some(encoding);
        }
    }

    /// Opens the conversation with a peer. The text in the input stays with the previous one as its draft.
    pub(super) fn open(&mut self, key: PeerKey) {
        if self.open_key() == Some(&key) {
            return;
        }
        if let Some(old) = self.conversation.as_ref().map(|conversation| conversation.key.clone()) {
            let draft = mem::take(&mut self.input);
            if let Some(row) = self.peers.get_mut(&old) {
                row.draft = draft;
            }
        }
        self.peers.ensure_listed(&key);
        if let Some(row) = self.peers.get_mut(&key).filter(|row| !row.draft.is_empty()) {
            self.input = mem::take(&mut row.draft);
        }
        self.history.reset();
        self.is_holding = false;
        self.reopen(key);
        // Its encoding may not be known yet, and the configuration may have been reloaded.
        self.requests.push(Request::Peers);
    }

    /// Shows a conversation from its newest message.
    pub(super) fn reopen(&mut self, key: PeerKey) {
        self.last_epoch += 1;
        self.conversation = Some(Conversation::open(key, self.last_epoch, self.arrived_id));
        self.show_unsent();
    }

    /// Shows a conversation from its oldest message.
    pub(super) fn reopen_at_oldest(&mut self, key: PeerKey) {
        self.last_epoch += 1;
        self.conversation = Some(Conversation::open_at_oldest(key, self.last_epoch));
    }

    fn add_page(
        &mut self,
        epoch: u64,
        (end, cursor): (WindowEnd, Option<u64>),
        answer: Result<InboxAnswer, String>,
    ) {
        let arrived_id = self.arrived_id;
        let Some(conversation) = self.conversation.as_mut().filter(|open| open.epoch == epoch) else {
            return;
        };
        conversation.requested = None;
        match answer {
            // A page was added or dropped at this end since the request, which a new connection makes once more.
            Ok(_) if conversation.cursor(end) != cursor => self.request_page(),
            Ok(answer) => {
                // What a read has failed for is over.
                if self.read_notice.take().is_some_and(|notice| self.notice.as_ref() == Some(&notice)) {
                    self.notice = None;
                }
                conversation.add_page(end, &answer, arrived_id, &self.zone);
                if let Some((direction, _)) = conversation.pending_scroll {
                    conversation.scroll_by(direction, 0, self.pane);
                }
                self.show_unsent();
                self.request_page();
            }
            Err(reason) => {
                conversation.read_failed = true;
                if self.connection == ConnectionState::Online {
                    let notice = tr!("cannot read the inbox: {reason}", reason);
                    self.read_notice = Some(notice.clone());
                    self.notice = Some(notice);
                }
            }
        }
    }

    /// Reads the messages of the open conversation again.
    pub(super) fn reread(&mut self) {
        if let Some(open) = &mut self.conversation {
            open.reread();
        }
        self.request_reread();
    }

    fn request_reread(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if let Some(before) = open.next_reread() {
            self.requests.push(Request::reread(open, before));
        }
    }

    fn add_reread(&mut self, epoch: u64, before: Option<u64>, answer: Option<&InboxAnswer>) {
        let Some(open) = self.conversation.as_mut().filter(|open| open.epoch == epoch) else { return };
        open.add_reread(before, answer, &self.zone);
        self.request_reread();
    }

    /// Lays out the conversation for the screen, and requests what it needs beyond it.
    pub(in crate::command::chat) fn lay_out(&mut self, pane: Pane, input_columns: usize) {
        (self.pane, self.input_columns) = (pane, input_columns);
        let Some(conversation) = &mut self.conversation else {
            self.rows.clear();
            return;
        };
        self.rows = conversation.lay_out(pane);
        // The newest messages are on the screen, and thus read.
        if conversation.is_following()
            && conversation.loaded
            && let Some(row) = self.peers.get_mut(&conversation.key)
        {
            (row.unread, row.seen_id) = (0, self.arrived_id);
        }
        self.request_page();
    }

    /// Requests the next page that the conversation needs beyond the screen.
    fn request_page(&mut self) {
        let rows = self.pane.rows;
        let Some(open) = self.conversation.as_mut().filter(|_| self.connection == ConnectionState::Online)
        else {
            return;
        };
        if let Some(end) = open.missing_end(rows) {
            open.requested = Some(end);
            self.requests.push(Request::page(open, end));
        }
    }

    /// Notes that the laid-out rows were drawn. If no peer has unread messages, acknowledges all entries.
    pub(in crate::command::chat) fn drawn(&mut self) {
        let is_all_read =
            self.has_peers && self.connection == ConnectionState::Online && self.peers.unread() == 0;
        if is_all_read && self.arrived_id > self.acked_id {
            self.acked_id = self.arrived_id;
            self.requests.push(Request::Ack(self.arrived_id));
        }
    }

    /// Shows the unsent messages in the conversation.
    pub(super) fn show_unsent(&mut self) {
        if let Some(conversation) = &mut self.conversation {
            let unsent = self.outbox.items(&conversation.key, &self.zone);
            conversation.set_unsent(unsent);
        }
    }

    /// Returns the encoding for messages to the open peer, and what chose it.
    pub(in crate::command::chat) fn encoding(&self) -> Option<(String, &'static str)> {
        let row = self.open_row()?;
        match (&row.chosen_encoding, &row.encoding) {
            (Some(chosen), _) => Some((wrap::display_line(chosen).into_owned(), tr!("chosen here"))),
            (None, Some((encoding, by))) => Some((wrap::display_line(encoding).into_owned(), *by)),
            (None, None) => None,
        }
    }

    /// Handles the outcome of sending a message.
    fn finish_send(&mut self, ticket: u64, outcome: Result<Sent, SendFailure>) {
        match outcome {
            Ok(Sent::Held { held }) => {
                if let Some(first) = held.first() {
                    self.resolve_host(ticket, self.peers.find(&first.to));
                    self.outbox.hold(ticket, first);
                }
            }
            Ok(sent) => {
                let entries = sent.into_entries();
                let newest = entries.iter().map(Entry::id).max().unwrap_or_default();
                self.note_long(&entries);
                if let Some(Entry::Message(message)) = entries.first() {
                    self.resolve_host(ticket, self.peers.at(message.peer));
                }
                self.outbox.finish(ticket, Ok(newest), self.arrived_id);
            }
            Err(failure) => {
                let text = first_line(self.outbox.text(ticket).unwrap_or_default());
                let is_offline = matches!(self.connection, ConnectionState::Offline(_));
                match failure.is_uncertain {
                    true if is_offline => {}
                    true => self.notice = Some(tr!("`{text}` may have been sent; ↑ brings it back", text)),
                    false => self.notice = Some(tr!("`{text}` was not sent; ↑ brings it back", text)),
                }
                self.outbox.finish(ticket, Err(&failure), self.arrived_id);
                // The peer may have another name now.
                self.requests.push(Request::Peers);
            }
        }
        self.show_unsent();
    }

    /// Says that a text was sent in one datagram of which many programs receive only a part.
    fn note_long(&mut self, sent: &[Entry]) {
        let Some(Entry::Message(message)) = sent.first() else { return };
        if message.bytes > COMMON_BUFFER_BYTES {
            self.notice = Some(tr!(
                "sent in one datagram of {bytes} bytes: a program with a buffer of 1,024 bytes receives only its beginning; send \
                 shorter texts",
                bytes = grouped(message.bytes as u64)
            ));
        }
    }

    /// Replaces the typed host of a message by the peer to whose address it was resolved.
    fn resolve_host(&mut self, ticket: u64, found: PeerKey) {
        let Some(host @ PeerKey::Host(_)) = self.outbox.key(ticket).cloned() else { return };
        if let Some(row) = self.peers.remove(&host) {
            self.peers.ensure_listed(&found);
            if let Some(found) = self.peers.get_mut(&found) {
                found.take_choices(row);
            }
        }
        self.follow(&host, found);
    }

    /// Goes on with a peer that has another name or address now.
    fn follow(&mut self, from: &PeerKey, to: PeerKey) {
        self.outbox.rename(from, &to);
        let is_open = self.open_key() == Some(&to);
        if self.open_key() == Some(from) {
            let (input, is_holding) = (mem::take(&mut self.input), self.is_holding);
            self.open(to);
            self.is_holding = is_holding;
            let draft = mem::replace(&mut self.input, input);
            self.keep_draft(draft);
        } else if let Some(row) = self.peers.get_mut(&to).filter(|_| is_open) {
            let draft = mem::take(&mut row.draft);
            self.keep_draft(draft);
        }
    }

    /// Puts a draft for the open peer into the input, or into the history if there is a text in the input.
    fn keep_draft(&mut self, draft: Editor) {
        if self.input.is_empty() {
            self.input = draft;
        } else if !draft.is_empty() {
            self.history.push(Typed { text: draft.text().to_owned(), is_hex: self.is_hex });
        }
    }
}

/// Returns whether an encoding is hexadecimal digits.
pub(super) fn is_hex(encoding: &str) -> bool {
    encoding.parse().is_ok_and(Encoding::is_hex)
}
