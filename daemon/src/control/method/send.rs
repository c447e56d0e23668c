//! The method `send`: sends a message, and responds with it as stored.
//!
//! It takes two steps, so that the next message of a connection does not wait until this one is committed.

use std::sync::Arc;

use serde_json::Value;
use udpchat_api::ErrorObject;
use udpchat_api::call::{SendParams, Sent, Split};

use crate::control::client::Client;
use crate::control::entry::Viewer;
use crate::control::response::{failure_line, success_line};
use crate::control::shared::Control;
use crate::send::{Unrecorded, send};

/// A message that was sent and is not yet committed.
pub(in crate::control) struct Sending {
    control: Arc<Control>,
    client: Arc<Client>,
    unrecorded: Unrecorded,
    in_parts: bool,
}

/// Sends a message. Messages that are sent later follow it on the wire.
pub(in crate::control) async fn start(
    control: Arc<Control>,
    client: Arc<Client>,
    params: SendParams,
) -> Result<Sending, ErrorObject> {
    let in_parts = params.split.and_then(Split::bytes).is_some();
    let unrecorded = send(&control.daemon, params, client.name().await).await?;
    Ok(Sending { control, client, unrecorded, in_parts })
}

/// Waits until the message is committed, and returns the response as a line; none for a notification.
pub(in crate::control) async fn finish(
    sending: Result<Sending, ErrorObject>,
    id: Option<Value>,
) -> Option<Vec<u8>> {
    let sent = match sending {
        Ok(sending) => sending.finish().await,
        Err(error) => Err(error),
    };
    let id = id?;
    Some(sent.and_then(|sent| success_line(Some(&id), &sent)).unwrap_or_else(|error| failure_line(id, error)))
}

impl Sending {
    async fn finish(self) -> Result<Sent, ErrorObject> {
        let recorded = self.unrecorded.recorded().await;
        let daemon = &self.control.daemon;
        let lines_per_second = *daemon.configuration.current().log.messages_per_second;
        self.control.audit.sent(&self.client, &recorded.entries, lines_per_second).await;
        let stored = recorded.complete()?;
        let viewer = Viewer::of(daemon);
        let mut entries: Vec<_> = stored.into_iter().map(|stored| viewer.entry(stored)).collect();
        Ok(match (self.in_parts, entries.len()) {
            (false, 1) => Sent::One(Box::new(entries.remove(0))),
            _ => Sent::Parts(entries),
        })
    }
}
