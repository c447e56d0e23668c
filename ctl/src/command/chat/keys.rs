//! What a key means.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::editor::Motion;

/// What the user wants of the chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// To write text, typed or pasted.
    Insert(String),
    Erase(Motion),
    Go(Motion),
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
    Peers,
    Encoding,
    Help,
    Quit,
}

/// What an event of the terminal means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Act(Action),
    /// A click at a column and a row.
    Click(u16, u16),
    /// The program is to stop until it is wanted again.
    Suspend,
    /// To draw everything anew.
    Redraw,
    /// To leave the mouse to the terminal, or to take it back.
    Mouse,
    Nothing,
}

/// Every key, and what it does, for the help.
pub(super) const HELP: &[(&str, &str)] = &[
    ("Enter", "send"),
    ("Alt+Enter, Ctrl+J", "a line break; so are those of pasted text"),
    ("↑ ↓", "the line above, below; beyond, what was sent or failed"),
    ("Ctrl+A  Ctrl+E", "beginning and end of the line, as Home and End"),
    ("Ctrl+W  Ctrl+U  Ctrl+K", "erase a word, to the beginning, to the end"),
    ("Alt+B  Alt+F", "a word back, forward, as Ctrl+← and Ctrl+→"),
    ("PageUp  PageDown", "scroll, as the mouse wheel; Shift+↑ Shift+↓ by a line"),
    ("Ctrl+Home  Ctrl+End", "to the oldest message of all, to the newest (Esc)"),
    ("F2, Ctrl+P", "choose whom to talk to, or type an address"),
    ("Alt+↑  Alt+↓", "the peer above, below"),
    ("Alt+A", "the next peer with unread messages"),
    ("F3, Alt+E", "what to send in"),
    ("Alt+M", "leave the mouse to the terminal, to select text"),
    ("Ctrl+L", "draw the screen anew"),
    ("Ctrl+Z", "suspend; `fg` comes back"),
    ("Ctrl+C", "clear the input; quit if it is empty, as Ctrl+D"),
    ("Ctrl+Q", "quit"),
];

/// Tells what an event means.
pub(super) fn meaning(event: Event) -> Meaning {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key),
        Event::Paste(text) => Meaning::Act(Action::Insert(text)),
        Event::Mouse(mouse) => of_mouse(mouse),
        // The next frame has the new size.
        Event::Resize(..) => Meaning::Redraw,
        _ => Meaning::Nothing,
    }
}

fn of_mouse(mouse: MouseEvent) -> Meaning {
    match mouse.kind {
        MouseEventKind::ScrollUp => Meaning::Act(Action::WheelUp),
        MouseEventKind::ScrollDown => Meaning::Act(Action::WheelDown),
        MouseEventKind::Down(MouseButton::Left) => Meaning::Click(mouse.column, mouse.row),
        _ => Meaning::Nothing,
    }
}

fn of_key(key: KeyEvent) -> Meaning {
    let (control, alt) =
        (key.modifiers.contains(KeyModifiers::CONTROL), key.modifiers.contains(KeyModifiers::ALT));
    match (control, alt) {
        (true, false) => with_control(key.code),
        (false, true) => with_alt(key.code),
        // Some layouts write characters with both.
        _ => plain(key),
    }
}

fn with_control(code: KeyCode) -> Meaning {
    let action = match code {
        KeyCode::Char('z') => return Meaning::Suspend,
        KeyCode::Char('l') => return Meaning::Redraw,
        KeyCode::Char('j') => Action::Insert("\n".to_owned()),
        KeyCode::Char('a') => Action::Go(Motion::LineStart),
        KeyCode::Char('e') => Action::Go(Motion::LineEnd),
        KeyCode::Char('b') => Action::Go(Motion::Left),
        KeyCode::Char('f') => Action::Go(Motion::Right),
        KeyCode::Left => Action::Go(Motion::WordLeft),
        KeyCode::Right => Action::Go(Motion::WordRight),
        KeyCode::Char('h') | KeyCode::Backspace => Action::Erase(Motion::Left),
        KeyCode::Char('w') => Action::Erase(Motion::WordLeft),
        KeyCode::Delete => Action::Erase(Motion::WordRight),
        KeyCode::Char('u') => Action::Erase(Motion::LineStart),
        KeyCode::Char('k') => Action::Erase(Motion::LineEnd),
        KeyCode::Char('c') => Action::Interrupt,
        KeyCode::Char('d') => Action::EndOfInput,
        KeyCode::Char('p') => Action::Peers,
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Home => Action::Oldest,
        KeyCode::End => Action::Newest,
        KeyCode::Up => Action::LineUp,
        KeyCode::Down => Action::LineDown,
        _ => return Meaning::Nothing,
    };
    Meaning::Act(action)
}

