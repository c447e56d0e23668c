//! What became of a message that was sent, and of a peer that has another name or address since.

use std::mem;

use udpchat_api::Entry;
use udpchat_api::call::Sent;
use udpchat_locale::tr;

use super::{ConnectionState, Model};
use crate::command::chat::editor::Editor;
use crate::command::chat::model::input_history::Typed;
use crate::command::chat::model::outbox::{SendFailure, first_line};
use crate::command::chat::model::peer::PeerKey;
use crate::command::chat::model::request::Request;
use crate::output::grouped;

/// The size of the buffer that many programs receive with.
const COMMON_BUFFER_BYTES: usize = 1_024;

impl Model {
    /// Handles the outcome of sending a message.
    pub(super) fn finish_send(&mut self, ticket: u64, outcome: Result<Sent, SendFailure>) {
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
    pub(super) fn follow(&mut self, from: &PeerKey, to: PeerKey) {
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
