//! The terminal: taken over for a full screen, and given back as it was, however that ends.

mod signals;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute, queue};
use tokio::sync::mpsc;

pub(crate) use self::signals::{Signals, Told};

use crate::error::{CtlError, Result};

/// How many events of the terminal may wait; further ones stay with the system.
const WAITING_EVENTS: usize = 1_024;

/// How much is written to the terminal at once, in bytes: a frame, mostly.
const BUFFER_BYTES: usize = 64 * 1024;

/// The mouse's buttons and wheel are reported, with columns beyond 223; its movements are not.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Whether the terminal is taken over now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// Whether pasted text is told apart from typed text.
    knows_paste: bool,
    has_mouse: bool,
}

impl Screen {
    /// Refuses where there is no terminal that could show a full screen.
    ///
    /// # Errors
    /// Wrong use, with what works there as the hint.
    pub(crate) fn check() -> Result<()> {
        let why = if !io::stdin().is_terminal() {
            "standard input is no terminal"
        } else if !io::stdout().is_terminal() {
            "standard output is no terminal"
        } else if !can_place_text() {
            "this terminal (TERM=dumb) cannot place text"
        } else {
            return Ok(());
        };
        let hint = "`udpchatctl send` and `udpchatctl inbox --follow` work anywhere";
        Err(CtlError::usage(format!("chat needs a terminal: {why}")).hint(hint))
    }

    /// Takes the terminal over, to show things.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn enter() -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(give_back_at_panic);
        // Whether there is colour is decided before anything is drawn, not by crossterm.
        force_color_output(true);
        take().map_err(|error| unusable(&error))?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()));
        let terminal = Terminal::new(backend).map_err(|error| {
            give_back();
            unusable(&error)
        })?;
        Ok(Self { terminal, knows_paste: false, has_mouse: false })
    }

    /// Takes the terminal over, to talk: with the mouse, and with what is pasted told apart from what is typed.
    ///
    /// # Errors
    /// The terminal refuses.
    pub(crate) fn enter_to_talk() -> Result<Self> {
        let mut screen = Self::enter()?;
        screen.knows_paste = true;
        screen.has_mouse = true;
        screen.take_input()?;
        Ok(screen)
    }

    /// Takes the terminal over again, and has the next frame drawn whole.
    pub(crate) fn enter_again(&mut self) -> Result<()> {
        take().map_err(|error| unusable(&error))?;
        self.take_input()?;
        self.redraw()
    }

    /// Has the next frame drawn whole.
    pub(crate) fn redraw(&mut self) -> Result<()> {
        // Its own `clear` would ask the terminal where the cursor is, and the thread that reads keys get the answer.
        let size = self.terminal.size().map_err(|error| unusable(&error))?;
        self.terminal.resize(size.into()).map_err(|error| unusable(&error))
    }

    /// Gives the terminal back, until it is entered again.
    #[expect(clippy::unused_self, reason = "only who has the terminal can give it back")]
    pub(crate) fn leave(&mut self) {
        give_back();
    }

    /// Takes the mouse, or leaves it to the terminal; returns what it is now.
    pub(crate) fn toggle_mouse(&mut self) -> Result<bool> {
        self.has_mouse = !self.has_mouse;
        self.take_input()?;
        Ok(self.has_mouse)
    }

    /// Asks the terminal for the input that is wanted beside keys.
    fn take_input(&self) -> Result<()> {
        let mut stdout = io::stdout();
        let mouse = if self.has_mouse { MOUSE_ON } else { MOUSE_OFF };
        let paste = if self.knows_paste { queue!(stdout, EnableBracketedPaste) } else { Ok(()) };
        let written = paste.and_then(|()| stdout.write_all(mouse.as_bytes()));
        written.and_then(|()| stdout.flush()).map_err(|error| unusable(&error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Tells whether the terminal can do more than lines.
pub(crate) fn can_place_text() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Turns what the terminal refused into an error.
pub(crate) fn unusable(error: &io::Error) -> CtlError {
    CtlError::failed("the terminal cannot be used").caused_by(error)
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken =
        terminal::enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide));
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back if it is taken. What fails here cannot be helped: the terminal is gone.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _written = stdout.write_all(MOUSE_OFF.as_bytes());
    let _queued = queue!(stdout, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _flushed = stdout.flush();
    let _restored = terminal::disable_raw_mode();
}

/// Has a panic give the terminal back before it says what happened.
fn give_back_at_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}

/// Reads the events of the terminal in a thread of their own, until it is gone.
pub(crate) fn events() -> Result<mpsc::Receiver<io::Result<Event>>> {
    let (sender, events) = mpsc::channel(WAITING_EVENTS);
    let read = move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(read).map_err(|error| unusable(&error))?;
    Ok(events)
}

#[cfg(test)]
mod tests;
