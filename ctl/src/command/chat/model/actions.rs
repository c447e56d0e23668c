//! The actions of keys: writing, sending, scrolling, opening conversations.

use udpchat_config::check_destination;
use udpchat_locale::tr;

use super::conversation::{Conversation, Scroll, WindowEnd};
use super::input_history::Typed;
use super::outbox::OutgoingMessage;
use super::peer::PeerKey;
use super::picker::{ChoiceAction, Picker, PickerKind, list_refusal};
use super::request::Request;
use super::state::{Model, Overlay, is_hex};
use crate::command::chat::editor::Motion;
use crate::command::chat::keys::Action;
use crate::command::send::{Append, Payload, escape_in};
use crate::error::{CtlError, Result};
use crate::output::{as_line, hex_pairs, in_one_line};

/// The rows that one step of the mouse wheel scrolls.
const WHEEL_ROWS: usize = 3;

impl Model {
    /// Performs the action of a key. Returns whether the chat ends.
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
            Action::ChoosePeer if picker.kind == PickerKind::Peers => return,
            Action::ChooseEncoding if picker.kind == PickerKind::Encodings => return,
            Action::Submit => {
                self.choose(picker);
                return;
            }
            Action::Up | Action::PreviousPeer | Action::LineUp | Action::WheelUp => {
                picker.selected = picker.selected.saturating_sub(1);
            }
            Action::Down | Action::NextPeer | Action::LineDown | Action::WheelDown => {
                picker.selected = (picker.selected + 1).min(last);
            }
            Action::PageUp => picker.selected = picker.selected.saturating_sub(page),
            Action::PageDown => picker.selected = (picker.selected + page).min(last),
            Action::Insert(text) => drop(picker.query.insert(text.lines().next().unwrap_or_default())),
            Action::Erase(motion) => picker.query.erase(motion),
            Action::Move(motion) => picker.query.move_cursor(motion),
            _ => {}
        }
        if picker.query.text().len() != typed {
            picker.selected = 0;
        }
        self.overlay = Some(Overlay::Picker(picker));
    }

    fn act_in_chat(&mut self, action: Action) {
        let page = self.pane.rows.saturating_sub(1).max(1);
        match action {
            Action::Insert(text) => self.insert(&text),
            Action::Erase(motion) => self.input.erase(motion),
            Action::Move(motion) => self.input.move_cursor(motion),
            Action::Up => self.up_or_down(false),
            Action::Down => self.up_or_down(true),
            Action::Submit => self.submit(),
            Action::Interrupt => drop(self.input.take()),
            Action::EndOfInput => self.input.erase(Motion::Right),
            Action::Cancel | Action::Newest => self.go_to_newest(),
            Action::Oldest => self.go_to_oldest(),
            Action::LineUp => self.scroll(WindowEnd::Older, 1),
            Action::LineDown => self.scroll(WindowEnd::Newer, 1),
            Action::WheelUp => self.scroll(WindowEnd::Older, WHEEL_ROWS),
            Action::WheelDown => self.scroll(WindowEnd::Newer, WHEEL_ROWS),
            Action::PageUp => self.scroll(WindowEnd::Older, page),
            Action::PageDown => self.scroll(WindowEnd::Newer, page),
            Action::NextPeer => self.open_neighbour(true),
            Action::PreviousPeer => self.open_neighbour(false),
            Action::NextUnread => self.open_unread(),
            Action::ChoosePeer => self.open_picker(PickerKind::Peers),
            Action::ChooseEncoding => self.open_picker(PickerKind::Encodings),
            Action::ToggleHex => self.is_hex = !self.is_hex,
            Action::ChangeLineEnd => self.change_line_end(),
            Action::SendAgain => self.send_again(),
            Action::ToggleHolding => self.toggle_holding(),
            Action::MarkAllRead => self.mark_all_read(),
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Quit => {}
        }
    }

    fn insert(&mut self, text: &str) {
        self.history.reset();
        if !self.input.insert(text) {
            self.notice = Some(tr!("the text is too long; the rest was cut off").to_owned());
        }
    }

    /// Moves the cursor up or down in the text, and beyond its ends through the history.
    fn up_or_down(&mut self, down: bool) {
        if self.input.move_row(down, self.input_columns) {
            return;
        }
        // A text that is being written is not replaced.
        let is_draft = !self.input.is_empty() && !self.history.is_active();
        if let Some(typed) = (!is_draft).then(|| self.history.step(!down, self.is_hex)).flatten() {
            self.input.set(&typed.text);
            self.is_hex = typed.is_hex;
        }
    }

    fn scroll(&mut self, end: WindowEnd, rows: usize) {
        let pane = self.pane;
        if let Some(open) = &mut self.conversation {
            open.read_failed = false;
            open.scroll_by(end, rows, pane);
        }
    }

    /// Scrolls to the newest message, and reopens the conversation there if the window does not hold it.
    pub(super) fn go_to_newest(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if open.holds_newest() {
            (open.scroll, open.pending_scroll) = (Scroll::Follow, None);
        } else {
            let key = open.key.clone();
            self.reopen(key);
        }
    }

    /// Scrolls to the oldest message, and reopens the conversation there if the window does not hold it.
    fn go_to_oldest(&mut self) {
        let Some(open) = &mut self.conversation else { return };
        if open.holds_oldest() {
            open.scroll_to_top();
        } else {
            let key = open.key.clone();
            self.reopen_at_oldest(key);
        }
    }

    fn open_neighbour(&mut self, down: bool) {
        if let Some(key) = self.peers.neighbour(self.open_key(), down).cloned() {
            self.open(key);
        }
    }

    fn open_unread(&mut self) {
        match self.peers.next_unread(self.open_key()).cloned() {
            Some(key) => self.open(key),
            None => self.notice = Some(tr!("no peer has unread messages").to_owned()),
        }
    }

    /// Opens the conversation of a row of the list of peers.
    pub(in crate::command::chat) fn open_listed(&mut self, number: usize) {
        let key = self.peers.iter().nth(number).map(|(key, _)| key.clone());
        if let Some(key) = key.filter(|_| self.overlay.is_none()) {
            self.open(key);
        }
    }

    /// Counts the messages of all peers as read, also those that were not shown.
    fn mark_all_read(&mut self) {
        let notice = match self.peers.unread() {
            _ if !self.has_peers() => tr!("the list of peers has not arrived yet"),
            0 => tr!("no peer has unread messages"),
            _ => tr!("the messages of all peers are marked as read"),
        };
        if self.has_peers() {
            self.peers.mark_read(self.arrived_id);
        }
        self.notice = Some(notice.to_owned());
    }

    fn change_line_end(&mut self) {
        let Some(key) = self.open_key().cloned() else {
            self.notice = Some(tr!("no conversation is open; choose a peer first").to_owned());
            return;
        };
        if self.is_hex {
            self.notice = Some(tr!(
                "bytes are sent as they are; `+crc16-modbus` behind them appends a checksum; F4 goes back to text"
            ).to_owned());
        } else if let Some(row) = self.peers.get_mut(&key) {
            row.line_end = row.line_end.next();
        }
    }

    /// Returns what the input sends; none if it is empty or invalid.
    fn payload(&mut self) -> Option<Payload> {
        let (text, end) = (self.input.text(), self.line_end().text());
        let payload = match self.takes_digits() {
            true => bytes_of(text, end),
            false => Ok(Payload::Text(format!("{text}{end}"))),
        };
        match payload {
            Ok(payload) => Some(payload).filter(|payload| !payload.is_empty()),
            Err(CtlError::Failed(failure)) => {
                self.notice = Some(as_line(&failure));
                None
            }
            Err(CtlError::ReaderGone) => None,
        }
    }

    /// Sends the input.
    fn submit(&mut self) {
        let Some(payload) = self.payload() else { return };
        let Some(key) = self.open_key().cloned() else {
            self.notice = Some(tr!("no peer is chosen: press F2 to choose one").to_owned());
            return;
        };
        let text = self.input.take();
        self.history.push(Typed { text: text.clone(), is_hex: self.is_hex });
        let is_text = matches!(payload, Payload::Text(_));
        self.notice = escape_in(&text).filter(|_| is_text).map(|escape| {
            tr!("`{escape}` is sent as it is written; F5 adds a line end, and F4 sends bytes", escape)
        });
        self.send(key, text, payload, self.is_holding);
    }

    /// Sends a message, shown as `text`.
    fn send(&mut self, key: PeerKey, text: String, payload: Payload, when_seen: bool) {
        let row = self.peers.get(&key);
        let encoding = row.and_then(|row| row.chosen_encoding.clone());
        // What is held leaves from the address that the peer speaks to then.
        let reply_to = row.and_then(|row| row.last_id).filter(|_| key.has_history() && !when_seen);
        let to = key.to_string();
        let ticket = self.outbox.add(key, text, payload.clone(), (self.clock)(), self.arrived_id);
        let payload = payload_in(encoding.as_deref(), payload);
        let message = OutgoingMessage { ticket, reply_to, to, payload, encoding, when_seen };
        self.requests.push(Request::Send(message));
        self.go_to_newest();
        self.show_unsent();
    }

    /// Sends the bytes of the newest message to the open peer once more, if it bounced.
    fn send_again(&mut self) {
        let open = self.conversation.as_ref();
        let again = open.and_then(|open| open.newest_bounce().map(|item| (open.key.clone(), item)));
        let Some((key, item)) = again else {
            let notice = match open.is_none_or(Conversation::holds_newest) {
                true => tr!("the last message to this peer has not bounced"),
                false => tr!("the last message to this peer is far below; Esc goes there"),
            };
            self.notice = Some(notice.to_owned());
            return;
        };
        let (text, payload) = (item.text.clone(), Payload::Bytes(item.raw.clone()));
        self.send(key, text, payload, self.is_holding);
    }

    /// Has messages to the open peer held until it sends one, or sent at once again.
    fn toggle_holding(&mut self) {
        if self.conversation.is_none() {
            self.notice = Some(tr!("no conversation is open; choose a peer first").to_owned());
            return;
        }
        self.is_holding = !self.is_holding;
        if self.is_holding {
            let text = tr!("what you send is held until the peer sends a message; F7 sends at once again");
            self.notice = Some(text.to_owned());
        }
    }

    fn open_picker(&mut self, kind: PickerKind) {
        if kind == PickerKind::Encodings && self.conversation.is_none() {
            self.notice = Some(tr!("no conversation is open; choose a peer first").to_owned());
            return;
        }
        if kind == PickerKind::Peers {
            // The configuration may have been reloaded.
            self.requests.push(Request::Peers);
        }
        self.overlay = Some(Overlay::Picker(Picker::new(kind)));
    }

    /// Performs the selected choice and closes the list.
    fn choose(&mut self, picker: Picker) {
        let mut choices = self.choices(&picker);
        if picker.selected >= choices.len() {
            self.overlay = Some(Overlay::Picker(picker));
            return;
        }
        match choices.swap_remove(picker.selected).action {
            ChoiceAction::Open(PeerKey::Host(typed)) if self.refuse_address(&typed) => {
                self.overlay = Some(Overlay::Picker(picker));
            }
            ChoiceAction::Open(key) => self.open(key),
            ChoiceAction::RefuseList(name) => {
                let (why, hint) = list_refusal(&name);
                self.notice = Some(in_one_line(&why, Some(&hint)));
            }
            ChoiceAction::Encode(encoding) => self.choose_encoding(encoding),
            ChoiceAction::Read(encoding) => self.read_in(encoding),
            ChoiceAction::Leave => {}
        }
    }

    /// Explains what is wrong with a typed address. Returns whether something is.
    fn refuse_address(&mut self, typed: &str) -> bool {
        let Err(error) = check_destination(typed) else { return false };
        self.notice = Some(in_one_line(&error.to_string(), error.hint()));
        true
    }

    /// Sends to the open peer in an encoding, and offers to read its messages in it, too.
    fn choose_encoding(&mut self, encoding: Option<String>) {
        let Some(key) = self.open_key().cloned() else { return };
        if let Some(row) = self.peers.get_mut(&key) {
            row.chosen_encoding.clone_from(&encoding);
        }
        if key.has_history() {
            self.open_picker(PickerKind::Reading(encoding));
        }
    }
}

/// Returns what is sent in a chosen encoding. In `hex`, bytes are sent as digits: the daemon takes no encoding with bytes, and
/// would read and show them in the peer's own.
fn payload_in(encoding: Option<&str>, payload: Payload) -> Payload {
    match payload {
        Payload::Bytes(bytes) if encoding.is_some_and(is_hex) => Payload::Text(hex_pairs(&bytes)),
        payload => payload,
    }
}

/// Reads hex digits. A `+` behind them and the name of a checksum append it, as `send --append` does; no digits, no checksum.
/// The line end follows them.
fn bytes_of(text: &str, end: &str) -> Result<Payload> {
    let (digits, sum) = match text.split_once(['+', '＋']) {
        Some((digits, sum)) => (digits, Some(sum.trim().parse::<Append>().map_err(CtlError::usage)?)),
        None => (text, None),
    };
    let mut payload = Payload::of_text(digits.to_owned(), true)?;
    if let (Payload::Bytes(bytes), Some(sum)) = (&mut payload, sum)
        && !bytes.is_empty()
    {
        sum.to(bytes);
    }
    if let Payload::Bytes(bytes) = &mut payload {
        bytes.extend(end.as_bytes());
    }
    Ok(payload)
}
