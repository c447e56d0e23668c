//! The methods `ack`, `set_mark` and `remove_mark`: change the read mark of a consumer.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
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
    let name = consumer.clone();
    let before = context.daemon().read(move |reader| reader.read_mark(&name)).await?;
    let removed = change(context.daemon(), consumer.clone(), MarkChange::Remove).await?;
    if removed > 0 && !is_own(context, &consumer) {
        context.control.audit.marked(&context.client, &consumer, before, None).await;
    }
    Ok(RemoveMarkAnswer { removed: removed > 0 })
}

async fn mark(
    context: &mut Context,
    consumer: Option<&str>,
    id: u64,
    to: impl Fn(u64) -> MarkChange,
) -> Result<AckAnswer, ErrorObject> {
    let daemon = Arc::clone(context.daemon());
    let consumer = context.changeable_consumer(consumer)?;
    let newest = daemon.commits.now().newest_id;
    if id > newest {
        let text = format!("`id` is {id}, but the newest entry is {newest}");
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    // Each user has one of its own, whatever others have created.
    let (name, is_own) = (consumer.clone(), is_own(context, &consumer));
    let look = move |reader: &Reader| Ok((reader.may_mark(&name, MAX_CONSUMERS)?, reader.read_mark(&name)?));
    let (has_room, before) = if is_own { (true, Some(0)) } else { daemon.read(look).await? };
    if !has_room {
        let text = format!("too many consumers: {MAX_CONSUMERS} have a read mark");
        let hint = "use a consumer that has one, or remove one: `udpchatctl consumers` lists them";
        return Err(ErrorObject::new(ErrorKind::Busy, text).hint(hint));
    }
    let to = to(id);
    let read = change(&daemon, consumer.clone(), to).await?;
    // One who reads acknowledges again and again: of each connection the first time is logged.
    let is_news = matches!(to, MarkChange::Set(_)) || context.acked.as_ref() != Some(&consumer);
    if !is_own && is_news && before != Some(read) {
        context.control.audit.marked(&context.client, &consumer, before, Some(read)).await;
        context.acked = Some(consumer);
    }
    let unread = daemon.read(move |reader| reader.unread(read)).await?;
    Ok(AckAnswer { read, unread, new: before.is_none() })
}

/// Returns whether a consumer belongs to the client: others cannot change its mark, or only administrators.
fn is_own(context: &Context, consumer: &str) -> bool {
    consumer == DEFAULT_CONSUMER || owner(consumer) == Some(context.client.credentials.uid)
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
    daemon.recorded(marked, Instant::now() + RECORD_WAIT).await.ok_or_else(unavailable)
}
