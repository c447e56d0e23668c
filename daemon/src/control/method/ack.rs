//! The method `ack`: moves the read mark of a consumer.

use tokio::sync::oneshot;
use tokio::time::timeout;
use udpchat_api::call::{AckAnswer, AckParams};
use udpchat_api::{DEFAULT_CONSUMER, ErrorKind, ErrorObject};

use crate::control::context::Context;
use crate::control::query::consumer;
use crate::inbox::queue::{MarkItem, RECORD_WAIT};
use crate::inbox::reader::Reader;

/// How many consumers may have a read mark: marks are never removed. The default consumer may always have one.
const MAX_CONSUMERS: u64 = 1_000;

pub(super) async fn call(context: &mut Context, params: AckParams) -> Result<AckAnswer, ErrorObject> {
    let daemon = context.daemon();
    let consumer = consumer(params.consumer.as_deref())?;
    let newest = daemon.commits.now().newest_id;
    if params.id > newest {
        let text = format!("`id` is {}, but the newest entry is {newest}", params.id);
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let name = consumer.clone();
    let has_room = move |reader: &Reader| reader.may_mark(&name, MAX_CONSUMERS);
    if consumer != DEFAULT_CONSUMER && !daemon.read(has_room).await? {
        let text = format!("too many consumers: {MAX_CONSUMERS} have a read mark");
        return Err(ErrorObject::new(ErrorKind::Busy, text).hint("use a consumer that has one"));
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
