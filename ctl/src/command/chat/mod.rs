//! `chat`: a full-screen conversation that sends and receives at the same time.
//!
//! The [`model`] holds all state and does no input or output. This module passes it keys ([`keys`]) and updates from the
//! daemon ([`connection`]), sends its requests, and has it drawn ([`view`]).

mod connection;
mod editor;
mod keys;
mod model;
#[cfg(test)]
mod test_chat;
mod theme;
mod view;

use clap::Args;
use clap_complete::ArgValueCandidates;
use ratatui::Frame;
use ratatui::crossterm::event::Event;
use ratatui::layout::Position;
use udpchat_api::call::TargetsParams;
use udpchat_api::{Client, ClientError, ErrorKind, Timestamp};
use udpchat_config::Encoding;
use udpchat_locale::tr;

use self::connection::Connections;
use self::keys::Meaning;
use self::model::{Model, Update};
use self::theme::Theme;
use self::view::Areas;
use crate::command::completions::candidates;
use crate::command::context::Context;
use crate::connect;
use crate::error::{CtlError, Exit, Result};
use crate::terminal::{self, App, FullScreen, Input, Reaction, Redraw};

const HELP: &str = "\
The peers with their unread messages are on the left, the conversation on the right, and your text below it. F1 or Ctrl+G \
shows all keys; Enter sends, Alt+Enter or Ctrl+J starts a new line, F2 chooses the peer, PageUp scrolls back through the whole \
inbox, Ctrl+Q quits.

F3 chooses the encoding to send in. It then also offers to read the messages of this peer in the same encoding, also those that \
are there already, as `recode --remember` does.

F4 shows messages as bytes, and sends what is typed as hex digits, as `send --hex` does; `+crc16-modbus` behind the digits \
appends that checksum, as `send --append` does. F5 appends \\r\\n to each text to this \
peer, then \\n, then \\r, then nothing. The line above the input shows both.

Behind each sent message is a mark: ✓ its peer has sent something within a minute, · nothing is known, ✗ it bounced, that is, \
the network reports that nobody has received it, ⏸ it is held. The line above the input names the reason if the last message \
bounced; F6 sends it again. F7 holds what you send until the peer sends a message, as `send --when-seen` does, until F7 is \
pressed again or another conversation is opened; `udpchatctl held` lists and cancels what is held.

A message is sent to the address that the peer's last message came from; an address that is written with its port, here or after \
F2, is that port and no other. A message that could not be sent stays on the \
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

/// Runs `chat` until the user or a signal ends it.
pub(crate) async fn run(context: Context<'_>, arguments: &ChatArgs) -> Result<()> {
    if context.output.is_json() {
        let hint = "`udpchatctl --json inbox --follow` prints what arrives";
        return Err(CtlError::usage("chat has no JSON output").hint(hint));
    }
    check_encoding(arguments)?;
    let hint = tr!("`udpchatctl send` and `udpchatctl inbox --follow` work without one");
    terminal::check("chat").map_err(|error| error.hint(hint))?;
    let theme = Theme::new(context.output.has_colour(), terminal::is_utf8());
    let mut client = context.connect().await?;
    let knows_notices = connect::check_read_permission(&mut client).await?;
    if let Some(peer) = &arguments.peer {
        check_peer(&mut client, peer).await?;
    }
    let (peer, encoding) = (arguments.peer.clone(), arguments.encoding.clone());
    let model = Model::new(Timestamp::now, crate::time::local_zone(), peer, encoding);
    let (connections, mut updates) = Connections::start(client, context.socket, knows_notices);
    let mut chat = Chat { model, connections, theme, areas: None };
    let ended = terminal::run(&mut chat, &mut updates, Input::KeysMouseAndPaste).await;
    chat.connections.end(updates).await;
    ended
}

/// Refuses what is no destination, as `send` does. Who may not send can still read.
async fn check_peer(client: &mut Client, peer: &str) -> Result<()> {
    let error = match client.call(&TargetsParams { to: vec![peer.to_owned()] }).await {
        Ok(answer) if answer.targets.iter().any(|target| target.list.is_some()) => {
            let (why, hint) = model::list_refusal(peer);
            return Err(CtlError::usage(why).hint(hint));
        }
        Ok(_) => return Ok(()),
        Err(ClientError::Refused(refusal)) => match refusal.data.kind {
            ErrorKind::UnknownPeer | ErrorKind::Unresolvable | ErrorKind::InvalidParams => refusal,
            _ => return Ok(()),
        },
        Err(error) => return Err(error.into()),
    };
    // A named peer whose interface is missing now has a history all the same.
    let peers = client.peers(Some(1)).await?.peers;
    match peers.iter().any(|listed| listed.name.as_deref() == Some(peer)) {
        true => Ok(()),
        false => Err(CtlError::from(ClientError::Refused(error)).with_exit(Exit::Usage)),
    }
}

/// Rejects an unknown encoding before the user writes a message.
fn check_encoding(arguments: &ChatArgs) -> Result<()> {
    match arguments.encoding.as_deref().map(str::parse::<Encoding>) {
        Some(Err(error)) => Err(CtlError::of_value(error)),
        _ => Ok(()),
    }
}

struct Chat {
    model: Model,
    connections: Connections,
    theme: Theme,
    /// The parts of the screen, for mouse clicks.
    areas: Option<Areas>,
}

impl App for Chat {
    type Update = Update;

    fn handle(&mut self, event: Event, screen: &mut FullScreen) -> Result<Reaction> {
        match keys::meaning(event) {
            None => return Ok(Reaction::Ignored),
            Some(Meaning::Act(action)) => {
                if self.model.act(action) {
                    return Ok(Reaction::Quit);
                }
            }
            Some(Meaning::Click(column, row)) => self.click(Position { x: column, y: row }),
            Some(Meaning::ToggleMouse) => {
                let notice = if screen.toggle_mouse()? {
                    tr!("the mouse scrolls the chat; Alt+M leaves it to the terminal")
                } else {
                    tr!("the mouse selects text in the terminal; Alt+M makes it scroll the chat")
                };
                self.model.notice = Some(notice.to_owned());
            }
        }
        Ok(Reaction::Changed)
    }

    fn update(&mut self, update: Update) -> Result<Redraw> {
        Ok(self.model.update(update))
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let areas = Areas::lay_out(&mut self.model, frame.area());
        let cursor = view::draw(&self.model, &areas, &self.theme, frame.buffer_mut());
        frame.set_cursor_position(cursor);
        self.areas = Some(areas);
        self.model.drawn();
    }

    fn send_requests(&mut self) -> Redraw {
        let requests = self.model.take_requests();
        let failures = requests.into_iter().filter_map(|request| self.connections.send(request));
        failures.map(|failure| self.model.update(failure)).max().unwrap_or_default()
    }
}

impl Chat {
    /// Opens the conversation of the peer that was clicked.
    fn click(&mut self, at: Position) {
        let list = self.areas.and_then(|areas| areas.peers).filter(|list| list.contains(at));
        if let Some(list) = list {
            let first = view::first_listed(&self.model, list);
            self.model.open_listed(first + usize::from(at.y - list.y));
        }
    }
}
