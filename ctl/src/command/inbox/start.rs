//! Where a consumer without a read mark begins.

use std::str::FromStr;

use serde::Serialize;
use udpchat_api::call::{AckParams, DirectionFilter, InboxParams, StatusParams};
use udpchat_api::{Client, DEFAULT_CONSUMER, Entry};
use udpchat_locale::tr;

use super::mark;
use crate::command::filter::entry_id;
use crate::error::{CtlError, Result};
use crate::output::{Output, counted};

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the oldest entry.
    #[default]
    Oldest,
    /// At what arrives from now on.
    Now,
    /// At this entry.
    Id(u64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "oldest" => Ok(Self::Oldest),
            "now" => Ok(Self::Now),
            id => match entry_id(id) {
                Ok(id) if id > 0 => Ok(Self::Id(id)),
                _ => Err(tr!("expected `oldest`, `now` or the id of an entry").to_owned()),
            },
        }
    }
}

impl Start {
    /// Returns the read mark of a consumer that begins there.
    ///
    /// # Errors
    /// The entry is beyond the next one.
    pub(crate) async fn read_mark(self, client: &mut Client) -> Result<u64> {
        Ok(match self {
            Self::Oldest => client.call(&StatusParams {}).await?.inbox.oldest_id.saturating_sub(1),
            Self::Now => client.call(&StatusParams {}).await?.inbox.newest_id,
            Self::Id(id) => {
                let newest = client.call(&StatusParams {}).await?.inbox.newest_id;
                if id - 1 > newest {
                    return Err(beyond(id, newest));
                }
                id - 1
            }
        })
    }
}

/// Returns the error for an id that neither an entry nor the next one has.
fn beyond(id: u64, newest: u64) -> CtlError {
    let error = CtlError::usage(match newest {
        0 => tr!("there is no entry #{id}: the inbox is empty", id),
        newest => tr!("there is no entry #{id}: the newest is #{newest}", id, newest),
    });
    error.hint(tr!("`now` begins with what arrives next"))
}

/// A reader of what is new.
#[derive(Debug, PartialEq)]
pub(super) struct Consumer {
    /// None is the own read mark.
    pub(super) name: Option<String>,
    /// Where it begins if it has no read mark.
    pub(super) start: Option<Start>,
    /// Whether what it reads is marked as read.
    pub(super) ack: bool,
}

/// Where to read, and on whose behalf.
pub(super) struct Beginning {
    /// The consumer, as the daemon names it.
    pub(super) consumer: String,
    /// The cursor; none leaves it to the daemon.
    pub(super) after: Option<u64>,
}

/// Finds where a consumer begins to read. A new one gets a read mark there, unless it only peeks.
pub(super) async fn begin(client: &mut Client, output: &mut Output, wanted: &Consumer) -> Result<Beginning> {
    let name = wanted.name.as_deref().unwrap_or(DEFAULT_CONSUMER);
    let page = InboxParams {
        consumer: Some(name.to_owned()),
        limit: Some(1),
        direction: Some(DirectionFilter::In),
        ..InboxParams::default()
    };
    let found = client.call(&page).await?;
    let Some(consumer) = found.consumer else {
        // A daemon of a release that does not tell new consumers from others.
        return Ok(Beginning { consumer: name.to_owned(), after: None });
    };
    if let Some(read) = found.read {
        if wanted.start.is_some() {
            note_ignored(output, name, &consumer, read);
        }
        return Ok(Beginning { consumer, after: Some(read) });
    }
    let start = wanted.start.unwrap_or_default();
    let after = start.read_mark(client).await?;
    if wanted.ack {
        let marked = client.call(&AckParams { consumer: Some(consumer.clone()), id: after }).await;
        // What can be read is printed nevertheless; the mark behind it reports the problem.
        if let Err(error) = marked
            && !mark::is_unstorable(&error)
        {
            return Err(error.into());
        }
    }
    // Everybody's first `inbox` is a new consumer, too.
    if consumer != DEFAULT_CONSUMER && found.unread > 0 {
        let oldest = found.entries.first().map_or(1, Entry::id);
        note_new(output, &consumer, start, oldest, found.unread);
    }
    Ok(Beginning { consumer, after: Some(after) })
}

/// The note about a new consumer, in JSON.
#[derive(Serialize)]
struct NewConsumer<'a> {
    message: &'a str,
    kind: &'static str,
    consumer: &'a str,
    /// The id of the first entry; absent if it has yet to arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_id: Option<u64>,
    /// How many messages the inbox has, read or not.
    messages: u64,
}

/// Says where a new consumer begins.
fn note_new(output: &mut Output, consumer: &str, start: Start, oldest: u64, messages: u64) {
    let all = counted(messages, "message");
    let (first_id, message) = match start {
        Start::Oldest => (
            Some(oldest),
            tr!(
                "consumer `{consumer}` is new: it begins at the oldest entry, #{oldest}, with {all}; `--start now` begins \
                 with what arrives next",
                consumer,
                oldest,
                all
            ),
        ),
        Start::Now => (
            None,
            tr!(
                "consumer `{consumer}` is new: it begins with what arrives next and leaves out {all}; \
                 `udpchatctl consumers {consumer} --set oldest` shows them",
                consumer,
                all
            ),
        ),
        Start::Id(id) => (
            Some(id),
            tr!(
                "consumer `{consumer}` is new: it begins at entry #{id}; the inbox has {all}",
                consumer,
                id,
                all
            ),
        ),
    };
    let message = &message;
    output.note_with(message, &NewConsumer { message, kind: "new_consumer", consumer, first_id, messages });
}

/// The note about `--start` for a consumer that has a read mark, in JSON.
#[derive(Serialize)]
struct StartIgnored<'a> {
    message: &'a str,
    kind: &'static str,
    consumer: &'a str,
    /// Everything up to this id is read.
    read: u64,
}

/// Says that `--start` does nothing; `name` is what the user calls the consumer.
fn note_ignored(output: &mut Output, name: &str, consumer: &str, read: u64) {
    let message = &tr!(
        "--start does nothing: consumer `{consumer}` has the read mark #{read}; \
         `udpchatctl consumers {name} --set START` changes it",
        consumer,
        read,
        name
    );
    output.note_with(message, &StartIgnored { message, kind: "start_ignored", consumer, read });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_or_an_id() {
        for (text, expected) in
            [("oldest", Start::Oldest), ("now", Start::Now), ("812", Start::Id(812)), ("#7", Start::Id(7))]
        {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "0", "first", "-1"] {
            assert!(text.parse::<Start>().is_err(), "{text}");
        }
    }
}
