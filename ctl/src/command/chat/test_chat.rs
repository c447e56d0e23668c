//! A chat for unit tests: a model with a simulated daemon, drawn into memory.

use std::net::SocketAddr;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use udpchat_api::call::{
    InboxAnswer, InboxParams, Order, Peer, PeerList, PeersAnswer, RecodeAnswer, RecodeParams, Sent,
};
use udpchat_api::{Direction, EncodingBy, Entry, Gap, Message, Notice, Raw, Timestamp};
use udpchat_config::PeerAddress;
use unicode_width::UnicodeWidthStr;

use super::keys::Action;
use super::model::{Model, OutgoingMessage, Request, SendFailure, Update};
use super::theme::Theme;
use super::view::{self, Areas};
use crate::command::send::Payload;

/// 2026-11-22 14:03:05 UTC, the start of the log.
const START_SECONDS: i64 = 1_795_356_185;

pub(super) const BOB: &str = "127.0.0.2:8080";
pub(super) const ZHANG: &str = "127.0.0.3:8080";
pub(super) const STRANGER: &str = "127.0.0.9:5000";

/// A model, the log of the simulated daemon, and a screen.
pub(super) struct TestChat {
    pub(super) model: Model,
    pub(super) log: Vec<Entry>,
    /// The configured peers: names and addresses.
    pub(super) named: Vec<(&'static str, &'static str)>,
    /// The messages that the daemon has not answered.
    pub(super) sent: Vec<OutgoingMessage>,
    /// The id up to which entries are acknowledged as read.
    pub(super) acked_id: u64,
    /// The lowest and the highest number of the held messages that the chat watches.
    pub(super) watched_held: Option<(u64, u64)>,
    pub(super) size: (u16, u16),
    pub(super) has_colour: bool,
    pub(super) is_utf8: bool,
    /// The encoding of messages to bob, and what chose it.
    pub(super) bobs_encoding: (&'static str, EncodingBy),
    /// Why the daemon does not change the encoding of messages.
    pub(super) recode_refusal: Option<&'static str>,
    /// Whether the configuration has an encoding for bob.
    pub(super) encoding_is_configured: bool,
    /// The seconds between two entries.
    pub(super) entry_seconds: i64,
    /// The peers that are silent.
    pub(super) silent: Vec<&'static str>,
}

impl TestChat {
    /// Creates a chat of 80x24 with an empty log, and with the configured peers bob and 张三.
    pub(super) fn new() -> Self {
        Self::with_peer(None)
    }

    pub(super) fn with_peer(peer: Option<&str>) -> Self {
        Self {
            model: Model::new(now, TimeZone::UTC, peer.map(str::to_owned), None),
            log: Vec::new(),
            named: vec![("bob", BOB), ("张三", ZHANG)],
            sent: Vec::new(),
            acked_id: 0,
            watched_held: None,
            size: (80, 24),
            has_colour: false,
            is_utf8: true,
            bobs_encoding: ("utf-8", EncodingBy::Configured),
            recode_refusal: None,
            encoding_is_configured: false,
            entry_seconds: 20,
            silent: Vec::new(),
        }
    }

    /// Returns the texts of the items that are loaded.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.model.conversation.as_ref().unwrap().items.iter().map(|item| item.text.as_str()).collect()
    }

    /// Connects, and answers the requests of the model.
    pub(super) fn connect(&mut self) {
        self.model.update(Update::Online { after: self.newest(), is_gapless: false, unread: 0 });
        self.answer_requests();
    }

    pub(super) fn newest(&self) -> u64 {
        self.log.last().map_or(0, Entry::id)
    }

    fn next(&self) -> (u64, Timestamp) {
        let id = self.newest() + 1;
        (id, Timestamp::from_second(START_SECONDS + id as i64 * self.entry_seconds).unwrap())
    }

