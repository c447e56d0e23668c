//! The method `ack`: moves a consumer's read mark.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;
use udpchat_api::call::{AckAnswer, AckParams};
use udpchat_api::{ErrorKind, ErrorObject};

use super::query::consumer;
use crate::inbox::queue::{MarkItem, RECORD_WAIT};
use crate::state::Daemon;

pub(crate) async fn call(daemon: &Arc<Daemon>, params: AckParams) -> Result<AckAnswer, ErrorObject> {
    let consumer = consumer(params.consumer.as_deref())?;
    let newest = daemon.commits.now().newest_id;
    if params.id > newest {
        let text =
            format!("`id` is {}, the newest entry is {newest}: what has not come cannot be read", params.id);
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let (stored, marked) = oneshot::channel();
    let item = MarkItem { consumer, read_id: params.id, stored: Some(stored) };
    let unavailable = || {
        ErrorObject::new(ErrorKind::InboxUnavailable, "the read mark cannot be stored now")
            .hint("`udpchatctl status` says what is wrong")
    };
    daemon.queue.mark(Box::new(item)).map_err(|_| unavailable())?;
    let Ok(Ok(read)) = timeout(RECORD_WAIT, marked).await else { return Err(unavailable()) };
    let unread = daemon.read(move |reader| reader.unread(read)).await?;
    Ok(AckAnswer { read, unread })
}
