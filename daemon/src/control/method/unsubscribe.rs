//! The method `unsubscribe`: ends the subscription of the connection.

use udpchat_api::ErrorObject;
use udpchat_api::call::{Empty, UnsubscribeParams};

use crate::control::context::Context;

pub(super) async fn call(context: &mut Context, _: UnsubscribeParams) -> Result<Empty, ErrorObject> {
    context.unsubscribe().await?;
    Ok(Empty {})
}