    /// Creates the next message.
    pub(super) fn message(&self, peer: &str, direction: Direction, text: &str) -> Message {
        let (id, at) = self.next();
        let peer: SocketAddr = peer.parse().unwrap();
        let is_its = |address: &str| address.parse::<PeerAddress>().unwrap().matches(peer);
        let name = self.named.iter().find(|(_, address)| is_its(address));
        Message {
            id,
            at,
            direction,
            peer,
            name: name.map(|(name, _)| (*name).to_owned()),
            local: None,
            text: text.to_owned(),
            encoding: "utf-8".to_owned(),
            encoding_by: EncodingBy::Detected,
            encoding_is_default: false,
            bytes: text.len(),
            raw: Raw(text.as_bytes().to_vec()),
            error: None,
            by: None,
            delivery: None,
            answer: None,
            bounce: None,
            held_seconds: None,
        }
    }

    /// Records an entry that does not arrive in the chat, as before it starts or while it is not connected.
    pub(super) fn record(&mut self, entry: impl Into<Entry>) -> Entry {
        let entry = entry.into();
        self.log.push(entry.clone());
        entry
    }

    /// Records a received message that does not arrive in the chat.
    pub(super) fn record_received(&mut self, peer: &str, text: &str) {
        let message = self.message(peer, Direction::In, text);
        self.record(Entry::Message(message));
    }

    /// Records an entry that arrives in the chat.
    pub(super) fn arrive(&mut self, entry: Entry) {
        self.log.push(entry.clone());
        self.model.update(Update::Arrived(Box::new(entry)));
    }

    /// Records a message from a peer that arrives in the chat.
    pub(super) fn receive(&mut self, peer: &str, text: &str) {
        let message = self.message(peer, Direction::In, text);
        self.arrive(Entry::Message(message));
    }

    pub(super) fn gap(&mut self, lost: u64) {
        let (id, at) = self.next();
        self.arrive(Entry::Gap(Gap {
            id,
            at,
            lost,
            reason: "receive_buffer_full".to_owned(),
            first_id: None,
            peer: None,
            name: None,
        }));
    }

    /// Records a notice that arrives in the chat.
    pub(super) fn notice(&mut self, notice: Notice) {
        let (id, at) = self.next();
        self.arrive(Entry::Notice(Notice { id, at, ..notice }));
    }

    pub(super) fn key(&mut self, action: Action) {
        self.model.act(action);
        self.answer_requests();
    }

    pub(super) fn write(&mut self, text: &str) {
        self.key(Action::Insert(text.to_owned()));
    }

    /// Answers the oldest unanswered message: it is recorded and arrives, or it fails.
    pub(super) fn answer(&mut self, failure: Option<SendFailure>) {
        let OutgoingMessage { ticket, reply_to, to, payload, .. } = self.sent.remove(0);
        let address =
            self.named.iter().find(|(name, _)| *name == to).map_or(to.as_str(), |(_, address)| address);
        let address = match reply_to.map(|id| &self.log[id as usize - 1]) {
            Some(Entry::Message(message)) => message.peer.to_string(),
            _ => address.parse::<PeerAddress>().unwrap().destination().unwrap().to_string(),
        };
        let outcome = match failure {
            Some(failure) => Err(failure),
            None => {
                let message = match payload {
                    Payload::Text(text) => self.message(&address, Direction::Out, &text),
                    Payload::Bytes(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        Message { raw: Raw(bytes), ..self.message(&address, Direction::Out, &text) }
                    }
                };
                let entry = Entry::Message(message);
                self.arrive(entry.clone());
                Ok(Sent::One(Box::new(entry)))
            }
        };
        self.model.update(Update::Sent { ticket, outcome });
        self.answer_requests();
    }

    /// Draws and answers requests until there are none.
    pub(super) fn answer_requests(&mut self) {
        self.answer_requests_except(|_| false);
    }

