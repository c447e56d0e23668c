//! The method `consumers`: lists the read marks.

use udpchat_api::ErrorObject;
use udpchat_api::call::{Consumer, ConsumersAnswer, ConsumersParams};

use crate::control::consumer::owner;
use crate::control::context::Context;
use crate::inbox::reader::Reader;

/// How much memory the list takes at most, in bytes: that of 1,001 names of 64 characters, and their line.
const LIST_BYTES: usize = 1_001 * 2 * 512;

pub(super) async fn call(context: &mut Context, _: ConsumersParams) -> Result<ConsumersAnswer, ErrorObject> {
    let consumers = context.read(LIST_BYTES, Reader::consumers).await?;
    let consumers = consumers.into_iter().map(|(consumer, read, unread)| Consumer {
        uid: owner(&consumer),
        consumer,
        read,
        unread,
    });
    Ok(ConsumersAnswer { consumers: consumers.collect() })
}
