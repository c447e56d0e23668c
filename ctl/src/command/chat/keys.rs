//! The keys and mouse input of the chat, and their actions.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use udpchat_locale::tr;

use super::editor::Motion;

/// An action of the user on the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Insert typed or pasted text.
    Insert(String),
    Erase(Motion),
    Move(Motion),
    Up,
    Down,
    Submit,
    Cancel,
    Interrupt,
    EndOfInput,
    LineUp,
    LineDown,
    WheelUp,
    WheelDown,
    PageUp,
    PageDown,
    Oldest,
    Newest,
    NextPeer,
    PreviousPeer,
    NextUnread,
    ChoosePeer,
    ChooseEncoding,
    ToggleHex,
    ChangeLineEnd,
    SendAgain,
    ToggleHolding,
    MarkAllRead,
    Help,
    Quit,
}

/// The meaning of an event of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Act(Action),
    /// A click at a column and a row.
    Click(u16, u16),
    /// Switch between mouse input for the chat and for the terminal.
    ToggleMouse,
}

/// Returns all keys and their descriptions, for the help.
pub(super) fn help() -> [(&'static str, &'static str); 21] {
    [
        ("Enter", tr!("send")),
        ("Alt+Enter, Ctrl+J", tr!("insert a line break")),
        ("↑ ↓", tr!("move by a line; at the ends, recall earlier texts")),
        ("Ctrl+A  Ctrl+E", tr!("start and end of the line, as Home and End")),
        ("Ctrl+W  Ctrl+U  Ctrl+K", tr!("erase a word, to the line start, to the line end")),
        ("Alt+B  Alt+F", tr!("move by a word, as Ctrl+← and Ctrl+→")),
        ("PageUp  PageDown", tr!("scroll, as the mouse wheel; Shift+↑ ↓ by a line")),
        ("Ctrl+Home  Ctrl+End", tr!("the oldest message, the newest (also Esc)")),
        ("F2, Ctrl+P", tr!("choose a peer, or type an address")),
        ("Alt+↑  Alt+↓  Alt+A", tr!("the previous peer, the next, the next unread")),
        ("Alt+R", tr!("mark the messages of all peers as read")),
        ("F3, Alt+E", tr!("choose the encoding to send and read in")),
        ("F4, Alt+X", tr!("show and write bytes in hex, or text again")),
        ("F5, Alt+L", tr!(r"append \r\n to what is sent, \n, \r, or nothing")),
        ("F6, Alt+S", tr!("send the last message again, if it bounced")),
        ("F7, Alt+W", tr!("hold what is sent until the peer sends something")),
        ("Alt+M", tr!("use the mouse to select text, or to scroll again")),
        ("Ctrl+L  Ctrl+Z", tr!("redraw the screen; suspend, until `fg`")),
        ("Ctrl+C", tr!("clear the input; quit if it is empty, as Ctrl+D")),
        ("Ctrl+Q", tr!("quit")),
        ("F1, Ctrl+G, Alt+H", tr!("these keys")),
    ]
}

/// Returns the meaning of an event, if it has one.
pub(super) fn meaning(event: Event) -> Option<Meaning> {
    let meaning = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return key_meaning(key),
        Event::Paste(text) => Meaning::Act(Action::Insert(text)),
        Event::Mouse(mouse) => return mouse_meaning(mouse),
        _ => return None,
    };
    Some(meaning)
}

fn mouse_meaning(mouse: MouseEvent) -> Option<Meaning> {
    let meaning = match mouse.kind {
        MouseEventKind::ScrollUp => Meaning::Act(Action::WheelUp),
        MouseEventKind::ScrollDown => Meaning::Act(Action::WheelDown),
        MouseEventKind::Down(MouseButton::Left) => Meaning::Click(mouse.column, mouse.row),
        _ => return None,
    };
    Some(meaning)
}

