//! The method `send`: sends a message and answers with it as stored.

use std::sync::Arc;

use udpchat_api::ErrorObject;
use udpchat_api::call::{SendParams, Sent, Split};

use crate::control::audit;
use crate::control::credentials::Caller;
use crate::send::{Unrecorded, send};
use crate::state::Daemon;
use crate::view::Viewer;

/// A message that is sent, and not yet on record.
pub(crate) struct Sending {
    unrecorded: Unrecorded,
    in_parts: bool,
}

/// Sends a message. What comes after it is sent after it.
pub(crate) async fn begin(
    daemon: &Arc<Daemon>,
    caller: &Caller,
    params: SendParams,
) -> Result<Sending, ErrorObject> {
    let in_parts = params.split.and_then(Split::bytes).is_some();
    let by = caller.name(&daemon.control.names).await;
    Ok(Sending { unrecorded: send(daemon, params, by).await?, in_parts })
}

impl Sending {
    /// Waits until it is on record, logs who sent it, and makes the answer.
    pub(crate) async fn finish(self, daemon: &Arc<Daemon>, caller: &Caller) -> Result<Sent, ErrorObject> {
        let recorded = self.unrecorded.recorded().await;
        audit::sent(daemon, caller, &recorded.entries).await;
        let stored = recorded.complete()?;
        let viewer = Viewer::of(daemon);
        let mut entries: Vec<_> = stored.into_iter().map(|stored| viewer.entry(stored)).collect();
        Ok(match (self.in_parts, entries.len()) {
            (false, 1) => Sent::One(Box::new(entries.remove(0))),
            _ => Sent::Parts(entries),
        })
    }
}
