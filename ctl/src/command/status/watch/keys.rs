//! What keys mean while the status is watched.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What the keyboard, or the terminal, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// To end.
    End,
    /// To stop for a while.
    Suspend,
    /// To draw everything anew.
    Anew,
    /// The terminal has another size.
    Resized,
}

/// Says what an event of the terminal wants, if anything.
pub(super) fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => meaning_of_key(*key),
        Event::Resize(..) => Some(Key::Resized),
        _ => None,
    }
}

fn meaning_of_key(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Key::End),
        KeyCode::Char('z') if control => Some(Key::Suspend),
        KeyCode::Char('l') if control => Some(Key::Anew),
        KeyCode::Char('q' | 'Q') if !control => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        meaning(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn keys_mean_what_they_mean_everywhere() {
        let control = KeyModifiers::CONTROL;
        assert_eq!(meaning_of(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::End));
        assert_eq!(meaning_of(KeyCode::Char('Q'), KeyModifiers::SHIFT), Some(Key::End));
        assert_eq!(meaning_of(KeyCode::Char('c'), control), Some(Key::End));
        assert_eq!(meaning_of(KeyCode::Char('z'), control), Some(Key::Suspend));
        assert_eq!(meaning_of(KeyCode::Char('l'), control), Some(Key::Anew));
        assert_eq!(meaning_of(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(meaning_of(KeyCode::Char('z'), KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(80, 24)), Some(Key::Resized));
        assert_eq!(meaning(&Event::FocusGained), None);
    }
}
