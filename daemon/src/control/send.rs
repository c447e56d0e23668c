//! The method `send`: sends a message and answers with it as stored.

use std::sync::Arc;

use udpchat_api::ErrorObject;
use udpchat_api::call::{SendParams, Sent, Split};

use crate::daemon::Daemon;
use crate::send::send;
use crate::view::Viewer;

pub(super) async fn call(daemon: &Arc<Daemon>, params: SendParams) -> Result<Sent, ErrorObject> {
    let in_parts = params.split.and_then(Split::bytes).is_some();
    let stored = send(daemon, params).await?;
    let viewer = Viewer::of(daemon);
    let mut entries: Vec<_> = stored.into_iter().map(|stored| viewer.entry(stored)).collect();
    Ok(match (in_parts, entries.len()) {
        (false, 1) => Sent::One(Box::new(entries.remove(0))),
        _ => Sent::Parts(entries),
    })
}
