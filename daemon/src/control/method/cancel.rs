//! The method `cancel`: removes a held message.

use tokio::sync::oneshot;
use tokio::time::Instant;
use udpchat_api::call::{CancelParams, Empty, Role};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::inbox::queue::{CancelItem, RECORD_WAIT};

pub(super) async fn call(context: &mut Context, params: CancelParams) -> Result<Empty, ErrorObject> {
    let daemon = context.daemon();
    let (sender, removed) = oneshot::channel();
    let item = CancelItem { id: params.held, stored: Some(sender) };
    daemon.queue.cancel(Box::new(item)).map_err(|_| unavailable())?;
    let removed = daemon.recorded(removed, Instant::now() + RECORD_WAIT).await.ok_or_else(unavailable)?;
    if removed == 0 {
        let text = format!("no message is held with the number {}, or it is being sent", params.held);
        let roles = context.control.rules().roles_of(&context.client.credentials);
        let hint = roles.has(Role::Read).then_some("`udpchatctl held` lists them");
        return Err(ErrorObject::new(ErrorKind::NoSuchHeld, text).hint_if(hint));
    }
    context.control.audit.cancelled(&context.client, params.held).await;
    Ok(Empty {})
}

fn unavailable() -> ErrorObject {
    let text = "the message may still be held: the inbox cannot be written now";
    ErrorObject::new(ErrorKind::InboxUnavailable, text).hint("`udpchatctl status` shows the problem")
}
