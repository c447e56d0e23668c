//! Reads the messages of a plot: history, then what arrives.

use std::path::PathBuf;

use udpchat_api::call::{InboxParams, Order, SubscribeParams};
use udpchat_api::{Client, ClientError, Entry, Message, Timestamp};

use crate::command::condition::Selection;
use crate::command::filter::Filter;
use crate::command::unknown_numbers::{UnknownNumbers, hex_digits};
use crate::command::wanted_number::{Content, WantedNumber, select};
use crate::connect;
use crate::error::Result;

/// The page size, in entries; the daemon's limit.
const PAGE_ENTRIES: u32 = 1_000;

/// The numbers of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) id: u64,
    pub(super) at: Timestamp,
    /// The address of the peer.
    pub(super) peer: String,
    /// The name of the peer, if it is configured.
    pub(super) name: Option<String>,
    /// The wanted numbers, each with its heading.
    pub(super) numbers: Vec<(String, f64)>,
    /// The names of those that are not wanted.
    pub(super) others: Vec<String>,
    /// The length of the message, in bytes.
    pub(super) bytes: usize,
    /// Whether it is shown as hex digits.
    pub(super) is_hex: bool,
}

/// Which messages are read, and how far.
pub(super) struct Feed {
    socket: Option<PathBuf>,
    /// Which messages the daemon selects, and which this program selects of them.
    filter: Filter,
    selection: Selection,
    /// The wanted numbers; without any, all that texts have.
    fields: Vec<WantedNumber>,
    /// Whether some of them are at places, so that a message without one shows how long it is.
    has_places: bool,
    /// Which of them no message has had.
    unknown: UnknownNumbers,
    /// Whether there were messages that are shown as hex digits, and messages with numbers.
    has_hex: bool,
    has_numbers: bool,
    since: Option<Timestamp>,
    /// The time until which messages are read; none follows what arrives.
    until: Option<Timestamp>,
    /// The last id that was read; none before the first connection.
    cursor: Option<u64>,
}

impl Feed {
    /// Creates a feed of what came between two times; without the first it begins now, without the second it has no end.
    pub(super) fn new(
        socket: Option<PathBuf>,
        filter: Filter,
        fields: Vec<WantedNumber>,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
    ) -> Self {
        let unknown = UnknownNumbers::new(fields.iter().cloned());
        let has_places = fields.iter().any(WantedNumber::is_at_place);
        Self {
            socket,
            selection: Selection::new(&filter.conditions),
            filter,
            fields,
            has_places,
            unknown,
            has_hex: false,
            has_numbers: false,
            since,
            until,
            cursor: None,
        }
    }

    /// Returns the numbers that the user has named.
    pub(super) fn fields(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.heading().to_owned()).collect()
    }

    /// Returns a note on a number that no message has had so far, or on why there are none.
    pub(super) fn note(&self) -> Option<String> {
        let is_hex = self.fields.is_empty() && self.has_hex && !self.has_numbers;
        let of_messages = || self.unknown.note().or_else(|| self.selection.note());
        of_messages().or_else(|| is_hex.then(|| hex_digits().to_owned()))
    }

    /// Returns whether nothing comes after the history.
    pub(super) fn has_end(&self) -> bool {
        self.until.is_some()
    }

    /// Connects again.
    ///
    /// # Errors
    /// No daemon answers, or the user has no permission to read any more.
    pub(super) async fn connect(&mut self) -> Result<Client> {
        let after = self.cursor.unwrap_or(u64::MAX);
        let (mut client, after) = connect::connect_after(self.socket.as_deref(), after).await?;
        connect::check_read_permission(&mut client).await?;
        self.cursor = self.cursor.map(|_| after);
        Ok(client)
    }

    /// Returns the next page of what was there at the beginning; none at its end.
    pub(super) async fn history(&mut self, client: &mut Client) -> Result<Option<Vec<Sample>>> {
        let Some(since) = self.since else {
            if self.cursor.is_none() {
                self.cursor = Some(self.newest(client).await?);
            }
            return Ok(None);
        };
        let page = InboxParams {
            after: self.cursor,
            limit: Some(PAGE_ENTRIES),
            since: Some(since.to_string()),
            until: self.until.map(|until| until.to_string()),
            ..self.filter.page()
        };
        let answer = client.call(&page).await?;
        self.cursor = Some(answer.next);
        if !answer.more {
            self.since = None;
        }
        Ok(Some(answer.entries.into_iter().filter_map(|entry| self.sample(entry)).collect()))
    }

    /// Subscribes to what comes after that.
    pub(super) async fn follow(&self, client: &mut Client) -> Result<()> {
        let subscription = SubscribeParams {
            after: self.cursor,
            from: self.filter.from.clone(),
            direction: self.filter.direction,
            grep: self.filter.grep.clone(),
            contains: self.filter.contains.clone(),
            ..SubscribeParams::default()
        };
        Ok(client.call(&subscription).await.map(drop)?)
    }

    /// Returns the next message of which the plot shows something.
    pub(super) async fn next(&mut self, client: &mut Client) -> Result<Sample> {
        loop {
            let entry = client.next_entry().await?.ok_or(ClientError::Closed)?;
            self.cursor = Some(entry.id());
            if let Some(sample) = self.sample(entry) {
                return Ok(sample);
            }
        }
    }

    async fn newest(&self, client: &mut Client) -> Result<u64> {
        let newest = InboxParams { order: Some(Order::Desc), limit: Some(1), ..InboxParams::default() };
        Ok(client.call(&newest).await?.entries.first().map_or(0, Entry::id))
    }

    /// Returns the numbers of a message; none if the plot shows nothing of them.
    fn sample(&mut self, entry: Entry) -> Option<Sample> {
        if !self.selection.select(&entry) {
            return None;
        }
        let Entry::Message(message) = entry else { return None };
        let content = Content::of(&message);
        if !self.unknown.is_empty() {
            self.unknown.see(&content);
        }
        let is_hex = content.is_hex;
        self.has_hex |= is_hex;
        self.has_numbers |= !content.numbers.is_empty();
        let selected = select(&self.fields, &content);
        let selected: Vec<_> =
            selected.map(|(field, value)| (self.fields[field].heading().to_owned(), value)).collect();
        let (numbers, others) = match self.fields.is_empty() {
            true => (content.numbers, Vec::new()),
            false => (selected, self.names_of_others(content.numbers)),
        };
        let Message { id, at, peer, name, bytes, .. } = message;
        let is_shown = is_hex || !(numbers.is_empty() && others.is_empty()) || self.has_places;
        is_shown.then(|| Sample {
            id,
            at,
            peer: peer.to_string(),
            name,
            numbers,
            others,
            bytes,
            is_hex: is_hex && !self.has_places,
        })
    }

    fn names_of_others(&self, numbers: Vec<(String, f64)>) -> Vec<String> {
        let names = numbers.into_iter().map(|(name, _)| name);
        names.filter(|name| !self.fields.iter().any(|field| field.is_named(name))).collect()
    }
}