    /// Draws and answers requests until there are none, except for some.
    pub(super) fn answer_requests_except(&mut self, unanswered: impl Fn(&Request) -> bool) {
        loop {
            let whole = Rect::new(0, 0, self.size.0, self.size.1);
            Areas::lay_out(&mut self.model, whole);
            self.model.drawn();
            let requests = self.model.take_requests();
            if requests.is_empty() {
                return;
            }
            for request in requests.into_iter().filter(|request| !unanswered(request)) {
                self.serve(request);
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Page { epoch, end, params } => {
                let answer = Ok(self.page(&params));
                let cursor = params.before.or(params.after);
                self.model.update(Update::Page { epoch, end, cursor, answer });
            }
            Request::Reread { epoch, params } => {
                let answer = Ok(self.page(&params));
                self.model.update(Update::Reread { epoch, before: params.before, answer });
            }
            Request::Recode(params) => {
                let answer = self.recode(&params);
                self.model.update(Update::Recoded { params, answer });
            }
            Request::Peers => {
                let peers = self.peers();
                self.model.update(Update::Peers(Ok(peers)));
            }
            Request::Send(sending) => self.sent.push(sending),
            Request::WatchHeld(held) => self.watched_held = held,
            Request::Ack(id) => {
                assert!(id > self.acked_id);
                self.acked_id = id;
            }
        }
    }

    /// Returns the page that the daemon would return.
    pub(super) fn page(&self, params: &InboxParams) -> InboxAnswer {
        assert!(params.gaps && params.notices);
        let from = params.from[0].as_str();
        let (after, before) = (params.after.unwrap_or(0), params.before.unwrap_or(u64::MAX));
        let is_in = |entry: &&Entry| entry.id() > after && entry.id() < before && concerns(entry, from);
        let limit = params.limit.unwrap() as usize;
        let is_desc = params.order == Some(Order::Desc);
        let found: Vec<Entry> = match is_desc {
            true => self.log.iter().rev().filter(is_in).take(limit + 1).cloned().collect(),
            false => self.log.iter().filter(is_in).take(limit + 1).cloned().collect(),
        };
        let more = found.len() > limit;
        let entries: Vec<Entry> = found.into_iter().take(limit).collect();
        let next = match (more, is_desc) {
            (true, _) => entries.last().map_or(0, Entry::id),
            (false, true) => 1,
            (false, false) => self.newest(),
        };
        InboxAnswer { entries, next, more, unread: 0, consumer: None, read: None }
    }

    /// Recodes up to 100 messages, as the daemon would in a step; their texts name the encoding.
    fn recode(&mut self, params: &RecodeParams) -> Result<RecodeAnswer, String> {
        const STEP: usize = 100;
        if let Some(refusal) = self.recode_refusal {
            return Err(refusal.to_owned());
        }
        assert!(params.remember && !params.dry_run);
        let (from, after) = (params.from[0].as_str(), params.after.unwrap_or(0));
        let mut answer = RecodeAnswer {
            recoded: 0,
            matched: 0,
            remembered: 0,
            configured: self.encoding_is_configured.then(|| "bob".to_owned()).into_iter().collect(),
            next: self.newest(),
            more: false,
            examples: vec![],
        };
        for entry in self.log.iter_mut().filter(|entry| entry.id() > after && concerns(entry, from)) {
            let Entry::Message(message) = entry else { continue };
            if message.direction == Direction::In {
                message.text = format!("{} in {}", message.text, params.encoding);
                answer.matched += 1;
            }
            if answer.matched as usize == STEP {
                (answer.next, answer.more) = (message.id, true);
                break;
            }
        }
        Ok(answer)
    }

    /// Returns the list of peers that the daemon would return.
    pub(super) fn peers(&self) -> PeersAnswer {
        let mut peers: Vec<Peer> =
            self.named.iter().map(|(name, address)| self.peer(Some(name), address)).collect();
        let mut others: Vec<String> = Vec::new();
        for entry in self.log.iter().rev() {
            if let Entry::Message(Message { name: None, peer, direction: Direction::In, .. }) = entry
                && !others.contains(&peer.to_string())
            {
                others.push(peer.to_string());
            }
        }
        peers.extend(others.iter().map(|address| self.peer(None, address)));
        let members = vec!["bob".to_owned()];
        PeersAnswer { peers, lists: vec![PeerList { name: "lab".to_owned(), members }], more: false }
    }

    fn peer(&self, name: Option<&str>, address: &str) -> Peer {
        let is_its = |entry: &&Entry| {
            matches!(entry, Entry::Message(message) if message.direction == Direction::In
                && message.name.as_deref() == name
                && (name.is_some() || message.peer.to_string() == address))
        };
        let last = self.log.iter().rev().find(is_its);
        let (encoding, encoding_by) = match name {
            Some("bob") => self.bobs_encoding,
            Some("张三") => ("gbk", EncodingBy::Configured),
            _ => ("utf-8", EncodingBy::Configured),
        };
        Peer {
            name: name.map(str::to_owned),
            address: address.to_owned(),
            encoding: encoding.to_owned(),
            encoding_by,
            encoding_is_default: name.is_none(),
            last_heard: None,
            last_id: last.map(Entry::id),
            last_from: last.and_then(|last| match last {
                Entry::Message(message) => Some(message.peer.to_string()),
                Entry::Gap(_) | Entry::Notice(_) => None,
            }),
            messages: 0,
            unread: self.log.iter().filter(is_its).filter(|entry| entry.id() > self.acked_id).count() as u64,
            silent_after: None,
            silent_since: name
                .filter(|name| self.silent.contains(name))
                .and_then(|name| self.silent_since(name)),
            bounced_since: None,
            held: 0,
            denied: false,
        }
    }

    /// Returns the time of the last notice that a peer is silent.
    fn silent_since(&self, name: &str) -> Option<Timestamp> {
        self.log.iter().rev().find_map(|entry| match entry {
            Entry::Notice(notice) if notice.name.as_deref() == Some(name) => Some(notice.at),
            _ => None,
        })
    }

    /// Draws, and returns the screen and the cursor.
    pub(super) fn draw(&mut self) -> (Buffer, Position) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let areas = Areas::lay_out(&mut self.model, buffer.area);
        let cursor = view::draw(&self.model, &areas, &Theme::new(self.has_colour, self.is_utf8), &mut buffer);
        (buffer, cursor)
    }