fn key_meaning(key: KeyEvent) -> Option<Meaning> {
    let (control, alt) =
        (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
    match (control, alt) {
        (true, false) => with_control(key.code).map(Meaning::Act),
        (false, true) if key.code == KeyCode::Char('m') => Some(Meaning::ToggleMouse),
        (false, true) => with_alt(key.code).map(Meaning::Act),
        // Some keyboard layouts type characters with Ctrl and Alt.
        _ => without_modifiers(key).map(Meaning::Act),
    }
}

fn with_control(code: KeyCode) -> Option<Action> {
    let action = match code {
        KeyCode::Char('j') => Action::Insert("\n".to_owned()),
        KeyCode::Char('a') => Action::Move(Motion::LineStart),
        KeyCode::Char('e') => Action::Move(Motion::LineEnd),
        KeyCode::Char('b') => Action::Move(Motion::Left),
        KeyCode::Char('f') => Action::Move(Motion::Right),
        KeyCode::Left => Action::Move(Motion::WordLeft),
        KeyCode::Right => Action::Move(Motion::WordRight),
        KeyCode::Char('h') | KeyCode::Backspace => Action::Erase(Motion::Left),
        KeyCode::Char('w') => Action::Erase(Motion::WordLeft),
        KeyCode::Delete => Action::Erase(Motion::WordRight),
        KeyCode::Char('u') => Action::Erase(Motion::LineStart),
        KeyCode::Char('k') => Action::Erase(Motion::LineEnd),
        KeyCode::Char('c') => Action::Interrupt,
        KeyCode::Char('d') => Action::EndOfInput,
        KeyCode::Char('g') => Action::Help,
        KeyCode::Char('p') => Action::ChoosePeer,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Home => Action::Oldest,
        KeyCode::End => Action::Newest,
        KeyCode::Up => Action::LineUp,
        KeyCode::Down => Action::LineDown,
        _ => return None,
    };
    Some(action)
}

fn with_alt(code: KeyCode) -> Option<Action> {
    let action = match code {
        KeyCode::Enter => Action::Insert("\n".to_owned()),
        KeyCode::Char('b') | KeyCode::Left => Action::Move(Motion::WordLeft),
        KeyCode::Char('f') | KeyCode::Right => Action::Move(Motion::WordRight),
        KeyCode::Char('d') => Action::Erase(Motion::WordRight),
        KeyCode::Backspace => Action::Erase(Motion::WordLeft),
        KeyCode::Up => Action::PreviousPeer,
        KeyCode::Down => Action::NextPeer,
        KeyCode::Char('a') => Action::NextUnread,
        KeyCode::Char('e') => Action::ChooseEncoding,
        KeyCode::Char('p') => Action::ChoosePeer,
        KeyCode::Char('x') => Action::ToggleHex,
        KeyCode::Char('l') => Action::ChangeLineEnd,
        KeyCode::Char('s') => Action::SendAgain,
        KeyCode::Char('w') => Action::ToggleHolding,
        KeyCode::Char('r') => Action::MarkAllRead,
        KeyCode::Char('h' | '?') => Action::Help,
        _ => return None,
    };
    Some(action)
}

fn without_modifiers(key: KeyEvent) -> Option<Action> {
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    let action = match key.code {
        KeyCode::Char(character) => Action::Insert(character.to_string()),
        KeyCode::Tab => Action::Insert("\t".to_owned()),
        KeyCode::Enter if shift => Action::Insert("\n".to_owned()),
        KeyCode::Enter => Action::Submit,
        KeyCode::Backspace => Action::Erase(Motion::Left),
        KeyCode::Delete => Action::Erase(Motion::Right),
        KeyCode::Left => Action::Move(Motion::Left),
        KeyCode::Right => Action::Move(Motion::Right),
        KeyCode::Home => Action::Move(Motion::LineStart),
        KeyCode::End => Action::Move(Motion::LineEnd),
        KeyCode::Up if shift => Action::LineUp,
        KeyCode::Down if shift => Action::LineDown,
        KeyCode::Up => Action::Up,
        KeyCode::Down => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::Esc => Action::Cancel,
        KeyCode::F(1) => Action::Help,
        KeyCode::F(2) => Action::ChoosePeer,
        KeyCode::F(3) => Action::ChooseEncoding,
        KeyCode::F(4) => Action::ToggleHex,
        KeyCode::F(5) => Action::ChangeLineEnd,
        KeyCode::F(6) => Action::SendAgain,
        KeyCode::F(7) => Action::ToggleHolding,
        _ => return None,
    };
    Some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(code: KeyCode, modifiers: KeyModifiers) -> Option<Meaning> {
        meaning(Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn characters_are_inserted_with_any_keyboard_layout() {
        for (character, modifiers) in [
            ('你', KeyModifiers::NONE),
            ('A', KeyModifiers::SHIFT),
            // AltGr, for example @ on a German keyboard under Windows.
            ('@', KeyModifiers::CONTROL | KeyModifiers::ALT),
        ] {
            let written = Some(Meaning::Act(Action::Insert(character.to_string())));
            assert_eq!(meaning_of(KeyCode::Char(character), modifiers), written);
        }
        assert_eq!(meaning_of(KeyCode::Char('x'), KeyModifiers::CONTROL), None);
    }

    #[test]
    fn line_breaks_and_pasted_text_are_not_sent() {
        let broken = Some(Meaning::Act(Action::Insert("\n".to_owned())));
        assert_eq!(meaning_of(KeyCode::Enter, KeyModifiers::ALT), broken);
        assert_eq!(meaning_of(KeyCode::Char('j'), KeyModifiers::CONTROL), broken);
        let pasted = meaning(Event::Paste("a\rb".to_owned()));
        assert_eq!(pasted, Some(Meaning::Act(Action::Insert("a\rb".to_owned()))));
        assert_eq!(meaning_of(KeyCode::Enter, KeyModifiers::NONE), Some(Meaning::Act(Action::Submit)));
    }

    #[test]
    fn a_key_release_is_ignored() {
        let mut key = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(meaning(Event::Key(key)), None);
    }
}
