//! `status --watch`: the daemon's state as it changes, until it is ended.
//!
//! On a terminal it is a full screen ([`crate::terminal`]) that `view` draws from a `model`; elsewhere a line, or with --json
//! an object, for each interval (`lines`). The answers come over a `link` that connects again when the daemon
//! was gone. What a second brought is told by the difference of two answers (`rates`, `talkers`).

mod connection;
mod fit;
mod keys;
mod lines;
mod model;
pub(super) mod rates;
mod talkers;
mod view;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use self::connection::{Answer, Link};
use self::keys::Key;
use self::model::Model;
use self::view::Look;
use crate::error::Result;
use crate::output::Output;
use crate::terminal;
use crate::terminal::{Screen, Signals, Told, unusable};

/// How long an interval may be.
pub(crate) const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// Watches the daemon. It must be there at the beginning; later it may go and come back.
pub(crate) async fn run(output: &mut Output, socket: Option<PathBuf>, interval: Duration) -> Result<()> {
    let mut link = Link::new(socket);
    let first = link.ask().await?;
    if output.is_for_a_person() && terminal::can_place_text() {
        full_screen(link, first, interval, Look::of(output)).await
    } else {
        lines::run(output, link, first, interval).await
    }
}

async fn full_screen(link: Link, first: Answer, interval: Duration, look: Look) -> Result<()> {
    let began = Instant::now();
    let mut model = Model::new(first, interval);
    let mut signals = Signals::new()?;
    let mut screen = Screen::enter()?;
    let mut events = terminal::events()?;
    let mut answers = answers(link, interval);
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let drawn = screen.terminal.draw(|frame| view::draw(frame, &model, &look));
        drawn.map_err(|error| unusable(&error))?;
        let event = tokio::select! {
            // Whoever wants to leave comes before what there is to see.
            biased;
            told = signals.next() => Event::Key(match told {
                Told::End => Key::End,
                Told::Continue => Key::Anew,
            }),
            // An error means that the terminal is gone.
            event = events.recv() => match event {
                Some(Ok(event)) => match keys::meaning(&event) {
                    Some(key) => Event::Key(key),
                    None => continue,
                },
                Some(Err(_)) | None => Event::Key(Key::End),
            },
            Some(answer) = answers.recv() => Event::Answer(Box::new(answer)),
            _ = ticks.tick() => Event::Tick,
        };
        match event {
            Event::Key(Key::End) => return Ok(()),
            Event::Key(Key::Suspend) => {
                screen.leave();
                raise(Signal::SIGTSTP).map_err(|error| unusable(&error.into()))?;
                screen.enter_again()?;
            }
            Event::Key(Key::Anew) => {
                screen.leave();
                screen.enter_again()?;
            }
            Event::Key(Key::Resized) => {}
            Event::Answer(answer) => model.take(*answer, began.elapsed()),
            Event::Tick => model.tick(began.elapsed()),
        }
    }
}

/// What may happen while the screen is up.
enum Event {
    Key(Key),
    Answer(Box<Result<Answer>>),
    Tick,
}

/// Asks in a task of its own, so that no key waits for an answer.
fn answers(mut link: Link, interval: Duration) -> mpsc::Receiver<Result<Answer>> {
    let (sender, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and the first answer is there already.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if sender.send(link.ask().await).await.is_err() {
                return;
            }
        }
    });
    answers
}
