//! What ends a wait for an answer: the question bounces.

use std::future::pending;
use std::net::IpAddr;
use std::path::Path;

use udpchat_api::call::{DirectionFilter, InboxParams, SubscribeParams};
use udpchat_api::{Client, Entry, Notice, safe};
use udpchat_locale::tr;

use crate::error::CtlError;
use crate::output::{after_bounce, reported, undelivered};

/// What ends a wait because the newest question was not delivered.
pub(in crate::command) struct Bounces {
    /// Has the notices about messages that were sent, on a connection of its own; none once that fails, which does not fail the
    /// wait.
    notices: Option<Client>,
    /// The ids of the newest question, each datagram of it.
    pub(super) newest: Vec<u64>,
}

impl Bounces {
    /// Subscribes to the notices about messages to the peers `to` that were sent after the question.
    pub(in crate::command) async fn of(socket: &Path, question: Vec<u64>, to: Vec<String>) -> Self {
        let subscription = SubscribeParams {
            after: question.first().copied(),
            from: to,
            direction: Some(DirectionFilter::Out),
            notices: true,
            ..SubscribeParams::default()
        };
        let subscribe = async {
            let mut client = Client::connect(socket).await?;
            client.call(&subscription).await.map(|_| client)
        };
        Self { notices: subscribe.await.ok(), newest: question }
    }

    /// Waits until the newest question bounces; for ever if the notices end.
    pub(super) async fn next(&mut self) -> CtlError {
        while let Some(client) = &mut self.notices {
            match client.next_entry().await {
                Ok(Some(Entry::Notice(notice))) if self.is_about_newest(&notice) => {
                    let peer = notice.peer.as_deref().unwrap_or_default();
                    let reason = notice.reason.as_deref().unwrap_or_default();
                    return bounced(notice.name.as_deref(), peer, reason, notice.from);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => self.notices = None,
            }
        }
        pending().await
    }

    fn is_about_newest(&self, notice: &Notice) -> bool {
        notice.notice == "bounced" && notice.about.is_some_and(|id| self.newest.contains(&id))
    }

    /// Reads again whether the newest question has bounced: many bounces within a second do not get a notice each.
    pub(super) async fn read(&self, client: &mut Client) -> Option<CtlError> {
        let (first, last) = (self.newest.first()?, self.newest.last()?);
        let page = InboxParams {
            after: Some(first - 1),
            before: Some(last + 1),
            direction: Some(DirectionFilter::Out),
            limit: Some(1_000),
            ..InboxParams::default()
        };
        let page = client.call(&page).await.ok()?;
        page.entries.iter().find_map(|entry| match entry {
            Entry::Message(message) if self.newest.contains(&message.id) => {
                let bounce = message.bounce.as_ref()?;
                let (name, peer) = (message.name.as_deref(), message.peer.to_string());
                Some(bounced(name, &peer, &bounce.reason, bounce.from))
            }
            _ => None,
        })
    }
}

/// Returns the error for a message that was not delivered.
fn bounced(name: Option<&str>, peer: &str, reason: &str, from: Option<IpAddr>) -> CtlError {
    let what = undelivered(name, peer, reason);
    let text = tr!("{what}: {report}", what, report = reported(reason, from));
    CtlError::not_sent("bounced", text).hint(after_bounce(reason, &safe::one_line(name.unwrap_or(peer))))
}
