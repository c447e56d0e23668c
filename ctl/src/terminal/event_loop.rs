//! The event loop of a full screen.
//!
//! It draws only after a change, and at most as often as the kind of change needs. Keys are handled before updates, so
//! that a flood of updates delays no key. Without keys and updates it sleeps, without a timer.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use udpchat_locale::tr;

use super::full_screen::{FullScreen, Input, unusable};
use super::input::read_events;
use super::signals::{SignalRequest, Signals};
use crate::error::{CtlError, Result};

/// The shortest time between two frames, by what the second one shows.
const KEY_FRAME: Duration = Duration::from_millis(4);
/// About sixty frames a second.
const UPDATE_FRAME: Duration = Duration::from_millis(16);
const BACKGROUND_FRAME: Duration = Duration::from_millis(100);
/// The most keys that are handled before a frame shows them: more than a person types.
const MAX_KEYS_PER_FRAME: usize = 256;
/// The most updates that are handled before keys are handled again.
const MAX_UPDATES_AT_ONCE: usize = 64;
/// The longest wait for the kernel to stop the process. The kernel does not stop an orphaned process
/// group, which no shell could continue.
const STOP_WAIT: Duration = Duration::from_millis(200);

/// A program with a full screen.
pub(crate) trait App {
    /// A change that does not come from the terminal.
    type Update;

    /// Handles input. Suspending, repainting and resizing are handled by the event loop.
    ///
    /// # Errors
    /// The terminal cannot be used; the event loop ends.
    fn handle(&mut self, event: Event, screen: &mut FullScreen) -> Result<Reaction>;

    /// Handles an update.
    ///
    /// # Errors
    /// The app cannot go on; the event loop ends.
    fn update(&mut self, update: Self::Update) -> Result<Redraw>;

    /// Draws the whole screen.
    fn draw(&mut self, frame: &mut Frame<'_>);

    /// Sends requests that handling or drawing has made. Called after each step.
    fn send_requests(&mut self) -> Redraw {
        Redraw::None
    }
}

/// The result of handling input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Nothing has changed.
    Ignored,
    Changed,
    Quit,
}

/// How soon a change must be visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Redraw {
    /// Nothing visible has changed.
    #[default]
    None,
    /// A change beside what the user reads, such as a count: within 100 ms.
    Background,
    /// A change of what the user reads: within 16 ms.
    Update,
    /// The echo of a key, which does not wait for the frames of a flood: within 4 ms.
    Key,
}

/// Enters the full screen and runs the app until the user or a signal ends it. The terminal is restored on return.
///
/// # Errors
/// The terminal cannot be used, or it is gone.
pub(crate) async fn run<A: App>(
    app: &mut A,
    updates: &mut mpsc::Receiver<A::Update>,
    input: Input,
) -> Result<()> {
    let signals = Signals::new()?;
    let screen = FullScreen::enter(input)?;
    let events = read_events()?;
    EventLoop { app, screen, events, signals, redraw: Redraw::Update, drawn: None }.run(updates).await
}

struct EventLoop<'a, A> {
    app: &'a mut A,
    screen: FullScreen,
    events: mpsc::Receiver<io::Result<Event>>,
    signals: Signals,
    /// The most urgent change since the last frame.
    redraw: Redraw,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
}

/// Whether the loop continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

