//! The terminal in raw mode on its alternate screen, restored however the program ends.

mod ascii;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::{Frame, Terminal};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// The write buffer in bytes: larger than almost every frame, so that a frame is one write.
const BUFFER_BYTES: usize = 64 * 1024;

/// Reports buttons and wheel, with columns beyond 223, but no movements.
const ENABLE_MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
const DISABLE_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

/// Whether the terminal is in raw mode now.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The input that a full screen receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Keys only.
    Keys,
    /// Also the mouse, and pasted text separately from typed text.
    KeysMouseAndPaste,
}

/// The terminal as a full screen. Dropping it restores the terminal.
#[derive(Debug)]
pub(crate) struct FullScreen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    has_paste: bool,
    has_mouse: bool,
    is_utf8: bool,
}

impl FullScreen {
    /// Enters the full screen.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub(super) fn enter(input: Input) -> Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(restore_on_panic);
        // The options decide about colour before anything is drawn, not crossterm.
        force_color_output(true);
        enter_raw_mode().map_err(|error| unusable(&error))?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()));
        let terminal = Terminal::new(backend).map_err(|error| {
            restore();
            unusable(&error)
        })?;
        let has_all = input == Input::KeysMouseAndPaste;
        let screen = Self { terminal, has_paste: has_all, has_mouse: has_all, is_utf8: super::is_utf8() };
        screen.request_input()?;
        Ok(screen)
    }

    /// Restores the terminal until [`Self::resume`].
    #[expect(clippy::unused_self, reason = "only the owner of the full screen may leave it")]
    pub(super) fn leave(&mut self) {
        restore();
    }

    /// Enters the full screen again, and draws all of the next frame.
    pub(super) fn resume(&mut self) -> Result<()> {
        // Another program may have changed the modes, and crossterm enters raw mode only after leaving it.
        self.leave();
        enter_raw_mode().map_err(|error| unusable(&error))?;
        self.request_input()?;
        self.repaint()
    }

    /// Draws all cells of the next frame, not only those that changed.
    pub(super) fn repaint(&mut self) -> Result<()> {
        // `Terminal::clear` would query the cursor position, and the input thread would read the reply.
        let size = self.terminal.size().map_err(|error| unusable(&error))?;
        self.terminal.resize(size.into()).map_err(|error| unusable(&error))
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        let is_utf8 = self.is_utf8;
        let draw = |frame: &mut Frame<'_>| {
            draw(frame);
            if !is_utf8 {
                ascii::simplify(frame.buffer_mut());
            }
        };
        self.terminal.draw(draw).map_err(|error| unusable(&error))?;
        Ok(())
    }

    /// Switches between receiving mouse input and leaving it to the terminal; returns whether it is received now.
    pub(crate) fn toggle_mouse(&mut self) -> Result<bool> {
        self.has_mouse = !self.has_mouse;
        self.request_input()?;
        Ok(self.has_mouse)
    }

    fn request_input(&self) -> Result<()> {
        let mut stdout = io::stdout();
        let mouse = if self.has_mouse { ENABLE_MOUSE } else { DISABLE_MOUSE };
        let paste = if self.has_paste { queue!(stdout, EnableBracketedPaste) } else { Ok(()) };
        let written = paste.and_then(|()| stdout.write_all(mouse.as_bytes()));
        written.and_then(|()| stdout.flush()).map_err(|error| unusable(&error))
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Checks that standard input and output are a terminal that can show a full screen.
///
/// # Errors
/// A usage error with the reason.
pub(crate) fn check(command: &str) -> Result<()> {
    let reason = if !io::stdin().is_terminal() {
        tr!("standard input is not a terminal")
    } else if !io::stdout().is_terminal() {
        tr!("standard output is not a terminal")
    } else if !supports_full_screen() {
        tr!("this terminal (TERM=dumb) cannot position text")
    } else {
        return Ok(());
    };
    Err(CtlError::usage(tr!("{command} needs a terminal: {reason}", command, reason)))
}

/// Returns whether the terminal can position text.
pub(crate) fn supports_full_screen() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Converts an error of the terminal.
pub(super) fn unusable(error: &io::Error) -> CtlError {
    CtlError::failed(tr!("the terminal cannot be used")).caused_by(error)
}

fn enter_raw_mode() -> io::Result<()> {
    ENTERED.store(true, Ordering::SeqCst);
    let entered =
        terminal::enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide));
    if entered.is_err() {
        restore();
    }
    entered
}

/// Restores the terminal if it is in raw mode. Errors are ignored: they mean that the terminal is gone.
fn restore() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _written = stdout.write_all(DISABLE_MOUSE.as_bytes());
    let _queued = queue!(stdout, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _flushed = stdout.flush();
    let _restored = terminal::disable_raw_mode();
}

/// Restores the terminal at a panic, before its message is printed.
fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

#[cfg(test)]
mod tests;
