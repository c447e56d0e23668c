//! The watch on a full screen.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::connection::{Answer, StatusQuery, is_final};
use super::model::Model;
use super::view::{self, Theme};
use crate::error::Result;
use crate::output::Output;
use crate::terminal::{self, App, FullScreen, Input, Reaction, Redraw};

/// Watches until the user or a signal ends it.
pub(super) async fn run(
    output: &Output,
    query: StatusQuery,
    first: Answer,
    interval: Duration,
) -> Result<()> {
    let mut watch =
        Watch { model: Model::new(first, interval), theme: Theme::new(output), began: Instant::now() };
    let (sender, mut updates) = mpsc::channel(1);
    tokio::spawn(ask_repeatedly(query, interval, sender.clone()));
    tokio::spawn(tick(interval, sender));
    terminal::run(&mut watch, &mut updates, Input::Keys).await
}

struct Watch {
    model: Model,
    theme: Theme,
    began: Instant,
}

/// A change of the watch.
enum Update {
    Answer(Box<Result<Answer>>),
    /// An interval has passed, with or without an answer.
    Tick,
}

impl App for Watch {
    type Update = Update;

    fn handle(&mut self, event: Event, _: &mut FullScreen) -> Result<Reaction> {
        Ok(if is_quit(&event) { Reaction::Quit } else { Reaction::Ignored })
    }

    fn update(&mut self, update: Update) -> Result<Redraw> {
        match update {
            Update::Answer(answer) => match *answer {
                Err(error) if is_final(&error) => return Err(error),
                answer => self.model.add_answer(answer, self.began.elapsed()),
            },
            Update::Tick => self.model.tick(self.began.elapsed()),
        }
        Ok(Redraw::Update)
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        view::draw(frame, &self.model, &self.theme);
    }
}

/// Returns whether a key ends the watch: q, Ctrl+C or Ctrl+D.
fn is_quit(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let is_quit = match key.code {
        KeyCode::Char('c' | 'd') => control,
        KeyCode::Char('q' | 'Q') => !control,
        _ => false,
    };
    is_quit && key.kind != KeyEventKind::Release
}

/// Sends the requests in a separate task, so that no key waits for an answer.
async fn ask_repeatedly(mut query: StatusQuery, interval: Duration, updates: mpsc::Sender<Update>) {
    let mut ticks = ticks(interval);
    // The first tick comes at once, and the first answer is already shown.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let answer = query.ask().await;
        if updates.send(Update::Answer(Box::new(answer))).await.is_err() {
            return;
        }
    }
}

/// Reports each interval, so that the screen shows for how long the daemon does not answer.
async fn tick(interval: Duration, updates: mpsc::Sender<Update>) {
    let mut ticks = ticks(interval);
    loop {
        ticks.tick().await;
        if updates.send(Update::Tick).await.is_err() {
            return;
        }
    }
}

fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn q_and_control_c_and_control_d_quit() {
        let quits = |letter, modifiers| is_quit(&Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers)));
        let control = KeyModifiers::CONTROL;
        assert!(quits('q', KeyModifiers::NONE) && quits('Q', KeyModifiers::SHIFT));
        assert!(quits('c', control) && quits('d', control));
        assert!(!quits('c', KeyModifiers::NONE) && !quits('q', control) && !quits('l', control));
        assert!(!is_quit(&Event::FocusGained));
    }
}