impl<A: App> EventLoop<'_, A> {
    async fn run(mut self, updates: &mut mpsc::Receiver<A::Update>) -> Result<()> {
        loop {
            if self.handle_waiting_events().await? == Flow::End {
                return Ok(());
            }
            let due = self.next_frame();
            if self.redraw > Redraw::None && due <= Instant::now() {
                self.draw()?;
            }
            self.redraw = self.redraw.max(self.app.send_requests());
            tokio::select! {
                biased;
                request = self.signals.next() => match request {
                    SignalRequest::End => return Ok(()),
                    SignalRequest::Continue => self.resume()?,
                },
                event = self.events.recv() => {
                    let event = event.ok_or_else(terminal_gone)?;
                    if self.handle(event).await? == Flow::End {
                        return Ok(());
                    }
                }
                () = sleep_until(due.into()), if self.redraw > Redraw::None => {}
                update = updates.recv() => {
                    // The sending task has panicked.
                    self.update(update.ok_or_else(|| CtlError::failed(tr!("the connection task ended")))?)?;
                    self.handle_waiting_updates(updates)?;
                }
            }
        }
    }

    /// Handles the keys that have arrived, before the frame that shows them.
    async fn handle_waiting_events(&mut self) -> Result<Flow> {
        for _ in 0..MAX_KEYS_PER_FRAME {
            let Ok(event) = self.events.try_recv() else { break };
            if self.handle(event).await? == Flow::End {
                return Ok(Flow::End);
            }
        }
        Ok(Flow::Continue)
    }

    async fn handle(&mut self, event: io::Result<Event>) -> Result<Flow> {
        let event = event.map_err(|error| unusable(&error))?;
        if is_control(&event, 'z') {
            self.suspend().await?;
        } else if is_control(&event, 'l') {
            self.screen.repaint()?;
        } else if !matches!(event, Event::Resize(..)) {
            match self.app.handle(event, &mut self.screen)? {
                Reaction::Ignored => return Ok(Flow::Continue),
                Reaction::Changed => {}
                Reaction::Quit => return Ok(Flow::End),
            }
        }
        self.redraw = Redraw::Key;
        Ok(Flow::Continue)
    }

    fn update(&mut self, update: A::Update) -> Result<()> {
        self.redraw = self.redraw.max(self.app.update(update)?);
        Ok(())
    }

    /// Handles more updates that have arrived, but not all of a flood: keys come first.
    fn handle_waiting_updates(&mut self, updates: &mut mpsc::Receiver<A::Update>) -> Result<()> {
        for _ in 1..MAX_UPDATES_AT_ONCE {
            let Ok(update) = updates.try_recv() else { break };
            self.update(update)?;
        }
        Ok(())
    }

    /// Returns the earliest time of the next frame.
    fn next_frame(&self) -> Instant {
        let pause = match self.redraw {
            Redraw::Key => KEY_FRAME,
            Redraw::Update => UPDATE_FRAME,
            Redraw::Background | Redraw::None => BACKGROUND_FRAME,
        };
        self.drawn.map_or_else(Instant::now, |drawn| drawn + pause)
    }

    fn draw(&mut self) -> Result<()> {
        let Self { app, screen, .. } = self;
        screen.draw(|frame| app.draw(frame))?;
        self.redraw = Redraw::None;
        self.drawn = Some(Instant::now());
        Ok(())
    }

    /// Restores the terminal and stops the whole job until the shell continues it.
    async fn suspend(&mut self) -> Result<()> {
        self.screen.leave();
        // If the signal cannot be sent, the program continues at once.
        let _stopped = kill(Pid::from_raw(0), Signal::SIGTSTP);
        tokio::select! {
            () = self.signals.continued() => {}
            () = sleep(STOP_WAIT) => {}
        }
        self.resume()
    }

    fn resume(&mut self) -> Result<()> {
        self.redraw = Redraw::Key;
        self.screen.resume()
    }
}

/// Returns whether an event is this letter with Ctrl. Some keyboard layouts type characters with Ctrl and Alt.
fn is_control(event: &Event, letter: char) -> bool {
    let Event::Key(key) = event else { return false };
    key.kind != KeyEventKind::Release
        && key.code == KeyCode::Char(letter)
        && key.modifiers.contains(KeyModifiers::CONTROL)
        && !key.modifiers.contains(KeyModifiers::ALT)
}

fn terminal_gone() -> CtlError {
    CtlError::failed(tr!("the terminal is gone"))
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn control_keys_differ_from_typed_letters() {
        let key = |modifiers| Event::Key(KeyEvent::new(KeyCode::Char('z'), modifiers));
        assert!(is_control(&key(KeyModifiers::CONTROL), 'z'));
        for modifiers in [KeyModifiers::NONE, KeyModifiers::CONTROL | KeyModifiers::ALT] {
            assert!(!is_control(&key(modifiers), 'z'));
        }
        assert!(!is_control(&key(KeyModifiers::CONTROL), 'l') && !is_control(&Event::Resize(80, 24), 'l'));
    }
}
