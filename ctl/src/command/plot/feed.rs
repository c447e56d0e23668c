//! Reads the messages of a plot: history, then what arrives.

use std::path::PathBuf;

use udpchat_api::call::{DirectionFilter, InboxParams, Order, SubscribeParams};
use udpchat_api::numbers::numbers;
use udpchat_api::{Client, ClientError, Entry, Message, Timestamp};

use crate::connect;
use crate::error::Result;

/// The page size, in entries; the daemon's limit.
const PAGE_ENTRIES: u32 = 1_000;

/// The numbers of one message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) id: u64,
    pub(super) at: Timestamp,
    /// The address of the peer.
    pub(super) peer: String,
    /// The name of the peer, if it is configured.
    pub(super) name: Option<String>,
    pub(super) numbers: Vec<(String, f64)>,
}

/// Which messages are read, and how far.
pub(super) struct Feed {
    socket: Option<PathBuf>,
    from: Vec<String>,
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
        from: Vec<String>,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
    ) -> Self {
        Self { socket, from, since, until, cursor: None }
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
            from: self.from.clone(),
            direction: Some(DirectionFilter::In),
            since: Some(since.to_string()),
            until: self.until.map(|until| until.to_string()),
            ..InboxParams::default()
        };
        let answer = client.call(&page).await?;
        self.cursor = Some(answer.next);
        if !answer.more {
            self.since = None;
        }
        Ok(Some(answer.entries.into_iter().filter_map(sample).collect()))
    }

    /// Subscribes to what comes after that.
    pub(super) async fn follow(&self, client: &mut Client) -> Result<()> {
        let subscription = SubscribeParams {
            after: self.cursor,
            from: self.from.clone(),
            direction: Some(DirectionFilter::In),
            ..SubscribeParams::default()
        };
        Ok(client.call(&subscription).await.map(drop)?)
    }

    /// Returns the next message that has numbers.
    pub(super) async fn next(&mut self, client: &mut Client) -> Result<Sample> {
        loop {
            let entry = client.next_entry().await?.ok_or(ClientError::Closed)?;
            self.cursor = Some(entry.id());
            if let Some(sample) = sample(entry) {
                return Ok(sample);
            }
        }
    }

    async fn newest(&self, client: &mut Client) -> Result<u64> {
        let newest = InboxParams { order: Some(Order::Desc), limit: Some(1), ..InboxParams::default() };
        Ok(client.call(&newest).await?.entries.first().map_or(0, Entry::id))
    }
}

fn sample(entry: Entry) -> Option<Sample> {
    let Entry::Message(Message { id, at, peer, name, encoding, text, .. }) = entry else { return None };
    let numbers = numbers(&encoding, &text);
    (!numbers.is_empty()).then(|| Sample { id, at, peer: peer.to_string(), name, numbers })
}
