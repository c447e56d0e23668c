//! The terminal as a full screen: set up, given back in every way of ending, and the keys that it brings.

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{panic, thread};

use nix::sys::signal::{Signal, raise};
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::prelude::CrosstermBackend;
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc;

/// How many keys may wait; who types more meanwhile waits in the terminal.
const WAITING_KEYS: usize = 64;

/// Whether the terminal is ours now.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Tells whether the terminal can do more than lines.
pub(super) fn is_possible() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// The screen. Dropping it gives the terminal back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be set up; then it is as it was.
    pub(super) fn open(colour: bool) -> io::Result<Self> {
        restore_before_a_panic_is_told();
        // Whether there is colour is decided already, by --color too.
        force_color_output(colour);
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        take().inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Draws a frame: what has changed since the one before.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(drop)
    }

    /// Gives the terminal back and stops, as Ctrl-Z does; returns when the program goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        raise(Signal::SIGTSTP)?;
        self.begin_anew()
    }

    /// Takes the terminal again, which somebody else may have used, and draws all of it at the next frame.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        execute!(io::stdout(), Clear(ClearType::All))?;
        // One that knows of nothing drawn. Its own `clear` asks where the cursor is, and the answer would go to the thread
        // that reads keys.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    IS_TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// Leaves the terminal as it was found. Where that fails there is no terminal any more.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        drop(execute!(io::stdout(), Show, LeaveAlternateScreen));
        drop(disable_raw_mode());
        drop(io::stdout().flush());
    }
}

/// What a panic says is to be read, not to vanish with the screen.
fn restore_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
}

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

/// Reads keys in a thread of its own, which ends with the program.
pub(super) fn keys() -> mpsc::Receiver<Key> {
    let (sender, keys) = mpsc::channel(WAITING_KEYS);
    thread::spawn(move || {
        // An error means that the terminal is gone: then the channel closes, and with it the screen.
        while let Ok(event) = event::read() {
            if let Some(key) = meaning(&event)
                && sender.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    keys
}

fn meaning(event: &Event) -> Option<Key> {
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
