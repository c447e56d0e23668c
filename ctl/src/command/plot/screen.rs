//! The plot on a full screen: keys, and the task that reads messages.

use std::ops::Range;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use udpchat_api::{Client, Timestamp, safe};
use udpchat_locale::{tr, translated};

use super::canvas::Marks;
use super::feed::{Feed, Sample};
use super::period::Period;
use super::scene::{Motion, Scene, Theme};
use super::series::{Curves, LONGEST_SPAN, SHORTEST_SPAN};
use super::view;
use crate::error::{CtlError, Exit, Result};
use crate::output::Output;
use crate::terminal::{self, App, FullScreen, Input, Reaction, Redraw};

/// How many updates may wait for the screen.
const MAX_WAITING: usize = 64;

/// The time between two frames without messages, in which the times move on.
const TICK: Duration = Duration::from_millis(200);

/// The pause before the daemon is looked for again.
const RETRY: Duration = Duration::from_secs(1);

/// Plots until the user or a signal ends it.
pub(super) async fn run(output: &Output, feed: Feed, client: Client, period: &Period) -> Result<()> {
    let mut plot = Plot {
        curves: Curves::new(feed.fields()),
        span: period.span,
        held_at: None,
        ends_at: period.until.map(Timestamp::as_microsecond),
        problem: None,
        theme: Theme::new(output, if terminal::is_utf8() { Marks::Braille } else { Marks::Ascii }),
    };
    // The screen takes a closed channel for a failure.
    let (_open, mut updates) = start(feed, client);
    terminal::run(&mut plot, &mut updates, Input::Keys).await
}

/// Starts the tasks that change the plot. A plot of the past is not drawn again once it is read: it does not move.
fn start(feed: Feed, client: Client) -> (mpsc::Sender<Update>, mpsc::Receiver<Update>) {
    let (sender, updates) = mpsc::channel(MAX_WAITING);
    if !feed.has_end() {
        tokio::spawn(tick(sender.clone()));
    }
    tokio::spawn(read(feed, client, sender.clone()));
    (sender, updates)
}

struct Plot {
    curves: Curves,
    span: Duration,
    /// The time at the right end while the plot is held, in microseconds since 1970.
    held_at: Option<i64>,
    /// The time at the right end of a plot of the past.
    ends_at: Option<i64>,
    problem: Option<String>,
    theme: Theme,
}

/// A change of the plot.
enum Update {
    Samples(Vec<Sample>),
    /// The connection is lost.
    Lost(String),
    /// The user has no permission to read any more.
    Refused(CtlError),
    Tick,
}

impl App for Plot {
    type Update = Update;

    fn handle(&mut self, event: Event, _: &mut FullScreen) -> Result<Reaction> {
        let Event::Key(key) = event else { return Ok(Reaction::Ignored) };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        Ok(match key.code {
            _ if key.kind == KeyEventKind::Release => Reaction::Ignored,
            KeyCode::Char('c' | 'd') if control => Reaction::Quit,
            KeyCode::Char('q' | 'Q') if !control => Reaction::Quit,
            KeyCode::Char(character) if !control => self.press(character),
            _ => Reaction::Ignored,
        })
    }

    fn update(&mut self, update: Update) -> Result<Redraw> {
        match update {
            Update::Samples(samples) => {
                self.problem = None;
                let from = self.visible().start;
                samples.iter().for_each(|sample| self.curves.add(sample, from));
            }
            Update::Lost(problem) => self.problem = Some(problem),
            Update::Refused(error) => return Err(error),
            Update::Tick => {}
        }
        Ok(Redraw::Background)
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let Range { start: from, end: until } = self.visible();
        let scene = Scene {
            curves: &self.curves,
            from,
            until,
            motion: match (self.ends_at, self.held_at) {
                (Some(_), _) => Motion::Past,
                (None, Some(_)) => Motion::Held,
                (None, None) => Motion::Live,
            },
            problem: self.problem.as_deref(),
        };
        view::draw(frame, &scene, &self.theme);
    }
}

impl Plot {
    /// Returns the visible time span, in microseconds since 1970.
    fn visible(&self) -> Range<i64> {
        let until = self.ends_at.or(self.held_at).unwrap_or_else(now);
        let span = i64::try_from(self.span.as_micros()).unwrap_or(i64::MAX);
        until.saturating_sub(span)..until
    }

    fn press(&mut self, character: char) -> Reaction {
        match character {
            // What is past does not move.
            ' ' if self.ends_at.is_some() => return Reaction::Ignored,
            ' ' => self.held_at = if self.held_at.is_some() { None } else { Some(now()) },
            '+' | '=' => self.span = (self.span / 2).max(SHORTEST_SPAN),
            '-' | '_' => self.span = (self.span * 2).min(LONGEST_SPAN),
            '1'..='6' => {
                let number = character as usize - '1' as usize;
                let Some(curve) = self.curves.list.get_mut(number) else { return Reaction::Ignored };
                curve.is_hidden = !curve.is_hidden;
            }
            _ => return Reaction::Ignored,
        }
        Reaction::Changed
    }
}

fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Reads until the screen is closed or the period is read. If the connection is lost, it is opened again: a daemon that takes a
/// role away closes it, and the user may still be permitted to read.
async fn read(mut feed: Feed, client: Client, updates: mpsc::Sender<Update>) {
    let mut client = Some(client);
    loop {
        let error = match client.take() {
            Some(mut client) => read_from(&mut feed, &mut client, &updates).await,
            None => match feed.connect().await {
                Ok(connected) => {
                    client = Some(connected);
                    continue;
                }
                // A user without a role gets none by waiting.
                Err(error) if error.exit() == Exit::NotPermitted => {
                    drop(updates.send(Update::Refused(error)).await);
                    return;
                }
                Err(error) => Some(error),
            },
        };
        let Some(error) = error else { return };
        let CtlError::Failed(failure) = error else { return };
        let reason = translated(&failure.message);
        let reason = safe::one_line(&reason);
        if updates.send(Update::Lost(tr!("no connection: {reason}", reason))).await.is_err() {
            return;
        }
        sleep(RETRY).await;
    }
}

/// Reads from a connection; returns why it failed, or nothing once the screen is closed or the period is read.
async fn read_from(feed: &mut Feed, client: &mut Client, updates: &mpsc::Sender<Update>) -> Option<CtlError> {
    loop {
        match feed.history(client).await {
            Ok(Some(page)) => updates.send(Update::Samples(page)).await.ok()?,
            Ok(None) => break,
            Err(error) => return Some(error),
        }
    }
    if feed.has_end() {
        updates.send(Update::Samples(Vec::new())).await.ok()?;
        return None;
    }
    if let Err(error) = feed.follow(client).await {
        return Some(error);
    }
    updates.send(Update::Samples(Vec::new())).await.ok()?;
    loop {
        match feed.next(client).await {
            Ok(sample) => updates.send(Update::Samples(vec![sample])).await.ok()?,
            Err(error) => return Some(error),
        }
    }
}

/// Has the plot drawn while nothing arrives.
async fn tick(updates: mpsc::Sender<Update>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while updates.send(Update::Tick).await.is_ok() {
        ticks.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use crate::command::filter::Filter;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;

    use serde_json::{Value, json};

    use super::*;

    /// Answers two requests with the last page of an empty inbox, and returns the methods.
    fn answer(listener: &UnixListener) -> Vec<String> {
        let (stream, _) = listener.accept().unwrap();
        let mut methods = Vec::new();
        for line in BufReader::new(&stream).lines().take(2) {
            let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let result = json!({ "entries": [], "next": 0, "more": false, "unread": 0 });
            writeln!(&stream, "{}", json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
                .unwrap();
            methods.push(request["method"].as_str().unwrap().to_owned());
        }
        methods
    }

    #[tokio::test]
    async fn a_plot_of_the_past_does_not_subscribe_and_is_not_drawn_again() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = std::thread::spawn(move || answer(&listener));
        let client = Client::connect(&socket).await.unwrap();
        let period = (Some(Timestamp::UNIX_EPOCH), Some(Timestamp::now()));
        let (open, mut updates) = start(Feed::new(None, Filter::default(), Vec::new(), period), client);
        drop(open);
        // The channel ends with the only task, which reads.
        while let Some(update) = updates.recv().await {
            assert!(matches!(&update, Update::Samples(samples) if samples.is_empty()));
        }
        assert_eq!(daemon.join().unwrap(), ["inbox"]);
    }

    fn plot() -> Plot {
        let theme = Theme { has_colour: false, zone: jiff::tz::TimeZone::UTC, marks: Marks::Ascii };
        let span = Duration::from_secs(60);
        Plot { curves: Curves::default(), span, held_at: None, ends_at: None, problem: None, theme }
    }

    #[test]
    fn keys_hold_zoom_and_hide() {
        let mut plot = plot();
        assert_eq!(plot.press(' '), Reaction::Changed);
        assert!(plot.held_at.is_some());
        plot.press(' ');
        assert!(plot.held_at.is_none());
        plot.press('+');
        assert_eq!(plot.span, Duration::from_secs(30));
        for _ in 0..20 {
            plot.press('+');
        }
        assert_eq!(plot.span, SHORTEST_SPAN);
        for _ in 0..30 {
            plot.press('-');
        }
        assert_eq!(plot.span, LONGEST_SPAN);
        // What is past does not move.
        plot.ends_at = Some(5);
        assert_eq!((plot.press(' '), plot.visible().end), (Reaction::Ignored, 5));
        plot.ends_at = None;
        // Without a curve nothing is hidden.
        assert_eq!((plot.press('1'), plot.press('x')), (Reaction::Ignored, Reaction::Ignored));
        let numbers = vec![("t".to_owned(), 1.0)];
        let sample = Sample { at: Timestamp::now(), peer: "a".to_owned(), numbers, ..Sample::default() };
        assert_eq!(plot.update(Update::Samples(vec![sample])).unwrap(), Redraw::Background);
        assert_eq!(plot.press('1'), Reaction::Changed);
        assert!(plot.curves.list[0].is_hidden);
    }
}
