//! What the keys do: writing, sending, moving about.

use std::collections::VecDeque;
use std::mem;

use udpchat_api::Entry;

use super::outbox::{Refusal, Sending, beginning};
use super::peer::Key;
use super::picker::Of;
use super::scroll::Scroll;
use super::{Line, Model, Overlay, Request, Side};
use crate::command::chat::editor::Motion;
use crate::command::chat::keys::Action;

/// How many texts are remembered.
const MAX_REMEMBERED: usize = 100;

/// How many rows a turn of the mouse's wheel is.
const WHEEL_ROWS: usize = 3;

/// The texts that were sent, or were to be sent, to be brought back.
#[derive(Debug, Default)]
pub(super) struct Recall {
    texts: VecDeque<String>,
    /// Which one is in the input.
    at: Option<usize>,
}

impl Recall {
    fn remember(&mut self, text: &str) {
        self.end();
        if self.texts.back().is_some_and(|last| last == text) {
            return;
        }
        self.texts.push_back(text.to_owned());
        if self.texts.len() > MAX_REMEMBERED {
            self.texts.pop_front();
        }
    }

    /// Returns the text before (or behind) the one in the input; behind the last one, nothing.
    fn turn(&mut self, back: bool) -> Option<&str> {
        let at = match (self.at, back) {
            (None, true) => self.texts.len().checked_sub(1)?,
            (None, false) => return None,
            (Some(at), true) => at.checked_sub(1)?,
            (Some(at), false) => at + 1,
        };
        self.at = (at < self.texts.len()).then_some(at);
        Some(self.texts.get(at).map_or("", String::as_str))
    }

    /// Forgets which one is in the input.
    pub(super) fn end(&mut self) {
        self.at = None;
    }
}

impl Model {
    /// Does what a key says. True if the chat is to end.
    pub(in crate::command::chat) fn act(&mut self, action: Action) -> bool {
        self.notice = None;
        match action {
            Action::Quit => return true,
            Action::Interrupt if self.overlay.is_none() && self.input.is_empty() => return true,
            Action::EndOfInput if self.overlay.is_none() && self.input.is_empty() => return true,
            _ => {}
        }
        match self.overlay {
            Some(Overlay::Help(_)) => self.act_in_help(&action),
            Some(Overlay::Picker(_)) => self.act_in_picker(action),
            None => self.act_in_chat(action),
        }
        false
    }

    fn act_in_help(&mut self, action: &Action) {
        let Some(Overlay::Help(away)) = &mut self.overlay else { return };
        let page = self.pane.rows.max(2) / 2;
        match action {
            Action::Up | Action::LineUp => *away = away.saturating_sub(1),
            Action::Down | Action::LineDown => *away += 1,
            Action::PageUp => *away = away.saturating_sub(page),
            Action::PageDown => *away += page,
            Action::WheelUp => *away = away.saturating_sub(WHEEL_ROWS),
            Action::WheelDown => *away += WHEEL_ROWS,
            _ => self.overlay = None,
        }
    }

    fn act_in_picker(&mut self, action: Action) {
        let Some(Overlay::Picker(mut picker)) = self.overlay.take() else { return };
        let last = self.choices(&picker).len().saturating_sub(1);
        let page = self.pane.rows.max(2) / 2;
        let typed = picker.query.text().len();
        match action {
            Action::Cancel | Action::Interrupt | Action::EndOfInput => return,
            Action::Peers if picker.of == Of::Peers => return,
            Action::Encoding if picker.of == Of::Encodings => return,
            Action::Submit => {
                self.overlay = Some(Overlay::Picker(picker));
                self.choose();
                return;
            }
            Action::Up | Action::PreviousPeer | Action::LineUp | Action::WheelUp => {
                picker.at = picker.at.saturating_sub(1);
            }
            Action::Down | Action::NextPeer | Action::LineDown | Action::WheelDown => {
                picker.at = (picker.at + 1).min(last);
            }
            Action::PageUp => picker.at = picker.at.saturating_sub(page),
            Action::PageDown => picker.at = (picker.at + page).min(last),
            Action::Insert(text) => drop(picker.query.insert(text.lines().next().unwrap_or_default())),
            Action::Erase(motion) => picker.query.erase(motion),
            Action::Go(motion) => picker.query.go(motion),
            _ => {}
        }
        if picker.query.text().len() != typed {
            picker.at = 0;
        }
        self.overlay = Some(Overlay::Picker(picker));
    }

    fn act_in_chat(&mut self, action: Action) {
        let page = self.pane.rows.saturating_sub(1).max(1);
        match action {
            Action::Insert(text) => self.insert(&text),
            Action::Erase(motion) => self.input.erase(motion),
            Action::Go(motion) => self.input.go(motion),
            Action::Up => self.up_or_down(false),
            Action::Down => self.up_or_down(true),
            Action::Submit => self.submit(),
            Action::Interrupt => drop(self.input.take()),
            Action::EndOfInput => self.input.erase(Motion::Right),
            Action::Cancel | Action::Newest => self.go_to_newest(),
            Action::Oldest => self.go_to_oldest(),
            Action::LineUp => self.scroll(Side::Older, 1),
            Action::LineDown => self.scroll(Side::Newer, 1),
            Action::WheelUp => self.scroll(Side::Older, WHEEL_ROWS),
            Action::WheelDown => self.scroll(Side::Newer, WHEEL_ROWS),
            Action::PageUp => self.scroll(Side::Older, page),
            Action::PageDown => self.scroll(Side::Newer, page),
            Action::NextPeer => self.open_neighbour(true),
            Action::PreviousPeer => self.open_neighbour(false),
            Action::NextUnread => self.open_unread(),
            Action::Peers => self.pick(Of::Peers),
            Action::Encoding => self.pick(Of::Encodings),
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Quit => {}
        }
    }

