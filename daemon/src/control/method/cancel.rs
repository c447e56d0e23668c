//! The method `cancel`: removes a held message.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use udpchat_api::call::{CancelParams, Empty};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::{Context, HeldOf};
use crate::inbox::kept::HeldRow;
use crate::inbox::queue::{CancelItem, RECORD_WAIT};

pub(super) async fn call(context: &mut Context, params: CancelParams) -> Result<Empty, ErrorObject> {
    let (visible, daemon) = (context.visible_held().await, context.daemon());
    let reads = visible == HeldOf::All;
    // What `held` does not show to a client, it may not cancel.
    let is_visible = |row: &Arc<HeldRow>| row.id == params.held && visible.has(row);
    if !reads && !daemon.kept.held_after(params.held.saturating_sub(1), 1).first().is_some_and(is_visible) {
        return Err(none_held(params.held, reads));
    }
    let (sender, removed) = oneshot::channel();
    let item = CancelItem { id: params.held, stored: Some(sender) };
    daemon.queue.cancel(Box::new(item)).map_err(|_| unavailable())?;
    let removed = daemon.recorded(removed, Instant::now() + RECORD_WAIT).await.ok_or_else(unavailable)?;
    if removed == 0 {
        return Err(none_held(params.held, reads));
    }
    context.control.audit.cancelled(&context.client, params.held).await;
    Ok(Empty {})
}

fn none_held(held: u64, reads: bool) -> ErrorObject {
    let text = format!("no message is held with the number {held}, or it is being sent");
    ErrorObject::new(ErrorKind::NoSuchHeld, text).hint_if(reads.then_some("`udpchatctl held` lists them"))
}

fn unavailable() -> ErrorObject {
    let text = "the message may still be held: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::InboxUnavailable, text).hint("`udpchatctl status` shows the problem")
}
