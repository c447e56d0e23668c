//! `status --watch`: the daemon's state as it changes, until it is ended.
//!
//! On a terminal it is a full screen (`screen`) that `view` draws from a `model`; elsewhere a line, or with --json
//! an object, for each interval (`lines`). The answers come over a `link` that connects again when the daemon
//! was gone. What a second brought is told by the difference of two answers (`rates`, `talkers`).

mod fit;
mod lines;
mod link;
mod model;
mod rates;
mod screen;
mod talkers;
mod view;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use self::link::{Answer, Link};
use self::model::Model;
pub(crate) use self::rates::Rates;
use self::screen::{Key, Screen};
use self::view::Look;
use crate::error::{CtlError, Result};
use crate::output::Output;

/// How long an interval may be.
pub(crate) const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// Watches the daemon. It must be there at the beginning; later it may go and come back.
pub(crate) async fn run(output: &mut Output, socket: Option<PathBuf>, interval: Duration) -> Result<()> {
    let mut link = Link::new(socket);
    let first = link.ask().await?;
    if output.is_for_a_person() && screen::is_possible() {
        full_screen(link, first, interval, Look::of(output)).await
    } else {
        lines::run(output, link, first, interval).await
    }
}

async fn full_screen(link: Link, first: Answer, interval: Duration, look: Look) -> Result<()> {
    let began = Instant::now();
    let mut model = Model::new(first, interval);
    let mut signals = Signals::new()?;
    let mut screen = Screen::open(look.colour).map_err(|error| lost(&error))?;
    let mut keys = screen::keys();
    let mut answers = answers(link, interval);
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        screen.draw(|frame| view::draw(frame, &model, &look)).map_err(|error| lost(&error))?;
        let event = tokio::select! {
            // Whoever wants to leave comes before what there is to see.
            biased;
            key = signals.next() => Event::Key(key),
            key = keys.recv() => Event::Key(key.unwrap_or(Key::End)),
            Some(answer) = answers.recv() => Event::Answer(Box::new(answer)),
            _ = ticks.tick() => Event::Tick,
        };
        match event {
            Event::Key(Key::End) => return Ok(()),
            Event::Key(Key::Suspend) => screen.suspend().map_err(|error| lost(&error))?,
            Event::Key(Key::Anew) => screen.begin_anew().map_err(|error| lost(&error))?,
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

/// The signals that end it, and the one that tells that it goes on after a stop.
struct Signals {
    ends: [Signal; 3],
    continued: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| CtlError::failed("cannot listen for signals").caused_by(&error))
        };
        // The raw number: tokio has no name for it.
        let continued = SignalKind::from_raw(nix::libc::SIGCONT);
        Ok(Self {
            ends: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
            continued: listen(continued)?,
        })
    }

    /// Waits for the next one, and says which key would mean the same.
    async fn next(&mut self) -> Key {
        let [interrupt, terminate, hangup] = &mut self.ends;
        tokio::select! {
            _ = interrupt.recv() => Key::End,
            _ = terminate.recv() => Key::End,
            _ = hangup.recv() => Key::End,
            _ = self.continued.recv() => Key::Anew,
        }
    }
}

fn lost(error: &std::io::Error) -> CtlError {
    CtlError::failed("the terminal cannot be used").caused_by(error)
}