    fn insert(&mut self, text: &str) {
        self.recall.end();
        if !self.input.insert(text) {
            self.notice = Some("the text is too long: the rest of it was left out".to_owned());
        }
    }

    /// Goes up or down in the text, and from its ends through the texts of before.
    fn up_or_down(&mut self, down: bool) {
        if self.input.go_row(down, self.input_columns) {
            return;
        }
        // What is being written is not thrown away for a text of before.
        let is_own = !self.input.is_empty() && self.recall.at.is_none();
        if let Some(text) = (!is_own).then(|| self.recall.turn(!down)).flatten() {
            self.input.set(text);
        }
    }

    fn scroll(&mut self, side: Side, rows: usize) {
        let pane = self.pane;
        if let Some(open) = &mut self.conversation {
            open.stuck = false;
            open.scroll_by(side, rows, pane);
        }
    }

    /// Goes to the newest message. Where the window is far from it, it begins anew there.
    pub(super) fn go_to_newest(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if open.is_live() {
            (open.scroll, open.owed) = (Scroll::Follow, None);
        } else {
            let key = open.key.clone();
            self.reopen(key);
        }
    }

    /// Goes to the oldest message of all. Where the window does not reach it, it begins anew there.
    fn go_to_oldest(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if open.is_whole() {
            open.scroll_to_top();
        } else {
            let key = open.key.clone();
            self.reopen_at_oldest(key);
        }
    }

    fn open_neighbour(&mut self, down: bool) {
        if let Some(key) = self.roster.neighbour(self.open_key(), down).cloned() {
            self.open(key);
        }
    }

    fn open_unread(&mut self) {
        match self.roster.next_unread(self.open_key()).cloned() {
            Some(key) => self.open(key),
            None => self.notice = Some("nobody has unread messages".to_owned()),
        }
    }

    /// Opens the conversation of the row of the list with this number.
    pub(in crate::command::chat) fn open_listed(&mut self, number: usize) {
        let key = self.roster.iter().nth(number).map(|(key, _)| key.clone());
        if let Some(key) = key.filter(|_| self.overlay.is_none()) {
            self.open(key);
        }
    }

    /// Sends what was written.
    fn submit(&mut self) {
        if self.input.is_empty() {
            return;
        }
        let Some(key) = self.open_key().cloned() else {
            self.notice = Some("nobody is chosen to write to: F2 chooses".to_owned());
            return;
        };
        let text = self.input.take();
        self.recall.remember(&text);
        let row = self.roster.get(&key);
        let encoding = row.and_then(|row| row.chosen.clone());
        let reply_to = row.and_then(|row| row.last_id).filter(|_| key.has_history());
        let to = key.to_string();
        let ticket = self.outbox.add(key, text.clone(), (self.now)(), self.live_id);
        self.requests.push(Request::Send(Sending { ticket, reply_to, to, text, encoding }));
        self.go_to_newest();
        self.show_unsent();
    }

    /// Takes note of what became of a message.
    pub(super) fn sent(&mut self, ticket: u64, outcome: Result<Vec<Entry>, Refusal>) {
        match outcome {
            Ok(entries) => {
                let newest = entries.iter().map(Entry::id).max().unwrap_or_default();
                self.host_found(ticket, &entries);
                self.outbox.settled(ticket, Ok(newest), self.live_id);
            }
            Err(refusal) => {
                let text = beginning(self.outbox.text(ticket).unwrap_or_default());
                if !matches!(self.line, Line::Offline(_)) || !refusal.is_unsure {
                    self.notice = Some(format!("`{text}` was not sent; ↑ brings it back"));
                }
                self.outbox.settled(ticket, Err(&refusal), self.live_id);
            }
        }
        self.show_unsent();
    }

    /// Goes on with the peer that a typed host has turned out to be.
    fn host_found(&mut self, ticket: u64, entries: &[Entry]) {
        let Some(Entry::Message(message)) = entries.first() else { return };
        let Some(host @ Key::Host(_)) = self.outbox.key(ticket).cloned() else { return };
        let found = Key::of(message);
        self.outbox.rename(&host, &found);
        let Some(row) = self.roster.unlist(&host) else { return };
        self.roster.list(&found);
        if let Some(found) = self.roster.get_mut(&found) {
            found.chosen = found.chosen.take().or(row.chosen);
        }
        if self.open_key() == Some(&host) {
            let input = mem::take(&mut self.input);
            self.open(found);
            self.input = input;
        }
    }
}
