//! The state of the chat, and how updates change it: what arrives ([`arrivals`]), what is read ([`reading`]) and what became of a
//! message that was sent ([`sending`]). Keys are handled in `actions`.

mod arrivals;
mod reading;
mod sending;

use std::mem;

use jiff::tz::TimeZone;
use udpchat_api::{Message, Timestamp};
use udpchat_config::Encoding;
use udpchat_locale::tr;

use super::conversation::Conversation;
use super::input_history::InputHistory;
use super::line_end::LineEnd;
use super::outbox::Outbox;
use super::peer::PeerKey;
use super::peer_list::{PeerList, PeerRow};
use super::picker::{Choice, Picker};
use super::request::{Recoding, Request, Update};
use super::scroll::{ConversationRow, Pane};
use crate::command::chat::editor::Editor;
use crate::terminal::Redraw;
use crate::terminal::wrap;

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
}

/// Returns whether an encoding is hexadecimal digits.
pub(super) fn is_hex(encoding: &str) -> bool {
    encoding.parse().is_ok_and(Encoding::is_hex)
}