    /// Draws, and returns the rows as text, with the cursor below.
    pub(super) fn rendered(&mut self) -> String {
        let (buffer, cursor) = self.draw();
        format!("{}cursor {},{}\n", text_of(&buffer), cursor.x, cursor.y)
    }
}

/// Returns a notice of a kind without facts; [`TestChat::notice`] sets its id and time.
pub(super) fn notice(kind: &str) -> Notice {
    Notice {
        id: 0,
        at: now(),
        notice: kind.to_owned(),
        about: None,
        peer: None,
        name: None,
        reason: None,
        from: None,
        last_id: None,
        seconds: None,
        first: false,
        held: None,
        more: None,
    }
}

/// Ten minutes after the start of the log.
fn now() -> Timestamp {
    Timestamp::from_second(START_SECONDS + 600).unwrap()
}

fn concerns(entry: &Entry, from: &str) -> bool {
    match entry {
        Entry::Gap(_) => true,
        Entry::Notice(notice) => notice.name.as_deref() == Some(from) || notice.peer.as_deref() == Some(from),
        Entry::Message(message) => message.name.as_deref() == Some(from) || message.peer.to_string() == from,
    }
}

/// Returns the rows of a screen as text, without trailing blanks.
pub(super) fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut x = area.left();
        while x < area.right() {
            let symbol = buffer[(x, y)].symbol();
            line += symbol;
            x += (symbol.width() as u16).max(1);
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}
