//! The method `subscribe`: entries from a cursor on, and each new one as soon as it is committed.

use udpchat_api::ErrorObject;
use udpchat_api::call::{SubscribeAnswer, SubscribeParams};

use crate::control::context::Context;
use crate::control::query::Query;

pub(super) async fn call(
    context: &mut Context,
    params: SubscribeParams,
) -> Result<SubscribeAnswer, ErrorObject> {
    context.require_no_subscription()?;
    let grep = context.pattern(params.grep.as_deref()).await?;
    let daemon = context.daemon();
    let mut query = Query::of_subscribe(&params, grep, &daemon.peers.configured())?;
    let after = params.after.unwrap_or_else(|| daemon.commits.now().newest_id);
    query.range.after = after;
    context.subscribe(query);
    Ok(SubscribeAnswer { after })
}
