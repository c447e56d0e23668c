//! The method `cancel`: removes a held message.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use udpchat_api::call::{CancelParams, Empty, Role};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::inbox::queue::{CancelItem, RECORD_WAIT};

pub(super) async fn call(context: &mut Context, params: CancelParams) -> Result<Empty, ErrorObject> {
    let reads = context.control.rules().roles_of(&context.client.credentials).has(Role::Read);
    // `held` does not show such a client what others have given, so it may not cancel that.
    if !reads && !is_own(context, params.held).await {
        return Err(none_held(params.held, reads));
    }
    let daemon = context.daemon();
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

/// Returns whether a message is held that the client's own user has given.
async fn is_own(context: &mut Context, held: u64) -> bool {
    let user = Arc::clone(context.client.name().await);
    let rows = context.daemon().kept.held_after(held.saturating_sub(1), 1);
    rows.first().is_some_and(|row| row.id == held && row.detail.by.as_deref() == Some(&*user))
}

fn none_held(held: u64, reads: bool) -> ErrorObject {
    let text = format!("no message is held with the number {held}, or it is being sent");
    ErrorObject::new(ErrorKind::NoSuchHeld, text).hint_if(reads.then_some("`udpchatctl held` lists them"))
}

fn unavailable() -> ErrorObject {
    let text = "the message may still be held: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::InboxUnavailable, text).hint("`udpchatctl status` shows the problem")
}
