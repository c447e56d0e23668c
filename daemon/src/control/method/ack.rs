//! The method `ack`: moves the read mark of a consumer.

use tokio::sync::oneshot;
use tokio::time::timeout;
use udpchat_api::call::{AckAnswer, AckParams};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::control::query::consumer;
use crate::inbox::RECORD_WAIT;
use crate::inbox::queue::MarkItem;

pub(super) async fn call(context: &mut Context, params: AckParams) -> Result<AckAnswer, ErrorObject> {
    let daemon = context.daemon();
    let consumer = consumer(params.consumer.as_deref())?;
    let newest = daemon.progress.now().newest_id;
    if params.id > newest {
        let text = format!("`id` is {}, but the newest entry is {newest}", params.id);
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let (stored, marked) = oneshot::channel();
    let item = MarkItem { consumer, read_id: params.id, stored: Some(stored) };
    let unavailable = || {
        ErrorObject::new(ErrorKind::InboxUnavailable, "the read mark cannot be stored now")
            .hint("`udpchatctl status` shows the problem")
    };
    daemon.queue.mark(Box::new(item)).map_err(|_| unavailable())?;
    let Ok(Ok(read)) = timeout(RECORD_WAIT, marked).await else { return Err(unavailable()) };
    let unread = daemon.read(move |reader| reader.unread(read)).await?;
    Ok(AckAnswer { read, unread })
}
