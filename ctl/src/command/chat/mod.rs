//! `chat`: the full-screen conversation, both directions at once.
//!
//! Everything that is known and shown is in the [`model`], which does nothing by itself. The loop here feeds it keys and
//! news ([`connection`]), hands on what it wants, and has it drawn ([`view`]) to the [`screen`]: only when something has
//! changed, and sixty times a second at most. Keys come before news, so that they are never lost in a flood.

mod connection;
mod editor;
#[cfg(test)]
mod fixture;
mod keys;
mod model;
mod theme;
mod view;
mod wrap;

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::ArgValueCandidates;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::crossterm::event::Event;
use ratatui::layout::{Position, Rect};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use udpchat_api::Timestamp;
use udpchat_config::Encoding;

use self::connection::Link;
use self::keys::{Meaning, meaning};
use self::model::{Change, Model, Update};
use self::theme::Theme;
use self::view::Areas;
use crate::command::completions::candidates;
use crate::command::context::Context;
use crate::connect;
use crate::error::{CtlError, Result};
use crate::terminal;
use crate::terminal::{Screen, Signals, Told, unusable};

const HELP: &str = "\
The peers with their unread messages are on the left, the conversation on the right, and your text below it. F1 shows all \
keys; Enter sends, Alt+Enter or Ctrl+J starts a new line, F2 chooses the peer, F3 the encoding, PageUp scrolls back \
through the whole inbox, Ctrl+Q quits.

A message is sent to the address that the peer's last message came from. A message that could not be sent stays on the \
screen with the reason, and ↑ brings its text back. If the daemon ends, the chat shows it and continues when the daemon \
is back.

Opening a conversation clears its count of unread messages in this chat. The read mark of `inbox` is common to all peers: \
the chat moves it only when no peer has unread messages.

Examples:
  udpchatctl chat
  udpchatctl chat bob
  udpchatctl chat 192.168.43.159:8080 -e gbk";

/// Chat with peers on a full screen, sending and receiving at once
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = HELP)]
pub(crate) struct ChatArgs {
    // Not a documentation comment: the brackets would be links.
    #[arg(
        value_name = "PEER",
        help = "A peer's name, host[:port] or [v6]:port [default: the sender of the last message]",
        add = ArgValueCandidates::new(candidates::peers)
    )]
    pub(crate) peer: Option<String>,
    /// Send in this encoding, for example gbk [default: the encoding of the peer]
    #[arg(short, long, value_name = "ENC", add = ArgValueCandidates::new(candidates::encodings))]
    pub(crate) encoding: Option<String>,
}

/// The shortest time between two frames that news makes: about sixty a second.
const FRAME: Duration = Duration::from_millis(16);
/// The shortest time to a frame that a key makes: an echo does not wait for the frames of a flood.
const KEY_FRAME: Duration = Duration::from_millis(4);
/// The shortest time to a frame that only counts differently: what is said here does not wait for what is said elsewhere.
const COUNTS_FRAME: Duration = Duration::from_millis(100);
/// How many keys are taken in before a frame shows them: far more than anybody types.
const KEYS_AT_ONCE: usize = 256;
/// How much news is taken in before the keys are looked at again.
const NEWS_AT_ONCE: usize = 64;
/// How long the system may take to stop the program when it is suspended. Where nobody could wake it, it does not.
const STOP_WAIT: Duration = Duration::from_millis(200);

/// Runs `chat`, until the user or a signal ends it.
pub(crate) async fn run(context: Context<'_>, arguments: &ChatArgs) -> Result<()> {
    if context.output.is_json() {
        let hint = "`udpchatctl --json inbox --follow` prints what arrives";
        return Err(CtlError::usage("chat is for people and has no JSON").hint(hint));
    }
    check_encoding(arguments)?;
    Screen::check()?;
    let theme = Theme::new(context.output.has_colour());
    let mut client = context.connect().await?;
    connect::check_read_permission(&mut client).await?;
    let mut signals = Signals::new()?;
    let (peer, encoding) = (arguments.peer.clone(), arguments.encoding.clone());
    let model = Model::new(Timestamp::now, crate::time::local_zone(), peer, encoding);
    let screen = Screen::enter_to_talk()?;
    let events = terminal::events()?;
    let link = Link::start(client, context.socket);
    let mut chat =
        Chat { model, screen, events, link, theme, areas: None, changed: Change::News, drawn: None };
    let done = chat.run(&mut signals).await;
    chat.screen.leave();
    chat.link.end().await;
    done
}

/// Refuses an encoding that nobody knows before anything is written in it.
fn check_encoding(arguments: &ChatArgs) -> Result<()> {
    match arguments.encoding.as_deref().map(str::parse::<Encoding>) {
        Some(Err(error)) => {
            let wrong = CtlError::usage(error.to_string());
            Err(match error.hint() {
                Some(hint) => wrong.hint(hint),
                None => wrong,
            })
        }
        _ => Ok(()),
    }
}

