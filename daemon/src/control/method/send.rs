//! The method `send`: sends a message, and responds with it as stored; or holds it until its peer sends one.
//!
//! It takes three steps. What is being sent is sent to its end, even if the connection is closed meanwhile; and the next
//! message of a connection does not wait until this one is committed.

use std::pin::Pin;
use std::sync::Arc;

use udpchat_api::call::{Role, SendParams, Sent, Split};
use udpchat_api::rpc::Id;
use udpchat_api::{Entry, ErrorObject, Message};

use crate::control::client::Client;
use crate::control::entry::Viewer;
use crate::control::memory::{Account, Charge};
use crate::control::response::{Response, failure_line, success_line};
use crate::control::shared::Control;
use crate::send::{Unheld, Unrecorded, hold, prepare, send};

/// A message that was sent, or is to be held, and is not yet committed.
pub(in crate::control) struct Sending {
    control: Arc<Control>,
    client: Arc<Client>,
    outcome: Outcome,
    memory: Charge,
    in_parts: bool,
    encoding_is_default: bool,
}

enum Outcome {
    Sent(Unrecorded),
    Held(Result<Unheld, ErrorObject>),
}

/// Sends a message. Once begun, it must be driven to its end: a message may have several parts, and each waits for the kernel.
pub(in crate::control) type Transmission = Pin<Box<dyn Future<Output = Sending> + Send>>;

/// Prepares a message, with the memory that the request is charged for, if any. Nothing is sent yet.
pub(in crate::control) async fn start(
    control: Arc<Control>,
    client: Arc<Client>,
    (account, memory): (Arc<Account>, Option<Charge>),
    params: SendParams,
) -> Result<Transmission, ErrorObject> {
    let in_parts = params.split.and_then(Split::bytes).is_some();
    let prepared = prepare(&control.daemon, &params).await?;
    drop(params);
    // Before anything is sent: a message that is sent must be answered.
    let memory = account.recharge(memory, prepared.memory_bytes()).await?;
    let encoding_is_default = prepared.encoding_is_default();
    Ok(Box::pin(async move {
        let (daemon, by) = (&control.daemon, client.name().await);
        let outcome = match prepared.is_held() {
            true => Outcome::Held(hold(daemon, prepared, by)),
            false => Outcome::Sent(send(daemon, prepared, by).await),
        };
        Sending { control, client, outcome, memory, in_parts, encoding_is_default }
    }))
}

/// Waits until the message is committed, and returns the response as a line; none for a notification.
pub(in crate::control) async fn finish(
    sending: Result<Sending, ErrorObject>,
    id: Option<Id>,
) -> Option<Response> {
    let (sent, mut memory) = match sending {
        Ok(sending) => sending.finish().await,
        Err(error) => (Err(error), None),
    };
    let id = id?;
    let line = sent.and_then(|sent| success_line(Some(&id), &sent));
    let line = line.unwrap_or_else(|error| failure_line(id, error));
    if let Some(memory) = &mut memory {
        memory.shrink_to(line.len());
    }
    Some(Response { line, _memory: memory })
}

impl Sending {
    /// Waits for the record; returns with it the memory that was charged.
    async fn finish(self) -> (Result<Sent, ErrorObject>, Option<Charge>) {
        let daemon = &self.control.daemon;
        let lines_per_second = *daemon.configuration.current().log.messages_per_second;
        let unrecorded = match self.outcome {
            Outcome::Sent(unrecorded) => unrecorded,
            Outcome::Held(Err(error)) => return (Err(error), Some(self.memory)),
            Outcome::Held(Ok(unheld)) => {
                let roles = self.control.rules().roles_of(&self.client.credentials);
                let held = unheld.held(daemon, roles.has(Role::Read)).await;
                if let Ok(held) = &held {
                    self.control.audit.held(&self.client, held, lines_per_second).await;
                }
                return (held.map(|held| Sent::Held { held }), Some(self.memory));
            }
        };
        let recorded = unrecorded.recorded(daemon).await;
        self.control.audit.sent(&self.client, &recorded.entries, lines_per_second).await;
        let sent = recorded.complete().map(|stored| {
            let viewer = Viewer::of(daemon);
            let entry = |stored| match viewer.entry(stored) {
                Entry::Message(message) => {
                    Entry::Message(Message { encoding_is_default: self.encoding_is_default, ..message })
                }
                other => other,
            };
            let mut entries: Vec<_> = stored.into_iter().map(entry).collect();
            match (self.in_parts, entries.len()) {
                (false, 1) => Sent::One(Box::new(entries.remove(0))),
                _ => Sent::Parts(entries),
            }
        });
        (sent, Some(self.memory))
    }
}
