//! The methods `ack`, `set_mark` and `remove_mark`: change the read mark of a consumer.

use tokio::sync::oneshot;
use tokio::time::timeout;
use udpchat_api::call::{AckAnswer, AckParams, RemoveMarkAnswer, RemoveMarkParams, SetMarkParams};
use udpchat_api::{DEFAULT_CONSUMER, ErrorKind, ErrorObject};

use crate::control::consumer::owner;
use crate::control::context::Context;
use crate::inbox::queue::{MarkChange, MarkItem, RECORD_WAIT};
use crate::inbox::reader::Reader;
use crate::state::Daemon;

/// How many consumers may have a read mark. The default consumer may always have one.
const MAX_CONSUMERS: u64 = 1_000;

pub(super) async fn ack(context: &mut Context, params: AckParams) -> Result<AckAnswer, ErrorObject> {
    mark(context, params.consumer.as_deref(), params.id, MarkChange::Raise).await
}

pub(super) async fn set(context: &mut Context, params: SetMarkParams) -> Result<AckAnswer, ErrorObject> {
    mark(context, params.consumer.as_deref(), params.id, MarkChange::Set).await
}

pub(super) async fn remove(
    context: &mut Context,
    params: RemoveMarkParams,
) -> Result<RemoveMarkAnswer, ErrorObject> {
    let consumer = context.changeable_consumer(params.consumer.as_deref())?;
    let removed = change(context.daemon(), consumer, MarkChange::Remove).await?;
    Ok(RemoveMarkAnswer { removed: removed > 0 })
}

async fn mark(
    context: &Context,
    consumer: Option<&str>,
    id: u64,
    to: impl Fn(u64) -> MarkChange,
) -> Result<AckAnswer, ErrorObject> {
    let daemon = context.daemon();
    let consumer = context.changeable_consumer(consumer)?;
    let newest = daemon.commits.now().newest_id;
    if id > newest {
        let text = format!("`id` is {id}, but the newest entry is {newest}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let (name, uid) = (consumer.clone(), context.client.credentials.uid);
    // Each user has one of its own, whatever others have created.
    let is_own = consumer == DEFAULT_CONSUMER || owner(&consumer) == Some(uid);
    let look = move |reader: &Reader| {
        Ok((reader.may_mark(&name, MAX_CONSUMERS)?, reader.read_mark(&name)?.is_none()))
    };
    let (has_room, new) = if is_own { (true, false) } else { daemon.read(look).await? };
    if !has_room {
        let text = format!("too many consumers: {MAX_CONSUMERS} have a read mark");
        let hint = "use a consumer that has one, or remove one: `udpchatctl consumers` lists them";
        return Err(ErrorObject::new(ErrorKind::Busy, text).hint(hint));
    }
    let read = change(daemon, consumer, to(id)).await?;
    let unread = daemon.read(move |reader| reader.unread(read)).await?;
    Ok(AckAnswer { read, unread, new })
}

/// Has the writer change a read mark, and waits until it is committed; returns the result.
async fn change(daemon: &Daemon, consumer: String, change: MarkChange) -> Result<u64, ErrorObject> {
    let (stored, marked) = oneshot::channel();
    let item = MarkItem { consumer, change, stored: Some(stored) };
    let unavailable = || {
        ErrorObject::new(ErrorKind::InboxUnavailable, "the read mark cannot be stored now")
            .hint("`udpchatctl status` shows the problem")
    };
    daemon.queue.mark(Box::new(item)).map_err(|_| unavailable())?;
    match timeout(RECORD_WAIT, marked).await {
        Ok(Ok(result)) => Ok(result),
        _ => Err(unavailable()),
    }
}