struct Chat {
    model: Model,
    screen: Screen,
    events: mpsc::Receiver<io::Result<Event>>,
    link: Link,
    theme: Theme,
    /// Where things are on the screen, for the mouse.
    areas: Option<Areas>,
    /// What the model has that the screen does not show yet.
    changed: Change,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

impl Chat {
    async fn run(&mut self, signals: &mut Signals) -> Result<()> {
        loop {
            if self.take_keys(signals).await? == Flow::Over {
                return Ok(());
            }
            let due = self.due();
            if self.is_changed() && due <= Instant::now() {
                self.draw()?;
            }
            self.hand_on();
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Told::End => return Ok(()),
                    Told::Continue => self.come_back()?,
                },
                event = self.events.recv() => {
                    let Some(event) = event else { return Err(gone()) };
                    if self.event(event, signals).await? == Flow::Over {
                        return Ok(());
                    }
                }
                () = sleep_until(due.into()), if self.is_changed() => {}
                news = self.link.next() => {
                    let Some(news) = news else { return Err(gone()) };
                    self.update(news);
                    self.take_news();
                }
            }
        }
    }

    fn is_changed(&self) -> bool {
        self.changed != Change::Nothing
    }

    fn update(&mut self, news: Update) {
        self.changed = self.changed.max(self.model.update(news));
    }

    /// Takes in the keys that are there already, before the frame that shows them.
    async fn take_keys(&mut self, signals: &mut Signals) -> Result<Flow> {
        for _ in 0..KEYS_AT_ONCE {
            let Ok(event) = self.events.try_recv() else { break };
            if self.event(event, signals).await? == Flow::Over {
                return Ok(Flow::Over);
            }
        }
        Ok(Flow::On)
    }

    /// Returns when the next frame may be drawn.
    fn due(&self) -> Instant {
        let pause = match self.changed {
            Change::Key => KEY_FRAME,
            Change::News => FRAME,
            Change::Counts | Change::Nothing => COUNTS_FRAME,
        };
        self.drawn.map_or_else(Instant::now, |drawn| drawn + pause)
    }

    /// Takes in more news that is there already, but not all of a flood: keys come first.
    fn take_news(&mut self) {
        for _ in 1..NEWS_AT_ONCE {
            let Some(news) = self.link.next_now() else { return };
            self.update(news);
        }
    }

    async fn event(&mut self, event: io::Result<Event>, signals: &mut Signals) -> Result<Flow> {
        let event = event.map_err(|error| unusable(&error))?;
        let is_resize = matches!(event, Event::Resize(..));
        match meaning(event) {
            Meaning::Nothing => return Ok(Flow::On),
            Meaning::Act(action) => {
                if self.model.act(action) {
                    return Ok(Flow::Over);
                }
            }
            Meaning::Click(column, row) => self.click(Position { x: column, y: row }),
            Meaning::Redraw if is_resize => {}
            Meaning::Redraw => self.screen.redraw()?,
            Meaning::Suspend => self.suspend(signals).await?,
            Meaning::Mouse => {
                let is_ours = self.screen.toggle_mouse()?;
                let whose = if is_ours { "scrolls here" } else { "is the terminal's, to select text" };
                self.model.notice = Some(format!("the mouse {whose}; Alt+M changes that"));
            }
        }
        self.changed = Change::Key;
        Ok(Flow::On)
    }

    fn click(&mut self, at: Position) {
        let list = self.areas.and_then(|areas| areas.peers).filter(|list| list.contains(at));
        if let Some(list) = list {
            let first = view::first_listed(&self.model, list);
            self.model.open_listed(first + usize::from(at.y - list.y));
        }
    }

    fn draw(&mut self) -> Result<()> {
        let Self { model, screen, theme, areas, .. } = self;
        let drawn = screen.terminal.draw(|frame| {
            let laid_out = lay_out(model, frame.area());
            let cursor = view::draw(model, &laid_out, theme, frame.buffer_mut());
            frame.set_cursor_position(cursor);
            *areas = Some(laid_out);
        });
        drawn.map_err(|error| unusable(&error))?;
        self.changed = Change::Nothing;
        self.drawn = Some(Instant::now());
        self.model.drawn();
        Ok(())
    }

    /// Hands what the model wants to the daemon.
    fn hand_on(&mut self) {
        for request in self.model.take_requests() {
            if let Some(refused) = self.link.ask(request) {
                self.update(refused);
            }
        }
    }

    /// Gives the terminal back and stops, with all of the job, until somebody continues it.
    async fn suspend(&mut self, signals: &mut Signals) -> Result<()> {
        self.screen.leave();
        // Where this is not permitted, nothing happens.
        let _stopped = kill(Pid::from_raw(0), Signal::SIGTSTP);
        tokio::select! {
            () = signals.continued() => {}
            () = sleep(STOP_WAIT) => {}
        }
        self.come_back()
    }

    fn come_back(&mut self) -> Result<()> {
        self.changed = Change::Key;
        self.screen.enter_again()
    }
}

/// Divides the screen and lays out what is to be on it.
fn lay_out(model: &mut Model, whole: Rect) -> Areas {
    let input_columns = Areas::input_columns(whole);
    let areas = Areas::of(whole, model.input.row_count(input_columns));
    model.fit(areas.pane(), input_columns);
    areas
}

fn gone() -> CtlError {
    CtlError::failed("the terminal is gone")
}