fn with_alt(code: KeyCode) -> Meaning {
    let action = match code {
        KeyCode::Char('m') => return Meaning::Mouse,
        KeyCode::Enter => Action::Insert("\n".to_owned()),
        KeyCode::Char('b') | KeyCode::Left => Action::Go(Motion::WordLeft),
        KeyCode::Char('f') | KeyCode::Right => Action::Go(Motion::WordRight),
        KeyCode::Char('d') => Action::Erase(Motion::WordRight),
        KeyCode::Backspace => Action::Erase(Motion::WordLeft),
        KeyCode::Up => Action::PreviousPeer,
        KeyCode::Down => Action::NextPeer,
        KeyCode::Char('a') => Action::NextUnread,
        KeyCode::Char('e') => Action::Encoding,
        KeyCode::Char('p') => Action::Peers,
        KeyCode::Char('h' | '?') => Action::Help,
        _ => return Meaning::Nothing,
    };
    Meaning::Act(action)
}

fn plain(key: KeyEvent) -> Meaning {
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    let action = match key.code {
        KeyCode::Char(character) => Action::Insert(character.to_string()),
        KeyCode::Tab => Action::Insert("\t".to_owned()),
        KeyCode::Enter if shift => Action::Insert("\n".to_owned()),
        KeyCode::Enter => Action::Submit,
        KeyCode::Backspace => Action::Erase(Motion::Left),
        KeyCode::Delete => Action::Erase(Motion::Right),
        KeyCode::Left => Action::Go(Motion::Left),
        KeyCode::Right => Action::Go(Motion::Right),
        KeyCode::Home => Action::Go(Motion::LineStart),
        KeyCode::End => Action::Go(Motion::LineEnd),
        KeyCode::Up if shift => Action::LineUp,
        KeyCode::Down if shift => Action::LineDown,
        KeyCode::Up => Action::Up,
        KeyCode::Down => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::Esc => Action::Cancel,
        KeyCode::F(1) => Action::Help,
        KeyCode::F(2) => Action::Peers,
        KeyCode::F(3) => Action::Encoding,
        _ => return Meaning::Nothing,
    };
    Meaning::Act(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> Meaning {
        meaning(Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn characters_are_written_whatever_wrote_them() {
        for (character, modifiers) in [
            ('你', KeyModifiers::NONE),
            ('A', KeyModifiers::SHIFT),
            // @ on a German keyboard under Windows, and its like.
            ('@', KeyModifiers::CONTROL | KeyModifiers::ALT),
        ] {
            let written = Meaning::Act(Action::Insert(character.to_string()));
            assert_eq!(of(KeyCode::Char(character), modifiers), written);
        }
        assert_eq!(of(KeyCode::Char('x'), KeyModifiers::CONTROL), Meaning::Nothing);
    }

    #[test]
    fn a_line_can_be_broken_and_a_paste_sends_nothing() {
        let broken = Meaning::Act(Action::Insert("\n".to_owned()));
        assert_eq!(of(KeyCode::Enter, KeyModifiers::ALT), broken);
        assert_eq!(of(KeyCode::Char('j'), KeyModifiers::CONTROL), broken);
        let pasted = meaning(Event::Paste("a\rb".to_owned()));
        assert_eq!(pasted, Meaning::Act(Action::Insert("a\rb".to_owned())));
        assert_eq!(of(KeyCode::Enter, KeyModifiers::NONE), Meaning::Act(Action::Submit));
    }

    #[test]
    fn a_key_that_is_let_go_is_none() {
        let mut key = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE);
        key.kind = KeyEventKind::Release;
        assert_eq!(meaning(Event::Key(key)), Meaning::Nothing);
    }
}
